"""The tables behind the reading of English text, as read from ``spoken.json``."""

import json
from importlib.resources import files
from typing import Any

TABLES: dict[str, Any] = json.loads(
    files("evals.text").joinpath("spoken.json").read_text(encoding="utf-8")
)
