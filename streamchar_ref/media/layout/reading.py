"""Reads bytes and integers at positions of a file."""

import struct
from typing import BinaryIO


def read_at(file: BinaryIO, position: int, count: int) -> bytes:
    """Reads ``count`` bytes at a position; fewer at the end of the file."""
    file.seek(position)
    return file.read(count)


def unsigned(content: bytes, *, little: bool = False) -> int:
    """Decodes an unsigned integer, big-endian by default."""
    return int.from_bytes(content, "little" if little else "big")


def is_cut_header(content: bytes, wanted: int) -> bool:
    """Whether the file ends within a header; zeros are padding."""
    return 0 < len(content) < wanted and any(content)


def uint32s(content: bytes) -> tuple[int, ...]:
    """Decodes big-endian 32-bit integers; a remainder is ignored."""
    count = len(content) // 4
    return struct.unpack(f">{count}I", content[: 4 * count])


def uint64s(content: bytes) -> tuple[int, ...]:
    """Decodes big-endian 64-bit integers; a remainder is ignored."""
    count = len(content) // 8
    return struct.unpack(f">{count}Q", content[: 8 * count])
