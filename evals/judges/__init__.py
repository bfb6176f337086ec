"""Judges: small networks trained on the drawn world, whose weights travel with the package.

Each has a file with its network and its training; `streamchar judges train NAME` makes its weights
anew. They are for the domain ``world`` only, and never serve as a loss for what they judge.
"""

import json
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from streamchar_ref.weights import WeightsMissing

WEIGHTS = Path(__file__).parent / "weights"


def judge_path(name: str) -> Path:
    """Returns the file with a judge's weights.

    Args:
        name: Of the judge, e.g. ``sync_world``.

    Returns:
        A safetensors file.

    Raises:
        WeightsMissing: If it is not there; says how to make it.
    """
    path = WEIGHTS / f"{name}.safetensors"
    if not path.is_file():
        raise WeightsMissing(
            f"no weights of the judge {name!r}; make them: streamchar judges train {name}"
        )
    return path


@cache
def judge_digest(name: str) -> str:
    """Returns the SHA-256 of a judge's weights; empty if they are not there."""
    path = WEIGHTS / f"{name}.safetensors"
    return sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


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
