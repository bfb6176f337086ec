"""The ablation table: rows in groups, with what each costs and why a row has no number."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from evals.scoring.results import csv_text, guard_cell
from evals.scoring.summary import SummaryRow
from reports.numbers import NOT_APPLICABLE
from reports.render import Cell, Grid, grid_of
from reports.tables import Table

COLUMNS = (
    "rtf", "wer", "mesh_sync_at_zero", "sync_c_world", "id_world_distance", "dynamic_degree",
    "fvd_world", "motion_diversity", "voice_diversity",
)  # fmt: skip
"""Metrics of the table, as far as they were measured."""
NAN = "NaN"
_SINGLE = (
    "Trainings: how many seeds a row was trained with. single: one training run; how far another "
    "run would come out differently is not in its interval."
)
_SEVERAL = (
    "Intervals draw prompts, not trainings: those of a row with several trainings are for these "
    "trainings. The contrasts with both are in compared/trainings.md."
)


@dataclass(frozen=True, kw_only=True)
class AblationLine:
    """What is known of a row beside its scores.

    Attributes:
        name: Of the system.
        group: Under which it stands.
        passes: Through the DiT a chunk; 0 where that does not apply.
        num_trainings: Seeds with which it was trained and recorded; 0 without training.
        is_trained: Whether it is a row that is trained.
        reason: Why it has no numbers, or what is wrong with some; empty if all is well.
        is_missing: Whether it has no numbers.
    """

    name: str
    group: str
    passes: int = 0
    num_trainings: int = 0
    is_trained: bool = False
    reason: str = ""
    is_missing: bool = False


def ablation_grid(table: Table, lines: Sequence[AblationLine]) -> Grid:
    """Arranges a table's systems in groups.

    Args:
        table: Of one suite and domain.
        lines: In print order; those of a group follow each other.

    Returns:
        The cells. A row without numbers has NaN in all of them, and its reason.
    """
    inner = grid_of(table, "systems")
    scored = {row[0].text: row[1:] for row in inner.rows}
    has_reasons = any(line.reason for line in lines)
    head = [Cell(text="group"), Cell(text="system"), Cell(text="passes"), Cell(text="trainings")]
    head += inner.head[1:]
    if has_reasons:
        head.append(Cell(text="reason"))
    groups = ["", *(line.group for line in lines)]
    rows = []
    for line, (before, group) in zip(lines, pairwise(groups), strict=True):
        is_missing = line.is_missing or line.name not in scored
        cells = (Cell(text=NAN),) * (len(inner.head) - 1) if is_missing else scored[line.name]
        first = Cell(text=group if group != before else "")
        end = (Cell(text=line.reason),) if has_reasons else ()
        rows.append((first, Cell(text=line.name), *_cost(line), *cells, *end))
    notes = [*inner.notes, _SINGLE]
    if any(line.num_trainings > 1 for line in lines):
        notes.append(_SEVERAL)
    return replace(inner, head=tuple(head), rows=tuple(rows), notes=tuple(notes))


def ablation_csv(tables: Sequence[Table], lines: Sequence[AblationLine]) -> str:
    """Prints a line for each row and metric: full precision, stored units.

    Args:
        tables: Of all suites and domains.
        lines: In print order.

    Returns:
        CSV; ``nan`` where there is no number, with the reason.
    """
    head = [
        "suite", "domain", "group", "system", "passes", "trainings", "metric", "protocol",
        "protocol_hash", "unit", "value", "ci_low", "ci_high", "n", "coverage", "reason",
    ]  # fmt: skip
    body = [
        [*map(guard_cell, (table.suite, table.domain, line.group, line.name)),
         str(line.passes or ""), str(line.num_trainings) if line.is_trained else "",
         *map(guard_cell, (one.metric, one.protocol, one.protocol_hash, one.unit)),
         *_numbers(None if line.is_missing else one.cells.get(line.name)),
         guard_cell(line.reason or _why(one.cells.get(line.name)))]
        for table in tables for line in lines for one in table.lines
    ]  # fmt: skip
    return csv_text([head, *body])


def _cost(line: AblationLine) -> tuple[Cell, Cell]:
    passes = Cell(text=str(line.passes) if line.passes else NOT_APPLICABLE)
    if not line.is_trained:
        return passes, Cell(text=NOT_APPLICABLE)
    count = line.num_trainings
    return passes, Cell(text=str(count), aside="single" if count == 1 else "")


def _numbers(row: SummaryRow | None) -> list[str]:
    if row is None or row.value is None:
        return ["nan", "", "", "0", ""]
    ends = ["" if end is None else repr(end) for end in (row.ci_low, row.ci_high)]
    coverage = "" if row.coverage is None else repr(row.coverage)
    return [repr(row.value), *ends, str(row.size), coverage]


def _why(row: SummaryRow | None) -> str:
    if row is None:
        return "not scored"
    return "" if row.value is not None else "; ".join(row.reasons)
