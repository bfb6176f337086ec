"""SyncNet's confidence, distance and offset, from embeddings or from a matrix of distances.

All scores derive from d_i(k), the distance between the picture at window i and the sound at
window i + k - V, for k = 0..2V. A positive offset means that the sound is early.

Shape letters: L windows (one per video frame), K = 2V + 1 shifts, E dimensions of an embedding.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

MARGIN = 15
"""V: largest shift in frames, +-600 ms at 25 fps."""
EPSILON = 1e-6
"""Added to every difference by torch's ``pairwise_distance``, which the published code uses."""
FRAME_FILTER = 9
"""Width in frames of the median filter of the published frame-wise curve."""
_ROWS_AT_ONCE = 512


@dataclass(frozen=True, kw_only=True)
class SyncScore:
    """Scores of one curve of mean distance over shifts.

    Attributes:
        sync_c: Median over shifts minus the minimum; LSE-C, "Confidence".
        sync_d: The minimum; LSE-D, "Min dist".
        offset_frames: Shift of the minimum; positive if the sound is early.
        sync_c0: Median minus the distance at shift 0.
        sync_d0: Distance at shift 0.
        is_censored: Whether the offset lies on the edge of the search range, so may be larger.
    """

    sync_c: float
    sync_d: float
    offset_frames: int
    sync_c0: float
    sync_d0: float
    is_censored: bool


def shifted_distances(
    visual: Float[np.ndarray, "L E"], audio: Float[np.ndarray, "L E"], *, margin: int = MARGIN
) -> Float32[np.ndarray, "L K"]:
    """Computes d_i(k); embeddings of sound outside the stream are zero, as published.

    Args:
        visual: Embedding of the picture at each window.
        audio: Embedding of the sound at each window.
        margin: V.

    Returns:
        Distance of each window at each shift; column ``margin`` is shift 0.

    Source:
        Chung and Zisserman, Out of Time, ACCVW 2016; ``calc_pdist`` of joonson/syncnet_python
        (MIT), compared in tests/evals/numerics/test_syncnet.py.
    """
    padded = np.pad(audio.astype(np.float64), ((margin, margin), (0, 0)))
    distance = np.empty((len(visual), 2 * margin + 1), np.float32)
    for start in range(0, len(visual), _ROWS_AT_ONCE):
        rows = slice(start, min(start + _ROWS_AT_ONCE, len(visual)))
        picture = visual[rows].astype(np.float64) + EPSILON
        for k in range(2 * margin + 1):
            difference = picture - padded[rows.start + k : rows.stop + k]
            distance[rows, k] = np.sqrt(np.einsum("le,le->l", difference, difference))
    return distance


def is_real_pair(num_windows: int, *, margin: int = MARGIN) -> Bool[np.ndarray, "L K"]:
    """Marks the pairs of window and shift whose sound lies inside the stream."""
    sound = np.arange(num_windows)[:, None] + np.arange(-margin, margin + 1)
    return (sound >= 0) & (sound < num_windows)


def mean_curve(distance: Float[np.ndarray, "L K"]) -> Float64[np.ndarray, " K"]:
    """Computes m(k), the mean distance at each shift, zero padding included, as published."""
    return distance.mean(axis=0, dtype=np.float64)


def masked_curve(
    distance: Float[np.ndarray, "L K"], is_real: Bool[np.ndarray, "L K"]
) -> Float64[np.ndarray, " K"]:
    """Computes the mean distance at each shift over real pairs; NaN for a shift without any."""
    count = is_real.sum(axis=0)
    total = np.where(is_real, distance, 0).sum(axis=0, dtype=np.float64)
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def read_curve(curve: Float[np.ndarray, " K"]) -> SyncScore:
    """Computes the scores of a curve of mean distances.

    Args:
        curve: Mean distance at each shift; NaN where there is none.

    Returns:
        The scores. The median is the lower one and ties go to the first minimum, as in torch.

    Raises:
        ValueError: If the curve has an even length or no distance at shift 0.
    """
    margin = len(curve) // 2
    if len(curve) % 2 == 0 or np.isnan(curve[margin]):
        raise ValueError("a curve has a middle, the distance without a shift")
    finite = np.sort(curve[np.isfinite(curve)])
    median = finite[(len(finite) - 1) // 2]
    best = int(np.nanargmin(curve))
    return SyncScore(
        sync_c=float(median - curve[best]),
        sync_d=float(curve[best]),
        offset_frames=margin - best,
        sync_c0=float(median - curve[margin]),
        sync_d0=float(curve[margin]),
        is_censored=best in (0, len(curve) - 1),
    )


def score_embeddings(
    visual: Float[np.ndarray, "L E"], audio: Float[np.ndarray, "L E"]
) -> SyncScore:
    """Scores embeddings as published: all windows, zero padding, +-15 frames."""
    return read_curve(mean_curve(shifted_distances(visual, audio)))


def windowed_scores(
    distance: Float[np.ndarray, "L K"], *, window_frames: int
) -> Iterator[tuple[int, int, SyncScore]]:
    """Scores consecutive segments of a stream; sound beyond their edges is real, never zero.

    Args:
        distance: Of the whole stream.
        window_frames: Length of a segment; a shorter rest at the end is dropped.

    Yields:
        First window, window after the last, and the scores.
    """
    is_real = is_real_pair(len(distance), margin=distance.shape[1] // 2)
    for start in range(0, len(distance) - window_frames + 1, window_frames):
        stop = start + window_frames
        yield start, stop, read_curve(masked_curve(distance[start:stop], is_real[start:stop]))
