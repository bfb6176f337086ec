"""Scores on disk: rows, curves over playing time, and summaries, byte for byte repeatable.

``scores.jsonl`` holds a row for each sample, metric and protocol, also for what could not be
measured. ``windows.csv`` holds curves. ``summary.json`` holds means, intervals and counts with the
unit and direction of each metric, so that reports need no metric classes.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypedDict, get_args

import numpy as np

from evals.protocols.base import Score, Status
from streamchar_ref.core.collector import collector_paused
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import parse_json, read_bytes, write_atomically
from streamchar_ref.core.shape import fault_in

STATUSES: tuple[str, ...] = get_args(Status)
SET_ID = "*"
"""``sample_id`` of a metric on a whole set, such as ``fvd``."""
EVERY_SEED = -1
"""``seed`` of a metric on all takes of a prompt together, such as ``motion_diversity``."""
MEND = "take it from a copy, or delete it and score again"
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
csv.field_size_limit(2**31 - 1)  # names may be long


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """One metric under one protocol on one sample.

    Attributes:
        sample_id: Of the prompt or manifest line; ``*`` for a metric on the whole set.
        system: What made the sample.
        suite: Which prompts.
        seed: Of the generation; -1 for a metric on several takes of the prompt together.
        metric: Name of the metric.
        protocol: Name and version of its parameters.
        protocol_hash: Of all its parameters.
        domain: ``real`` or ``world``.
        value: In the metric's unit; ``None`` if unscored.
        weight: Share in the mean over samples.
        status: ``computed``, or why there is no value.
        reason: For a reader of the table; empty if computed.
        components: What the value was made of, as JSON values; NaN becomes ``None``.

    A row that claims to be computed but has no finite value becomes an evaluator failure.

    Raises:
        ValueError: If there is a value though the status says there is none, the status is
            unknown, or the weight is not a share.
    """

    sample_id: str
    system: str
    suite: str
    seed: int
    metric: str
    protocol: str
    protocol_hash: str
    domain: str
    value: float | None
    weight: float
    status: Status
    reason: str
    components: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._set(components=_jsonable(self.components))
        self._check()

    @classmethod
    def of_json(cls, entry: Mapping[str, Any]) -> "ScoreRow":
        """Makes a row of parsed JSON, whose components are plain values already.

        Args:
            entry: All fields; ``components`` may be missing.

        Returns:
            The row.
        """
        row = object.__new__(cls)
        row._set(**{"components": {}, **entry})
        row._check()
        return row

    def _check(self) -> None:
        value = None if self.value is None or math.isnan(self.value) else float(self.value)
        self._set(value=value, weight=float(self.weight))
        if self.status not in STATUSES:
            raise ValueError(f"{self.where}: unknown status {self.status!r}")
        if not 0 <= self.weight < math.inf:
            raise ValueError(f"{self.where}: weight {self.weight} is not a share")
        if self.status != "computed" and value is not None:
            raise ValueError(f"{self.where}: status {self.status} with value {value}")
        if self.status == "computed" and (value is None or math.isinf(value)):
            reason = self.reason or f"computed, but the value is {value}"
            self._set(value=None, status="evaluator_failure", reason=reason)

    def _set(self, **changes: Any) -> None:
        self.__dict__.update(changes)  # it is frozen for others

    @property
    def key(self) -> tuple[str, str, str, int, str, str, str]:
        """What no two rows of a file share; also their order."""
        sample = (self.system, self.suite, self.sample_id, self.seed)
        return (*sample, self.metric, self.protocol, self.protocol_hash)

    @property
    def where(self) -> str:
        """The row in words, for messages."""
        return f"{self.system}/{self.suite}/{self.sample_id}/{self.seed} {self.protocol}"


@dataclass(frozen=True, kw_only=True)
class WindowRow:
    """One metric on a stretch of one sample.

    Attributes:
        sample_id: As in `ScoreRow`.
        system: What made the sample.
        suite: Which prompts.
        seed: Of the generation.
        metric: Name of the metric.
        protocol: Name and version of its parameters.
        t0_s: Start in playing time.
        t1_s: End in playing time.
        value: In ``unit``; ``None`` if nothing could be measured there.
        quantity: What ``value`` is of: the metric's name, or see `evals.protocols.base.Curve`.
        unit: Of ``value``; empty if the file does not say.
    """

    sample_id: str
    system: str
    suite: str
    seed: int
    metric: str
    protocol: str
    t0_s: float
    t1_s: float
    value: float | None
    quantity: str = ""
    unit: str = ""

    def __post_init__(self) -> None:
        if not self.quantity:
            object.__setattr__(self, "quantity", self.metric)


def people_of(row: ScoreRow) -> tuple[str, ...]:
    """Returns the people among whom a face was ranked; nobody for other metrics."""
    return tuple(sorted(row.components.get("nearest") or ()))


def outcome(score: Score) -> dict[str, Any]:
    """Returns the fields of a row that come from ``score``: value, weight, status and so on."""
    return {
        "value": score.value,
        "weight": score.weight,
        "status": score.status,
        "reason": score.reason,
        "components": score.components,
    }


@collector_paused()
def write_scores(path: Path, rows: Iterable[ScoreRow]) -> None:
    """Writes rows in their order; the same rows give the same bytes, in whatever order they come.

    Args:
        path: A JSONL file; replaced in one step, so a reader never sees half of it.
        rows: Equal rows are written once.

    Raises:
        ValueError: If two different rows have the same key.
    """
    lines: dict[tuple[str, str, str, int, str, str, str], str] = {}
    for row in sorted(rows, key=lambda row: row.key):
        line = dump_json(vars(row))  # plain already: `asdict` would copy every component
        if lines.setdefault(row.key, line) != line:
            raise ValueError(f"two different rows for {row.where} #{row.protocol_hash}")
    write_atomically(path, "".join(line + "\n" for line in lines.values()).encode())


@collector_paused()
def read_scores(path: Path) -> list[ScoreRow]:
    """Reads what `write_scores` wrote.

    Args:
        path: A JSONL file.

    Returns:
        Rows in the order of the file.

    Raises:
        InputError: If a line is not a row; the message names file and line.
    """
    rows: dict[tuple[Any, ...], ScoreRow] = {}
    for number, line in enumerate(read_bytes(path).split(b"\n"), start=1):
        if not line:
            continue
        try:
            row = _row(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: damaged, {error}; {MEND}") from error
        if row.key in rows:
            raise InputError(f"{path}, line {number}: {row.where} is there twice; {MEND}")
        rows[row.key] = row
    return list(rows.values())


class _ReadComponents(TypedDict, total=False):
    """Components that summaries and figures read."""

    alignment: list[tuple[float | None, str]] | None
    ci_low: float | None
    ci_high: float | None


def _row(line: bytes) -> ScoreRow:
    entry = parse_json(line)
    fault = fault_in(entry, ScoreRow) or fault_in(entry["components"], _ReadComponents)
    if fault:
        raise ValueError(fault)
    if entry["status"] == "computed" and entry["value"] is None:
        raise ValueError("it is computed and has no value")
    return ScoreRow.of_json(entry)


def write_windows(path: Path, rows: Iterable[WindowRow]) -> None:
    """Writes curves as CSV in a fixed order; text cells are guarded by `guard_cell`."""
    names = [column.name for column in fields(WindowRow)]
    cells = [[_cell(getattr(row, name)) for name in names] for row in ordered_windows(rows)]
    write_atomically(path, csv_text([names, *cells]).encode())


_OLD_QUANTITIES = {
    "id_drift": "id_distance",
    "id_world_drift": "id_world_distance",
    "id_slope_per_min": "corrected id distance",
    "id_world_slope_per_min": "corrected id distance",
}


_WINDOW_ORDER = ("system", "suite", "sample_id", "seed", "metric", "protocol", "t0_s", "t1_s")


def ordered_windows(rows: Iterable[WindowRow]) -> list[WindowRow]:
    """Returns curves as a file holds them: in its order, and without NaN."""
    order = sorted(rows, key=lambda row: (*(getattr(row, name) for name in _WINDOW_ORDER),))
    return [
        replace(row, value=None) if row.value is not None and math.isnan(row.value) else row
        for row in order
    ]


def read_windows(path: Path) -> list[WindowRow]:
    """Reads what `write_windows` wrote; an empty value is ``None``.

    Older files do not say of what their values are; those that are not of the metric are known.

    Args:
        path: A CSV file.

    Returns:
        Rows in the order of the file.

    Raises:
        InputError: If a line is not a row; the message names file and line.
    """
    csv.field_size_limit(2**31 - 1)  # a name may be longer than Python's 128 KiB
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: damaged, not UTF-8 text ({error}); {MEND}") from error
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        names = _columns(next(lines, []))
        return [_window(dict(zip(names, cells, strict=True))) for cells in lines]
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}, line {lines.line_num}: damaged, {error}; {MEND}") from error


def _columns(names: list[str]) -> list[str]:
    columns = {column.name for column in fields(WindowRow)}
    lacking = sorted(columns - {"quantity", "unit"} - set(names))
    if lacking or len(set(names)) < len(names):
        raise ValueError(f"the column {lacking[0]!r} is missing" if lacking else "twin columns")
    return names


def csv_text(rows: Iterable[Iterable[str]]) -> str:
    """Returns CSV with line feeds; cells with a comma, quote or any line end are quoted.

    What UTF-8 cannot hold, lone surrogates, is escaped.
    """
    lines = []
    for row in rows:
        # The writer quotes the signs of its own line end, and a lone CR ends lines for readers.
        buffer = io.StringIO(newline="")
        csv.writer(buffer, lineterminator="\r\n").writerow(row)
        lines.append(buffer.getvalue().removesuffix("\r\n") + "\n")
    return "".join(lines).encode("utf-8", "backslashreplace").decode()


def guard_cell(text: str) -> str:
    """Keeps a spreadsheet from running a text cell as a formula.

    Text that starts with ``= + - @``, a tab or a carriage return gets a leading apostrophe, as
    does such text that has apostrophes before it already, so that `unguard_cell` can undo it.

    Args:
        text: Any text of a CSV file, e.g. a sample_id. Numbers are written as they are.

    Returns:
        What to write.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def unguard_cell(cell: str) -> str:
    """Undoes `guard_cell`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def dump_json(value: Any, *, indent: int | None = None) -> str:
    """Returns JSON with sorted keys, in ASCII, floats as ``repr`` gives them, and never NaN.

    Bytes of file names that are not UTF-8 become question marks.
    """
    text = json.dumps(value, sort_keys=True, allow_nan=False, indent=indent)
    if "\\ud" not in text:
        return text
    whole = json.dumps(value, ensure_ascii=False, allow_nan=False).encode(errors="replace")
    return json.dumps(json.loads(whole), sort_keys=True, indent=indent)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return guard_cell(value) if isinstance(value, str) else repr(value)


def _window(cells: Mapping[str, str]) -> WindowRow:
    names = ("sample_id", "system", "suite", "metric", "protocol", "quantity", "unit")
    texts = {name: unguard_cell(cells.get(name, "")) for name in names}
    empty = [name for name in names[:5] if not texts[name]]
    if empty:
        raise ValueError(f"{empty[0]} is empty")
    if not texts["quantity"]:
        texts["quantity"] = _OLD_QUANTITIES.get(texts["metric"], "")
    return WindowRow(
        **texts,
        seed=_whole(cells["seed"]),
        t0_s=_number(cells["t0_s"]),
        t1_s=_number(cells["t1_s"]),
        value=_number(cells["value"]) if cells["value"] else None,
    )


def _whole(cell: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", cell):
        raise ValueError(f"the seed {cell!r:.60} is no whole number")
    return int(cell)


def _number(cell: str) -> float:
    number = float(cell) if re.fullmatch(r"[-+0-9.e]{1,40}", cell) else math.nan
    if not math.isfinite(number):
        raise ValueError(f"{cell!r:.60} is no finite number")
    return number


def _jsonable(value: Any) -> Any:
    """Plain JSON values: numpy scalars and arrays unpacked, tuples as lists, NaN as ``None``."""
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _jsonable(value.tolist())
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
