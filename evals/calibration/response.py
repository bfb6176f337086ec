"""Response of a metric to a fault: paired changes, smallest detected dose, monotonicity.

All functions work on plain numbers, so that they can be tested on synthetic ones.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evals.numerics.statistics import MIN_CLUSTERS, bootstrap_mean

SLACK = 0.1
"""Share of a curve's range by which it may decrease and still count as monotone."""
SET_RATIO = 2.0
"""A set distance counts as detected from this multiple of the distance between clean sets."""
FEW_CLIPS = MIN_CLUSTERS
"""With fewer clips there is no interval: a change counts as detected if all clips agree in sign,
and is reported with its n."""

Expectation = Literal["moves", "leaves", "free", "untouched"]
ResponseVerdict = Literal[
    "detected", "missed", "quiet", "violation", "reacts", "silent", "untouched", "-"
]


@dataclass(frozen=True, kw_only=True)
class Value:
    """A metric on one clip.

    Attributes:
        value: NaN if unscored.
        weight: In the mean.
        reason: Why it is unscored.
    """

    value: float
    weight: float = 1.0
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class DoseResponse:
    """A metric at one dose of a fault.

    Attributes:
        dose: Nominal.
        realised: Mean over the clips.
        n: Clips with a value both clean and faulted; recordings of the set for set metrics.
        num_unmeasured: Clips with a clean value but none with the fault.
        reason: The most frequent reason for that.
        value: Weighted mean with the fault, over the ``n`` clips.
        change: Mean paired change; for set metrics the distance beyond the clean floor.
        low: Lower end of the 95 % interval, or the smallest change of a clip if there are too few;
            NaN with fewer than two clips.
        high: Upper end; the largest change of a clip if there are too few.
        effect: Change in standard deviations of the clean clips; for sets, in floors.
        is_detected: Whether the change exceeds chance and the clean floor; ``None`` if undecidable.
    """

    dose: float
    realised: float = math.nan
    n: int = 0
    num_unmeasured: int = 0
    reason: str = ""
    value: float = math.nan
    change: float = math.nan
    low: float = math.nan
    high: float = math.nan
    effect: float = math.nan
    is_detected: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Response:
    """A metric under one fault, from the lightest dose to the heaviest.

    Attributes:
        fault: Name.
        metric: Name.
        protocol: Name and version.
        expectation: Expected effect of the fault on the metric.
        direction: Expected sign of the change; 0 for either.
        clean: Mean over the clean clips.
        clean_sd: Standard deviation over the clean clips; for sets the floor.
        floor: Largest change between clean takes; NaN if unknown.
        cells: One per dose.
        is_set: Whether it is a distance of sets, not a mean over clips.
    """

    fault: str
    metric: str
    protocol: str
    expectation: Expectation
    direction: int
    clean: float
    clean_sd: float
    floor: float
    cells: tuple[DoseResponse, ...]
    is_set: bool = False

    @property
    def smallest_dose(self) -> float | None:
        """The lightest realised dose from which on all doses are detected."""
        smallest = None
        for cell in reversed(self.cells):
            if not self._is_hit(cell):
                break
            smallest = cell.realised
        return smallest

    @property
    def is_monotone(self) -> bool | None:
        """Whether the change grows with the dose; ``None`` if nothing is detected."""
        changes = [0.0, *(c.change for c in self.cells if not math.isnan(c.change))]
        if len(changes) < 2 or not any(self._is_hit(cell) for cell in self.cells):
            return None
        return is_monotone(changes, self.direction)

    @property
    def verdict(self) -> ResponseVerdict:
        """Whether the expectation was met, in one word."""
        if self.expectation == "untouched":
            return "untouched"
        if all(cell.is_detected is None for cell in self.cells):
            return "-"
        hit = any(self._is_hit(cell) for cell in self.cells)
        outcomes: dict[str, tuple[ResponseVerdict, ResponseVerdict]] = {
            "moves": ("detected", "missed"),
            "leaves": ("violation", "quiet"),
            "free": ("reacts", "silent"),
        }
        return outcomes[self.expectation][0 if hit else 1]

    @property
    def few_clips(self) -> int | None:
        """Smallest n of a detection, if below `FEW_CLIPS`; else ``None``."""
        fewest = min((cell.n for cell in self.cells if self._is_hit(cell)), default=FEW_CLIPS)
        return fewest if fewest < FEW_CLIPS else None

    @property
    def middle(self) -> DoseResponse:
        """The cell of the middle dose."""
        return self.cells[len(self.cells) // 2]

    def _is_hit(self, cell: DoseResponse) -> bool:
        """Whether a change was detected in the expected direction."""
        return bool(cell.is_detected) and self.direction * cell.change >= 0


def is_monotone(changes: Sequence[float], direction: int) -> bool:
    """Whether a curve is monotone up to small steps back.

    Args:
        changes: From no dose to the heaviest.
        direction: Expected sign; 0 for that of the largest change.

    Returns:
        Whether no point is behind an earlier one by more than `SLACK` of the range.
    """
    points = np.array(changes)
    sign = direction or (1 if points[np.argmax(np.abs(points))] >= 0 else -1)
    behind = np.maximum.accumulate(sign * points) - sign * points
    return bool(behind.max() <= SLACK * np.ptp(points) + 1e-12)


def floor_of(clean: Mapping[str, Value], again: Mapping[str, Value]) -> float:
    """Clean floor: the largest change of the mean between clean takes, by its interval.

    Args:
        clean: Clip -> value.
        again: The same clips in another take.

    Returns:
        In the metric's unit; NaN if no clip has both.
    """
    pairs = _pairs(clean, again)
    if not pairs:
        return math.nan
    interval = _interval(pairs)
    ends = [abs(interval[0]), *(abs(end) for end in interval[1:] if not math.isnan(end))]
    return max(ends)


def cell_of(
    clean: Mapping[str, Value],
    faulted: Mapping[str, Value],
    *,
    dose: float,
    realised: float,
    floor: float,
) -> DoseResponse:
    """Compares faulted clips with the clean ones, paired by clip.

    Args:
        clean: Clip -> value.
        faulted: Clip -> value at this dose.
        dose: Nominal.
        realised: Mean over the clips.
        floor: From `floor_of`; NaN (unknown) counts as 0.

    Returns:
        Change, interval and effect; detected if the interval excludes 0 and the change exceeds
        the floor.
    """
    pairs = _pairs(clean, faulted)
    lost = [
        faulted[clip].reason
        for clip, before in clean.items()
        if not math.isnan(before.value) and clip in faulted and math.isnan(faulted[clip].value)
    ]
    reasons = lost or [value.reason for value in faulted.values() if value.reason]
    reason = Counter(reasons).most_common(1)[0][0] if reasons else ""
    if not pairs:
        return DoseResponse(dose=dose, realised=realised, num_unmeasured=len(lost), reason=reason)
    change, low, high = _interval(pairs)
    sd = deviation(clean)
    is_sure = low > 0 or high < 0
    return DoseResponse(
        dose=dose,
        realised=realised,
        n=len(pairs),
        num_unmeasured=len(lost),
        reason=reason if lost else "",
        value=_mean([after for _, after in pairs], [before.weight for before, _ in pairs]),
        change=change,
        low=low,
        high=high,
        effect=_ratio(change, sd),
        is_detected=None
        if math.isnan(low)
        else bool(is_sure and abs(change) > (0.0 if math.isnan(floor) else floor)),
    )


def set_cell(value: float, *, dose: float, realised: float, n: int, floor: float) -> DoseResponse:
    """Compares the distance of faulted clips from the clean ones with that of clean clips.

    Args:
        value: Distance of the two sets; NaN if unscored.
        dose: Nominal.
        realised: Mean over the clips.
        n: Clips in the faulted set.
        floor: Distance of another clean set from the clean one.

    Returns:
        Detected if the distance is at least `SET_RATIO` floors.
    """
    if math.isnan(value) or math.isnan(floor):
        return DoseResponse(dose=dose, realised=realised, n=n, value=value)
    return DoseResponse(
        dose=dose,
        realised=realised,
        n=n,
        value=value,
        change=value - floor,
        effect=_ratio(value - floor, floor),
        is_detected=value >= SET_RATIO * floor,
    )


def mean_of(values: Mapping[str, Value]) -> float:
    """Weighted mean of the scored values; NaN without any."""
    scored = [value for value in values.values() if not math.isnan(value.value)]
    return _mean(scored, [value.weight for value in scored])


def deviation(values: Mapping[str, Value]) -> float:
    """Standard deviation over clips; NaN with fewer than two."""
    scored = [value.value for value in values.values() if not math.isnan(value.value)]
    return float(np.std(scored, ddof=1)) if len(scored) > 1 else math.nan


def _pairs(clean: Mapping[str, Value], faulted: Mapping[str, Value]) -> list[tuple[Value, Value]]:
    both = [(clean[clip], faulted[clip]) for clip in sorted(clean) if clip in faulted]
    return [(a, b) for a, b in both if not (math.isnan(a.value) or math.isnan(b.value))]


def _interval(pairs: Sequence[tuple[Value, Value]]) -> tuple[float, float, float]:
    changes = np.array([after.value - before.value for before, after in pairs])
    weights = np.array([before.weight for before, _ in pairs])
    interval = bootstrap_mean(changes, weights=weights)
    if 1 < interval.num_clusters < MIN_CLUSTERS:
        return interval.value, float(changes.min()), float(changes.max())
    return interval.value, interval.low, interval.high


def _mean(values: Sequence[Value], weights: Sequence[float]) -> float:
    total = sum(weights)
    if total <= 0:
        return math.nan
    return sum(v.value * w for v, w in zip(values, weights, strict=True)) / total


def _ratio(change: float, unit: float) -> float:
    """Change in units; infinite where clean clips do not differ at all."""
    if math.isnan(unit) or (unit == 0 and change == 0):
        return 0.0 if change == 0 else math.nan
    return change / unit if unit else math.copysign(math.inf, change)
