"""Atomic replacement of folders: at any moment the old or the new one is complete on disk."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamchar_ref.core.files import partial_path, remove, sync, sync_folder


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Replaces a folder atomically and durably.

    Args:
        folder: Replaced when the block ends without an exception; its parent is created.

    Yields:
        An empty temporary folder to write to; always removed after the block.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    settle(folder)
    partial = partial_path(folder)
    try:
        partial.mkdir()
        yield partial
        sync(partial)
        partial.replace(_ready(folder))
        sync_folder(folder.parent)
        settle(folder)
    finally:
        remove(partial)


def settle(folder: Path) -> None:
    """Completes a replacement that was interrupted after the new folder was complete."""
    ready = _ready(folder)
    if not os.path.isdir(ready):
        return
    replaced = partial_path(folder)
    if os.path.lexists(folder):
        folder.replace(replaced)
    ready.replace(folder)
    sync_folder(folder.parent)
    remove(replaced)


def newest(folder: Path) -> Path:
    """Returns where a folder's newest content lies: beside it after an interrupted replacement."""
    ready = _ready(folder)
    return ready if os.path.isdir(ready) else folder


def settled_name(name: str) -> str:
    """Returns the final name of a folder; empty for a temporary one."""
    if not name.startswith("."):
        return name
    return name[1 : -len(_READY)] if name.endswith(_READY) else ""


_READY = ".ready"


def _ready(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}{_READY}")
