"""Runs inputs, each in a fork of this process, which has imported the program already.

Reads lines of JSON, ``{"name": ..., "folder": ...}``; answers each with an `Outcome` as JSON.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from random import Random

from tests.faults import base, judge
from tests.faults.generators import KINDS, NEED_TORCH, NEED_TRAINED
from tests.faults.process import (
    OUR_FAULT,
    adopt_orphans,
    forked,
    limit,
    one,
    orphans,
    watched,
)  # fmt: skip
from tests.faults.scenes import SCENES
from tests.faults.scenes.stage import Stage
from tests.faults.trial import Ended, Outcome, Trial

LIMIT_S = 45.0
_IMPORTED_LATE = ("av", "evals.extractors.appearance", "evals.extractors.phonemes", "pydantic")
"""What verbs import when they need it, and each fork would import anew."""
_RESULT = "ended.json"


def main() -> None:
    """Answers requests until its input ends."""
    adopt_orphans()
    home = Path(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for entry in entry_points(group="streamchar.commands"):
        entry.load()
    for name in _IMPORTED_LATE:
        import_module(name)
    os.fsync = lambda handle: None  # nothing turns the power off
    for line in sys.stdin:
        request = json.loads(line)
        kind, _, number = request["name"].rpartition("-")
        built = home / ("trained" if kind in NEED_TRAINED else "base")
        if kind in NEED_TORCH:
            import_module("streamchar_ref.train.run")  # seconds, in every fork without it
        if not built.exists():
            _build(built)
        folder = Path(request["folder"])
        folder.mkdir(parents=True)
        outcome = Outcome(name=request["name"])
        start = time.monotonic()
        try:
            if kind in SCENES:
                SCENES[kind](Stage(Random(outcome.name), int(number), folder, built, outcome))
                orphans()
            else:
                run(outcome, folder, built)
        except Exception:  # one that we cannot make must not end the others
            outcome.findings.append(("other", f"not run: {traceback.format_exc()[-1000:]}"))
        outcome.seconds = round(time.monotonic() - start, 2)
        answers.write(json.dumps(outcome.as_json()) + "\n")
        answers.flush()


def _build(built: Path) -> None:
    def task() -> None:
        base.write_files(built)
        commands = base.TRAINED if built.name == "trained" else base.COMMANDS
        _run(Trial(note="", commands=commands), built)

    status, _ = watched(forked(task, built), 600)
    ended = _ended(built)
    if status or [each.code for each in ended] not in ([0, 1, 1, 0], [0]):
        raise RuntimeError(f"the base could not be made: {status} {ended}")
    for name in (_RESULT, "trial.json", "command.json"):
        (built / name).unlink()


def run(outcome: Outcome, folder: Path, built: Path) -> None:
    """Makes an input and runs it.

    Args:
        outcome: Has the name; gets what came of it.
        folder: Empty; gets a folder ``work``.
        built: What `base` made.

    Raises:
        RuntimeError: If the input could not be made, or not be judged.
    """
    kind, _, number = outcome.name.rpartition("-")
    work = folder / "work"

    def task() -> None:
        base.copy(built, work)
        _run(KINDS[kind](Random(f"{kind}-{int(number)}"), work), work)

    status, outcome.memory_mb = watched(forked(task, work), LIMIT_S, work / "trial.json")
    if status == OUR_FAULT:
        raise RuntimeError("it could not be made or judged")
    outcome.ended = _ended(work)
    told = _told(work / "trial.json")
    outcome.note = told.get("note", "")
    outcome.findings = [(column, words) for column, words in told.get("findings", [])]
    outcome.findings += _after(folder, status, is_long=bool(told.get("patience_s")))


def _after(folder: Path, status: int | None, *, is_long: bool) -> list[tuple[str, str]]:
    """Judges how the process ended, and what it left."""
    left, last = orphans(), _last_command(folder / "work")
    if status is None:
        return [] if is_long else [("hangs", f"more than {LIMIT_S:g} s: {last}")]
    found = []
    if status:
        ended = f"signal {-status}" if status < 0 else f"code {status}"
        found.append(("tracebacks", f"the process ended with {ended}: {last}"))
    files = _left_files(folder)
    if left:
        found.append(("other", f"processes left behind: {', '.join(left)}"))
    if files:
        found.append(("other", f"files left behind: {', '.join(files)}"))
    return found


def _run(trial: Trial, work: Path) -> None:
    told = {"note": trial.note, "patience_s": trial.patience_s}
    (work / "trial.json").write_text(json.dumps(told))
    os.chdir(work)
    limit(trial.memory_mb)
    ended: list[Ended] = []
    for number, command in enumerate(trial.commands):
        (work / "command.json").write_text(json.dumps(command))
        ended.append(one(command, work.parent / f"{work.name}-{number}"))
        (work / _RESULT).write_text(json.dumps([each.__dict__ for each in ended]))
    found = judge.findings(trial, ended, work)
    (work / "trial.json").write_text(json.dumps({**told, "findings": found}))


def _left_files(folder: Path) -> list[str]:
    """Names what was to be gone when a command ends."""
    temporary = (folder / "tmp").iterdir()
    partial = (path for path in (folder / "work").rglob("*") if ".part" in path.name)
    return sorted(path.name for path in (*temporary, *partial))[:3]


def _ended(work: Path) -> list[Ended]:
    told: Callable[[str], list[dict[str, object]]] = json.loads
    path = work / _RESULT
    if not path.is_file():
        return []
    return [Ended(**{**e, "command": tuple(e["command"])}) for e in told(path.read_text())]  # type: ignore[arg-type]


def _told(path: Path) -> dict[str, object]:
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def _last_command(work: Path) -> str:
    path = work / "command.json"
    return " ".join(json.loads(path.read_text())) if path.is_file() else "while it was made"


if __name__ == "__main__":
    main()
