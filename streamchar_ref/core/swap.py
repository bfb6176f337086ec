"""A folder takes the place of another, and at each moment one of the two is there, whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamchar_ref.core.files import partial_path, remove, sync, sync_folder


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Writes a folder so that a reader sees all of it or none, also after a loss of power.

    Args:
        folder: What is replaced when the block ends without an exception; its parent is made.

    Yields:
        An empty folder to write to instead; gone after the block, whatever happens.
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
    """Ends what a kill interrupted: a folder that is complete takes its place."""
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
    """Where the content of a folder lies: beside it, if a kill came before it took its place."""
    ready = _ready(folder)
    return ready if os.path.isdir(ready) else folder


def settled_name(name: str) -> str:
    """The name of the folder whose place a folder takes; empty for one that is half-written."""
    if not name.startswith("."):
        return name
    return name[1 : -len(_READY)] if name.endswith(_READY) else ""


_READY = ".ready"


def _ready(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}{_READY}")
