"""What a file holds, as a hash; remembered until the file changes."""

import hashlib
import json
import os
from pathlib import Path

from streamchar_ref.weights import cache_folder


def content_hash(*paths: Path | None) -> str:
    """Returns 24 hex digits that stand for the bytes of some files, in order; ``None`` counts."""
    digests = [_file_hash(path) if path is not None else "-" for path in paths]
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:24]


def _file_hash(path: Path) -> str:
    stat = path.stat()
    stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    memo = cache_folder() / "hashes" / name[:2] / f"{name}.json"
    try:
        known = json.loads(memo.read_text())
    except (FileNotFoundError, ValueError):  # a damaged one is written over
        known = {"stamp": None}
    if known["stamp"] == stamp:
        return str(known["sha256"])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    write_atomically(memo, json.dumps({"stamp": stamp, "sha256": digest}).encode())
    return digest


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that a reader sees all of it or none; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
