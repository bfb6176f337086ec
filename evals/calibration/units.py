"""Measurements by clip, fault and dose, in an append-only file."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from evals.calibration.response import Value
from evals.features.cache import TrackKeys
from evals.scoring.results import dump_json
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import has_file, parse_json
from streamchar_ref.core.shape import NonNegative, fault_in

CLEAN = "clean"


@dataclass(frozen=True, order=True)
class Unit:
    """One clip with one fault at one dose; the fault ``clean`` leaves it unchanged."""

    clip: str
    fault: str
    dose: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Measurements of one unit.

    Attributes:
        realised: Dose that was realised.
        keys: Keys of its cached features, by track.
        values: Protocol hash -> value.
        error: Why the fault cannot be applied to the clip.
    """

    realised: float = math.nan
    keys: TrackKeys = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)
    error: str = ""


class _Line(TypedDict):
    """Fields of one line; null is NaN."""

    clip: str
    fault: str
    dose: float | None
    realised: float | None
    keys: dict[str, str]
    values: dict[str, tuple[float | None, NonNegative, str]]
    error: str


def read_units(path: Path) -> dict[Unit, Measured]:
    """Reads all units; later lines replace earlier ones, a truncated line is ignored.

    Args:
        path: A file of `append_unit`, which may not exist.

    Returns:
        The measurements.

    Raises:
        InputError: If a line is JSON, but not of the expected form.
    """
    measured = {}
    for number, line in enumerate(
        path.read_bytes().split(b"\n") if has_file(path) else (), start=1
    ):
        try:
            entry = parse_json(line)
        except ValueError:
            continue
        fault = fault_in(entry, _Line)
        if fault:
            raise InputError(
                f"{path}, line {number}: damaged, {fault}; delete the line to measure it again"
            )
        unit = Unit(entry["clip"], entry["fault"], _number(entry["dose"]))
        values = {
            digest: Value(value=_number(value), weight=weight, reason=reason)
            for digest, (value, weight, reason) in entry["values"].items()
        }
        measured[unit] = Measured(
            realised=_number(entry["realised"]),
            keys=entry["keys"],
            values=values,
            error=entry["error"],
        )
    return measured


def append_unit(path: Path, unit: Unit, measured: Measured) -> None:
    """Appends one line."""
    entry = {
        "clip": unit.clip,
        "fault": unit.fault,
        "dose": _plain(unit.dose),
        "realised": _plain(measured.realised),
        "keys": dict(measured.keys),
        "values": {
            digest: [_plain(value.value), value.weight, value.reason]
            for digest, value in measured.values.items()
        },
        "error": measured.error,
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(dump_json(entry) + "\n")


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
