"""Video drift error (VDE): how far the measures of later chunks are from that of the first.

Shape letters: K chunks, T frames.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float

CHUNKS = 10


def video_drift_error(chunks: Float[np.ndarray, " K"], *, weights: str = "linear") -> float:
    """Sums the relative changes against the first chunk, early ones with the largest weight.

    Args:
        chunks: The measure in each chunk, in playing order.
        weights: ``linear``, K - i + 1 for chunk i from 2 to K, or ``log``, its logarithm, which is
            0 for the last.

    Returns:
        The sum, not divided by anything: it grows with K squared. Infinite if the first is 0.

    Raises:
        ValueError: If the weights have another name.

    Source:
        BlockVid's LV-Bench, ``vde.py``, rewritten.
    """
    if weights not in {"linear", "log"}:
        raise ValueError(f"weights are linear or log, not {weights!r}")
    if len(chunks) < 2:
        return 0.0
    first = float(chunks[0])
    if first == 0:
        return math.inf
    places = np.arange(len(chunks) - 1, 0, -1, dtype=np.float64)
    scale = places if weights == "linear" else np.log(places)
    return float(np.sum(scale * np.abs(np.asarray(chunks[1:], np.float64) - first) / first))


def equal_chunks(num_frames: int, num_chunks: int = CHUNKS) -> Iterator[tuple[int, int]]:
    """Yields the frame range [start, stop) of each chunk; frames after the last are dropped."""
    size = num_frames // num_chunks
    for chunk in range(num_chunks):
        yield chunk * size, (chunk + 1) * size


def drift_error_of(
    num_frames: int, measure: Callable[[int, int], float], num_chunks: int = CHUNKS
) -> tuple[float, list[float]]:
    """Measures a video chunk by chunk.

    Args:
        num_frames: At least as many as there are chunks.
        measure: Of the frame range [start, stop).
        num_chunks: Of equal length.

    Returns:
        The drift error, and the measure of each chunk.
    """
    values = [measure(start, stop) for start, stop in equal_chunks(num_frames, num_chunks)]
    return video_drift_error(np.array(values)), values
