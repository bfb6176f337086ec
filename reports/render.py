"""Tables as Markdown and LaTeX."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from evals.numerics.statistics import MIN_CLUSTERS
from evals.protocols.info import Direction
from evals.recording.role import Role
from evals.scoring.compare import DAGGER
from evals.scoring.summary_table import escape_latex
from reports.macro import MACRO_REMARK
from reports.numbers import (
    NOT_APPLICABLE,
    aside_text,
    coverage_text,
    is_few,
    missing_bounds_text,
    value_text,
)
from reports.paper import PLAIN, Paper, float_of, without_empty
from reports.tables import MAX_METRICS_ACROSS, Line, Table, coverage_gaps
from streamchar_ref.core.names import visible

RowsOf = Literal["metrics", "systems"]
"""What a row of a printed table is."""

_NAMES = frozenset(
    {"metric", "system", "protocol", "group", "reason"}
)  # columns of words, not of numbers


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One printed cell.

    Attributes:
        text: Name or value.
        aside: Printed small beside it: interval, samples.
        is_best: Printed bold.
        is_second: Underlined, where the format can.
        footnote: Number of its footnote; 0 for none.
    """

    text: str
    aside: str = ""
    is_best: bool = False
    is_second: bool = False
    footnote: int = 0


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table with its cells in print order.

    Attributes:
        caption: One sentence.
        head: Names of the columns; the first one names rows.
        rows: Each as long as ``head``.
        notes: Numbered footnotes, then remarks.
    """

    caption: str
    head: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]


def grid_of(table: Table, down: RowsOf | None = None) -> Grid:
    """Puts metrics or systems down the page.

    Args:
        table: What to print.
        down: Of what a row is; systems by default if the metrics fit across a page.

    Returns:
        The cells, with a coverage column beside each column that has gaps.
    """
    if down is None:
        down = "systems" if len(table.lines) <= MAX_METRICS_ACROSS else "metrics"
    return _systems_down(table) if down == "systems" else _metrics_down(table)


def markdown(table: Table, down: RowsOf | None = None) -> str:
    """Prints a table as GitHub Markdown."""
    return grid_markdown(grid_of(table, down))


def grid_markdown(grid: Grid) -> str:
    """Prints cells as GitHub Markdown."""
    lines = [_markdown_row(grid.head)]
    sides = ["---" if cell.text in _NAMES else "---:" for cell in grid.head]
    lines.append("| " + " | ".join(sides) + " |")
    lines += [_markdown_row(row) for row in grid.rows]
    notes = [f"{escape_markdown(note)}  " for note in grid.notes]
    return "\n".join([f"**{escape_markdown(grid.caption)}**", "", *lines, "", *notes]) + "\n"


def latex(table: Table, down: RowsOf | None = None, paper: Paper = PLAIN) -> str:
    """Prints a table as LaTeX without empty lines and systems; see `reports.paper.float_of`."""
    kept, notes = without_empty(table)
    grid = _protocols_below(grid_of(kept, down))
    notes = [*grid.notes, *second_remark(kept), *notes]
    return grid_latex(replace(grid, notes=tuple(notes)), paper, name=table_name(table))


def _protocols_below(grid: Grid) -> Grid:
    """Turns a column of protocols, for which a page has no room, into numbered notes."""
    if grid.head[-1].text != "protocol":
        return grid
    rows = [
        (replace(row[0], footnote=number), *row[1:-1]) for number, row in enumerate(grid.rows, 1)
    ]
    named = "; ".join(f"({number}) {row[-1].text}" for number, row in enumerate(grid.rows, 1))
    return replace(
        grid, head=grid.head[:-1], rows=tuple(rows), notes=(f"Protocols: {named}.", *grid.notes)
    )


def grid_latex(grid: Grid, paper: Paper = PLAIN, *, name: str = "results") -> str:
    """Prints cells as LaTeX; see `reports.paper.float_of`."""
    body = tabular(grid.head, *grid.rows, is_narrow=paper.is_narrow)
    return float_of([body], caption=grid.caption, notes=grid.notes, name=name, paper=paper)


def tabular(head: Sequence[Cell], *rows: Sequence[Cell], is_narrow: bool = False) -> str:
    """Prints head and rows as a LaTeX ``tabular``; narrow ones have intervals below numbers."""
    columns = "".join("l" if cell.text in _NAMES else "r" for cell in head)
    printed = [line for row in rows for line in (_stacked(row) if is_narrow else [row])]
    return "\n".join(
        [
            f"\\begin{{tabular}}{{{columns}}}",
            "\\toprule",
            _latex_row(head),
            "\\midrule",
            *map(_latex_row, printed),
            "\\bottomrule",
            "\\end{tabular}",
        ]
    )


def _stacked(row: Sequence[Cell]) -> list[Sequence[Cell]]:
    asides = [Cell(text="", aside=cell.aside) for cell in row]
    numbers = [replace(cell, aside="") for cell in row]
    return [numbers, asides] if any(cell.aside for cell in row) else [numbers]


def table_name(table: Table) -> str:
    """Names a table by its suite and domain."""
    return f"{table.suite}-{table.domain}"


def _metrics_down(table: Table) -> Grid:
    head, columns = [Cell(text="metric")], []
    for system in table.systems:
        head.append(Cell(text=system))
        columns.append(_value_cell(system))
        if coverage_gaps(line.cells.get(system) for line in table.lines):
            head.append(Cell(text="coverage"))
            columns.append(_coverage_cell(system))
    rows = [
        (
            Cell(text=line_name(line)),
            *(column(line) for column in columns),
            Cell(text=f"{line.protocol} #{line.protocol_hash}"),
        )
        for line in table.lines
    ]
    head.append(Cell(text="protocol"))
    return Grid(
        caption=_caption(table), head=tuple(head), rows=tuple(rows), notes=tuple(remarks(table))
    )


def _systems_down(table: Table) -> Grid:
    head, columns = [Cell(text="system")], []
    for number, line in enumerate(table.lines, start=1):
        head.append(Cell(text=line_name(line), footnote=number))
        columns.append((line, _value_cell))
        if coverage_gaps(line.cells.values()):
            head.append(Cell(text="coverage"))
            columns.append((line, _coverage_cell))
    rows = [
        (Cell(text=system), *(cell(system)(line) for line, cell in columns))
        for system in table.systems
    ]
    protocols = [
        f"({number}) {line.protocol} #{line.protocol_hash}"
        for number, line in enumerate(table.lines, start=1)
    ]
    return Grid(
        caption=_caption(table),
        head=tuple(head),
        rows=tuple(rows),
        notes=(*protocols, *remarks(table)),
    )


def _value_cell(system: str) -> Callable[[Line], Cell]:
    def cell(line: Line) -> Cell:
        row = line.cells.get(system)
        if row is None:
            return Cell(text="n/s")
        asides = (line.letters.get(system), aside_text(row, line.decimals))
        return Cell(
            text=value_text(row, line.decimals),
            aside=" ".join(filter(None, asides)),
            is_best=line.best == system,
            is_second=line.second == system,
        )

    return cell


def _coverage_cell(system: str) -> Callable[[Line], Cell]:
    def cell(line: Line) -> Cell:
        row = line.cells.get(system)
        return Cell(text=NOT_APPLICABLE if row is None else coverage_text(row))

    return cell


def line_name(line: Line, *, variant: str = "") -> str:
    """Returns label, variant if there is one, arrow and unit of a line."""
    label = f"{line.label}, {variant}" if variant else line.label
    unit = f"[{line.shown_unit}]" if line.shown_unit else ""
    return " ".join(part for part in (label, line.arrow, unit) if part)


def _caption(table: Table) -> str:
    return f"Suite {table.suite}, domain {table.domain}, {sample_sizes(table)}"


def sample_sizes(table: Table) -> str:
    """Returns ``n = 3`` or ``n = 2 to 3``: samples behind the numbers, without metrics on sets."""
    sizes = {cell.n for cell in table.cells if cell.value is not None and cell.n > 1}
    sizes = sizes or {cell.n for cell in table.cells if cell.value is not None} or {0}
    return f"n = {min(sizes)}" + (f" to {max(sizes)}" if len(sizes) > 1 else "")


def remarks(table: Table) -> list[str]:
    """Says what brackets, bold, daggers and words in the table mean, as far as they occur."""
    cells = table.cells
    texts = []
    if any(cell.has_interval for cell in cells):
        texts.append(
            "In brackets: 95 % interval by bootstrap-t, samples of one identity drawn together; of "
            "distances between sets by jackknife."
        )
    if any(is_few(cell) for cell in cells):
        texts.append(
            f"n: samples behind a number that is not from all, or from fewer than {MIN_CLUSTERS} "
            "independent ones, which have no interval."
        )
    if any(line.direction is Direction.ZERO for line in table.lines):
        texts.append(
            f"{Direction.ZERO.arrow}: zero is best; printed is the mean with its sign, systems are "
            "ranked by the mean of absolute values."
        )
    if any(line.best for line in table.lines):
        ceilings = [name for name in table.systems if table.roles[name] is Role.CEILING]
        verb = "is" if len(ceilings) == 1 else "are"
        aside = f" ({', '.join(ceilings)} {verb} not ranked)" if ceilings else ""
        texts.append(f"Bold: better than each other system{aside}.")
    elif len(table.systems) > 1:
        texts.append("Nothing is bold: no system is shown to be better than all others in a line.")
    if any(line.letters for line in table.lines):
        texts.append(
            "Letters: systems share one unless their difference is significant after Holm; that "
            "does not mean that they are equal."
        )
    texts += [_without_letters(table)]
    texts += [MACRO_REMARK] * any(line.average for line in table.lines)
    names = [line.label for line in table.lines if line.info.is_project_specific]
    if names:
        texts.append(
            "Of this project, in no relation to published numbers of like name: "
            f"{', '.join(names)}."
        )
    texts += dict.fromkeys(line.info.remark for line in table.lines if line.info.remark)
    if any(line.mark for line in table.lines):
        texts.append(f"{DAGGER} Same protocol with other parameters: not comparable across lines.")
    if any(coverage_gaps([cell]) for cell in cells):
        texts.append("Coverage: scored samples of those the metric applies to.")
        texts.append(_bounds_in_words(table))
    if any(cell.value is None or coverage_gaps([cell]) for cell in cells):
        texts.append(
            f"{NOT_APPLICABLE} not applicable; n/s not scored, failed: with number of samples."
        )
    return list(filter(None, texts))


def _without_letters(table: Table) -> str:
    """Says which lines have no letters of ties because nothing could be shown."""
    few = [line for line in table.lines if line.too_few]
    if not few:
        return ""
    which = "any line" if len(few) == len(table.lines) else ", ".join(line.label for line in few)
    sizes = sorted({line.too_few for line in few})
    size = " to ".join(map(str, dict.fromkeys((sizes[0], sizes[-1]))))
    return f"No letters for {which}: {size} independent prompts are too few to show any difference."


def _bounds_in_words(table: Table) -> str:
    """Says where means would lie if what is missing had the worst or the best possible value."""
    parts = [
        f"{line.label} of {system} {missing_bounds_text(line.cells[system], line.decimals)}"
        for line in table.lines
        for system in table.systems
        if system in line.cells and coverage_gaps([line.cells[system]])
    ]
    parts = [part for part in parts if part.endswith("]")]
    if not parts:
        return ""
    return f"[worst, excluded, best] with what is missing at its bounds: {'; '.join(parts)}."


def second_remark(table: Table) -> list[str]:
    """Says what an underline means, for formats that have one; nothing if none is there."""
    if any(line.second for line in table.lines):
        return ["Underlined: better than each other system but the best."]
    return []


def _markdown_row(cells: Iterable[Cell]) -> str:
    return "| " + " | ".join(markdown_cell(cell) for cell in cells) + " |"


def markdown_cell(cell: Cell) -> str:
    """Prints a cell: text, footnote, aside."""
    text = escape_markdown(cell.text)
    text = f"**{text}**" if cell.is_best else text
    mark = f" ({cell.footnote})" if cell.footnote else ""
    return text + mark + (f" {escape_markdown(cell.aside)}" if cell.aside else "")


def escape_markdown(text: str) -> str:
    """Makes any text print as itself in GitHub Markdown; line ends become spaces.

    Brackets are escaped where they would make a link, a picture or a footnote.
    """
    text = visible(" ".join(text.split()))
    text = re.sub(r"([\\|*`<>$~])", r"\\\1", text)
    text = re.sub(r"&(?=#?\w+;)", r"\\&", text)
    text = re.sub(r"\](?=[(\[:])|\[(?=\^)|!(?=\[)|:(?=//)|(?<=www)\.", r"\\\g<0>", text)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)


def _latex_row(cells: Iterable[Cell]) -> str:
    return " & ".join(_latex_cell(cell) for cell in cells) + " \\\\"


def _latex_cell(cell: Cell) -> str:
    text = escape_latex(cell.text)
    text = f"\\textbf{{{text}}}" if cell.is_best else text
    text = f"\\underline{{{text}}}" if cell.is_second else text
    mark = f"\\textsuperscript{{{cell.footnote}}}" if cell.footnote else ""
    small = f" {{\\scriptsize {escape_latex(cell.aside)}}}" if cell.aside else ""
    return text + mark + small
