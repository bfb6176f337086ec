"""How far the pictures of a system are from those of another one that should show the same."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

PICTURE_CHUNKS = 8
"""Of each prompt; more would show the same."""


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Frames of the first chunks of one prompt.

    Attributes:
        frames: In their order; none if the stream failed at once.
        error: Why it failed; empty otherwise.
    """

    frames: UInt8[np.ndarray, "T H W 3"]
    error: str = ""


def squared_errors(
    ours: Sequence[Pictures], theirs: Sequence[Pictures]
) -> tuple[tuple[float, ...], str]:
    """Compares the frames that two systems have in common.

    Args:
        ours: Of each prompt.
        theirs: Of the same prompts and seeds.

    Returns:
        Mean squared difference for each prompt [grey levels squared]; and why there is none, or
        an empty text.
    """
    errors = []
    for one, other in zip(ours, theirs, strict=True):
        if one.error or other.error:
            return (), f"its pictures were not compared: {one.error or other.error}"
        shared = min(len(one.frames), len(other.frames))
        if not shared or one.frames.shape[1:] != other.frames.shape[1:]:
            sizes = f"{one.frames.shape[1:3]} and {other.frames.shape[1:3]}"
            return (), f"its pictures were not compared: {shared} frames in common, sizes {sizes}"
        difference = one.frames[:shared].astype(np.float32) - other.frames[:shared]
        errors.append(float(np.mean(np.square(difference), dtype=np.float64)))
    return tuple(errors), ""


def psnr_db(squared_error: float) -> float:
    """Returns the peak signal-to-noise ratio of 8-bit pictures [dB]; infinite for equal ones."""
    return float(10 * np.log10(255**2 / squared_error)) if squared_error else float("inf")
