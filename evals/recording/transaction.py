"""The results of a scoring as one transaction: they appear in the run together, or not at all.

All files are written into a hidden folder, which takes the name ``.results`` when it is complete:
that rename is the commit. Then they are moved to their places. A kill before the commit leaves
nothing that counts; after it, whoever writes next moves the rest, and readers look there first.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import partial_path, remove, remove_abandoned, sync, sync_folder
from streamchar_ref.core.lock import only_writer

T = TypeVar("T")

RESULTS = ("scores.jsonl", "windows.csv", "summary.json", "run.json")
"""What readers need of a scoring."""
LOG = "errors.txt"
"""Tracebacks; an empty one is taken away."""
RECORDINGS = "recordings"
WAIT_S = 120.0
_COMMITTED = ".results"
_ATTEMPTS = 20


@contextmanager
def results_of(run: Path, *, verb: str) -> Iterator[None]:
    """Holds the results of a run, and finishes or removes what a kill has left of earlier ones.

    Args:
        run: Run folder; made if it is not there.
        verb: Who holds them, for the message to others.

    Yields:
        Nothing; nobody else reads and writes results in such a block.

    Raises:
        InputError: If another process does not let go of them within `WAIT_S`.
    """
    with only_writer(run, verb=verb, part="score", wait_s=WAIT_S):
        remove_abandoned(run, deep=False)
        _move_into_place(run)
        yield


@contextmanager
def committing(run: Path) -> Iterator[Path]:
    """Replaces results; to be used within `results_of`.

    Args:
        run: Run folder.

    Yields:
        A folder to write results to, under their names. They are on the disk and in the run when
        the block ends; an exception leaves the run as it was.
    """
    staging = partial_path(run / "results")
    try:
        staging.mkdir()
        yield staging
        sync(staging)
        staging.replace(run / _COMMITTED)
        sync_folder(run)
    finally:
        remove(staging)
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
    """Moves results to their places if a kill came between; for those who write none."""
    if (run / _COMMITTED).is_dir():
        with results_of(run, verb=verb):
            pass


def place_of(run: Path, name: str) -> Path:
    """Where the newest version of a file of a run lies, whether or not there is one."""
    committed = run / _COMMITTED / name
    return committed if os.path.lexists(committed) else run / name


def missing_from(run: Path) -> list[str]:
    """Names what should be there beside scores and is not: earlier versions wrote file by file."""
    if not place_of(run, "scores.jsonl").is_file():
        return []
    return [name for name in RESULTS if not place_of(run, name).is_file()]


def consistently(runs: Sequence[Path], read: Callable[[], T]) -> T:
    """Reads results of one and the same scoring, without a lock: also on a read-only disk.

    Args:
        runs: Run folders.
        read: Reads files of theirs at `place_of`; called again if they were replaced meanwhile.

    Returns:
        What ``read`` gave.

    Raises:
        InputError: If they are replaced again and again.
    """
    return steadily(lambda: [_stamp(run, name) for run in runs for name in RESULTS], read)


def steadily(stamp: Callable[[], object], read: Callable[[], T]) -> T:
    """Reads until what is read has not been replaced meanwhile.

    Args:
        stamp: Stands for what is there.
        read: Called again if the stamp has changed, also where it has failed.

    Returns:
        What ``read`` gave.

    Raises:
        InputError: If the stamp changes again and again.
    """
    for _ in range(_ATTEMPTS):
        before = stamp()
        try:
            found = read()
        except (OSError, ValueError):
            if stamp() == before:
                raise
            continue
        if stamp() == before:
            return found
    raise InputError("files are being replaced while they are read; try again in a moment")


def _stamp(run: Path, name: str) -> tuple[Path, int, int, int] | None:
    """Changes when a file is replaced, and when it is moved away under a reader's hands."""
    for path in (run / _COMMITTED / name, run / name):
        try:
            found = path.stat()
        except OSError:  # who reads it says what is wrong
            continue
        return (path, found.st_ino, found.st_size, found.st_mtime_ns)
    return None
