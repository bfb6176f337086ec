"""Prints a suite of one prompt: fourteen passages of ``long_horizon``, said by its first person."""

import json
from pathlib import Path

import evals.suites

rows = Path(evals.suites.SUITES / "long_horizon.jsonl").read_text().splitlines()
passages = [json.loads(row) for row in rows[:14]]
hour = passages[0] | {"prompt_id": "hour", "transcript": " ".join(p["transcript"] for p in passages)}
print(json.dumps(hour | {"groups": {"style": "mixed"}}))
