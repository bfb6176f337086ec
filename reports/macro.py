"""Lines of macro means: error rates that count each recording once, beside those by words."""

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
    cells = {name: _as_macro(row) for name, row in line.cells.items()}
    return (replace(line, cells=cells, best="", second="", letters={}, too_few=0, average=MACRO),)


def _as_macro(row: SummaryRow) -> SummaryRow:
    """Puts the macro mean in place of the value; they are the same where all weights are equal.

    What is missing adds the same to both means, so that both bounds move with the mean.
    """
    value = row.value if row.macro_value is None else row.macro_value
    moved = (row.coverage or 0.0) * ((value or 0.0) - (row.value or 0.0))
    if_best, if_worst = (
        None if end is None else end + moved for end in (row.if_best, row.if_worst)
    )
    return replace(
        row, value=value, ci_low=None, ci_high=None, n_independent=None, if_best=if_best,
        if_worst=if_worst,
    )  # fmt: skip
