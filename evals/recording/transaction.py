"""Writes the results of a scoring as one transaction.

All files are written to a hidden folder, which is renamed to ``.results`` when it is complete;
the rename is the commit. The files are then moved to their places. An interruption before the
commit leaves the run unchanged; after it, readers look in ``.results`` first and the next writer
moves the remaining files.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import remove, remove_abandoned, replacing, sync_folder
from streamchar_ref.core.lock import only_writer

T = TypeVar("T")

RESULTS = ("scores.jsonl", "windows.csv", "summary.json", "run.json")
"""Files that make up a complete scoring."""
LOG = "errors.txt"
"""Tracebacks; removed if empty."""
RECORDINGS = "recordings"
WAIT_S = 120.0
_COMMITTED = ".results"
_ATTEMPTS = 20


@contextmanager
def results_of(run: Path, *, verb: str) -> Iterator[None]:
    """Locks the results of a run, and completes or removes interrupted earlier ones.

    Args:
        run: Run folder; created if missing.
        verb: Name of the holder, for messages of other processes.

    Yields:
        Nothing; no other process writes results during the block.

    Raises:
        InputError: If another process holds them for longer than `WAIT_S`.
    """
    with only_writer(run, verb=verb, part="score", wait_s=WAIT_S):
        remove_abandoned(run, deep=False)
        _move_into_place(run)
        yield


@contextmanager
def committing(run: Path) -> Iterator[Path]:
    """Replaces the results of a run; used within `results_of`.

    Args:
        run: Run folder.

    Yields:
        Folder to write the files to. They are durable and part of the run when the block ends;
        an exception leaves the run unchanged.
    """
    with replacing(run / _COMMITTED, durable=True) as staging:
        staging.mkdir()
        yield staging
    _move_into_place(run)


def _move_into_place(run: Path) -> None:
    committed = run / _COMMITTED
    if not committed.is_dir():
        return
    log = committed / LOG
    if log.is_file() and not log.stat().st_size:
        (run / LOG).unlink(missing_ok=True)
        log.unlink()
    for name in (RECORDINGS, *RESULTS, LOG):
        if (committed / name).exists():
            (committed / name).replace(run / name)
    sync_folder(run)
    remove(committed)


def finish_results(run: Path, *, verb: str) -> None:
    """Completes an interrupted commit, for callers that write no results themselves."""
    if (run / _COMMITTED).is_dir():
        with results_of(run, verb=verb):
            pass


def place_of(run: Path, name: str) -> Path:
    """Returns the path of a run's newest version of a file, which may not exist."""
    committed = run / _COMMITTED / name
    return committed if os.path.lexists(committed) else run / name


def missing_from(run: Path) -> list[str]:
    """Names missing files of a scoring; earlier versions wrote the files one by one."""
    if not place_of(run, "scores.jsonl").is_file():
        return []
    return [name for name in RESULTS if not place_of(run, name).is_file()]


def consistently(runs: Sequence[Path], read: Callable[[], T]) -> T:
    """Reads results of a single scoring without a lock, so also from a read-only disk.

    Args:
        runs: Run folders.
        read: Reads their files at `place_of`; called again if they were replaced meanwhile.

    Returns:
        The result of ``read``.

    Raises:
        InputError: If the files keep being replaced.
    """
    return read_stable(lambda: [stamps_of(run) for run in runs], read)


def read_stable(stamp: Callable[[], object], read: Callable[[], T]) -> T:
    """Repeats a read until its files did not change meanwhile.

    Args:
        stamp: Identifies the state of the files.
        read: Called again if the stamp changed, also after an error.

    Returns:
        The result of ``read``.

    Raises:
        InputError: If the stamp keeps changing.
    """
    for _ in range(_ATTEMPTS):
        before = stamp()
        try:
            result = read()
        except (OSError, ValueError):
            if stamp() == before:
                raise
            continue
        if stamp() == before:
            return result
    raise InputError("files are being replaced while they are read; try again in a moment")


def stamps_of(run: Path) -> list[tuple[Path, int, int, int] | None]:
    """Returns what changes when a result file of a run is replaced or moved."""
    return [_stamp(run, name) for name in RESULTS]


def _stamp(run: Path, name: str) -> tuple[Path, int, int, int] | None:
    """Changes when a file is replaced or moved."""
    for path in (run / _COMMITTED / name, run / name):
        try:
            status = path.stat()
        except OSError:  # the reader will report the error
            continue
        return (path, status.st_ino, status.st_size, status.st_mtime_ns)
    return None
