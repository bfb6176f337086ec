"""Summaries as wide tables: which lines, which cells, and what is best."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from evals.protocols.info import Direction, MetricInfo
from evals.recording.role import Role, place_of
from evals.recording.system import installed_role
from evals.scoring.compare import DAGGER, Comparison
from evals.scoring.summary import SummaryRow
from evals.scoring.ties import tie_letters, too_few_to_tell
from reports.axes import in_order, info_of, unit_of, variant_of
from reports.numbers import decimals_for

MAX_METRICS_ACROSS = 8


@dataclass(frozen=True, kw_only=True)
class Line:
    """One metric under one protocol hash, over the systems.

    Attributes:
        metric: Name of the metric.
        protocol: Name and version of its parameters.
        protocol_hash: Of all its parameters.
        unit: As stored.
        direction: Which values are better.
        cells: System -> summary; systems without any row are missing.
        best: The system to print bold, ceilings aside; empty if no one is shown to be best.
        second: The system to underline: better than each other one but the best; empty if no one
            is shown to be, or none is left to be better than.
        mark: A dagger if the same protocol is there with another hash.
        letters: System -> tie group, see `evals.scoring.ties`; empty if some pair was not tested.
        too_few: Prompts, where letters were asked for and so few cannot show any difference.
        average: ``macro`` for the means of `reports.macro`; else empty.
    """

    metric: str
    protocol: str
    protocol_hash: str
    unit: str
    direction: Direction
    cells: Mapping[str, SummaryRow]
    best: str = ""
    second: str = ""
    mark: str = ""
    letters: Mapping[str, str] = field(default_factory=dict)
    too_few: int = 0
    average: str = ""

    @property
    def info(self) -> MetricInfo:
        """How the metric is shown."""
        return info_of(self.metric)

    @property
    def label(self) -> str:
        """Name, kind of average and dagger, without arrow and unit."""
        return " ".join(filter(None, (self.info.label, self.average))) + self.mark

    @property
    def has_value(self) -> bool:
        """Whether some system has a value."""
        return any(row.value is not None for row in self.cells.values())

    @property
    def is_void(self) -> bool:
        """Whether no system has a value and none failed: it cannot be measured here."""
        return not self.has_value and not any(row.num_failed for row in self.cells.values())

    @property
    def shown_unit(self) -> str:
        """Unit of the printed numbers; empty for plain ratios."""
        return unit_of(self.metric, self.unit)

    @property
    def arrow(self) -> str:
        """Up, down or to zero, where some values are better."""
        return self.direction.arrow

    @property
    def decimals(self) -> int:
        """Of all its numbers."""
        return decimals_for(self.cells.values())


@dataclass(frozen=True, kw_only=True)
class Table:
    """What may stand side by side: one suite of one domain.

    Attributes:
        suite: Which prompts.
        domain: ``real`` or ``world``; the two never share a table.
        systems: In the order of the columns.
        lines: In the order of the axes.
        roles: Of the systems.
    """

    suite: str
    domain: str
    systems: tuple[str, ...]
    lines: tuple[Line, ...] = field(default=())
    roles: Mapping[str, Role] = field(default_factory=dict)

    @property
    def cells(self) -> list[SummaryRow]:
        """All summaries in it."""
        return [cell for line in self.lines for cell in line.cells.values()]

    def variant_of(self, line: Line) -> str:
        """Tells protocols of one metric apart, e.g. ``whisper-base``; empty where there is one."""
        own = {(o.protocol, o.protocol_hash) for o in self.lines if o.metric == line.metric}
        return variant_of(line.protocol) if len(own) > 1 else ""

    @property
    def models(self) -> tuple[str, ...]:
        """Systems under test, in the order of the columns."""
        return tuple(name for name in self.systems if self.roles[name] is Role.MODEL)

    @property
    def controls(self) -> tuple[str, ...]:
        """Ceilings, floors and negative controls, in the order of the columns."""
        return tuple(name for name in self.systems if self.roles[name] is not Role.MODEL)


def wide(
    summaries: Iterable[SummaryRow],
    *,
    metrics: Sequence[str] | None = None,
    systems: Sequence[str] | None = None,
    comparisons: Sequence[Comparison] | None = None,
    roles: Mapping[str, Role] | None = None,
    has_letters: bool = False,
) -> list[Table]:
    """Arranges summaries into one table for each suite and domain.

    Args:
        summaries: In any order.
        metrics: Which, in this order; all by default, by axis.
        systems: Which, in this order; all by default, see `evals.recording.role.place_of`.
        comparisons: Paired results that decide what is best; without them, intervals that lie
            apart do.
        roles: Of the systems; what is missing has the role of the installed system of its name.
        has_letters: Whether lines have letters of tie groups, where comparisons cover every pair.

    Returns:
        Tables by suite and domain; none is empty.
    """
    chosen = [
        row
        for row in summaries
        if (metrics is None or row.metric in metrics) and (systems is None or row.system in systems)
    ]
    chosen.sort(key=lambda row: (row.suite, row.domain))
    declared = {row.system: (roles or {}).get(row.system) for row in chosen}
    every = {system: role or installed_role(system) for system, role in declared.items()}
    tables = [
        _table(suite, domain, list(rows), metrics, systems, comparisons, every)
        for (suite, domain), rows in groupby(chosen, key=lambda row: (row.suite, row.domain))
    ]
    return [_lettered(one, comparisons or ()) for one in tables] if has_letters else tables


def coverage_gaps(cells: Iterable[SummaryRow | None]) -> bool:
    """Whether a row or column needs its coverage said: some number rests on fewer samples."""
    return any(
        cell is not None and cell.value is not None and (cell.coverage or 0.0) < 1 for cell in cells
    )


def _table(
    suite: str,
    domain: str,
    rows: list[SummaryRow],
    metrics: Sequence[str] | None,
    systems: Sequence[str] | None,
    comparisons: Sequence[Comparison] | None,
    roles: Mapping[str, Role],
) -> Table:
    here = sorted({row.system for row in rows}, key=lambda name: place_of(roles[name], name))
    return Table(
        suite=suite,
        domain=domain,
        systems=tuple(name for name in systems or here if name in here),
        lines=tuple(_lines(rows, metrics, comparisons, roles)),
        roles={name: roles[name] for name in here},
    )


def _lines(
    rows: list[SummaryRow],
    metrics: Sequence[str] | None,
    comparisons: Sequence[Comparison] | None,
    roles: Mapping[str, Role],
) -> Iterable[Line]:
    order = list(metrics or in_order(row.metric for row in rows))
    groups: dict[tuple[str, str], list[SummaryRow]] = defaultdict(list)
    for row in rows:
        groups[row.metric, row.protocol].append(row)
    for metric, protocol in sorted(groups, key=lambda group: (order.index(group[0]), group)):
        by_hash = _by_hash(groups[metric, protocol])
        for protocol_hash, cells in sorted(by_hash.items()):
            first = next(iter(cells.values()))
            best, second = _first_two(cells, comparisons, roles)
            yield Line(
                metric=metric,
                protocol=protocol,
                protocol_hash=protocol_hash,
                unit=first.unit,
                direction=first.direction,
                cells=cells,
                best=best,
                second=second,
                mark=DAGGER if len(by_hash) > 1 else "",
            )


def _by_hash(rows: Sequence[SummaryRow]) -> dict[str, dict[str, SummaryRow]]:
    """Lines of one protocol, each with one hash for all its numbers.

    What has no number shares the line of those that have one: its hash decides nothing.
    """
    lines: dict[str, dict[str, SummaryRow]] = defaultdict(dict)
    for row in rows:
        if row.value is not None:
            lines[row.protocol_hash][row.system] = row
    for row in rows:
        if row.value is None:
            is_elsewhere = any(row.system in cells for cells in lines.values())
            joins = lines and not is_elsewhere and row.protocol_hash not in lines
            lines[min(lines) if joins else row.protocol_hash][row.system] = row
    return lines


def _first_two(
    cells: Mapping[str, SummaryRow],
    comparisons: Sequence[Comparison] | None,
    roles: Mapping[str, Role],
) -> tuple[str, str]:
    """The best and, where two more are left to differ, the second best; empty if they are tied."""
    best = _best(cells, comparisons, roles)
    rest = {name: row for name, row in cells.items() if name != best}
    return best, _best(rest, comparisons, roles) if best else ""


def _best(
    cells: Mapping[str, SummaryRow],
    comparisons: Sequence[Comparison] | None,
    roles: Mapping[str, Role],
) -> str:
    """The one system that is better than each other that is no ceiling; empty if there is none."""
    scored = [row.ranked for row in cells.values() if roles[row.system] is not Role.CEILING]
    scored = [row for row in scored if row.value is not None]
    if len(scored) < 2 or scored[0].direction is Direction.NONE:
        return ""
    first, *others = sorted(scored, key=lambda row: row.direction.cost(row.value or 0.0))
    if comparisons is None:
        wins = all(_apart(first, other) for other in others)
    else:
        beaten = _beaten_by(first, comparisons)
        wins = all(other.system in beaten for other in others)
    return first.system if wins else ""


def _lettered(table: Table, comparisons: Sequence[Comparison]) -> Table:
    """Adds letters to the lines of one hash; those of several were never compared."""

    def lettered(line: Line) -> Line:
        here = (table.suite, line.metric, line.protocol)
        tested = [one for one in comparisons if (one.suite, one.metric, one.protocol) == here]
        letters = {} if line.mark else tie_letters(tested, line.direction)
        return replace(line, letters=letters, too_few=too_few_to_tell(tested))

    return replace(table, lines=tuple(map(lettered, table.lines)))


def _apart(first: SummaryRow, other: SummaryRow) -> bool:
    ends = (first.ci_low, first.ci_high, other.ci_low, other.ci_high)
    low, high, other_low, other_high = (float("nan") if end is None else end for end in ends)
    return low > other_high if first.direction is Direction.HIGHER else high < other_low


def _beaten_by(first: SummaryRow, comparisons: Sequence[Comparison]) -> set[str]:
    here = (first.suite, first.metric, first.protocol)
    beaten = set()
    for one in comparisons:
        if (one.suite, one.metric, one.protocol) != here:
            continue
        if one.system == first.system and one.verdict == "better":
            beaten.add(one.against)
        if one.against == first.system and one.verdict == "worse":
            beaten.add(one.system)
    return beaten
