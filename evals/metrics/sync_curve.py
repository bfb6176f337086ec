"""Correlation of mouth and sound at each shift between them, where it peaks, and how surely.

Chance is measured, not assumed: the same mouth with random phases moves as fast and as much, and
at other times. What such mouths reach on the same sound says how much a peak is worth, however
short the video.

Shape letters: T frames at 25 fps, C channels, K = 31 shifts, N mouths.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Bool, Complex, Float

from evals.numerics.windows import FPS
from evals.protocols.base import Unscored

MAX_SHIFT = 15
SHIFTS = np.arange(-MAX_SHIFT, MAX_SHIFT + 1)
USUAL_SHIFT = 6.0
"""Standard deviation, in frames, of the offsets that are looked for: 240 ms. Of two peaks that fit
alike, the one nearer to zero is taken; a clear one is found wherever it is."""
NUM_SURROGATES = 399
CURVE_PARAMS = {
    "max_shift": MAX_SHIFT,
    "usual_shift": USUAL_SHIFT,
    "num_surrogates": NUM_SURROGATES,
}
"""All of the above, as part of a metric's protocol."""
_VALUES_AT_ONCE = 4_000_000


@dataclass(frozen=True, kw_only=True)
class SyncCurve:
    """Correlation of mouth and sound against the shift between them.

    Attributes:
        correlations: At shifts of -15 to 15 frames; positive shifts: the audio is early.
        num_frames: Frames with face and speech behind the middle one.
        chance: Standard deviation of the correlation of unrelated signals of this kind.
        unrelated: Curves of mouths that move alike at other times; none in a window.
    """

    correlations: Float[np.ndarray, " K"]
    num_frames: int
    chance: float
    unrelated: Float[np.ndarray, "N K"]

    @cached_property
    def peak(self) -> int | None:
        """Index of the best peak; ends of the range are no peaks; None if there is none."""
        inner = self.correlations[1:-1]
        is_peak = (inner >= self.correlations[:-2]) & (inner >= self.correlations[2:])
        if not is_peak.any():
            return None
        support = _support(self.correlations, self.chance)[1:-1]
        return int(np.argmax(np.where(is_peak, support, -np.inf))) + 1

    @property
    def is_edge(self) -> bool:
        """Whether the best correlation is at an end of the range, so its place is unknown."""
        return int(np.argmax(_support(self.correlations, self.chance))) in {0, 2 * MAX_SHIFT}

    @property
    def offset_frames(self) -> float:
        """Place of the peak, by a parabola through it and its neighbours; NaN without one."""
        if self.peak is None:
            return math.nan
        before, _, after = self.correlations[self.peak - 1 : self.peak + 2]
        bend = self._bend
        return self.peak - MAX_SHIFT + (0.5 * float(before - after) / bend if bend else 0.0)

    @property
    def offset_deviation_frames(self) -> float:
        """Standard error of that place; NaN without a peak, infinite for a flat one.

        By the bend of the log likelihood ``-log(1 - r**2) / (2 * chance**2)`` at the peak.
        """
        if self.peak is None:
            return math.nan
        at = float(self.correlations[self.peak])
        bend = -self._bend * at
        return self.chance * math.sqrt(max(1 - at**2, 0.0) / bend) if bend > 0 else math.inf

    @property
    def _bend(self) -> float:
        """Second difference at the peak."""
        assert self.peak is not None
        before, at, after = self.correlations[self.peak - 1 : self.peak + 2]
        return float(before - 2 * at + after)

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
    def p_value(self) -> float:
        """Share of unrelated mouths that fit this sound as well at any shift; NaN in a window.

        Source:
            Theiler et al., "Testing for nonlinearity in time series: the method of surrogate
            data", 1992; ``(1 + hits) / (1 + N)`` as Davison and Hinkley, "Bootstrap methods and
            their application", 1997, so that it is never 0.
        """
        return _p_value(self._best(self.correlations[None])[0], self._best(self.unrelated))

    @property
    def p_value_at_zero(self) -> float:
        """The same without a shift."""
        return _p_value(float(self.correlations[MAX_SHIFT]), self.unrelated[:, MAX_SHIFT])

    @property
    def chance_score(self) -> float:
        """Median `score` of unrelated mouths: what no sync at all looks like; NaN in a window."""
        if not len(self.unrelated):
            return math.nan
        places = np.argmax(_support(self.unrelated, self.chance)[:, 1:-1], axis=1) + 1
        peaks = np.take_along_axis(self.unrelated, places[:, None], axis=1)[:, 0]
        return float(np.median(peaks - np.median(self.unrelated, axis=1)))

    def _best(self, curves: Float[np.ndarray, "N K"]) -> Float[np.ndarray, " N"]:
        return _support(curves, self.chance)[:, 1:-1].max(axis=1)


def _support(correlations: np.ndarray, chance: float) -> np.ndarray:
    """Returns how well each shift is borne out: log likelihood plus log of a bell around zero."""
    if chance <= 0:
        return correlations
    fit = np.sign(correlations) * correlations**2 / (2 * chance**2)
    return np.asarray(fit - SHIFTS**2 / (2 * USUAL_SHIFT**2))


def _p_value(score: float, unrelated: Float[np.ndarray, " N"]) -> float:
    if not len(unrelated):
        return math.nan
    return (1 + int((unrelated >= score).sum())) / (1 + len(unrelated))


@dataclass(frozen=True, kw_only=True)
class SyncSignals:
    """Mouth and sound on the frames of one video, band-limited.

    Attributes:
        mouth: How the mesh sees it move: opening, and width where that is compared.
        has_mouth: Frames that may be used.
        sound: What the sound asks of each channel, at the same moments.
        has_sound: Frames with speech.
        weights: Of the channels, in their mean correlation.
    """

    mouth: Float[np.ndarray, "C T"]
    has_mouth: Bool[np.ndarray, " T"]
    sound: Float[np.ndarray, "C T"]
    has_sound: Bool[np.ndarray, " T"]
    weights: tuple[float, ...]

    def curve(self, *, min_frames: int) -> SyncCurve:
        """Correlates the whole mouth with the sound at all shifts, and mouths by chance beside it.

        Args:
            min_frames: Needed at each shift.

        Returns:
            The correlations.

        Raises:
            Unscored: If there are too few frames with face and speech.
        """
        num_frames = self.mouth.shape[1]
        usable = self._usable(0, num_frames)
        _require(usable, min_frames)
        unrelated = np.concatenate(
            [
                self._correlate(mouths, usable, 0)
                for mouths in surrogates(self.mouth, num=NUM_SURROGATES)
            ]
        )
        return SyncCurve(
            correlations=self._correlate(self.mouth[None], usable, 0)[0],
            num_frames=int(usable[:, MAX_SHIFT].sum()),
            chance=float(unrelated.std()),
            unrelated=unrelated,
        )

    def window(self, start: int, stop: int, *, whole: SyncCurve, min_frames: int) -> SyncCurve:
        """Correlates a stretch of the mouth with the sound at all shifts.

        Args:
            start: First frame of the mouth; the sound may come from outside the stretch.
            stop: Past-the-last frame.
            whole: Curve of the whole video, which says what chance is.
            min_frames: Needed at each shift.

        Returns:
            The correlations.

        Raises:
            Unscored: If there are too few frames with face and speech.
        """
        usable = self._usable(start, stop)
        _require(usable, min_frames)
        num_frames = int(usable[:, MAX_SHIFT].sum())
        return SyncCurve(
            correlations=self._correlate(self.mouth[None, :, start:stop], usable, start)[0],
            num_frames=num_frames,
            chance=whole.chance * math.sqrt(whole.num_frames / num_frames),
            unrelated=whole.unrelated[:0],
        )

    def _usable(self, start: int, stop: int) -> Bool[np.ndarray, "T K"]:
        """Returns which frames have a face, and speech at each shift."""
        at = np.arange(start, stop)[:, None] - SHIFTS
        inside = (at >= 0) & (at < len(self.has_sound))
        has_sound = self.has_sound[np.clip(at, 0, len(self.has_sound) - 1)]
        return np.asarray(inside & has_sound & self.has_mouth[start:stop, None])

    def _correlate(
        self, mouths: Float[np.ndarray, "N C T"], usable: Bool[np.ndarray, "T K"], start: int
    ) -> Float[np.ndarray, "N K"]:
        """Returns the weighted mean over the channels of Pearson's r at each shift."""
        at = start + np.arange(len(usable))[:, None] - SHIFTS
        at = np.clip(at, 0, self.sound.shape[1] - 1)
        channels = zip(self.weights, mouths.swapaxes(0, 1), self.sound, strict=True)
        return np.asarray(
            sum(weight * _pearson(mouth, sound[at], usable) for weight, mouth, sound in channels)
            / sum(self.weights)
        )


def _require(usable: Bool[np.ndarray, "T K"], min_frames: int) -> None:
    if usable.sum(axis=0).min() < min_frames:
        raise Unscored(f"less than {min_frames / FPS:g} s of speech with a face")


def _pearson(
    first: Float[np.ndarray, "N T"], second: Float[np.ndarray, "T K"], usable: np.ndarray
) -> Float[np.ndarray, "N K"]:
    """Returns r of each row with each column over that column's frames; 0 if one is constant."""
    mask = usable.astype(float)
    masked, num = second * mask, mask.sum(axis=0)
    sums, powers = first @ mask, first**2 @ mask
    variance = powers - sums**2 / num
    other = (masked**2).sum(axis=0) - masked.sum(axis=0) ** 2 / num
    shared = first @ masked - sums * masked.sum(axis=0) / num
    moves = (variance > 1e-12 * powers) & (other > 1e-12 * (masked**2).sum(axis=0))
    return np.where(moves, shared / np.sqrt(np.where(moves, variance * other, 1.0)), 0.0)


def surrogates(
    mouth: Float[np.ndarray, "C T"], *, num: int, seed: int = 0
) -> Iterator[Float[np.ndarray, "_N C T"]]:
    """Makes mouths that move as this one does, at other times.

    Args:
        mouth: Its channels.
        num: How many.
        seed: Of a generator of its own; the mouths are the same each time.

    Yields:
        Batches [N, C, T] with the power at each rate, and the phases between channels, of the
        mouth, and random phases otherwise.

    Source:
        Prichard and Theiler, "Generating surrogate data for time series with several
        simultaneously measured variables", 1994.
    """
    num_channels, length = mouth.shape
    spectrum = np.fft.rfft(mouth - mouth.mean(axis=1, keepdims=True))
    batch = max(1, _VALUES_AT_ONCE // (num_channels * length))
    draw = _turns_of_one_batch if num <= batch else _turns
    for turns in draw(num, batch, spectrum.shape[1], seed):
        yield np.fft.irfft(spectrum * turns, length, axis=2)


def _turns(num: int, batch: int, num_rates: int, seed: int) -> Iterator[Complex[np.ndarray, "..."]]:
    """Draws random phases [N, 1, rates], at most ``batch`` at a time."""
    generator = np.random.default_rng(seed)
    for first in range(0, num, batch):
        yield np.exp(2j * np.pi * generator.random((min(batch, num - first), 1, num_rates)))


@lru_cache(maxsize=4)
def _turns_of_one_batch(
    num: int, batch: int, num_rates: int, seed: int
) -> tuple[Complex[np.ndarray, "..."], ...]:
    """The same, kept for the next video of the same length: they take as long as all the rest."""
    return tuple(_turns(num, batch, num_rates, seed))


def offset_in_words(offset_ms: float) -> str:
    """Returns e.g. ``audio early by 80 ms``; empty for NaN."""
    if math.isnan(offset_ms):
        return ""
    if round(offset_ms) == 0:
        return "audio in time"
    return f"audio {'early' if offset_ms > 0 else 'late'} by {abs(round(offset_ms))} ms"
