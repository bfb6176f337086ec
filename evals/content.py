"""What a file holds, as a hash; remembered until the file changes. And files that stay whole."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from streamchar_ref.files import sha256_of, write_atomically
from streamchar_ref.media.playlist import parts_of
from streamchar_ref.weights import cache_folder


def content_hash(*paths: Path | None) -> str:
    """Returns 24 hex digits that stand for the bytes of some files, in order; ``None`` counts.

    A playlist stands for the files that it names too.
    """
    digests = [_digest(path) if path is not None else "-" for path in paths]
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:24]


def _digest(path: Path) -> str:
    parts = [part for part in parts_of(path) if part.is_file()]
    return "".join(map(file_hash, (path, *parts)))


SETTLED_S = 2.0
"""A file that changed more recently is hashed anew: its clock may not show the next change."""


def file_hash(path: Path) -> str:
    """Returns the SHA-256 of a file; it is read once, until it changes."""
    stat = path.stat()
    # Who changes a file may set size and modification time as they were, but not the change time.
    stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    memo = cache_folder() / "hashes" / name[:2] / f"{name}.json"
    try:
        known = json.loads(memo.read_text())
    except (FileNotFoundError, ValueError):  # a damaged one is written over
        known = None
    if isinstance(known, dict) and known.get("stamp") == stamp and "sha256" in known:
        return str(known["sha256"])
    digest = sha256_of(path)
    if time.time() - stat.st_ctime > SETTLED_S:
        write_atomically(memo, json.dumps({"stamp": stamp, "sha256": digest}).encode())
    return digest


def kept_whole(target: Path, write: Callable[[Path], None]) -> Path:
    """Makes a file of the cache once, and again if it is not what was written.

    Its hash is kept beside it, so that a file that was cut or altered is noticed.

    Args:
        target: The file; its folder is made.
        write: Writes it, complete or not at all.

    Returns:
        ``target``.
    """
    note = target.with_name(f"{target.name}.sha256")
    if target.is_file() and note.is_file() and note.read_bytes() == file_hash(target).encode():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    note.unlink(missing_ok=True)
    write(target)
    write_atomically(note, file_hash(target).encode())
    return target
