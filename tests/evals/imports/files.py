"""Made-up results of other harnesses, and the command that imports them."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from evals.commands.import_results import app
from evals.imports.values import ImportedFile, ImportedValue

NAMES = [f"{number}" for number in range(1, 9)]


def vbench_file(path: Path, gain: float = 0.0, **more: Any) -> Path:
    entries = {
        "subject_consistency": [
            0.9,
            [{"video_path": f"v/{n}.mp4", "video_results": 0.9 + gain * int(n)} for n in NAMES],
        ],
        "imaging_quality": [
            0.5,
            [{"video_path": f"v/{n}.mp4", "video_results": 40 + 4 * int(n)} for n in NAMES],
        ],
    }
    path.write_text(json.dumps({**entries, **more}))
    return path


def versa_file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def by_sample(found: ImportedFile, metric: str) -> dict[str, ImportedValue]:
    return {one.sample_id: one for one in found.values if one.metric.name == metric}


def invoke(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    assert done.exit_code == 0, done.output
    return done.output
