"""Run folders in which a file, or several, are not what was written."""

import shutil
from pathlib import Path
from random import Random

from tests.faults.generators import mangle
from tests.faults.trial import Trial

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("table", "run"),
    ("table", "run", "--json"),
    ("table", "run", "--format", "csv"),
    ("table", "run", "--format", "latex"),
    ("compare", "run", "--out", "compared"),
    ("merge", "run", "--out", "merged"),
    ("merge", "run", "again", "--out", "merged"),
    ("report", "run", "--out", "page.html"),
    ("plot", "run", "--kind", "bars", "--out", "figures"),
    ("plot", "run", "--kind", "all", "--out", "figures"),
    ("record", "toy.py:Toy", "--suite", "suite.jsonl", "--out", "run"),
    ("record", "toy.py:Failing", "--suite", "suite.jsonl", "--out", "run", "--retry-failed"),
)
SCORE = ("score", "run", "--metrics", "rtf,exposure_drift", "--jobs", "1", "--native")


def run_folder(rng: Random, work: Path) -> Trial:
    """A run of two systems with one or two damaged files, given to one or two commands."""
    run = work / "run"
    files = sorted(path for path in run.rglob("*") if path.is_file())
    texts = [path for path in files if path.suffix in (".json", ".jsonl", ".csv", ".txt")]
    tops = [path for path in texts if path.parent == run]
    notes = []
    for _ in range(rng.choice((1, 1, 2))):
        draw = rng.random()
        chosen = rng.choice(tops if draw < 0.5 else texts if draw < 0.85 else files)
        if chosen.is_file() and not chosen.is_symlink():
            notes.append(mangle.mangle(rng, chosen))
    if rng.random() < 0.08:
        folders = sorted(path for path in run.rglob("*") if path.is_dir())
        notes.append(mangle.replace_folder(rng, rng.choice(folders)))
    samples = sorted({path.parents[1] for path in files if path.name == "meta.json"})
    there = [path for path in samples if any(path.glob("*/*"))]
    commands = [rng.choice(COMMANDS)]
    if "again" in commands[0]:
        shutil.copytree(run, work / "again", symlinks=True)
    if rng.random() < 0.5:
        commands.append(SCORE)
    if rng.random() < 0.2:
        commands.append(("table", "run"))
    return Trial(
        note="; ".join(notes),
        commands=tuple(commands),
        samples=tuple(f"{path.parents[1].name}/{path.name}" for path in there),
        metrics=("rtf", "exposure_drift"),
        scores="run/scores.jsonl",
    )
