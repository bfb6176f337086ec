"""Tables of the English front end, from ``english.json``."""

import json
from importlib.resources import files
from typing import Any

PHONES = (
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH",
    "IH", "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH",
    "UW", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
"""ARPAbet without stress."""
TABLES: dict[str, Any] = json.loads(
    files("streamchar_ref.world").joinpath("english.json").read_text(encoding="utf-8")
)
