"""Curves over playing time: windows, robust slopes with intervals, start versus end.

Shape letters: T frames, K windows, N sampled frames, D dimensions.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from evals.protocols.base import MetricWindow, Unscored
from evals.recording.rates import FPS as FPS

END_SHARE = 0.15
"""Share of a video that counts as its start or its end, after FramePack's start-end contrast."""


def spans(num_frames: int, *, length_s: float, hop_s: float) -> Iterator[tuple[int, int]]:
    """Yields the frame range [start, stop) of each window.

    Args:
        num_frames: Of the video, at 25 fps.
        length_s: Of a window; a shorter video is one window.
        hop_s: From one start to the next; frames after the last full window are dropped.
    """
    length, hop = round(length_s * FPS), round(hop_s * FPS)
    if num_frames <= length:
        yield 0, num_frames
        return
    for start in range(0, num_frames - length + 1, hop):
        yield start, start + length


def windows_of(
    num_frames: int,
    value: Callable[[int, int], float],
    *,
    length_s: float = 2.0,
    hop_s: float = 2.0,
) -> tuple[MetricWindow, ...]:
    """Evaluates a function on each window of a video.

    Args:
        num_frames: Of the video, at 25 fps.
        value: Function of the frame range [start, stop); may return NaN.
        length_s: Of a window.
        hop_s: From one start to the next.

    Returns:
        The windows in playing time.
    """
    return tuple(
        MetricWindow(t0_s=start / FPS, t1_s=stop / FPS, value=float(value(start, stop)))
        for start, stop in spans(num_frames, length_s=length_s, hop_s=hop_s)
    )


def mean_or_nan(values: Float[np.ndarray, " T"]) -> float:
    """Returns the mean of the finite values; NaN if there are none."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.nan


def with_values(
    windows: tuple[MetricWindow, ...], values: Mapping[int, float]
) -> tuple[MetricWindow, ...]:
    """Returns the windows with other values; NaN where there is none."""
    return tuple(
        MetricWindow(t0_s=window.t0_s, t1_s=window.t1_s, value=values.get(row, math.nan))
        for row, window in enumerate(windows)
    )


@dataclass(frozen=True, kw_only=True)
class Series:
    """One value for each sampled frame of a video.

    Attributes:
        frames: Frame numbers at 25 fps.
        values: At these frames.
        num_frames: Length of the video, up to where frames were sampled.
    """

    frames: np.ndarray
    values: Float[np.ndarray, " N"]
    num_frames: int

    def mean_in(self, start: int, stop: int) -> float:
        """Returns the mean over the frames [start, stop); NaN without frames."""
        return mean_or_nan(self.values[(self.frames >= start) & (self.frames < stop)])

    def windows(self, window_s: float) -> tuple[MetricWindow, ...]:
        """Returns the mean in each window."""
        return windows_of(self.num_frames, self.mean_in, length_s=window_s, hop_s=window_s)


def ends(num_frames: int) -> tuple[slice, slice]:
    """Returns the frame ranges of the start and the end of a video.

    Args:
        num_frames: Of the video.

    Returns:
        The first and the last 15 % of the frames, at least one frame each.

    Raises:
        Unscored: If there are fewer than two frames.
    """
    if num_frames < 2:
        raise Unscored("fewer than two frames")
    size = max(1, round(END_SHARE * num_frames))
    return slice(0, size), slice(num_frames - size, num_frames)


def theil_sen(times: Float[np.ndarray, " K"], values: Float[np.ndarray, " K"]) -> float:
    """Returns the median slope over all pairs of points; NaN with fewer than two.

    Source:
        Sen, "Estimates of the regression coefficient based on Kendall's tau", 1968; the same as
        ``scipy.stats.theilslopes``, compared in ``tests/evals/metrics/test_identity.py``.
    """
    first, second = np.triu_indices(len(times), k=1)
    steps = times[second] - times[first]
    usable = steps != 0
    if not usable.any():
        return math.nan
    return float(np.median((values[second] - values[first])[usable] / steps[usable]))


def regress_out(
    values: Float[np.ndarray, " K"], nuisance: Float[np.ndarray, " K"]
) -> Float[np.ndarray, " K"]:
    """Removes the part of ``values`` explained by ``nuisance`` (least squares); keeps the mean.

    The coefficient is fitted on detrended series, since two parallel drifts are no evidence of
    a dependence. Only a negative one is used: blur makes faces less similar, never more.
    """
    if len(values) < 4 or np.ptp(nuisance) == 0:
        return values
    steps = np.arange(len(values), dtype=float)
    bend = nuisance - np.polyval(np.polyfit(steps, nuisance, 1), steps)
    rest = values - np.polyval(np.polyfit(steps, values, 1), steps)
    power = float(bend @ bend)
    if power <= 1e-12 * float(nuisance @ nuisance):
        return values
    coefficient = min(0.0, float(bend @ rest) / power)
    return values - coefficient * (nuisance - nuisance.mean())


def block_bootstrap_ci95(
    times: Float[np.ndarray, " K"],
    values: Float[np.ndarray, " K"],
    *,
    num_draws: int = 500,
    seed: int = 0,
) -> tuple[float, float]:
    """Returns a 95 % interval of the Theil-Sen slope by a moving-block bootstrap.

    Residuals are resampled in blocks of about the cube root of their number, which preserves the
    correlation of neighbouring windows, and added to the fitted line.

    Args:
        times: Of the windows.
        values: In the windows.
        num_draws: Bootstrap samples.
        seed: Of the generator; the interval is reproducible.

    Returns:
        Lower and upper end; NaN with fewer than five windows.

    Source:
        Kuensch, "The jackknife and the bootstrap for general stationary observations", 1989.
    """
    num = len(times)
    if num < 5:
        return math.nan, math.nan
    slope = theil_sen(times, values)
    residuals = values - slope * times
    block = max(2, round(num ** (1 / 3)))
    generator = np.random.default_rng(seed)
    starts = generator.integers(0, num - block + 1, size=(num_draws, math.ceil(num / block)))
    picks = (starts[:, :, None] + np.arange(block)).reshape(num_draws, -1)[:, :num]
    slopes = [theil_sen(times, slope * times + residuals[pick]) for pick in picks]
    low, high = np.percentile(slopes, [2.5, 97.5])
    return float(low), float(high)


def fill_short_gaps(
    values: Float[np.ndarray, " T"], *, max_gap: int
) -> tuple[Float[np.ndarray, " T"], Bool[np.ndarray, " T"]]:
    """Interpolates missing frames linearly.

    Args:
        values: NaN where missing.
        max_gap: Longer gaps are interpolated, too, but not marked as valid.

    Returns:
        Values without NaN (zeros if all are missing), and which of them are valid.
    """
    is_valid = np.isfinite(values)
    if not is_valid.any():
        return np.zeros(len(values)), is_valid
    frames = np.arange(len(values))
    filled = np.interp(frames, frames[is_valid], values[is_valid])
    previous = np.maximum.accumulate(np.where(is_valid, frames, -len(values)))
    following = np.minimum.accumulate(np.where(is_valid, frames, 2 * len(values))[::-1])[::-1]
    return filled, is_valid | (following - previous - 1 <= max_gap)


def distances_to_start(
    embeddings: Float[np.ndarray, "N D"], is_early: Bool[np.ndarray, " N"]
) -> Float[np.ndarray, " N"]:
    """Computes the mean distance of each embedding to the early ones, itself excluded.

    Args:
        embeddings: All embeddings.
        is_early: Whether each belongs to the start of the video.

    Returns:
        Mean distances.

    Raises:
        Unscored: If there are fewer than two early ones.
    """
    early = np.flatnonzero(is_early)
    if len(early) < 2:
        raise Unscored(
            f"no reference picture, and {len(early)} embedded frames at the start, 2 needed "
            "(a longer video has more)"
        )
    sums = np.zeros(len(embeddings))
    for row in early:  # one at a time: an hour has thousands, of hundreds of dimensions
        sums += np.linalg.norm(embeddings - embeddings[row], axis=1)
    return sums / (len(early) - is_early)
