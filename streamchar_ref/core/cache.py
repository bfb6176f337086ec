"""The cache folder, and what is kept in it so that an altered file is noticed and made again.

Three kinds of files: a sealed one ends with a sha256 of its place and contents, a remembered value
is a sealed JSON text, and a file for other programs has its sha256 in a note beside it.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import clear_way, real, remove_abandoned, sha256_of, write_atomically

SETTLED_S = 2.0
"""A file that changed more recently is hashed anew: its clock may not show the next change."""
_SEAL_BYTES = 64


def cache_folder() -> Path:
    """``$STREAMCHAR_CACHE``, by default ``streamchar`` in the user's cache folder.

    Returns:
        The folder, whether or not it is there.

    Raises:
        InputError: If neither is known.
    """
    if own := os.environ.get("STREAMCHAR_CACHE"):
        return Path(own)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "streamchar"
    try:
        return Path.home() / ".cache" / "streamchar"
    except RuntimeError as error:
        raise InputError("there is no home folder: set STREAMCHAR_CACHE to a folder") from error


def write_sealed(name: str, content: bytes) -> None:
    """Writes a file of the cache with a sha256 of its name and contents at its end.

    Args:
        name: Path in the cache folder, with ``/``.
        content: Any.

    Raises:
        OSError: If it cannot be written.
    """
    path = cache_folder() / name
    clear_way(path, cache_folder())
    write_atomically(path, content + _seal(name, content))


def read_sealed(name: str) -> bytes | None:
    """Returns what `write_sealed` wrote under a name.

    Args:
        name: Path in the cache folder, with ``/``.

    Returns:
        The contents; None if there is no such file, or it cannot be read, was damaged or altered,
        or was written under another name.
    """
    path = cache_folder() / name
    try:
        stored = path.read_bytes() if path.is_file() else b""
    except OSError:  # what cannot be read is made again
        return None
    content, seal = stored[:-_SEAL_BYTES], stored[-_SEAL_BYTES:]
    return content if seal == _seal(name, content) else None


def _seal(name: str, content: bytes) -> bytes:
    digest = hashlib.sha256(name.encode() + b"\0")
    digest.update(content)
    return digest.hexdigest().encode()


def remember(name: str, value: Any) -> None:
    """Keeps a value; a cache that cannot be written costs time, not the value.

    Args:
        name: What it is the value of: kind and key, e.g. ``lengths/0123abcd-1``.
        value: JSON value.
    """
    with suppress(OSError):
        write_sealed(f"{name}.json", json.dumps(value).encode() + b"\n")


def recall(name: str) -> Any:
    """Returns a remembered value, or None: nothing is known, or its file is not as written."""
    content = read_sealed(f"{name}.json")
    return None if content is None else json.loads(content)


def file_hash(path: Path) -> str:
    """Returns a file's sha256; remembered until size, time, inode or change time are others.

    Who alters a file can set its size and modification time as they were, not its change time.

    Args:
        path: A file.

    Returns:
        64 hex digits.

    Raises:
        OSError: If it cannot be read.
    """
    now = time.time()
    stat = path.stat()
    if now - stat.st_ctime <= SETTLED_S:
        return sha256_of(path)
    stamp = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    return _settled_hash(real(path), stamp)


@lru_cache(maxsize=4096)
def _settled_hash(path: Path, stamp: tuple[int, ...]) -> str:
    key = hashlib.sha256(os.fsencode(path)).hexdigest()
    name = f"hashes/{key[:2]}/{key}"
    known = recall(name)
    if known is not None and known["stamp"] == list(stamp):
        return str(known["sha256"])
    digest = sha256_of(path)
    remember(name, {"stamp": stamp, "sha256": digest})
    return digest


def kept_whole(target: Path, write: Callable[[Path], None]) -> Path:
    """Makes a file of the cache once, and again if it is not what was written.

    Its hash and name are kept beside it, as ``sha256sum`` writes them, so that a file that was
    cut, altered, or put there in the place of another is noticed.

    Args:
        target: The file; its folder is made.
        write: Writes it, complete or not at all.

    Returns:
        ``target``.
    """
    note = target.with_name(f"{target.name}.sha256")
    if _is_whole(target, note):
        return target
    for path in (target, note):
        if path.is_relative_to(cache_folder()):
            clear_way(path, cache_folder())
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(target.parent)
    note.unlink(missing_ok=True)
    write(target)
    write_atomically(note, _note(target))
    return target


def _is_whole(target: Path, note: Path) -> bool:
    try:
        return note.read_bytes() == _note(target)
    except OSError:  # not there, or another process makes it anew at this moment
        return False


def _note(target: Path) -> bytes:
    return f"{file_hash(target)}  {target.name}\n".encode()
