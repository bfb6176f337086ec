"""Runs inputs, each in a fork of this process, which has imported the program already.

Reads lines of JSON, ``{"name": ..., "folder": ...}``; answers each with an `Outcome` as JSON.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from random import Random

from streamchar_ref.cli import main as streamchar
from tests.faults import base, judge
from tests.faults.generators import KINDS, NEED_TORCH, NEED_TRAINED
from tests.faults.trial import Ended, Outcome, Trial

LIMIT_S = 30.0
_SUBREAPER = 36
_MB = 1 << 20
_RESULT = "ended.json"
_OUR_FAULT = 99


def main() -> None:
    """Answers requests until its input ends."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1)  # what a dead child leaves behind becomes ours
    home = Path(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for entry in entry_points(group="streamchar.commands"):
        entry.load()
    for line in sys.stdin:
        request = json.loads(line)
        kind = request["name"].rpartition("-")[0]
        built = home / ("trained" if kind in NEED_TRAINED else "base")
        if kind in NEED_TORCH:
            import_module("streamchar_ref.train.run")  # seconds, in every fork without it
        if not built.exists():
            _build(built)
        outcome = run(request["name"], Path(request["folder"]), built)
        answers.write(json.dumps(outcome.as_json()) + "\n")
        answers.flush()


def _build(built: Path) -> None:
    def fill(folder: Path) -> Trial:
        base.write_files(folder)
        return Trial(note="", commands=base.TRAINED if folder.name == "trained" else base.COMMANDS)

    status, _ = _watched(_forked(fill, built), 600)
    ended = _ended(built)
    if status or [one.code for one in ended] not in ([0, 1, 1, 0], [0]):
        raise RuntimeError(f"the base could not be made: {status} {ended}")
    for name in (_RESULT, "trial.json", "command.json"):
        (built / name).unlink()


def run(name: str, folder: Path, built: Path) -> Outcome:
    """Makes an input and runs it.

    Args:
        name: Kind and number.
        folder: Does not exist yet; gets a folder ``work``.
        built: What `base` made.

    Returns:
        What came of it.
    """
    kind, _, number = name.rpartition("-")
    def fill(work: Path) -> Trial:
        base.copy(built, work)
        return KINDS[kind](Random(f"{kind}-{int(number)}"), work)

    work = folder / "work"
    folder.mkdir(parents=True)
    outcome = Outcome(name=name)
    start = time.monotonic()
    status, memory_mb = _watched(_forked(fill, work), LIMIT_S, work / "trial.json")
    if status == _OUR_FAULT:
        raise RuntimeError(f"{name} could not be made or judged")
    outcome.seconds = round(time.monotonic() - start, 2)
    outcome.memory_mb = memory_mb
    outcome.ended = _ended(work)
    told = json.loads((work / "trial.json").read_text()) if (work / "trial.json").is_file() else {}
    outcome.note = told.get("note", "")
    outcome.findings = [(column, words) for column, words in told.get("findings", [])]
    is_stopped = status is None and told.get("patience_s")
    if status is None and not is_stopped:
        outcome.findings.append(("hangs", f"more than {LIMIT_S:g} s: {_last_command(work)}"))
    elif status:
        ended = f"signal {-status}" if status < 0 else f"code {status}"
        outcome.findings.append(("tracebacks", f"the process ended with {ended}: {_last_command(work)}"))
    left = _orphans()
    if status is not None:
        files = _left_files(folder)
        outcome.findings += [("other", f"processes left behind: {', '.join(left)}")] * bool(left)
        outcome.findings += [("other", f"files left behind: {', '.join(files)}")] * bool(files)
    return outcome


def _forked(fill: Callable[[Path], Trial], work: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = _OUR_FAULT
    try:
        os.setsid()
        _run(fill, work)
        code = 0
    except BaseException:  # whatever it is, this process must not return into the loop
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _run(fill: Callable[[Path], Trial], work: Path) -> None:
    os.environ.update(environment(work))
    (work.parent / "tmp").mkdir(exist_ok=True)
    tempfile.tempdir = None  # as it was found before the variables were set
    trial: Trial = fill(work)
    told = {"note": trial.note, "patience_s": trial.patience_s}
    (work / "trial.json").write_text(json.dumps(told))
    os.chdir(work)
    _limit(trial.memory_mb)
    ended: list[Ended] = []
    for number, command in enumerate(trial.commands):
        (work / "command.json").write_text(json.dumps(command))
        ended.append(_one(command, work.parent / f"{work.name}-{number}"))
        (work / _RESULT).write_text(json.dumps([one.__dict__ for one in ended]))
    found = judge.findings(trial, ended, work)
    (work / "trial.json").write_text(json.dumps({**told, "findings": found}))


def environment(work: Path) -> dict[str, str]:
    """Keeps an input from the user's files and from the network; it has no weights."""
    folder = work.parent
    return {
        "HOME": str(folder),
        "STREAMCHAR_CACHE": str(work / "cache"),
        "STREAMCHAR_WEIGHTS": str(folder / "weights"),
        "MPLCONFIGDIR": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        "COLUMNS": "200",
        "NO_COLOR": "1",
    }


def _limit(memory_mb: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + memory_mb * _MB
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    largest = 512 * _MB
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def _one(command: Sequence[str], where: Path) -> Ended:
    files = [where.with_suffix(suffix) for suffix in (".out", ".err")]
    for handle, path in enumerate(files, start=1):
        fresh = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(fresh, handle)
        os.close(fresh)
    code: int | None = None
    sys.argv = ["streamchar", *command]
    try:
        streamchar()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:  # what a user would see as a traceback
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    out, err = (path.read_text(encoding="utf-8", errors="replace") for path in files)
    return Ended(command=tuple(command), code=code, out=out[-20_000:], err=err[-20_000:])


def _watched(pid: int, limit_s: float, told: Path | None = None) -> tuple[int | None, int]:
    """Waits for a child; ``None`` for one that had to be killed. And its largest memory, MB."""
    end = time.monotonic() + limit_s
    is_late = False
    looks = 0
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return None if is_late else code, usage.ru_maxrss >> 10
        looks += 1
        if told is not None and looks % 100 == 0 and told.is_file():
            patience_s = json.loads(told.read_text() or "{}").get("patience_s")
            end = min(end, told.stat().st_mtime - time.time() + time.monotonic() + (patience_s or limit_s))
        if time.monotonic() > end and not is_late:
            is_late = True
            os.killpg(pid, signal.SIGKILL)
        time.sleep(0.005)


def _orphans() -> list[str]:
    """Ends what a child has left behind; names those that do not end by themselves."""
    found: list[str] = []
    patience = time.monotonic() + 0.5
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid:
            continue
        if time.monotonic() > patience:
            path = Path(f"/proc/self/task/{os.getpid()}/children")
            for child in map(int, path.read_text().split()):
                words = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ")
                found.append(words.decode(errors="replace")[:80] or "a process")
                os.kill(child, signal.SIGKILL)
        time.sleep(0.01)


def _left_files(folder: Path) -> list[str]:
    """Names what was to be gone when a command ends."""
    temporary = (folder / "tmp").iterdir()
    partial = (path for path in (folder / "work").rglob("*") if ".part" in path.name)
    return sorted(path.name for path in (*temporary, *partial))[:3]


def _ended(work: Path) -> list[Ended]:
    path = work / _RESULT
    if not path.is_file():
        return []
    return [Ended(**{**one, "command": tuple(one["command"])}) for one in json.loads(path.read_text())]


def _last_command(work: Path) -> str:
    path = work / "command.json"
    return " ".join(json.loads(path.read_text())) if path.is_file() else "while it was made"


if __name__ == "__main__":
    main()
