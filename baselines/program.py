"""A program while it runs: what it prints is kept within bounds, and nothing it starts stays.

What a program leaves behind is found in three ways: by its session, by a mark in the environment,
which daemons inherit too, and, on Linux, as an orphan that is handed to this process for as long
as a program runs (``PR_SET_CHILD_SUBREAPER``), should the environment have been cleared.
"""

import atexit
import ctypes
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_WRITE, DefaultSelector
from typing import IO

LOG_BYTES = 32_768
"""Kept of the beginning of what is printed, and as much of its end."""
LOG_LINES = 60
_MARK = "STREAMCHAR_PROGRAM"
_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_KILL_S = 5.0
_PROC = Path("/proc")


class Program:
    """Starts a program in a session of its own.

    Args:
        words: Program and arguments.
        signal_line: A line that `has_signalled` waits for.
        takes_lines: Whether `send` is used; else it reads nothing.

    Raises:
        OSError: If it cannot be started.
        ValueError: If a word holds a null character.
    """

    def __init__(
        self, words: Sequence[str], *, signal_line: str = "", takes_lines: bool = False
    ) -> None:
        self._token = secrets.token_hex(8)
        self._earlier = {one.pid for one in _processes() if one.parent == os.getpid()}
        environment = {**os.environ, _MARK: f"{os.environ.get(_MARK, '')}.{self._token}"}
        _adopt(self)
        try:
            self._process = subprocess.Popen(
                words,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.PIPE if takes_lines else subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,
                env=environment,
            )
            if self._process.stdin is not None:
                os.set_blocking(self._process.stdin.fileno(), False)
        except BaseException:
            _release(self)
            raise
        assert self._process.stdout is not None, "a pipe was asked for"
        self._log = _Log(self._process.stdout, signal_line)

    def has_ended(self) -> bool:
        """Whether the program itself has come to its end; what it started may go on."""
        return self._process.poll() is not None

    def has_signalled(self) -> bool:
        """Whether it has printed its signal line."""
        return self._log.has_signal

    def send(self, line: str, *, timeout_s: float) -> None:
        """Writes a line to its standard input.

        Args:
            line: Without its end.
            timeout_s: Longest time that it may take to read what does not fit into the pipe.

        Raises:
            OSError: If it no longer reads.
            TimeoutError: If it has not read in time; part of the line may be lost then.
        """
        pipe = self._process.stdin
        assert pipe is not None, "it was started with takes_lines"
        rest = total = memoryview(f"{line}\n".encode())
        deadline = time.monotonic() + timeout_s
        with DefaultSelector() as room:
            room.register(pipe, EVENT_WRITE)
            while rest:
                if not room.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError(
                        f"after {timeout_s:g} s it has not read {len(rest):,} of {len(total):,} "
                        "bytes; a program must read its standard input line by line"
                    )
                rest = rest[os.write(pipe.fileno(), rest) :]

    @property
    def status(self) -> int | None:
        """Exit status; negative for a signal, ``None`` while it runs."""
        return self._process.returncode

    def stop(self) -> None:
        """Kills the program and all that it has started; does nothing the second time."""
        if not self.has_ended():
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            with suppress(OSError):  # what was not read is not missed
                self._process.stdin.close()
        deadline = time.monotonic() + _KILL_S
        while (left := self._left_behind()) and time.monotonic() < deadline:
            for pid in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
                with suppress(ChildProcessError):  # an orphan that was handed to us
                    os.waitpid(pid, os.WNOHANG)
        self._log.close()
        _release(self)

    def log(self) -> str:
        """First and last lines of what was printed, all of it once the program is stopped."""
        lines = self._log.text().splitlines()
        if len(lines) > LOG_LINES:
            first, last = LOG_LINES // 4, LOG_LINES - LOG_LINES // 4
            lines = [*lines[:first], f"... {len(lines) - LOG_LINES} lines ...", *lines[-last:]]
        return "\n".join(lines)

    def _left_behind(self) -> list[int]:
        running = _processes()
        here = next((one.session for one in running if one.pid == os.getpid()), 0)
        found: set[int] = set()
        for one in running:
            mark = _mark_of(one.pid)
            is_orphan = one.parent == os.getpid() and one.pid not in self._earlier
            if (
                one.session == self._process.pid
                or self._token in mark
                or (is_orphan and not mark and one.session != here)
            ):
                found.add(one.pid)
        while grown := {one.pid for one in running if one.parent in found} - found:
            found |= grown
        return sorted(found - {os.getpid()})


class _Log:
    """Drains a pipe, keeps the beginning and the end of what comes out, and sees a signal line."""

    def __init__(self, pipe: IO[bytes], signal_line: str = "") -> None:
        self._pipe = pipe
        self._signal = f"\n{signal_line}\n".encode() if signal_line else b""
        self._last = b"\n"  # as much of the end as a signal line may have begun in
        self.has_signal = False
        self._head, self._tail, self._dropped = bytearray(), bytearray(), 0
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        while piece := os.read(self._pipe.fileno(), LOG_BYTES):
            room = LOG_BYTES - len(self._head)
            self._head += piece[:room]
            self._tail += piece[room:]
            surplus = max(0, len(self._tail) - LOG_BYTES)
            self._dropped += surplus
            del self._tail[:surplus]
            self._look_for_signal(piece)

    def _look_for_signal(self, piece: bytes) -> None:
        if self._signal and not self.has_signal:
            seen = (self._last + piece).replace(b"\r\n", b"\n")
            self.has_signal = self._signal in seen
            self._last = seen[-len(self._signal) :]

    def close(self) -> None:
        """Waits for what is still in the pipe, unless somebody holds its other end for ever."""
        self._thread.join(_KILL_S)
        if not self._thread.is_alive():
            self._pipe.close()

    def text(self) -> str:
        """What is kept, and how much is not."""
        gap = f"\n... {self._dropped} bytes ...\n".encode() if self._dropped else b""
        return (bytes(self._head) + gap + bytes(self._tail)).decode(errors="replace")


@dataclass(frozen=True)
class _Process:
    pid: int
    parent: int
    session: int


def _processes() -> list[_Process]:
    """Processes of this machine that have not ended; none where there is no ``/proc``."""
    found = []
    for folder in _PROC.iterdir() if _PROC.is_dir() else ():
        if not folder.name.isdecimal():
            continue
        with suppress(OSError):  # ended meanwhile
            # The name, in parentheses, may hold anything: proc(5), /proc/pid/stat.
            state, parent, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if state != "Z" or int(parent) == os.getpid():
                found.append(_Process(int(folder.name), int(parent), int(session)))
    return found


def _mark_of(pid: int) -> str:
    try:
        variables = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:  # ended, or somebody else's
        return ""
    start = f"{_MARK}=".encode()
    return next((os.fsdecode(each) for each in variables if each.startswith(start)), "")


_running: set[Program] = set()


def _adopt(program: Program) -> None:
    """Has orphans handed to this process while any program runs."""
    _running.add(program)
    _set_subreaper(is_on=True)


def _release(program: Program) -> None:
    _running.discard(program)
    _set_subreaper(is_on=bool(_running))


def _set_subreaper(*, is_on: bool) -> None:
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_SET_CHILD_SUBREAPER, int(is_on), 0, 0, 0)


@atexit.register
def _stop_all() -> None:
    """Also what an interrupted stream has left running."""
    for program in list(_running):
        program.stop()
