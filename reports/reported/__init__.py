"""Published tables as data: numbers that others report, never measured here.

A file of this folder holds one table. Nothing ranks, marks or tests these numbers: another
recogniser, crop or reference set makes other ones of the same video.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from evals.protocols.info import Direction
from reports.numbers import NOT_APPLICABLE
from reports.render import Cell, Grid, grid_latex, grid_markdown
from streamchar_ref.core.errors import InputError

FOLDER = Path(__file__).parent
RELIABILITY = {
    "P": "the authors' own publication",
    "S2": "two or more secondary sources that agree",
    "S1": "one secondary source",
}
"""Where numbers were read, from the surest on."""


@dataclass(frozen=True, kw_only=True)
class ReportedColumn:
    """A metric as its paper names it.

    Attributes:
        label: Name.
        unit: Empty for plain numbers.
        direction: Which values are better, as the paper has it.
    """

    label: str
    unit: str
    direction: Direction

    @property
    def head(self) -> str:
        """Name, arrow and unit."""
        unit = f"[{self.unit}]" if self.unit else ""
        return " ".join(filter(None, (self.label, self.direction.arrow, unit)))


@dataclass(frozen=True, kw_only=True)
class ReportedTable:
    """A published table.

    Attributes:
        name: By which it is asked for.
        paper: Title.
        arxiv: Number of the paper.
        url: Page or code; may be empty.
        table: Which one of the paper.
        protocol: How the numbers were made, as far as the paper says.
        reliability: A key of `RELIABILITY`.
        read_from: Where the numbers were read.
        columns: Metrics.
        rows: System and its numbers as printed; empty where there is none.
    """

    name: str
    paper: str
    arxiv: str
    url: str
    table: str
    protocol: str
    reliability: str
    read_from: str
    columns: tuple[ReportedColumn, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def grid(self) -> Grid:
        """The table with its cells in print order, none of them bold."""
        head = ("system", *(column.head for column in self.columns))
        source = (
            f"Source: arXiv {self.arxiv}, {self.table}. Read from: {self.read_from} "
            f"({self.reliability}: {RELIABILITY[self.reliability]}). Check against the paper "
            "before citing."
        )
        return Grid(
            caption=f"Reported, not measured here: {self.paper}, {self.table}",
            head=tuple(Cell(text=name) for name in head),
            rows=tuple(
                (Cell(text=f"{system} (reported)"), *(_cell(value) for value in values))
                for system, *values in self.rows
            ),
            notes=(f"Protocol, as the paper says: {self.protocol}.", source),
        )


def reported_tables(names: str) -> list[ReportedTable]:
    """Chooses published tables.

    Args:
        names: Comma-separated; ``all`` for every table.

    Returns:
        The tables, in the order given.

    Raises:
        InputError: If there is no table of that name.
    """
    every = _every()
    found = []
    for name in every if names == "all" else filter(None, names.split(",")):
        if name not in every:
            near = get_close_matches(name, every, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(every)}"
            raise InputError(f"no reported table {name!r}; {hint}")
        found.append(every[name])
    return found


def reported_markdown(tables: Sequence[ReportedTable]) -> str:
    """Prints tables below a rule, as Markdown."""
    return "".join(f"\n---\n\n{grid_markdown(table.grid)}" for table in tables)


def reported_latex(tables: Sequence[ReportedTable]) -> str:
    """Prints tables as LaTeX, each a float of its own below a rule; needs ``booktabs``."""
    rule = "\n\\par\\noindent\\rule{\\linewidth}{0.4pt}\n"
    return "".join(f"{rule}{grid_latex(table.grid)}" for table in tables)


def listing() -> list[dict[str, Any]]:
    """Says what there is, for ``streamchar ls reported``."""
    return [
        {
            "name": table.name,
            "paper": table.paper.partition(":")[0],
            "table": table.table,
            "arxiv": table.arxiv,
            "reliability": table.reliability,
            "systems": len(table.rows),
        }
        for table in _every().values()
    ]


def _cell(value: str) -> Cell:
    return Cell(text=value or NOT_APPLICABLE)


@cache
def _every() -> dict[str, ReportedTable]:
    return {path.stem: read_reported(path) for path in sorted(FOLDER.glob("*.toml"))}


def read_reported(path: Path) -> ReportedTable:
    """Reads one file.

    Args:
        path: A TOML file with the fields of `ReportedTable` but ``name``.

    Returns:
        The table.

    Raises:
        InputError: If fields, columns or rows are not as they must be.
    """
    try:
        entry = tomllib.loads(path.read_text("utf-8"))
        columns = tuple(
            ReportedColumn(label=label, unit=unit, direction=Direction(better or "none"))
            for label, unit, better in entry.pop("columns")
        )
        rows = tuple(tuple(map(str, row)) for row in entry.pop("rows"))
        table = ReportedTable(name=path.stem, columns=columns, rows=rows, **entry)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: no table of reported numbers: {error}") from error
    for row in rows:
        if len(row) != len(columns) + 1:
            raise InputError(f"{path}: {row[0]} has {len(row) - 1} of {len(columns)} numbers")
    if table.reliability not in RELIABILITY:
        raise InputError(f"{path}: reliability is one of {', '.join(RELIABILITY)}")
    return table
