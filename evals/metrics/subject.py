"""VBench's subject consistency: does each frame look like the one before and like the first?

Shape letters: T frames, D dimensions.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from evals.numerics.windows import windows_of
from evals.protocols.base import Features, Metric, MetricContext, Score, Unscored
from evals.protocols.info import SHARE, Axis
from evals.recording.recording import Recording

WINDOW_S = 2.0


def consistency(embeddings: Float[np.ndarray, "T D"]) -> Float[np.ndarray, " T"]:
    """Mean cosine to the frame before and to the first one, negative ones counted as 0.

    Args:
        embeddings: Of unit length, in playing order.

    Returns:
        For each frame from the second on; NaN for the first.

    Source:
        ``subject_consistency`` of Vchitect/VBench (Apache-2.0), rewritten.
    """
    values = np.full(len(embeddings), np.nan)
    rows = embeddings.astype(np.float64)
    before = np.einsum("td,td->t", rows[1:], rows[:-1])
    first = rows[1:] @ rows[0] if len(rows) else before
    values[1:] = (np.maximum(before, 0) + np.maximum(first, 0)) / 2
    return values


class SubjectConsistency(Metric):
    """VBench's score of one video: the mean over its frames from the second on.

    It is of the whole picture, and high for whatever hardly moves.
    """

    name = "subject_consistency"
    axis = Axis.IDENTITY
    unit = "1"
    higher_is_better = True
    bounds = SHARE
    is_default = False
    needs = ("dino",)
    protocol = "subject_consistency/vbench@1"
    params: Mapping[str, Any] = {"over_videos": "mean", "window_s": WINDOW_S}

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Averages over the frames."""
        values = consistency(features["dino"]["embedding"])
        if len(values) < 2:
            raise Unscored("fewer than two frames")
        return Score(
            value=float(values[1:].mean()),
            components={"num_frames": len(values), "last": float(values[-1])},
            windows=windows_of(
                len(values),
                lambda start, stop: float(np.nanmean(values[start:stop])),
                length_s=WINDOW_S,
                hop_s=WINDOW_S,
            ),
        )


SUBJECT: tuple[Metric, ...] = (SubjectConsistency(),)
