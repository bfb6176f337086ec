"""LaTeX tables for a paper: label, caption, the width of a venue's column, nothing empty."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from evals.scoring.summary_table import escape_latex
from reports.figures.style import WIDTHS_IN
from reports.tables import Table

_NARROW_IN = 4.0
_LATIN_END = 0x24F
"""Last sign of the Latin letters that LaTeX's own fonts have."""


@dataclass(frozen=True, kw_only=True)
class Paper:
    r"""How a table stands in a paper.

    Attributes:
        label: Argument of ``\label``; made from suite and domain if empty.
        caption: Its first sentence, as plain text; suite and numbers of samples follow.
        width: A name of `reports.figures.style.WIDTHS_IN`; the line's own width if empty.
    """

    label: str = ""
    caption: str = ""
    width: str = ""

    @property
    def is_narrow(self) -> bool:
        """Whether intervals stand below their numbers, as a column has no room beside them."""
        return bool(self.width) and WIDTHS_IN[self.width] < _NARROW_IN

    @property
    def width_tex(self) -> str:
        """The largest width as a length."""
        return f"{WIDTHS_IN[self.width]:g}in" if self.width else "\\linewidth"

    @property
    def environment(self) -> str:
        """``table*`` where the table spans both columns of a page."""
        return "table*" if self.width.endswith("_page") else "table"


PLAIN = Paper()
"""Label and caption made from the table, as wide as a line."""


def float_of(
    tabulars: Sequence[str], *, caption: str, notes: Sequence[str], name: str, paper: Paper
) -> str:
    r"""Wraps tabulars as one float; what is wider than the column is shrunk to it.

    Args:
        tabulars: One under the other.
        caption: What the table knows of itself.
        notes: Below, one a paragraph.
        name: Of the table, for a label of its own.
        paper: What the paper asks for.

    Returns:
        LaTeX source; the preamble needs ``booktabs`` and ``graphicx``.
    """
    own = paper.caption.rstrip()
    own += "." * bool(own and own[-1] not in ".!?")
    room = paper.width_tex
    fit = f"\\resizebox{{\\ifdim\\width>{room} {room}\\else\\width\\fi}}{{!}}{{%\n"
    body = "\n\\par\\medskip\n".join(f"{fit}{text}}}" for text in tabulars)
    below = [
        f"\\par\\smallskip\\parbox{{{room}}}{{\\raggedright\\footnotesize {text}}}"
        for text in map(escape_latex, notes)
    ]
    lines = [
        "% needs \\usepackage{booktabs,graphicx}",
        f"\\begin{{{paper.environment}}}[t]",
        "\\centering\\small",
        f"\\caption{{{escape_latex(f'{own} {caption}'.strip())}}}",
        f"\\label{{{_label(paper.label or f'tab:{name}')}}}",
        body,
        *below,
        f"\\end{{{paper.environment}}}",
        "",
    ]
    text = "\n".join(lines)
    is_foreign = any(ord(sign) > _LATIN_END for sign in text)
    return "% names in other scripts: compile with lualatex or xelatex\n" * is_foreign + text


def _label(text: str) -> str:
    r"""Leaves what ``\label`` and ``\ref`` take in any document."""
    return re.sub(r"[^A-Za-z0-9:.+/-]+", "-", text)


def without_empty(table: Table) -> tuple[Table, list[str]]:
    """Leaves out lines and systems without any value; failures stay, for they are results.

    Args:
        table: Of one suite and domain.

    Returns:
        The rest, and what was left out as a note; the table itself if nothing has a value.
    """
    lines = tuple(line for line in table.lines if not line.is_void)
    seen = {
        name
        for line in lines
        for name, row in line.cells.items()
        if row.value is not None or row.num_failed
    }
    systems = tuple(name for name in table.systems if name in seen)
    if not lines or not systems:
        return table, []
    gone = [line.label for line in table.lines if line.is_void]
    names = [*dict.fromkeys(gone), *(name for name in table.systems if name not in seen)]
    notes = [f"Left out, without any value here: {', '.join(names)}."] if names else []
    return replace(table, lines=lines, systems=systems), notes
