"""Command lines in forks of this process: their environment, limits, output and end."""

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
from pathlib import Path

from streamchar_ref.cli import main as streamchar
from tests.faults.trial import Ended
from tests.forks import fork

OUR_FAULT = 99
_SUBREAPER = 36
_MB = 1 << 20


def adopt_orphans() -> None:
    """Makes this process the parent of whatever its children leave behind."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1)


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


def forked(task: Callable[[], None], work: Path) -> int:
    """Runs a task in a fork, in an environment of its own; returns the fork's number."""
    pid = fork()
    if pid:
        return pid
    code = OUR_FAULT
    try:
        os.setsid()
        os.environ.update(environment(work))
        (work.parent / "tmp").mkdir(parents=True, exist_ok=True)
        tempfile.tempdir = None  # as it was found before the variables were set
        task()
        code = 0
    except BaseException:  # whatever it is, this process must not return into the loop
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def limit(memory_mb: int) -> None:
    """Limits memory, beyond what this process has already, and the size of files."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + memory_mb * _MB
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_files(512 * _MB)


def limit_files(size: int) -> None:
    """Limits the size of files; a larger one fails with EFBIG, as on a full disk with ENOSPC."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def one(command: Sequence[str], where: Path) -> Ended:
    """Runs one command line in this process.

    Args:
        command: Arguments of ``streamchar``.
        where: Files with this name and the suffixes ``.out`` and ``.err`` keep what it prints.

    Returns:
        How it ended.
    """
    files = [where.with_name(where.name + suffix) for suffix in (".out", ".err")]
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
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            stream.flush()
    out, err = (path.read_text(encoding="utf-8", errors="replace") for path in files)
    return Ended(command=tuple(command), code=code, out=out[:1_000_000], err=err[:1_000_000])


def watched(pid: int, limit_s: float, told: Path | None = None) -> tuple[int | None, int]:
    """Waits for a fork.

    Args:
        pid: Its number.
        limit_s: After which it is killed.
        told: File in which it may say, as ``patience_s``, that it may be stopped before.

    Returns:
        Exit status, negative for a signal, ``None`` for one that was stopped; largest memory, MB.
    """
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
            patience_s = json.loads(told.read_text() or "{}").get("patience_s") or limit_s
            end = min(end, told.stat().st_mtime - time.time() + time.monotonic() + patience_s)
        if time.monotonic() > end and not is_late:
            is_late = True
            os.killpg(pid, signal.SIGKILL)
        time.sleep(0.005)


def orphans() -> list[str]:
    """Ends what a fork has left behind; names those that do not end by themselves."""
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
