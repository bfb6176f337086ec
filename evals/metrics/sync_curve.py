"""Correlation of mouth and sound at each shift between them, and where it peaks.

Shape letters: T frames at 25 fps, K = 31 shifts.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from evals.metrics.base import NotMeasured
from evals.metrics.windows import FPS

MAX_SHIFT = 15


@dataclass(frozen=True, kw_only=True)
class SyncCurve:
    """Correlation of mouth and sound against the shift between them.

    Attributes:
        correlations: At shifts of -15 to 15 frames; positive shifts: the audio is early.
        num_frames: Frames with face and speech behind the middle one.
        chance: Standard deviation of the correlation of unrelated signals of this kind.
    """

    correlations: Float[np.ndarray, " K"]
    num_frames: int
    chance: float

    @property
    def is_edge(self) -> bool:
        """Whether the highest correlation is at an end of the range, so its place is unknown."""
        return int(np.argmax(self.correlations)) in {0, 2 * MAX_SHIFT}

    @property
    def peak(self) -> int | None:
        """Index of the highest peak; ends of the range are no peaks; None if there is none."""
        inner = self.correlations[1:-1]
        is_peak = (inner >= self.correlations[:-2]) & (inner >= self.correlations[2:])
        if not is_peak.any():
            return None
        return int(np.argmax(np.where(is_peak, inner, -np.inf))) + 1

    @property
    def offset_frames(self) -> float:
        """Place of the peak, by a parabola through it and its neighbours; NaN without one."""
        if self.peak is None:
            return math.nan
        before, at, after = self.correlations[self.peak - 1 : self.peak + 2]
        bend = before - 2 * at + after
        return self.peak - MAX_SHIFT + (0.5 * float((before - after) / bend) if bend else 0.0)

    @property
    def score(self) -> float:
        """Peak minus median of the curve, as SyncNet's confidence; 0 without a peak."""
        if self.peak is None:
            return 0.0
        return float(self.correlations[self.peak] - np.median(self.correlations))

    @property
    def score_at_zero(self) -> float:
        """Correlation without a shift, minus the median of the curve."""
        return float(self.correlations[MAX_SHIFT] - np.median(self.correlations))

    @property
    def deviations(self) -> float:
        """Height of the peak in standard deviations of chance; 0 without a peak."""
        if self.peak is None or self.chance <= 0:
            return 0.0
        return float(self.correlations[self.peak]) / self.chance


@dataclass(frozen=True, kw_only=True)
class SyncSignals:
    """Mouth and sound on the frames of one video, band-limited.

    Attributes:
        mouth: Opening as the mesh sees it.
        has_mouth: Frames that may be used.
        sound: Opening as the sound asks for it, at the same moments.
        has_sound: Frames with speech.
    """

    mouth: Float[np.ndarray, " T"]
    has_mouth: Bool[np.ndarray, " T"]
    sound: Float[np.ndarray, " T"]
    has_sound: Bool[np.ndarray, " T"]

    def curve(self, start: int, stop: int, *, min_frames: int) -> SyncCurve:
        """Correlates a stretch of the mouth with the sound at all shifts.

        Args:
            start: First frame of the mouth; the sound may come from outside the stretch.
            stop: Past-the-last frame.
            min_frames: Needed at each shift.

        Returns:
            The correlations.

        Raises:
            NotMeasured: If there are too few frames with face and speech.
        """
        pairs = [self._pairs(start, stop, shift) for shift in range(-MAX_SHIFT, MAX_SHIFT + 1)]
        if min(len(frames) for frames, _ in pairs) < min_frames:
            raise NotMeasured(f"less than {min_frames / FPS:g} s of speech with a face")
        num_frames = len(pairs[MAX_SHIFT][0])
        return SyncCurve(
            correlations=np.array([_correlation(self.mouth[a], self.sound[b]) for a, b in pairs]),
            num_frames=num_frames,
            chance=chance_deviation(self.mouth[start:stop], self.sound[start:stop], num_frames),
        )

    def _pairs(self, start: int, stop: int, shift: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns frames of the mouth, and of the sound that is ``shift`` frames early."""
        frames = np.arange(max(start, shift), min(stop, len(self.sound) + shift))
        usable = self.has_mouth[frames] & self.has_sound[frames - shift]
        return frames[usable], frames[usable] - shift


def _correlation(first: Float[np.ndarray, " T"], second: Float[np.ndarray, " T"]) -> float:
    """Returns Pearson's r; 0 if one of them is constant."""
    first, second = first - first.mean(), second - second.mean()
    power = float(first @ first) * float(second @ second)
    return float(first @ second) / math.sqrt(power) if power > 0 else 0.0


def chance_deviation(
    first: Float[np.ndarray, " T"], second: Float[np.ndarray, " T"], num_frames: int
) -> float:
    """Says how high correlations of unrelated signals are, when each is smooth in time.

    Args:
        first: One signal.
        second: Another.
        num_frames: That a correlation is taken over.

    Returns:
        Standard deviation of Pearson's r.

    Source:
        Bartlett, "Some aspects of the time-correlation problem in regard to tests of
        significance", 1935: the sum of the products of both autocorrelations, over the length.
    """
    lags = range(1, min(FPS, len(first) - 1))
    products = [
        _correlation(first[lag:], first[:-lag]) * _correlation(second[lag:], second[:-lag])
        for lag in lags
    ]
    return math.sqrt(max(1 + 2 * sum(products), 1e-3) / num_frames)


def offset_in_words(offset_ms: float) -> str:
    """Returns e.g. ``audio early by 80 ms``; empty for NaN."""
    if math.isnan(offset_ms):
        return ""
    if round(offset_ms) == 0:
        return "audio in time"
    return f"audio {'early' if offset_ms > 0 else 'late'} by {abs(round(offset_ms))} ms"
