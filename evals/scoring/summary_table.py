"""A summary as one table for a notebook or a paper: a line for each system and metric."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise

from evals.protocols.info import Direction
from evals.scoring.hashes import systems_by_hash, told_apart
from evals.scoring.summary import SummaryRow
from streamchar_ref.core.names import visible

HEADS = ("system", "suite", "metric", "value", "95 % interval", "unit", "better", "n", "coverage")
_NUMBERS = frozenset({"value", "95 % interval", "n", "coverage"})


def summary_html(rows: Sequence[SummaryRow]) -> str:
    """Returns an HTML table; what has no value says why under the pointer."""
    head = "".join(f"<th>{escape(name)}</th>" for name in HEADS)
    lines = [
        f'<tr title="{escape("; ".join(row.reasons))}">'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for row, cells in zip(rows, _lines(rows), strict=True)
    ]
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def summary_text(rows: Sequence[SummaryRow]) -> str:
    """Returns a table in columns of plain text."""
    lines = [HEADS, *_lines(rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def summary_latex(rows: Sequence[SummaryRow]) -> str:
    """Returns a LaTeX table; the preamble needs ``booktabs``."""
    columns = "".join("r" if name in _NUMBERS else "l" for name in HEADS)
    lines = [" & ".join(map(escape_latex, cells)) + " \\\\" for cells in (HEADS, *_lines(rows))]
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            f"\\begin{{tabular}}{{{columns}}}",
            "\\toprule",
            lines[0],
            "\\midrule",
            *lines[1:],
            "\\bottomrule",
            "\\end{tabular}",
            "",
        ]
    )


def _lines(rows: Sequence[SummaryRow]) -> list[tuple[str, ...]]:
    several = systems_by_hash(rows)
    return [_cells(row, told_apart(row, several)) for row in rows]


def _cells(row: SummaryRow, protocol: str) -> tuple[str, ...]:
    interval = ""
    if row.ci_low is not None and row.ci_high is not None:
        interval = f"[{row.ci_low:.4g}, {row.ci_high:.4g}]"
    apart = row.n_independent
    return (
        row.system,
        row.suite,
        protocol,
        _why_none(row) if row.value is None else f"{row.value:.4g}",
        interval,
        row.unit,
        "" if row.direction is Direction.NONE else row.direction.value,
        f"{row.size}" + ("" if apart in {None, row.n} else f" ({apart} independent)"),
        "" if row.coverage is None else f"{row.coverage:.3g}",
    )


def _why_none(row: SummaryRow) -> str:
    """Names the status of most rows without a value."""
    unscored = {status: n for status, n in row.counts.items() if n and status != "computed"}
    return max(unscored, key=lambda status: unscored[status], default="no value").replace("_", " ")


_LATEX = {
    "\\": "\\textbackslash{}",
    "{": "\\{",
    "}": "\\}",
    "&": "\\&",
    "%": "\\%",
    "$": "\\$",
    "#": "\\#",
    "_": "\\_",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    '"': "\\texttt{\\char34}",  # \\textquotedbl is not in every encoding
    "\N{UPWARDS ARROW}": "$\\uparrow$",
    "\N{DOWNWARDS ARROW}": "$\\downarrow$",
    "\N{RIGHTWARDS ARROW}": "$\\rightarrow$",
    "\N{MINUS SIGN}": "$-$",
    "\N{EN DASH}": "--",
    "\N{DAGGER}": "\\dag{}",
}
_LINE_ENDS = str.maketrans("\n\r\t", "   ")
_LIGATURES = frozenset({"--", "''", "``", ",,", "?`", "!`"})


def escape_latex(text: str) -> str:
    """Makes any text print as itself; line ends become spaces."""
    plain = visible(text.translate(_LINE_ENDS))
    # Neither ligatures, as of two hyphens, nor the option of a line end before.
    apart = ["{}" * ((before + sign) in _LIGATURES) for before, sign in pairwise(f" {plain}")]
    written = [gap + _LATEX.get(sign, sign) for gap, sign in zip(apart, plain, strict=True)]
    return "{}" * plain.startswith(("[", "*")) + "".join(written)
