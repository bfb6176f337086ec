"""The log of a stage: a row of numbers every few steps, for people and their plots."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from streamchar_ref.core.files import write_atomically
from streamchar_ref.loop.parallel import DistContext

LOG = "log.csv"


def add_row(folder: Path, row: Mapping[str, float]) -> None:
    """Appends a row to the log.

    Args:
        folder: Of the stage.
        row: Numbers by column. The first row names the columns; where a later one lacks some of
            them, it has NaN there.
    """
    path = folder / LOG
    is_new = not path.is_file()
    columns = [*row] if is_new else _columns(path)
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval=math.nan)
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def _columns(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file))


def keep_rows(folder: Path, step: int) -> None:
    """Drops what is after a step, and what a kill left half-written: it will be written again.

    Args:
        folder: Of the stage.
        step: The last one whose row stays; with 0, there is no log afterwards.
    """
    path = folder / LOG
    if not step or not path.is_file() or not path.stat().st_size:
        path.unlink(missing_ok=True)
        return
    text = path.read_text("utf-8", errors="replace")
    if "\n" not in text:  # not even its columns are whole
        path.unlink()
        return
    rows = [line.split(",") for line in text.splitlines()]  # numbers, and names without commas
    header = rows[0] if rows else []
    kept = [row for row in rows[1:] if len(row) == len(header) and _is_kept(row, step)]
    if len(kept) < len(rows) - 1 or not text.endswith("\n"):
        content = "".join(",".join(row) + "\r\n" for row in [header, *kept])
        write_atomically(path, content.encode())


def _is_kept(row: Sequence[str], step: int) -> bool:
    return row[0].isdecimal() and int(row[0]) <= step


def means_of(rows: Sequence[Mapping[str, float]], processes: DistContext) -> dict[str, float]:
    """Averages over steps and processes.

    Args:
        rows: Of this process, at least one; a row may lack columns that others have.
        processes: All must call it, with the same columns.

    Returns:
        Means by column, whatever is NaN left out; NaN where nothing is left.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    values = [
        [row[name] for row in rows if not math.isnan(row.get(name, math.nan))] for name in names
    ]
    sums = processes.total([sum(numbers) for numbers in values])
    counts = processes.total([len(numbers) for numbers in values])
    return {
        name: total / count if count else math.nan
        for name, total, count in zip(names, sums, counts, strict=True)
    }
