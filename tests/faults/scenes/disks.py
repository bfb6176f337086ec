"""A disk that is full for a while, a file that may not grow, and a real disk of a few pages."""

import ctypes
import json
import os
import shutil
from pathlib import Path

from tests.faults.process import forked, watched
from tests.faults.scenes.stage import JOBS, Job, Obstacle, Stage

_NEW_NAMESPACE = 0x00020000
_PRIVATE = (1 << 14) | (1 << 18)  # MS_REC | MS_PRIVATE
_REMOUNT = 32


def full(name: str, stage: Stage) -> None:
    """Numbers in turn: from a write on, at one write, files that may not grow, a tiny disk.

    The command must end with 1 or 2 and one line, and once there is room, given again, leave what
    an undisturbed run leaves.

    Args:
        name: Of a job.
        stage: Its scene.
    """
    job = JOBS[name]
    wanted, num_writes, _, codes = stage.undisturbed(name, job)
    code = codes[-1]
    way, at = stage.number % 4, stage.number // 4
    if way == 3 and is_root():
        stage.outcome.note = "a disk of its own"
        _on_tiny_disk(stage, job, wanted, code)
        return
    obstacle = Obstacle(full_at=at % num_writes + 1, full_for=1 if way == 1 else 1 << 60)
    if way >= 2:
        obstacle = Obstacle(largest_file=stage.rng.choice((4000, 6000, 9000, 20_000)))
    stage.outcome.note = str({k: v for k, v in vars(obstacle).items() if v and k != "wait_for"})
    stage.begin(job)
    _disturbed(stage, job, obstacle, code)
    stage.finish_well(stage.start(job.resumed), code, is_once=job.is_once)
    stage.compare(wanted, job)


def _disturbed(stage: Stage, job: Job, obstacle: Obstacle, code: int | None) -> None:
    ended = stage.finish(stage.start(job.command, obstacle))
    stage.judge(ended)
    errors = [*(stage.work / job.out).rglob("error.txt")] if job.command[0] == "record" else []
    if errors:
        last = errors[0].read_text(errors="replace").strip().splitlines()[-1]
        stage.find("other", f"kept as the system's failure: {last:.150}")
    scores = stage.work / job.out / "scores.jsonl"
    if job.command[0] == "score" and scores.is_file():
        rows = [json.loads(line) for line in scores.read_text().splitlines()]
        failed = [row for row in rows if row["status"] == "generation_failure"]
        blamed = [row for row in failed if row["system"] != "failing"]
        if blamed:
            stage.find("other", f"kept as the system's failure: {blamed[0]['reason']:.150}")
    if ended is not None and ended.code == code == 0 and not obstacle.largest_file:
        stage.outcome.note += "; it ended with 0"


def is_root() -> bool:
    """Whether a disk can be mounted here; else files are limited instead."""
    return os.geteuid() == 0


def _on_tiny_disk(stage: Stage, job: Job, wanted: dict[str, str], code: int | None) -> None:
    """Runs the scene in a fork that alone sees the disk."""
    told = stage.folder / "told.json"

    def task() -> None:
        library = ctypes.CDLL(None, use_errno=True)
        if library.unshare(_NEW_NAMESPACE) or library.mount(b"none", b"/", None, _PRIVATE, None):
            told.write_text(json.dumps({"skipped": os.strerror(ctypes.get_errno())}))
            return
        stage.work.mkdir(parents=True)
        place = os.fsencode(stage.work)
        library.mount(b"tmpfs", place, b"tmpfs", 0, b"size=64m")
        for entry in stage.built.iterdir():
            _copied(entry, stage.work / entry.name)
        used = sum(path.stat().st_blocks for path in stage.work.rglob("*")) // 2
        room = used + stage.rng.choice((4, 8, 16, 32, 64, 128))
        library.mount(b"tmpfs", place, b"tmpfs", _REMOUNT, f"size={room}k".encode())
        stage.outcome.note += f" with room for {room - used} kB"
        _disturbed(stage, job, Obstacle(), code)
        library.mount(b"tmpfs", place, b"tmpfs", _REMOUNT, b"size=64m")
        stage.finish_well(stage.start(job.resumed), code, is_once=job.is_once)
        stage.compare(wanted, job)
        told.write_text(json.dumps(stage.outcome.as_json()))

    status, _ = watched(forked(task, stage.work), 150)
    if not told.is_file():
        raise RuntimeError(f"{stage.outcome.name} could not be run on a disk of its own: {status}")
    outcome = json.loads(told.read_text())
    if "skipped" in outcome:
        stage.outcome.note = f"skipped: no disk can be mounted here ({outcome['skipped']})"
        return
    seen = type(stage.outcome).from_json(outcome)
    stage.outcome.note, stage.outcome.ended = seen.note, seen.ended
    stage.outcome.findings = seen.findings


def _copied(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target)
