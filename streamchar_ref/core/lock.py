"""A lock that allows one writer at a time in a folder and is freed when its process dies."""

import fcntl
import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import parse_json

_POLL_S = 0.02
_HELD: set[tuple[int, int, int]] = set()  # process, device and inode of each lock file held
_TURN = threading.Lock()


@contextmanager
def only_writer(folder: Path, *, verb: str, part: str = "", wait_s: float = 0.0) -> Iterator[None]:
    """Locks a folder until the block or the process ends; child processes do not inherit the lock.

    Args:
        folder: Created if missing, and removed again if nothing was written into it.
        verb: What the holder does, for the message.
        part: Part of the folder that is locked, for the name of the lock file; by default
            ``verb``.
        wait_s: How long to wait for another holder, in seconds.

    Yields:
        Nothing; no other process or thread holds the same part of the folder.

    Raises:
        InputError: If another process holds it; names that process.
    """
    is_new = not folder.exists()
    path = folder / f".{part or verb}.lock"
    file = _acquire(path, verb, wait_s)
    try:
        yield
    finally:
        with _TURN:
            if _key_at(path) == _key_of(file):
                path.unlink(missing_ok=True)
            _HELD.discard(_key_of(file))
            file.close()
        if is_new:
            with suppress(OSError):  # not empty: the caller wrote into it
                folder.rmdir()


def _acquire(path: Path, verb: str, wait_s: float) -> BinaryIO:
    ends_s = time.monotonic() + wait_s
    while True:
        file_or_owner = _attempt(path, verb)
        if not isinstance(file_or_owner, str):
            return file_or_owner
        if time.monotonic() >= ends_s:
            waited = f" and has not ended in {wait_s:g} s" if wait_s else " already"
            raise InputError(
                f"{path.parent}: {file_or_owner} there{waited}; wait until it ends, or choose "
                "another --out"
            )
        time.sleep(_POLL_S)


def _attempt(path: Path, verb: str) -> BinaryIO | str:
    """Returns the locked file, or a description of the process that holds it.

    Locks of `fcntl.lockf` belong to a process: children do not inherit them. Closing any handle
    of the file releases them, so a file that this process has locked is not opened again.
    """
    with _TURN:
        while True:
            if _key_at(path) in _HELD:
                return f"process {os.getpid()} on {platform.node()} does {verb!r}"
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                file = path.open("a+b")
            except FileNotFoundError:  # the previous owner removed the empty folder
                continue
            try:
                if _lock(file, path, verb):
                    _HELD.add(_key_of(file))
                    return file
            except (BlockingIOError, PermissionError):
                owner = _owner(file, verb)
                file.close()
                return owner
            except BaseException:
                file.close()
                raise
            file.close()  # the previous owner removed it between opening and locking


def _lock(file: BinaryIO, path: Path, verb: str) -> bool:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if _key_at(path) != _key_of(file):
        return False
    file.truncate(0)
    file.write(json.dumps({"pid": os.getpid(), "host": platform.node(), "verb": verb}).encode())
    file.flush()
    return True


def _owner(file: BinaryIO, verb: str) -> str:
    file.seek(0)
    try:
        record = parse_json(file.read(4096))
    except ValueError:  # not written yet, or overwritten by another program
        record = {}
    pid, host = record.get("pid"), record.get("host")
    does = f"does {str(record.get('verb', verb))!r:.60}"
    if not isinstance(pid, int) or not isinstance(host, str):
        return f"another process {does}"
    return f"process {pid} on {host} {does}"


def _key_at(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (os.getpid(), status.st_dev, status.st_ino)


def _key_of(file: BinaryIO) -> tuple[int, int, int]:
    status = os.fstat(file.fileno())
    return (os.getpid(), status.st_dev, status.st_ino)
