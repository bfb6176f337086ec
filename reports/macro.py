"""Lines of macro means: error rates that count each recording once, beside those by words."""

from collections.abc import Mapping
from dataclasses import replace

from evals.scoring.summary import SummaryRow
from reports.tables import Line, Table

MACRO = "macro"
MACRO_REMARK = (
    "Macro: mean over recordings, each counted once; the line without that word counts each word "
    "once (micro). No interval, not ranked."
)


def with_macro(table: Table) -> Table:
    """Adds a line below each one whose summaries have a macro mean.

    Args:
        table: Of one suite and domain.

    Returns:
        The same table where no summary has one.
    """
    lines = [new for line in table.lines for new in (line, *_macro(line))]
    return replace(table, lines=tuple(lines))


def _macro(line: Line) -> tuple[Line, ...]:
    if all(row.macro_value is None for row in line.cells.values()):
        return ()
    cells: Mapping[str, SummaryRow] = {
        name: _as_macro(row) for name, row in line.cells.items() if row.macro_value is not None
        or row.value is None
    }  # fmt: skip
    return (replace(line, cells=cells, best="", second="", letters={}, too_few=0, average=MACRO),)


def _as_macro(row: SummaryRow) -> SummaryRow:
    return replace(row, value=row.macro_value, ci_low=None, ci_high=None, n_independent=None)
