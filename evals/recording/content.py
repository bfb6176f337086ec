"""Hashes of file contents."""

import hashlib
from pathlib import Path

from streamchar_ref.core.cache import file_hash
from streamchar_ref.media.playlist import parts_of


def content_hash(*paths: Path | None) -> str:
    """Returns a hash (24 hex digits) of the bytes of files in order; ``None`` counts as a file.

    The hash of a playlist includes the files that it names.
    """
    digests = [_digest(path) if path is not None else "-" for path in paths]
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:24]


def _digest(path: Path) -> str:
    parts = [part for part in parts_of(path) if part.is_file()]
    return "".join(map(file_hash, (path, *parts)))
