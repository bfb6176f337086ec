"""Detects files that change while they are read, so that every score belongs to one content."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evals.recording.content import content_hash
from streamchar_ref.media.playlist import parts_of


class FileChanged(OSError):
    """A file changed while it was read."""


@contextmanager
def unchanged(*paths: Path | None) -> Iterator[str]:
    """Raises an error if files change during the block.

    Args:
        *paths: Files that are read in the block; ``None`` is ignored.

    Yields:
        Their `content_hash`.

    Raises:
        FileChanged: If a file was written to or replaced.
        OSError: If a file is missing or cannot be read.
    """
    files = [path for path in paths if path is not None]
    before = _state(files)
    yield before[0]
    if _state(files) != before:
        names = " or ".join(dict.fromkeys(path.name for path in files))
        raise FileChanged(f"{names} changed while it was read; score again")


def _state(files: list[Path]) -> tuple[str, list[tuple[int, ...]]]:
    stamps: list[tuple[int, ...]] = []
    for path in files:
        for part in (path, *parts_of(path)):
            if part.is_file():
                stat = part.stat()
                # Also detects a file that was replaced temporarily.
                stamps.append((stat.st_size, stat.st_mtime_ns, stat.st_ino))
    return content_hash(*files), stamps
