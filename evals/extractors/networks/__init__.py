"""Networks behind the extractors, and the weights of the judges, which travel with the package.

A judge is a small network trained on the drawn world; `evals.judges` trains it anew. Judges are for
the domain ``world`` only, and never serve as a loss for what they judge.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from streamchar_ref.core.files import read_json, sha256_of, write_atomically
from streamchar_ref.weights import verify_file

WEIGHTS = Path(__file__).parent / "weights"
PINS = Path(__file__).parent / "sha256.json"
"""Judge -> sha256 of its weights, written by `streamchar judges train`."""


def judge_path(name: str) -> Path:
    """Returns the file with a judge's weights.

    Args:
        name: Of the judge, e.g. ``sync_world``.

    Returns:
        A safetensors file.

    Raises:
        WeightsMissing: If it is not there; says how to get it.
        WeightsAltered: If it is not the pinned one.
    """
    path = WEIGHTS / f"{name}.safetensors"
    verify_file(
        path,
        judge_digest(name),
        name=f"judges/weights/{path.name}",
        remedy=f"install streamchar again, or train another: streamchar judges train {name}",
    )
    return path


def judge_digest(name: str) -> str:
    """Returns the pinned sha256 of a judge's weights; empty if there is none."""
    return _pins().get(name, "")


def pin_judge(name: str) -> None:
    """Pins the weights of a judge as they are now, after a training."""
    pins = _pins() | {name: sha256_of(WEIGHTS / f"{name}.safetensors")}
    write_atomically(PINS, (json.dumps(pins, indent=2, sort_keys=True) + "\n").encode())
    _pins.cache_clear()


@cache
def _pins() -> dict[str, str]:
    return read_json(PINS)


@cache
def judge_figures(name: str) -> dict[str, Any]:
    """Returns what was measured of a network on what it never saw; empty if it was not.

    Args:
        name: Of a judge, or of another network and the domain, e.g. ``dlib_world``.

    Returns:
        JSON values, which become part of the protocol of the metrics that rest on them.
    """
    path = WEIGHTS / f"{name}.json"
    figures: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return figures
