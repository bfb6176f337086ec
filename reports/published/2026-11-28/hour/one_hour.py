"""Prints a suite of one prompt: fourteen passages of ``long_horizon``, said by its first person."""

import json
import sys
from pathlib import Path

import evals.suites

rows = Path(evals.suites.SUITES / "long_horizon.jsonl").read_text().splitlines()
passages = [json.loads(row) for row in rows[:14]]
text = " ".join(passage["transcript"] for passage in passages)
hour = passages[0] | {"prompt_id": "hour", "transcript": text, "groups": {"style": "mixed"}}
sys.stdout.write(json.dumps(hour) + "\n")
