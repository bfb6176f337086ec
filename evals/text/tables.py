"""Tables for verbalising English text, from ``spoken.json``."""

import json
from importlib.resources import files
from typing import Any

TABLES: dict[str, Any] = json.loads(
    files("evals.text").joinpath("spoken.json").read_text(encoding="utf-8")
)
