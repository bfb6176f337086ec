"""Writes a figure with its data and its caption beside it; the same data gives the same bytes."""

import io
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from evals.scoring.results import csv_text, guard_cell
from reports.figures.style import styled
from streamchar_ref.core.files import write_atomically
from streamchar_ref.core.names import visible

WIDTH = 100
"""Letters of a line of a caption."""

# No dates and no versions: the same data is the same file.
_METADATA: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A finished figure.

    Attributes:
        name: For files: kind, metric and suite.
        title: What it shows.
        caption: How to read it.
        figure: Sized in inches.
        data: What was drawn.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    data: pd.DataFrame


def save_figure(drawn: Drawn, folder: Path) -> list[Path]:
    """Writes ``NAME.pdf``, ``.png``, its data as ``.csv``, and title and caption as ``.txt``.

    Args:
        drawn: Sized in inches; text cells of its data are guarded against formulas.
        folder: Where to; it is made.

    Returns:
        The four files.
    """
    words = f"{drawn.title}. {drawn.caption}"
    content = {
        "pdf": figure_bytes(drawn.figure, "pdf"),
        "png": figure_bytes(drawn.figure, "png"),
        "csv": data_csv(drawn.data).encode(),
        "txt": (textwrap.fill(visible(words), WIDTH, break_long_words=False) + "\n").encode(),
    }
    for ending, what in content.items():
        write_atomically(folder / f"{drawn.name}.{ending}", what)
    return [folder / f"{drawn.name}.{ending}" for ending in content]


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """Returns a figure as ``pdf``, ``svg`` or ``png`` bytes; it is laid out the first time only."""
    buffer = io.BytesIO()
    with styled():
        if isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):  # slower than drawing
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
        figure.savefig(buffer, format=kind, metadata=_METADATA[kind])
    return buffer.getvalue()


def data_csv(data: pd.DataFrame) -> str:
    """Returns a frame as CSV in full precision, text cells and heads guarded."""
    head = [guard_cell(str(name)) for name in data.columns]
    rows = data.astype(object).where(data.notna(), None).itertuples(index=False)
    return csv_text([head, *([_cell(value) for value in row] for row in rows)])


def _cell(value: object) -> str:
    if value is None:
        return ""
    return guard_cell(value) if isinstance(value, str) else str(value)
