"""Writes a figure with its data as CSV beside it; the same data gives the same bytes."""

import io
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from evals.scoring.results import csv_text, guard_cell
from reports.figures.style import styled
from streamchar_ref.core.files import write_atomically

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


def save_figure(figure: Figure, stem: Path, data: pd.DataFrame) -> list[Path]:
    """Writes ``stem.pdf``, ``stem.png`` and ``stem.csv``.

    Args:
        figure: Drawn, and sized in inches.
        stem: Path without ending; its folder is made.
        data: What was drawn; text cells are guarded against formulas.

    Returns:
        The three files.
    """
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("pdf", "png", "csv")]
    for path, kind in zip(paths[:2], ("pdf", "png"), strict=True):
        write_atomically(path, figure_bytes(figure, kind))
    write_atomically(paths[2], data_csv(data).encode())
    return paths


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """Returns a figure as ``pdf``, ``svg`` or ``png`` bytes."""
    buffer = io.BytesIO()
    with styled():
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
