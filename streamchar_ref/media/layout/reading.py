"""Reads bytes at places of a file, for the walks over its parts."""

import struct
from typing import BinaryIO


def read_at(file: BinaryIO, position: int, count: int) -> bytes:
    """Returns some bytes from a place on; fewer at the end of the file."""
    file.seek(position)
    return file.read(count)


def unsigned(content: bytes, *, little: bool = False) -> int:
    """Reads a whole number from all of some bytes, big-endian unless said otherwise."""
    return int.from_bytes(content, "little" if little else "big")


def is_cut_header(content: bytes, wanted: int) -> bool:
    """Whether a header was begun at the end of a file; zeros are padding."""
    return 0 < len(content) < wanted and any(content)


def uint32s(content: bytes) -> tuple[int, ...]:
    """Reads big-endian 32-bit numbers; a remainder is left out."""
    count = len(content) // 4
    return struct.unpack(f">{count}I", content[: 4 * count])


def uint64s(content: bytes) -> tuple[int, ...]:
    """Reads big-endian 64-bit numbers; a remainder is left out."""
    count = len(content) // 8
    return struct.unpack(f">{count}Q", content[: 8 * count])
