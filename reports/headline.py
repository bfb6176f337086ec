"""What is shown of a run by default: about ten metrics, models first, controls apart."""

import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from evals.protocols.info import Level
from evals.scoring.summary import SummaryRow
from reports.axes import without_replaced
from reports.numbers import coverage_text, interval_text, is_few, samples_text, value_text
from reports.paper import PLAIN, Paper, float_of, without_empty
from reports.render import (
    Cell,
    escape_markdown,
    line_name,
    markdown_cell,
    remarks,
    sample_sizes,
    second_remark,
    table_name,
    tabular,
)
from reports.tables import Line, Table

WIDTH = 100
"""Columns of a terminal that notes are wrapped to."""


def headline_of(table: Table) -> Table:
    """Keeps the lines of headline metrics that were measured; all lines if there are none.

    Args:
        table: Of one suite and domain.

    Returns:
        The table without details, and without metrics whose place another one takes.
    """
    lines = [line for line in table.lines if line.info.level is Level.HEADLINE]
    lines = [line for line in lines if not line.is_void]
    scored = {line.metric for line in lines if line.has_value}
    replaced = scored - set(without_replaced(scored))
    replaced |= {line.info.replaces for line in lines if line.has_value}
    kept = tuple(line for line in lines if line.metric not in replaced)
    return replace(table, lines=kept or table.lines)


def headline_markdown(table: Table, care: Sequence[str] = ()) -> str:
    """Prints a headline table as Markdown in columns, models above controls.

    Args:
        table: What `headline_of` returned.
        care: What a reader must not conclude, see `reports.cautions`.

    Returns:
        One or two tables with a rule between them, then notes.
    """
    usual = usual_size(table)
    blocks = [_aligned(_rows(table, systems, usual)) for systems in _blocks(table)]
    notes = [_wrapped(text) for text in (*_notes(table), *care)]
    return "\n\n".join([f"**{escape_markdown(caption_of(table, usual))}**",
                        "\n\n---\n\n".join(blocks), *notes]) + "\n"  # fmt: skip


def headline_latex(table: Table, paper: Paper = PLAIN) -> str:
    """Prints a headline table as LaTeX, models above controls; see `reports.paper.float_of`.

    Args:
        table: What `headline_of` returned.
        paper: Label, caption and width.

    Returns:
        A float with one or two ``tabular``, then notes.
    """
    kept, gone = without_empty(table)
    usual = usual_size(kept)
    tabulars = [
        tabular(*_rows(kept, systems, usual), is_narrow=paper.is_narrow)
        for systems in _blocks(kept)
    ]
    return float_of(
        tabulars,
        caption=caption_of(kept, usual),
        notes=[*_notes(kept), *second_remark(kept), *gone],
        name=table_name(table),
        paper=paper,
    )


def _blocks(table: Table) -> list[tuple[str, ...]]:
    return [systems for systems in (table.models, table.controls) if systems]


def _rows(table: Table, systems: Sequence[str], usual: str) -> list[tuple[Cell, ...]]:
    """Returns a head and a row for each line, with the number of its protocol."""
    head = (Cell(text="metric"), *(Cell(text=name) for name in systems))
    rows = [
        (
            Cell(text=line_name(line, variant=table.variant_of(line)), footnote=number),
            *(_value_cell(line, system, usual) for system in systems),
        )
        for number, line in enumerate(table.lines, start=1)
    ]
    return [head, *rows]


def _controls(table: Table) -> list[str]:
    """Names the controls role by role, as one sentence; nothing if there are none."""
    by_role: dict[str, list[str]] = {}
    for name in table.controls:
        by_role.setdefault(str(table.roles[name]).replace("_", " "), []).append(name)
    parts = [
        f"{role}{'s' if len(names) > 1 else ''} {', '.join(names)}"
        for role, names in by_role.items()
    ]
    return [f"Controls: {'; '.join(parts)}."] if parts else []


def _value_cell(line: Line, system: str, usual: str) -> Cell:
    row = line.cells.get(system)
    if row is None:
        return Cell(text="n/s")
    letters = line.letters.get(system, "")
    asides = [letters, interval_text(row, line.decimals), size_text(row, usual), _gap(row)]
    return Cell(
        text=value_text(row, line.decimals),
        aside=" ".join(filter(None, asides)),
        is_best=line.best == system,
        is_second=line.second == system,
    )


def size_text(row: SummaryRow, usual: str) -> str:
    """Returns the samples behind a number where they must be said and are not the usual ones."""
    size = samples_text(row) if is_few(row) else ""
    return "" if size == usual else size


def _gap(row: SummaryRow) -> str:
    is_short = row.value is not None and row.coverage is not None and row.coverage < 1
    return f"({coverage_text(row)} scored)" if is_short else ""


def usual_size(table: Table) -> str:
    """Returns the commonest number of samples behind a value, without metrics on sets."""
    sizes = Counter(samples_text(row) for row in table.cells if row.value is not None and row.n > 1)
    return sizes.most_common(1)[0][0] if sizes else sample_sizes(table)


def caption_of(table: Table, usual: str) -> str:
    """Returns suite, domain and the usual number of samples as one sentence."""
    has_others = any(size_text(row, usual) for row in table.cells)
    size = f"{usual} where not noted" if has_others else usual
    return f"Suite {table.suite}, domain {table.domain}, {size}"


def _protocols(table: Table) -> list[str]:
    return [
        f"({number}) {line.protocol} #{line.protocol_hash}"
        for number, line in enumerate(table.lines, start=1)
    ]


def _notes(table: Table) -> list[str]:
    """Returns controls, protocols and remarks, a paragraph each."""
    protocols = f"Protocols: {'; '.join(_protocols(table))}."
    return list(filter(None, [*_controls(table), protocols, " ".join(remarks(table))]))


def _wrapped(text: str) -> str:
    """Breaks lines between words, but not inside ``(1) protocol #hash``."""
    glued = re.sub(r"(?<=\d\)) | (?=#[0-9a-f]{12}\b)", "\0", escape_markdown(text))
    filled = textwrap.fill(glued, WIDTH, break_long_words=False, break_on_hyphens=False)
    return filled.replace("\0", " ")


def _aligned(rows: Sequence[Sequence[Cell]]) -> str:
    """Prints rows as Markdown whose columns are also aligned on a terminal."""
    cells = [[markdown_cell(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    head, *body = (
        "| " + " | ".join([row[0].ljust(widths[0]),
                           *map(str.rjust, row[1:], widths[1:])]) + " |"
        for row in cells
    )  # fmt: skip
    sides = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([head, "| " + " | ".join(sides) + " |", *body])
