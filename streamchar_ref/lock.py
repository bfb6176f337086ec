"""One writer at a time in a folder, whatever becomes of the writer."""

import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from streamchar_ref.errors import InputError
from streamchar_ref.files import is_running


@contextmanager
def only_writer(folder: Path, *, verb: str) -> Iterator[None]:
    """Holds a folder; it is free again when the block or the process ends, however it ends.

    Args:
        folder: Made if it is not there, and taken away if nothing is written into it.
        verb: What is done in it, for the message and the name of the lock file.

    Yields:
        Nothing; no other process is in such a block with this folder.

    Raises:
        InputError: If another process holds it; names that process.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".{verb}.lock"
    file = _locked(path, folder, verb)
    try:
        file.write(json.dumps({"pid": os.getpid(), "host": platform.node()}))
        file.flush()
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()
        if is_new and not any(folder.iterdir()):
            folder.rmdir()


def _locked(path: Path, folder: Path, verb: str) -> TextIO:
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _owner(file)
            file.close()
            if not _is_orphaned(owner):
                who = f"process {owner['pid']} on {owner['host']}" if owner else "another process"
                raise InputError(
                    f"{folder}: {who} does '{verb}' there already; wait until it ends, or choose "
                    "another --out"
                ) from None
            path.unlink(missing_ok=True)
            continue
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            file.truncate(0)
            return file
        file.close()  # its last owner removed it between opening and locking


def _owner(file: TextIO) -> dict[str, Any]:
    file.seek(0)
    try:
        return dict(json.loads(file.read()))
    except ValueError:  # it has just begun
        return {}


def _is_orphaned(owner: dict[str, Any]) -> bool:
    """Whether the owner is dead, and only a process that it started keeps the lock."""
    if owner.get("host") != platform.node():
        return False
    return not is_running(owner["pid"])
