"""What a reader of another harness's file returns, and how numbers and names in it are read."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals.protocols.base import MetricWindow, Status
from evals.protocols.tool import Tool, ToolMetric
from evals.recording.jsonl import check_folder_length, check_folder_name
from evals.scoring.results import SET_ID
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import read_bytes


@dataclass(frozen=True, kw_only=True)
class ImportedValue:
    """One number of a file.

    Attributes:
        tool: That made it.
        metric: Of the tool.
        sample_id: Of the video or sound; ``*`` if the number is of all of them together.
        system: What made the sample, if the file says; else empty.
        part: Part of the tool's benchmark, if it has several; else empty.
        seed: Which of several takes.
        value: ``None`` if there is none.
        weight: Share in the mean.
        status: Whether there is a value, or why not.
        reason: Why there is none.
        components: What else the file says of it.
        windows: The number over playing time, where the file has it.
    """

    tool: Tool
    metric: ToolMetric
    sample_id: str
    system: str = ""
    part: str = ""
    seed: int = 0
    value: float | None
    weight: float = 1.0
    status: Status = "computed"
    reason: str = ""
    components: Mapping[str, Any] = field(default_factory=dict)
    windows: tuple[MetricWindow, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImportedFile:
    """What a file holds.

    Attributes:
        values: Of all samples and metrics.
        totals: Metric here -> the mean that the file itself states.
        left_out: Key in the file -> why it was not taken.
    """

    values: Sequence[ImportedValue]
    totals: Mapping[str, float] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file of results."""
    return hashlib.sha256(read_bytes(path)).hexdigest()


def text_of(path: Path) -> str:
    """Reads a file of results; raises `InputError` if it is not UTF-8 text or is not there."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error})") from error


def loaded(text: str) -> Any:
    """Parses JSON as Python's own writer makes it, with NaN and Infinity; raises ``ValueError``."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def number(value: Any) -> float | None:
    """Returns a number or truth value as a float; ``None`` for anything else."""
    if isinstance(value, bool | int | float):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    return None


def judged(value: float) -> dict[str, Any]:
    """Returns the fields of a number that may not be finite.

    Args:
        value: As the file has it.

    Returns:
        ``value``, and ``status`` and ``reason`` where it is none: NaN is a fault of the tool's, an
        infinite ratio is no number that could be averaged.
    """
    if math.isnan(value):
        reason = "the file says NaN"
        return {"value": None, "weight": 0.0, "status": "evaluator_failure", "reason": reason}
    if math.isinf(value):
        reason = f"the file says {value}, which has no mean"
        return {"value": None, "weight": 0.0, "status": "not_applicable", "reason": reason}
    return {"value": value}


def check_sample_id(place: str, sample_id: Any) -> str:
    """Returns a name of a sample; raises `InputError` if no folder of a run could bear it."""
    check_folder_name(place, "sample", sample_id)
    check_folder_length(place, "sample", sample_id)
    return str(sample_id)


def check_unique(path: Path, values: Sequence[ImportedValue]) -> None:
    """Refuses a file that has two numbers for one place."""
    seen: set[tuple[Any, ...]] = set()
    for one in values:
        key = (one.system, one.part, one.sample_id, one.seed, one.metric.name)
        if key in seen:
            what = "all samples" if one.sample_id == SET_ID else f"{one.sample_id!r}"
            raise InputError(
                f"{path}: two values of {one.metric.key} for {what}; samples need names of "
                "their own"
            )
        seen.add(key)
