"""How a Frechet distance falls with the number of features where nothing else differs.

Clips of one kind are halved at random again and again: the true distance of the halves is 0.
Shape letters: N features, D dimensions.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from evals.extractors.networks import judge_path
from evals.extractors.networks.fvd_world import CLIP_FRAMES, embed, load_network
from evals.judges.drawn import HELD_OUT, film
from evals.numerics.frechet import frechet_distance, kernel_distance
from streamchar_ref.core.one_thread import one_thread

SIZES = (16, 32, 64, 128, 256)
NUM_DRAWS = 12
SIZE_PX = 128


def bias_table(
    features: Float[np.ndarray, "N D"],
    *,
    sizes: Sequence[int] = SIZES,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Measures distances between disjoint draws of one set.

    Args:
        features: Of independent videos.
        sizes: Features of each draw; those above half of all are left out.
        num_draws: Pairs of draws of each size.
        seed: Of the draws.

    Returns:
        For each size the mean Frechet distance, its share of the trace of the covariance, and the
        mean unbiased kernel distance with its standard error.
    """
    rng = np.random.default_rng(seed)
    trace = float(features.var(axis=0, ddof=1).sum())
    rows = []
    for size in [size for size in sizes if 2 * size <= len(features)]:
        orders = [rng.permutation(len(features)) for _ in range(num_draws)]
        pairs = [(features[o[:size]], features[o[size : 2 * size]]) for o in orders]
        frechet = np.mean([frechet_distance(one, other) for one, other in pairs])
        kernel = np.array([kernel_distance(one, other) for one, other in pairs])
        rows.append({
            "n": size,
            "frechet": round(float(frechet), 4),
            "share_of_trace": round(float(frechet) / trace, 4),
            "mmd2": round(float(kernel.mean()), 5),
            "mmd2_error": round(float(kernel.std(ddof=1) / np.sqrt(num_draws)), 5),
        })  # fmt: skip
    return rows


@one_thread()
def drawn_features(
    num_clips: int, *, style: str = "painted", progress: Callable[[str, int, int], None]
) -> Float[np.ndarray, "N D"]:
    """Embeds one clip of each of as many drawn people by `fvd_world`.

    Args:
        num_clips: Each of another person, at most 1000.
        style: Of the drawing.
        progress: Told ``(what, done, total)``.

    Returns:
        Their features.
    """
    network = load_network(judge_path("fvd_world"))
    rows = []
    for done, identity in enumerate(HELD_OUT[:num_clips]):
        progress("drawing", done, num_clips)
        take = film(style, identity=identity, seed=identity, num_frames=CLIP_FRAMES, size=SIZE_PX)
        rows.append(embed(network, [take.frames]))
    progress("drawing", num_clips, num_clips)
    return np.concatenate(rows).astype(np.float64)
