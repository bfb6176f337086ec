"""How a metric answers a fault: paired changes, smallest dose seen, monotone or not.

Everything here is on plain numbers, so that it can be checked on made-up ones.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evals.numerics.statistics import MIN_CLUSTERS, bootstrap_mean

SLACK = 0.1
"""Share of a curve's range by which it may run backwards and still be called monotone."""
SET_RATIO = 2.0
"""A distance of sets is seen where it is this many times the one between clean sets."""
FEW_CLIPS = MIN_CLUSTERS
"""With fewer clips there is no interval: a change is seen where all clips change one way, and what
rests on that is told with its n."""

Expectation = Literal["moves", "leaves", "free", "untouched"]
Verdict = Literal["detected", "missed", "quiet", "violation", "reacts", "silent", "untouched", "-"]


@dataclass(frozen=True, kw_only=True)
class Value:
    """A metric on one clip.

    Attributes:
        value: NaN if it could not be measured.
        weight: Share in the mean.
        reason: Why it could not be measured.
    """

    value: float
    weight: float = 1.0
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A metric at one dose of a fault.

    Attributes:
        dose: As asked for.
        realised: Mean over the clips.
        n: Clips with a value both clean and faulted; recordings of the set for set metrics.
        num_unmeasured: Clips that have a clean value but none with the fault.
        reason: The most frequent reason for that.
        value: Weighted mean with the fault, over the clips that count.
        change: Mean paired change; for set metrics the distance beyond the clean floor.
        low: Lower end of its 95 % interval, or the smallest change of a clip where they are too few
            for one; NaN with fewer than two clips.
        high: Upper end; the largest change of a clip where they are too few.
        effect: Change in standard deviations of the clean clips; for sets, in floors.
        is_detected: Whether the change is told from chance and from the clean floor; ``None`` if
            that cannot be said.
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
        expectation: What the fault must do to the metric.
        direction: Sign of the change that is expected; 0 for either.
        clean: Mean over the clean clips.
        clean_sd: Standard deviation over the clean clips; for sets the floor.
        floor: Largest change that clean clips show on their own; NaN if not known.
        cells: One a dose.
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
    cells: tuple[Cell, ...]
    is_set: bool = False

    @property
    def smallest_dose(self) -> float | None:
        """The lightest dose from which on all doses are detected, as it was realised."""
        found = None
        for cell in reversed(self.cells):
            if not self._is_hit(cell):
                break
            found = cell.realised
        return found

    @property
    def is_monotone(self) -> bool | None:
        """Whether the change grows with the dose; ``None`` if nothing is detected."""
        changes = [0.0, *(c.change for c in self.cells if not math.isnan(c.change))]
        if len(changes) < 2 or not any(self._is_hit(cell) for cell in self.cells):
            return None
        return is_monotone(changes, self.direction)

    @property
    def verdict(self) -> Verdict:
        """What came of the expectation."""
        if self.expectation == "untouched":
            return "untouched"
        if all(cell.is_detected is None for cell in self.cells):
            return "-"
        hit = any(self._is_hit(cell) for cell in self.cells)
        outcomes: dict[str, tuple[Verdict, Verdict]] = {
            "moves": ("detected", "missed"),
            "leaves": ("violation", "quiet"),
            "free": ("reacts", "silent"),
        }
        return outcomes[self.expectation][0 if hit else 1]

    @property
    def few_clips(self) -> int | None:
        """On how few clips a reaction was seen; ``None`` if on enough, or there is no reaction."""
        fewest = min((cell.n for cell in self.cells if self._is_hit(cell)), default=FEW_CLIPS)
        return fewest if fewest < FEW_CLIPS else None

    @property
    def middle(self) -> Cell:
        """The cell of the middle dose."""
        return self.cells[len(self.cells) // 2]

    def _is_hit(self, cell: Cell) -> bool:
        """A reaction the wrong way round is no detection."""
        return bool(cell.is_detected) and self.direction * cell.change >= 0


def is_monotone(changes: Sequence[float], direction: int) -> bool:
    """Whether a curve runs one way, small steps back aside.

    Args:
        changes: From no dose to the heaviest.
        direction: Sign of the way; 0 for the way in which it ends.

    Returns:
        Whether no point is behind an earlier one by more than `SLACK` of the whole range.
    """
    points = np.array(changes)
    sign = direction or (1 if points[np.argmax(np.abs(points))] >= 0 else -1)
    behind = np.maximum.accumulate(sign * points) - sign * points
    return bool(behind.max() <= SLACK * np.ptp(points) + 1e-12)


def floor_of(clean: Mapping[str, Value], again: Mapping[str, Value]) -> float:
    """How far the mean of clean clips moves on its own: the far end of the interval.

    Args:
        clean: Clip -> value.
        again: The same clips taken once more.

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
) -> Cell:
    """Compares clips with themselves.

    Args:
        clean: Clip -> value.
        faulted: Clip -> value at this dose.
        dose: As asked for.
        realised: Mean over the clips.
        floor: From `floor_of`; NaN if it is not known, and is then taken for 0.

    Returns:
        Change, interval, effect; detected if the interval leaves out 0 and the change is larger
        than the floor.
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
        return Cell(dose=dose, realised=realised, num_unmeasured=len(lost), reason=reason)
    change, low, high = _interval(pairs)
    sd = deviation(clean)
    is_sure = low > 0 or high < 0
    return Cell(
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


def set_cell(value: float, *, dose: float, realised: float, n: int, floor: float) -> Cell:
    """The distance of faulted clips from the clean ones, beside that of clean clips.

    Args:
        value: Distance of the two sets; NaN if it could not be measured.
        dose: As asked for.
        realised: Mean over the clips.
        n: Clips in the faulted set.
        floor: Distance of another clean set from the clean one.

    Returns:
        Detected if the distance is at least `SET_RATIO` floors.
    """
    if math.isnan(value) or math.isnan(floor):
        return Cell(dose=dose, realised=realised, n=n, value=value)
    return Cell(
        dose=dose,
        realised=realised,
        n=n,
        value=value,
        change=value - floor,
        effect=_ratio(value - floor, floor),
        is_detected=value >= SET_RATIO * floor,
    )


def mean_of(values: Mapping[str, Value]) -> float:
    """Weighted mean of what was measured; NaN if nothing was."""
    known = [value for value in values.values() if not math.isnan(value.value)]
    return _mean(known, [value.weight for value in known])


def deviation(values: Mapping[str, Value]) -> float:
    """Standard deviation over clips; NaN with fewer than two."""
    known = [value.value for value in values.values() if not math.isnan(value.value)]
    return float(np.std(known, ddof=1)) if len(known) > 1 else math.nan


def _pairs(clean: Mapping[str, Value], faulted: Mapping[str, Value]) -> list[tuple[Value, Value]]:
    both = [(clean[clip], faulted[clip]) for clip in sorted(clean) if clip in faulted]
    return [(a, b) for a, b in both if not (math.isnan(a.value) or math.isnan(b.value))]


def _interval(pairs: Sequence[tuple[Value, Value]]) -> tuple[float, float, float]:
    changes = np.array([after.value - before.value for before, after in pairs])
    weights = np.array([before.weight for before, _ in pairs])
    found = bootstrap_mean(changes, weights=weights)
    if 1 < found.num_clusters < MIN_CLUSTERS:
        return found.value, float(changes.min()), float(changes.max())
    return found.value, found.low, found.high


def _mean(values: Sequence[Value], weights: Sequence[float]) -> float:
    total = sum(weights)
    if total <= 0:
        return math.nan
    return sum(v.value * w for v, w in zip(values, weights, strict=True)) / total


def _ratio(change: float, unit: float) -> float:
    """Change in units; endless where clean clips do not differ at all."""
    if math.isnan(unit) or (unit == 0 and change == 0):
        return 0.0 if change == 0 else math.nan
    return change / unit if unit else math.copysign(math.inf, change)
