"""The cache folder. Every cached file carries a checksum; an altered one is made again.

A file of this program ends with the checksum (`sealed.seal_bytes`), a remembered value is such a
file of JSON text, and a file for other programs has its checksum in a file beside it.
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
from streamchar_ref.core.sealed import seal_bytes, unseal_bytes

SETTLED_S = 2.0
"""A file that changed more recently is hashed again, as its timestamps may miss the next change."""
MOST_HASHES = 1 << 16
"""Files whose hashes a process keeps in memory: about 30 MB."""


def cache_folder() -> Path:
    """``$STREAMCHAR_CACHE``, by default ``streamchar`` in the user's cache folder.

    Returns:
        The folder, which may not exist.

    Raises:
        InputError: If the user has no home folder.
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
    """Writes a file of the cache, with a checksum of its name and content.

    Args:
        name: Path in the cache folder, with ``/``.
        content: Any bytes.

    Raises:
        OSError: If it cannot be written.
    """
    path = cache_folder() / name
    clear_way(path, cache_folder())
    write_atomically(path, seal_bytes(name, content))


def read_sealed(name: str) -> bytes | None:
    """Reads what `write_sealed` wrote under a name.

    Args:
        name: Path in the cache folder, with ``/``.

    Returns:
        The content; None if the file is missing, unreadable, altered, or was written under
        another name.
    """
    path = cache_folder() / name
    try:
        stored = path.read_bytes() if path.is_file() else b""
    except OSError:  # an unreadable file is made again
        return None
    return unseal_bytes(name, stored)


def remember(name: str, value: Any) -> None:
    """Caches a JSON value; a cache that cannot be written is ignored.

    Args:
        name: Kind and key, e.g. ``lengths/0123abcd-1``.
        value: JSON value.
    """
    with suppress(OSError):
        write_sealed(f"{name}.json", json.dumps(value).encode() + b"\n")


def recall(name: str) -> Any:
    """Returns a remembered value, or None if there is none or its file was altered."""
    content = read_sealed(f"{name}.json")
    return None if content is None else json.loads(content)


def file_hash(path: Path) -> str:
    """Returns a file's sha256, cached until its size, inode, modification or change time differ.

    The change time is included because, unlike the modification time, a program cannot set it.

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


@lru_cache(maxsize=MOST_HASHES)
def _settled_hash(path: Path, stamp: tuple[int, ...]) -> str:
    key = hashlib.sha256(os.fsencode(path)).hexdigest()
    name = f"hashes/{key[:2]}/{key}"
    cached = recall(name)
    if cached is not None and cached["stamp"] == list(stamp):
        return str(cached["sha256"])
    digest = sha256_of(path)
    remember(name, {"stamp": stamp, "sha256": digest})
    return digest


def ensure_cached(target: Path, write: Callable[[Path], None]) -> Path:
    """Writes a file of the cache unless it is there and unaltered.

    Its hash and name are written beside it, in the format of ``sha256sum``.

    Args:
        target: The file; its folder is created.
        write: Writes it atomically.

    Returns:
        ``target``.
    """
    checksum = target.with_name(f"{target.name}.sha256")
    if _matches(target, checksum):
        return target
    for path in (target, checksum):
        if path.is_relative_to(cache_folder()):
            clear_way(path, cache_folder())
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(target.parent)
    checksum.unlink(missing_ok=True)
    write(target)
    write_atomically(checksum, _checksum_line(target))
    return target


def _matches(target: Path, checksum: Path) -> bool:
    try:
        return checksum.read_bytes() == _checksum_line(target)
    except OSError:  # missing, or being replaced by another process
        return False


def _checksum_line(target: Path) -> bytes:
    return f"{file_hash(target)}  {target.name}\n".encode()
