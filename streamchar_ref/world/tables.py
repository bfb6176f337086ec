"""Tables of the English front end, from ``english.json``."""

import json
from importlib.resources import files
from typing import Any

TABLES: dict[str, Any] = json.loads(
    files("streamchar_ref.world").joinpath("english.json").read_text(encoding="utf-8")
)
