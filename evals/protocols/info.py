"""What a reader of a metric's values must know: unit, direction, bounds, and how they are shown."""

import math
from enum import StrEnum
from typing import NamedTuple


class Direction(StrEnum):
    """Which values of a metric are better."""

    HIGHER = "higher"
    LOWER = "lower"
    ZERO = "zero"
    """Of signed values, such as offsets: the nearer to zero the better."""
    NONE = "none"
    """Neither; such a metric describes and does not rank."""

    @property
    def arrow(self) -> str:
        """The sign that tables and axes print."""
        return _ARROWS[self]

    @property
    def words(self) -> str:
        """E.g. ``higher is better``; empty if nothing is."""
        return {Direction.NONE: "", Direction.ZERO: "zero is best"}.get(self, f"{self} is better")

    def cost(self, value: float) -> float:
        """Makes smaller numbers of better values.

        Args:
            value: Of the metric.

        Returns:
            A number that is smaller the better ``value`` is.

        Raises:
            ValueError: If no value is better than another.
        """
        if self is Direction.NONE:
            raise ValueError("no value of this metric is better than another")
        return {Direction.HIGHER: -value, Direction.LOWER: value}.get(self, abs(value))


_ARROWS = {
    Direction.HIGHER: "\N{UPWARDS ARROW}",
    Direction.LOWER: "\N{DOWNWARDS ARROW}",
    Direction.ZERO: "\N{RIGHTWARDS ARROW}0",
    Direction.NONE: "",
}


class Axis(StrEnum):
    """What a metric measures; tables list metrics axis by axis, in this order."""

    TEXT = "text"
    LIP_SYNC = "lip-sync"
    IDENTITY = "identity"
    APPEARANCE = "appearance"
    VOICE = "voice"
    VIDEO = "video"
    SPEED = "speed"
    OTHER = "other"


class Level(StrEnum):
    """Where a metric is shown."""

    HEADLINE = "headline"
    """In the table and the bars that are shown by default."""
    DETAIL = "detail"
    """In the complete tables."""


Bounds = tuple[float, float]
UNBOUNDED: Bounds = (-math.inf, math.inf)
NON_NEGATIVE: Bounds = (0.0, math.inf)
SHARE: Bounds = (0.0, 1.0)
MAX_DECIMALS = 4


class MetricInfo(NamedTuple):
    """What a reader of a metric's values must know; see `evals.protocols.base.BaseMetric`.

    Attributes:
        unit: ``1`` for ratios.
        higher_is_better: ``None`` where neither is.
        zero_is_best: Of signed values; with ``higher_is_better`` of ``None``.
        bounds: Smallest and largest value there can be.
        label: Name in tables and on axes.
        axis: What it measures.
        level: Where it is shown.
        decimals: Largest number of decimals in print.
        is_percent: Whether its values are printed in per cent.
        is_project_specific: Whether a published metric of like name has other values.
        replaces: Metric whose place it takes in the headline where it has a value.
        remark: Sentence below tables that show it.
    """

    unit: str
    higher_is_better: bool | None
    zero_is_best: bool = False
    bounds: Bounds = UNBOUNDED
    label: str = ""
    axis: Axis = Axis.OTHER
    level: Level = Level.DETAIL
    decimals: int = MAX_DECIMALS
    is_percent: bool = False
    is_project_specific: bool = False
    replaces: str = ""
    remark: str = ""

    @property
    def direction(self) -> Direction:
        """Which values are better."""
        return direction_of(self.higher_is_better, self.zero_is_best)


def direction_of(higher_is_better: bool | None, zero_is_best: bool) -> Direction:
    """Names the direction that two stored fields stand for."""
    if zero_is_best:
        return Direction.ZERO
    if higher_is_better is None:
        return Direction.NONE
    return Direction.HIGHER if higher_is_better else Direction.LOWER


def spaced(name: str) -> str:
    """Returns the label of a metric that has none of its own: its name with blanks."""
    return name.replace("_", " ")
