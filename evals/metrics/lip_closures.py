"""Where the lips close for p, b and m: a second estimate of the offset, from other evidence.

The correlation rests on all sounds and on rank tables; this rests on one fact, that lips touch for
these three. It needs several of them, so that short videos have none.

Shape letters: T frames at 25 fps, R rows, E closures.
"""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from evals.numerics.windows import FPS

CLOSED = frozenset("pbm")
MIN_POSTERIOR = 0.3
"""Of p, b and m together, that a closure is counted."""
MIN_CLOSURES = 3
REACH_S = 0.28
"""The mean closure is looked for this far from the sound; at the ends of the range is none."""
MIN_DEPTH = 0.5
"""Of the mean closure below the mean opening around it, in standard deviations of the opening."""
CLOSURE_LEAD_MS = 20.0
"""By how much a mean closure is ahead of where the correlation puts the mouth: the recogniser
emits p, b and m late. Measured where there are three closures or more, on 7 real clips (20 ms,
deviation 16) and 22 drawn ones (12 ms, deviation 17)."""
CLOSURE_PARAMS = {
    "closed": sorted(CLOSED),
    "min_posterior": MIN_POSTERIOR,
    "min_closures": MIN_CLOSURES,
    "reach_s": REACH_S,
    "min_depth": MIN_DEPTH,
    "closure_lead_ms": CLOSURE_LEAD_MS,
}
"""All of the above, as part of a metric's protocol."""
_STEPS_PER_FRAME = 8


def closure_times(phonemes: Mapping[str, np.ndarray]) -> Float[np.ndarray, " E"]:
    """Returns when p, b or m is heard, in seconds.

    Args:
        phonemes: Features of the extractor ``phonemes_hama``.

    Returns:
        The middle of each run of rows, weighted by their posterior.
    """
    is_closed = np.array([symbol[:1] in CLOSED for symbol in phonemes["likely"].tolist()], bool)
    times, weights = phonemes["likely_s"][is_closed], phonemes["posterior"][is_closed].astype(float)
    frames, row = np.unique(times, return_inverse=True)
    mass = np.bincount(row, weights, len(frames)) if len(frames) else np.zeros(0)
    frames, mass = frames[mass >= MIN_POSTERIOR], mass[mass >= MIN_POSTERIOR]
    runs = np.cumsum(np.diff(frames, prepend=-math.inf) > 1.5 / FPS) - 1
    return np.bincount(runs, mass * frames) / np.bincount(runs, mass) if len(frames) else frames


def closure_offset_s(
    aperture: Float[np.ndarray, " T"], times_s: Float[np.ndarray, " E"]
) -> tuple[float, int]:
    """Finds when, around its sounds, the mouth is least open on the average.

    Args:
        aperture: Gap between the lips, without gaps in time.
        times_s: Of the sounds for which lips close.

    Returns:
        Time of the mean closure after the sound, NaN if it is too shallow, at the end of the
        range or of fewer than `MIN_CLOSURES`; and the number of closures.
    """
    inside = (times_s > REACH_S) & (times_s < len(aperture) / FPS - REACH_S)
    num_closures = int(inside.sum())
    if num_closures < MIN_CLOSURES:
        return math.nan, num_closures
    rate = FPS * _STEPS_PER_FRAME
    around = np.arange(-round(REACH_S * rate), round(REACH_S * rate) + 1)
    first = np.round((times_s[inside, None] - 0.5 / FPS) * rate).astype(int)
    mean = _finer(aperture)[np.clip(first + around, 0, len(aperture) * _STEPS_PER_FRAME - 1)]
    mean = mean.mean(axis=0)
    lowest = int(np.argmin(mean))
    depth = float(mean.mean() - mean[lowest]) / max(float(aperture.std()), 1e-9)
    if lowest in {0, len(mean) - 1} or depth < MIN_DEPTH:
        return math.nan, num_closures
    return float(around[lowest]) / rate, num_closures


def _finer(values: Float[np.ndarray, " T"]) -> np.ndarray:
    """Puts seven values between any two, by the spectrum of the mirrored signal."""
    mirrored = np.concatenate([values, values[::-1]])
    fine = np.fft.irfft(np.fft.rfft(mirrored), len(mirrored) * _STEPS_PER_FRAME)
    return fine[: len(values) * _STEPS_PER_FRAME] * _STEPS_PER_FRAME
