"""Atomic file writes and strict JSON parsing."""

import errno
import hashlib
import json
import math
import os
import platform
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from streamchar_ref.core.errors import InputError

_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_PARTIAL = re.compile(r"\.([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.part(\..*)?")


def partial_path(path: Path) -> Path:
    """Returns a temporary path beside a file, unique to this process.

    Args:
        path: What it will replace; its suffix is kept, because some encoders depend on it.

    Returns:
        A hidden, short name that encodes host and process.

    Raises:
        InputError: If the path names the current folder rather than a file.
    """
    if not path.name:
        raise InputError(f"{path} is a folder; give the name of a file")
    return path.with_name(f".{_HOST}-{os.getpid()}-{secrets.token_hex(4)}.part{path.suffix[:16]}")


@contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Writes a file or folder atomically; creates the parent folder.

    Args:
        path: Replaced when the block ends without an exception. A folder must not exist yet.
        durable: Sync to disk before and after the rename, so that it survives a power loss.

    Yields:
        Temporary path to write to, see `partial_path`; always removed after the block.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(path)
    try:
        yield partial
        if durable:
            sync(partial)
        partial.replace(path)
        if durable:
            sync_folder(path.parent)
    finally:
        remove(partial)


def write_atomically(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Writes a file atomically; see `replacing`."""
    with replacing(path, durable=durable) as partial:
        partial.write_bytes(content)


def remove(path: Path) -> None:
    """Removes a file or a folder tree, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_abandoned(folder: Path, *, deep: bool = True) -> None:
    """Removes temporary files that dead processes of this host left in a folder.

    Args:
        folder: Searched without following links.
        deep: Whether to search subfolders, too.
    """
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            if _is_abandoned(name):
                with suppress(FileNotFoundError):  # another process removed it first
                    remove(Path(parent, name))
        folders[:] = [name for name in folders if deep and not _PARTIAL.fullmatch(name)]


def _is_abandoned(name: str) -> bool:
    owner = _PARTIAL.fullmatch(name)
    return owner is not None and owner[1] == _HOST and not is_running(int(owner[2]))


def is_being_written(name: str) -> bool:
    """Whether this is the name of a temporary file whose process may still run."""
    return _PARTIAL.fullmatch(name) is not None and not _is_abandoned(name)


def is_running(pid: int) -> bool:
    """Whether a process of this host is alive."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's process, which lives
        return True
    return not _has_ended(pid)


def _has_ended(pid: int) -> bool:
    """Whether a process is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"
    except (OSError, IndexError):  # this system has no /proc
        return False


def real(path: Path) -> Path:
    """Returns the absolute path with links resolved; a link that loops is left as it is."""
    return Path(os.path.realpath(path))


def clear_way(path: Path, root: Path) -> None:
    """Removes a folder in the place of a file, and files in the place of its parent folders.

    Args:
        path: Where a file is to be written.
        root: Folder above it that belongs to this program; nothing outside is touched.
    """
    inside = path.relative_to(root)
    for folder in (root / parent for parent in inside.parents[:-1]):
        if os.path.lexists(folder) and not folder.is_dir():
            remove(folder)
    if path.is_dir() and not path.is_symlink():
        remove(path)


def sync(path: Path) -> None:
    """Flushes a file, or a folder tree, to disk."""
    if path.is_dir():
        for entry in path.iterdir():
            sync(entry)
        sync_folder(path)
        return
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flushes a folder's list of names to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_is_file(path: Path) -> None:
    """Raises the fitting `OSError` if a path is not a regular file."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "is no regular file", str(path))


def has_file(path: Path) -> bool:
    """Whether a regular file exists.

    Args:
        path: Of the file.

    Returns:
        False if nothing is there.

    Raises:
        InputError: If a folder, a pipe or a dangling link is in its place.
        OSError: If its folder cannot be read.
    """
    if path.is_file():
        return True
    if path.is_symlink() and not path.exists():
        raise InputError(f"{path}: a link that leads to no file; remove it or mend it")
    if path.exists():
        kind = "a folder" if path.is_dir() else "a pipe or a device"
        raise InputError(f"{path}: {kind} is where a file should be; remove it")
    return False


def read_bytes(path: Path) -> bytes:
    """Reads a regular file; a pipe, which would block for ever, is refused.

    Args:
        path: Of the file.

    Returns:
        Its bytes.

    Raises:
        InputError: If something else is in its place.
        OSError: If it is not there or cannot be read.
    """
    has_file(path)
    return path.read_bytes()


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object strictly.

    Args:
        path: UTF-8 text.

    Returns:
        The object.

    Raises:
        InputError: If it is not UTF-8, not JSON, nested too deeply, not an object, holds NaN or
            infinity, or names a key twice; names the file.
        OSError: If it cannot be read.
    """
    content = read_bytes(path)
    try:
        return parse_json(content)
    except ValueError as error:
        raise InputError(f"{path}: damaged, {error}") from error


def parse_json(content: bytes) -> dict[str, Any]:
    """Parses a JSON object as `read_json` does.

    Args:
        content: UTF-8 text.

    Returns:
        The object.

    Raises:
        ValueError: As the `InputError` of `read_json`, without the file.
    """
    try:
        value = parse_value(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text ({error})") from error
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from error
    if not isinstance(value, dict):
        raise ValueError(f"a JSON object is wanted, got {value!r:.60}")
    return value


def parse_value(text: str) -> Any:
    """Parses any JSON value with finite numbers, unique keys and text that fits UTF-8.

    Args:
        text: JSON.

    Returns:
        The value.

    Raises:
        JSONDecodeError: If it is not JSON.
        ValueError: If it is nested too deeply, repeats a key, or holds NaN, infinity, a number of
            thousands of digits or half a surrogate pair.
    """
    try:
        value = _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if text.count("[") + text.count("{") > DEEPEST and _depth(value) > DEEPEST:
        raise ValueError("nested too deeply")
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("not UTF-8 text: half a surrogate pair") from error
    return value


DEEPEST = 100
"""Deepest nesting of JSON that is read."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        inner = [item for item in level if isinstance(item, dict | list)]
        level = [i for item in inner for i in (item.values() if isinstance(item, dict) else item)]
    return deepest


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits:.60} is too large for a number")
    return number


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {repeated!r:.60} is there twice")
    return values


_DECODER = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique_keys
)
