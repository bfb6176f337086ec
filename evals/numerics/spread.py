"""How far several takes of one prompt lie apart, moment by moment.

The spread of S takes is the square root of half the mean squared difference of two takes, over
all pairs: the standard deviation over takes, unbiased for any number from two on. It is 0 for
equal takes and proportional to the takes' deviations from their mean.

Shape letters: T frames at 25 fps, K anchors, L frames that two takes share, U overlapping frames,
C signals.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from rapidfuzz.distance import Levenshtein

from evals.recording.rates import FPS

MIN_RUN = 3
"""Phonemes in a row that must be equal, so that chance does not align two sentences."""
MIN_ANCHORS = 10
"""Fewer equal phonemes do not align two takes."""
TEMPO_S = 1.0
"""Over which a tempo is read."""


@dataclass(frozen=True, kw_only=True)
class Warp:
    """Where the moments of one take are in another.

    Attributes:
        first_s: Times of anchors in the first take, in order, [K]; none if the takes are compared
            by playing time.
        second_s: Times of the same anchors in the second.
    """

    first_s: Float[np.ndarray, " K"]
    second_s: Float[np.ndarray, " K"]

    @property
    def is_by_words(self) -> bool:
        """Whether anchors align the takes, and not playing time alone."""
        return len(self.first_s) > 0

    def at(self, times_s: Float[np.ndarray, " T"]) -> Float[np.ndarray, " T"]:
        """Maps times of the first take to the second; outside the anchors at equal speed."""
        if not self.is_by_words:
            return times_s
        inside = np.interp(times_s, self.first_s, self.second_s)
        early = np.minimum(times_s - self.first_s[0], 0.0)
        late = np.maximum(times_s - self.first_s[-1], 0.0)
        return inside + early + late

    def log_tempo(self) -> Float[np.ndarray, " T"]:
        """How much slower the second take is in each second between the anchors, in octaves.

        Without a full second between the first and the last anchor there are no values.
        """
        if not self.is_by_words:
            return np.zeros(0)
        centres = np.arange(self.first_s[0] + TEMPO_S / 2, self.first_s[-1] - TEMPO_S / 2, 1 / FPS)
        passed = self.at(centres + TEMPO_S / 2) - self.at(centres - TEMPO_S / 2)
        return np.log2(np.maximum(np.round(passed, 6), 1 / FPS) / TEMPO_S)


BY_PLAYING_TIME = Warp(first_s=np.zeros(0), second_s=np.zeros(0))


def align_takes(
    first: tuple[Sequence[str], Float[np.ndarray, " M"]],
    second: tuple[Sequence[str], Float[np.ndarray, " N"]],
) -> Warp:
    """Aligns two takes by the phonemes that both have, by the fewest edits.

    Args:
        first: Phonemes of the first take and their times in seconds, in order.
        second: Likewise.

    Returns:
        The warp; by playing time if fewer than ten phonemes match in runs of three.
    """
    codes: dict[str, int] = {}
    one, other = ([codes.setdefault(p, len(codes)) for p in take[0]] for take in (first, second))
    pairs = [
        (block.src_start + n, block.dest_start + n)
        for block in Levenshtein.opcodes(one, other)
        if block.tag == "equal" and block.src_end - block.src_start >= MIN_RUN
        for n in range(block.src_end - block.src_start)
    ]
    if len(pairs) < MIN_ANCHORS:
        return BY_PLAYING_TIME
    rows = np.array(pairs)
    times = np.stack([np.asarray(first[1])[rows[:, 0]], np.asarray(second[1])[rows[:, 1]]])
    is_later = np.append(True, (np.diff(times) > 0).all(axis=0))
    return Warp(first_s=times[0, is_later], second_s=times[1, is_later])


def squared_difference(
    first: Float[np.ndarray, "T C"],
    second: Float[np.ndarray, "U C"],
    warp: Warp,
    *,
    centred: bool,
    min_frames: int = FPS,
) -> Float[np.ndarray, " C"]:
    """Mean squared difference of two takes at the same moments of the prompt.

    Args:
        first: Signals of one take, one row per frame at 25 fps; NaN where not measured.
        second: Of the other.
        warp: From the first to the second.
        centred: Whether each take's mean over the moments that both have is removed.
        min_frames: Fewer moments that both have are too few.

    Returns:
        For each signal; NaN where the takes share too few frames.
    """
    moments = warp.at((np.arange(len(first)) + 0.5) / FPS)
    frames = np.round(moments * FPS - 0.5, 6)  # equal takes differ by nothing
    shared = (frames >= 0) & (frames <= len(second) - 1)
    ours = first[shared].astype(np.float64)
    low = np.floor(frames[shared]).astype(int)
    high, share = np.minimum(low + 1, len(second) - 1), (frames[shared] - low)[:, None]
    theirs = np.where(share > 0, (1 - share) * second[low] + share * second[high], second[low])
    gap = ours - theirs
    counts = np.isfinite(gap).sum(axis=0)
    if centred:
        gap = gap - np.nansum(gap, axis=0) / np.maximum(counts, 1)
    mean = np.nansum(gap**2, axis=0) / np.maximum(counts, 1)
    return np.where(counts >= min_frames, mean, np.nan)


def spread_of(squared: Sequence[Float[np.ndarray, " C"]]) -> Float[np.ndarray, " C"]:
    """Spread over takes from the squared differences of all pairs.

    Args:
        squared: Of each pair; NaN where it has no value.

    Returns:
        For each signal, in its unit; NaN where no pair has a value.
    """
    rows = np.stack(list(squared))
    counts = np.isfinite(rows).sum(axis=0)
    means = np.nansum(rows, axis=0) / np.maximum(counts, 1)
    return np.where(counts > 0, np.sqrt(means / 2), math.nan)


def smoothed(values: Float[np.ndarray, "T C"], num_frames: int) -> Float[np.ndarray, "T C"]:
    """Mean over the frames around each, of those that were measured; NaN where itself was not."""
    is_known = np.isfinite(values)
    window = np.ones(num_frames)

    def summed(column: np.ndarray) -> np.ndarray:
        return np.convolve(np.pad(column, num_frames // 2), window, "valid")

    total = np.apply_along_axis(summed, 0, np.where(is_known, values, 0.0))
    count = np.apply_along_axis(summed, 0, is_known.astype(float))
    return np.where(is_known, total / np.maximum(count, 1), np.nan)
