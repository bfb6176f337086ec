"""Tables as CSV: numbers in columns of numbers, what is said of them in columns of words."""

from collections.abc import Iterable

from evals.protocols.info import Direction
from evals.scoring.results import csv_text, guard_cell
from evals.scoring.summary import SummaryRow
from reports.tables import Line, Table


def tables_csv(tables: Iterable[Table]) -> str:
    """Prints tables as one CSV: full precision, stored units, seven columns a system.

    Columns of numbers hold numbers or nothing. Why there is none is in ``status``; what tables
    print bold or underlined, letters of ties and the dagger are in ``mark``. Text cells that a
    spreadsheet would run are guarded by `evals.scoring.results.guard_cell`.

    Args:
        tables: Of all suites and domains.

    Returns:
        A line for each metric, protocol, suite and domain.
    """
    tables = list(tables)
    systems = sorted({system for table in tables for system in table.systems})
    head = ["suite", "domain", "metric", "average", "protocol", "protocol_hash", "unit"]
    head += ["higher_is_better"]
    parts = ("", " ci_low", " ci_high", " n", " coverage", " status", " mark")
    head += [system + part for system in systems for part in parts]
    body = [_csv_row(table, line, systems) for table in tables for line in table.lines]
    return csv_text([map(guard_cell, head), *body])


def csv_cell(value: object) -> str:
    """Prints a field in full precision: nothing for ``None``, text guarded against formulas."""
    if value is None:
        return ""
    return guard_cell(value) if isinstance(value, str) else repr(value)


def _csv_row(table: Table, line: Line, systems: list[str]) -> list[str]:
    direction = {Direction.HIGHER: "true", Direction.LOWER: "false"}.get(line.direction, "")
    texts = [table.suite, table.domain, line.metric, line.average]
    texts += [line.protocol, line.protocol_hash, line.unit]
    row = [*map(guard_cell, texts), direction]
    for system in systems:
        row += [*_csv_cells(line.cells.get(system)), _csv_mark(line, system)]
    return row


def _csv_mark(line: Line, system: str) -> str:
    """What tables say of a number by bold, underlining, letters and a dagger, in words."""
    rank = {line.best: "best", line.second: "second"}.get(system, "")
    letters = line.letters.get(system, "")
    other = "other protocol hash" if line.mark and system in line.cells else ""
    return "; ".join(filter(None, (rank, letters, other)))


def _csv_cells(row: SummaryRow | None) -> list[str]:
    if row is None:
        return ["", "", "", "0", "", "never scored"]
    ends = ["" if end is None else repr(end) for end in (row.ci_low, row.ci_high)]
    value, coverage = ("" if end is None else repr(end) for end in (row.value, row.coverage))
    return [value, *ends, str(row.size), coverage, _csv_status(row)]


def _csv_status(row: SummaryRow) -> str:
    """Rows of each status, e.g. ``3 computed, 1 generation failure``."""
    counted = {status: count for status, count in row.counts.items() if count}
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counted.items())
