"""Files that a program writes, read as if it meant harm: only regular ones, headers first."""

import os
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from streamchar_ref.media import AVChunk

MOST_BYTES = 4 * 2**30
"""Of all arrays of a chunk: 30 s of 1920 x 1080 at 25 fps."""
_ARRAYS = ("frames", "samples", "spoken")


class Unreadable(ValueError):
    """A file cannot be taken; says why."""


@contextmanager
def regular_file(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file that is neither link nor pipe nor device, without waiting for a writer.

    Args:
        path: Whose last part is not followed.

    Yields:
        The file.

    Raises:
        Unreadable: If it is anything else.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        kind = "a link, not a file" if path.is_symlink() else (error.strerror or str(error))
        raise Unreadable(f"{path.name} cannot be read ({kind})") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Unreadable(f"{path.name} cannot be read (no regular file)")
    with os.fdopen(handle, "rb") as file:
        yield file


def read_chunk(path: Path, index: int) -> AVChunk:
    """Reads a chunk file.

    Args:
        path: An npz with ``frames`` (uint8 [T, H, W, 3]), ``samples`` (float [S]) and maybe
            ``spoken`` (a number).
        index: Of the chunk.

    Returns:
        The chunk, samples as float32.

    Raises:
        Unreadable: If it is no such file, or holds more than `MOST_BYTES`.
    """
    with regular_file(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                _check_headers(archive, path.name)
            file.seek(0)
            with np.load(file, allow_pickle=False) as stored:
                pixels, samples = stored["frames"], stored["samples"]
                spoken = float(stored["spoken"].item()) if "spoken" in stored else None
        except Unreadable:
            raise
        except (
            OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, NotImplementedError,
            MemoryError, zipfile.BadZipFile,
        ) as error:  # fmt: skip
            raise Unreadable(f"{path.name} cannot be read ({error})") from error
    return AVChunk(
        index=index, frames=pixels, samples=samples.astype(np.float32), spoken=spoken
    )  # fmt: skip


def _check_headers(archive: zipfile.ZipFile, name: str) -> None:
    """Refuses arrays by what their headers say, before any of them is unpacked."""
    total = 0
    for member in archive.infolist():
        key = member.filename.removesuffix(".npy")
        if key not in _ARRAYS:
            continue
        with archive.open(member) as file:
            shape, dtype = _header(file)
        total += max(prod(shape) * dtype.itemsize, member.file_size)
        if key == "frames" and (dtype != np.uint8 or len(shape) != 4 or shape[-1] != 3):
            raise Unreadable(f"{name}: frames must be uint8 [T, H, W, 3]")
        if key == "samples" and (dtype.kind != "f" or len(shape) != 1):
            raise Unreadable(f"{name}: samples must be float32 [S]")
        if key == "spoken" and (dtype.kind not in "iuf" or prod(shape) != 1):
            raise Unreadable(f"{name} cannot be read (spoken must be one number)")
    if total > MOST_BYTES:
        raise Unreadable(
            f"{name}: its arrays have {total / 2**30:.1f} GiB, the limit is "
            f"{MOST_BYTES / 2**30:.0f}; write shorter chunks"
        )


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    return shape, dtype
