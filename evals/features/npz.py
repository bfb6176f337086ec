"""Reads what `numpy.savez` writes, without the checks of a general archive: the cache seals it.

Headers of arrays repeat from file to file, so each is parsed once.
"""

import struct
from functools import lru_cache
from io import BytesIO
from math import prod
from typing import Literal

import numpy as np

_LOCAL = struct.Struct("<4s22xHH")
"""Header of an archive's member: mark, lengths of its name and of its extra field."""
_MARK = b"PK\x03\x04"
_MAGIC = b"\x93NUMPY\x01\x00"
_LENGTH = struct.Struct("<H")


def read_arrays(content: bytes) -> dict[str, np.ndarray]:
    """Reads the arrays of an archive of `numpy.savez`.

    Args:
        content: Of a file that this program wrote and that was not altered.

    Returns:
        Name -> array, each with its own memory.

    Raises:
        ValueError: If it is another kind of archive: compressed, or with arrays of objects.

    Source:
        APPNOTE.TXT of PKWARE, 4.3.7, and numpy.lib.format, version 1.0.
    """
    arrays: dict[str, np.ndarray] = {}
    place = 0
    while content.startswith(_MARK, place):
        _, name_length, extra_length = _LOCAL.unpack_from(content, place)
        name_at = place + _LOCAL.size
        array_at = name_at + name_length + extra_length
        name = content[name_at : name_at + name_length].decode().removesuffix(".npy")
        arrays[name], place = _array(content, array_at)
    return arrays


def _array(content: bytes, place: int) -> tuple[np.ndarray, int]:
    """Returns the array that begins at a place, and the place behind it."""
    header_at = place + len(_MAGIC)
    (length,) = _LENGTH.unpack_from(content, header_at)
    data_at = header_at + _LENGTH.size + length
    if not content.startswith(_MAGIC, place):
        raise ValueError("no array of numpy.savez")
    dtype, order, shape = _layout(content[header_at:data_at])
    count = prod(shape)
    flat = np.frombuffer(content, dtype, count, data_at) if count else np.zeros(0, dtype)
    return flat.reshape(shape, order=order).copy(order), data_at + count * dtype.itemsize


@lru_cache(maxsize=4096)
def _layout(header: bytes) -> tuple[np.dtype, Literal["C", "F"], tuple[int, ...]]:
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(BytesIO(header))
    if dtype.hasobject:
        raise ValueError("an array of objects")
    return dtype, "F" if is_fortran else "C", shape
