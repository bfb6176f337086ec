"""What all scenes share: commands in forks with something in their way, and trees of files."""

import errno
import importlib
import json
import os
import resource
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from tests.faults import base, judge
from tests.faults.process import OUR_FAULT, forked, limit_files, one, watched
from tests.faults.scenes.trees import tree
from tests.faults.trial import Ended, Outcome
from tests.forks import fork

LIMIT_S = 60.0
WRITES = (
    "open",
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "fsync",
)
"""Events of Python's audit at which a command can be stopped; reading a file is none of them."""
_NEEDS_NO_ROOM = ("os.remove", "os.rmdir")


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command that writes a folder.

    Attributes:
        before: Commands that go before it, undisturbed.
        command: The command.
        again: What takes it up again, if not the same.
        out: What it writes.
        times: Whether times are in it, see `tests.faults.scenes`.
        is_once: Whether it refuses a folder that is whole.
    """

    before: tuple[tuple[str, ...], ...] = ()
    command: tuple[str, ...]
    again: tuple[str, ...] = ()
    out: str
    times: bool = False
    is_once: bool = False

    @property
    def resumed(self) -> tuple[str, ...]:
        """The command that is given after a disturbance."""
        return self.again or self.command


TRAIN = (
    "train", "prompt", "--preset", "tiny", "--steps", "3", "--max-minutes", "1e6", "--jobs", "1",
    "--out", "fresh",
)  # fmt: skip
SCORE = ("score", "run", "--metrics", "rtf,exposure_drift,colour_drift", "--jobs", "1", "--native")
FEW = ("--metrics", base.METRICS, "--jobs", "1")
JOBS: dict[str, Job] = {
    "record": Job(
        command=("record", "toy.py:Toy", "--suite", "suite.jsonl", "--out", "fresh"), out="fresh"
    ),
    "score": Job(command=SCORE, out="run"),
    "score_manifest": Job(
        command=("score", "--manifest", "videos.jsonl", "--out", "fresh", *FEW),
        out="fresh",
    ),
    "merge": Job(command=("merge", "run", "--out", "fresh"), out="fresh", is_once=True),
    "report": Job(command=("report", "run", "--out", "pages/page.html"), out="pages"),
    "train": Job(command=TRAIN, again=(*TRAIN, "--resume"), out="fresh", times=True),
}  # fmt: skip


@dataclass(kw_only=True)
class Obstacle:
    """What happens to a command.

    Attributes:
        kill_at: Number of the write before which it is killed, from 1.
        kill_after_s: Seconds after which it is killed.
        full_at: Number of the write from which on the disk is full.
        full_for: How many writes fail.
        largest_file: Bytes.
        wait_for: Pipe whose end it waits for before it begins.
        count_to: File that gets the number of its writes.
    """

    kill_at: int = 0
    kill_after_s: float = 0.0
    full_at: int = 0
    full_for: int = 1 << 60
    largest_file: int = 0
    wait_for: int = -1
    count_to: Path | None = None


class Stage:
    """One scene: a folder of its own, commands that are run in it, and what is found.

    Args:
        rng: Decides what happens.
        number: Of the scene.
        folder: Empty.
        built: What `base` made.
        outcome: Gets note, ends and findings.
    """

    expected: "dict[str, tuple[dict[str, str], int, float, list[int | None]]]" = {}  # noqa: RUF012
    """Job -> tree, number of writes, seconds and exit codes of an undisturbed run."""

    def __init__(
        self, rng: Random, number: int, folder: Path, built: Path, outcome: Outcome
    ) -> None:
        self.rng = rng
        self.number = number
        self.folder = folder
        self.work = folder / "work"
        self.built = built
        self.outcome = outcome
        self.num_started = 0

    def begin(self, job: Job) -> None:
        """Gives the scene its files, and runs what goes before the job."""
        base.copy(self.built, self.work)
        for command in job.before:
            self.finish(self.start(command))

    def start(self, command: Sequence[str], obstacle: Obstacle | None = None) -> "Running":
        """Starts a command in the working folder."""
        self.num_started += 1
        where = self.folder / f"{self.num_started}"

        def task() -> None:
            os.chdir(self.work)
            _even_clocks()
            _put_in_the_way(obstacle or Obstacle(), self.work)
            ended = one(command, where)
            limit_files(resource.RLIM_INFINITY)
            where.with_suffix(".json").write_text(json.dumps(ended.__dict__))

        return Running(pid=forked(task, self.work), command=tuple(command), where=where)

    def finish(self, running: "Running", limit_s: float = LIMIT_S) -> Ended | None:
        """Waits for a command; ``None`` if it was killed."""
        status, _ = watched(running.pid, limit_s)
        if status == OUR_FAULT:
            raise RuntimeError(f"{self.outcome.name} could not be run: {running.err()[-2000:]}")
        told = running.where.with_suffix(".json")
        if status is None and limit_s == LIMIT_S:
            self.find("hangs", f"more than {LIMIT_S:g} s: {' '.join(running.command)}")
        if not told.is_file():
            return None
        ended = Ended(**{**json.loads(told.read_text()), "command": running.command})
        self.outcome.ended.append(ended)
        return ended

    def finish_well(self, running: "Running", code: int | None, *, is_once: bool = False) -> None:
        """Waits for a command that must end as it does when nothing disturbs it.

        Args:
            running: The command.
            code: With which it must end.
            is_once: Whether it may find that nothing is left to do, and end with 2.
        """
        ended = self.finish(running)
        if ended is None:
            self.find("tracebacks", f"ended by a signal: {' '.join(running.command)}")
        elif ended.code != code:
            self.judge(ended)
            said = ended.err.strip().splitlines()[-1:] or [""]
            if not (is_once and ended.code == 2 and "already" in said[0]):
                self.find("lost samples", f"exit {ended.code} in place of {code}: {said[0]:.200}")

    def judge(self, ended: Ended | None) -> None:
        """Judges how a disturbed command ended."""
        if ended is not None:
            self.outcome.findings += judge.of_one(ended)

    def find(self, column: str, words: str) -> None:
        """Notes a finding."""
        self.outcome.findings.append((column, words))

    def undisturbed(
        self, name: str, job: Job
    ) -> "tuple[dict[str, str], int, float, list[int | None]]":
        """Returns tree, number of writes, seconds and exit codes of a job that nothing disturbs."""
        if name not in self.expected:
            scratch = self.built.parent / f"expected-{name}"
            scratch.mkdir()
            other = Stage(self.rng, 0, scratch, self.built, Outcome(name=name))
            other.begin(job)
            counted = scratch / "count"
            start = _now()
            ended = other.finish(other.start(job.command, Obstacle(count_to=counted)))
            seconds = _now() - start
            if ended is None or ended.code not in (0, 1):
                raise RuntimeError(f"{name} does not work undisturbed: {ended}")
            seen = tree(other.work / job.out, times=job.times)
            codes = [each.code for each in other.outcome.ended]
            self.expected[name] = (seen, int(counted.read_text()), seconds, codes)
        return self.expected[name]

    def compare(self, wanted: dict[str, str], job: Job) -> None:
        """Notes what differs from an undisturbed run."""
        found = tree(self.work / job.out, times=job.times)
        for words, names in (
            ("missing", [name for name in wanted if name not in found]),
            ("too many", [name for name in found if name not in wanted]),
            ("different", [n for n in wanted if n in found and wanted[n] != found[n]]),
        ):
            if names:
                self.find("lost samples", f"{words}: {_plain(names)}")


@dataclass(kw_only=True)
class Running:
    """A command in a fork.

    Attributes:
        pid: Of the fork.
        command: Its arguments.
        where: Beginning of the names of files with what it said.
    """

    pid: int
    command: tuple[str, ...]
    where: Path
    seen: list[str] = field(default_factory=list)

    def err(self) -> str:
        """What it wrote to stderr."""
        path = self.where.with_name(self.where.name + ".err")
        return path.read_text(errors="replace") if path.is_file() else ""


def _plain(names: Sequence[str]) -> str:
    shown = ["(a partial file)" if ".part" in name else name for name in names]
    return ", ".join(dict.fromkeys(shown[:4])) + (
        f" and {len(names) - 4} more" if len(names) > 4 else ""
    )


def _now() -> float:
    return os.times().elapsed


def _put_in_the_way(obstacle: Obstacle, work: Path) -> None:
    if obstacle.wait_for >= 0:
        os.read(obstacle.wait_for, 1)
    if obstacle.kill_after_s:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        _kill_after(obstacle.kill_after_s)
    if obstacle.largest_file:
        limit_files(obstacle.largest_file)
    if not (obstacle.kill_at or obstacle.full_at or obstacle.count_to):
        return
    inside = str(work.resolve())
    writes = count(1)

    def at_write(path: object, event: str) -> None:
        number = next(writes)
        if number == obstacle.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        is_full = obstacle.full_at and 0 <= number - obstacle.full_at < obstacle.full_for
        if is_full and event not in _NEEDS_NO_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        if obstacle.count_to is not None:
            counted[0] = number

    counted = [0]
    fsync = os.fsync

    def noticed_fsync(handle: int) -> None:
        at_write("fsync", "fsync")
        fsync(handle)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event in WRITES and _is_write(event, arguments, inside):
            at_write(arguments[0], event)

    os.fsync = noticed_fsync
    sys.addaudithook(audit)
    if obstacle.count_to is not None:
        _write_at_end(obstacle.count_to, counted)


def _is_write(event: str, arguments: tuple[Any, ...], inside: str) -> bool:
    """Whether an event changes something in the working folder."""
    path = arguments[0]
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    if event == "open" and not int(arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        return False
    return os.path.abspath(os.fsdecode(path)).startswith(inside)


def _write_at_end(path: Path, counted: list[int]) -> None:
    import tests.faults.scenes.stage as stage

    run = stage.one

    def counting(command: Sequence[str], where: Path) -> Ended:
        ended = run(command, where)
        path.write_text(str(counted[0]))
        return ended

    stage.one = counting  # in this fork alone


def _kill_after(seconds: float) -> None:
    pid = os.getpid()
    if fork() == 0:
        try:
            import time

            time.sleep(seconds)
            os.kill(pid, signal.SIGKILL)
        finally:
            os._exit(0)


def _even_clocks() -> None:
    """Gives recording a clock that ticks by 10 ms at each look, and training one of minutes.

    Training then keeps its state after every step.
    """
    ticks = count()
    record: Any = importlib.import_module("evals.recording.record")
    for function in (record.record, record.record_one):
        if "clock" in (function.__kwdefaults__ or {}):
            function.__kwdefaults__["clock"] = lambda: next(ticks) / 100
    loop: Any = sys.modules.get("streamchar_ref.loop.fit")
    if loop is not None:
        loop.fit.__kwdefaults__["clock"] = lambda: next(ticks) * 200.0
