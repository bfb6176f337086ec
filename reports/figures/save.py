"""Writes a figure with its data as CSV beside it; the same data gives the same bytes."""

import io
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from evals.content import write_atomically
from evals.results import guard_cell
from reports.figures.style import styled

# No dates and no versions: the same data is the same file.
_METADATA: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


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
    guarded = data.map(lambda cell: guard_cell(cell) if isinstance(cell, str) else cell)
    guarded.columns = [guard_cell(str(name)) for name in data.columns]
    return guarded.to_csv(index=False, lineterminator="\n")
