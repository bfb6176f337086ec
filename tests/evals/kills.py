"""Processes that are killed at a chosen write, rename or sync, and what they leave."""

import os
import pathlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from tests.forks import fork

KILLED, FAILED = 9, 1


def killed_at_each_step(work: Callable[[], object], begin: Callable[[], object]) -> Iterator[int]:
    """Runs ``work`` in processes that end at their first, second, ... change to the disk.

    Args:
        work: What is to be interrupted.
        begin: Makes the state that it starts from, before each process.

    Yields:
        The number of the step, after each process that was killed.
    """
    for step in count(1):
        begin()
        status = in_child(partial(_interrupted, work, step))
        if status == 0:
            assert step > 5, "nothing was interrupted"
            return
        assert status == KILLED
        yield step


def in_child(work: Callable[[], object]) -> int:
    """Runs ``work`` in a process of its own; returns its exit status."""
    pid = started(work)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def started(work: Callable[[], object]) -> int:
    """Starts ``work`` in a process of its own; returns its number."""
    pid = fork()
    if pid:
        return pid
    try:
        work()
    except BaseException:
        os._exit(FAILED)
    os._exit(0)


def tree(folder: Path) -> dict[str, bytes | None]:
    """All that a folder holds, hidden files too; folders without content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def _interrupted(work: Callable[[], object], step: int) -> None:
    _die_at(step)
    work()


def _die_at(step: int) -> None:
    left = [step]

    def is_last() -> bool:
        left[0] -= 1
        return left[0] == 0

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if is_last():
                os._exit(KILLED)
            return function(*arguments, **options)

        return call

    def write_bytes(path: Path, content: bytes) -> int:
        ends = is_last()
        with path.open("wb") as file:
            file.write(content[: len(content) // 2] if ends else content)
        if ends:
            os._exit(KILLED)
        return len(content)

    for name in ("fsync", "replace", "rename", "unlink", "rmdir", "mkdir", "link"):
        setattr(os, name, dying(getattr(os, name)))
    pathlib.Path.write_bytes = write_bytes  # type: ignore[method-assign, assignment]
