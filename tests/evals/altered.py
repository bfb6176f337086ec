"""Files that are altered so that only their contents and change time show it."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def linked_copy(source: Path, target: Path, own: Path) -> Path:
    """Copies a folder as links, but for one file, which is a copy that may be altered.

    Args:
        source: Folder.
        target: New folder.
        own: The one file, as a path in the folder.

    Returns:
        The copy of ``own``.
    """
    for path in (path for path in source.rglob("*") if path.is_file()):
        link = target / path.relative_to(source)
        link.parent.mkdir(parents=True, exist_ok=True)
        if path.relative_to(source) == own:
            shutil.copyfile(path, link)
        else:
            link.symlink_to(path.resolve())
    return target / own


def flip_byte(path: Path) -> None:
    """Alters the byte in the middle; size, modification time and inode stay."""
    before = path.stat()
    time.sleep(0.02)  # the clock of the file system ticks every few milliseconds
    with path.open("r+b") as file:
        file.seek(before.st_size // 2)
        byte = file.read(1)[0] ^ 1
        file.seek(before.st_size // 2)
        file.write(bytes([byte]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (
        before.st_size, before.st_mtime_ns, before.st_ino,
    )  # fmt: skip


@contextmanager
def altered(path: Path) -> Iterator[None]:
    """A file has one other byte within the block."""
    flip_byte(path)
    try:
        yield
    finally:
        flip_byte(path)
