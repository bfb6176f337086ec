"""Chunks of WAV, AVI and AIFF files, objects of ASF files, tags of FLV files."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from streamchar_ref.media.layout.reading import is_cut_header, read_at, unsigned

ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_HEADER = 8
_LARGEST = 0xFFFF_FF00
"""Programs that write into a pipe give 2**32 - 1, or slightly less, as an unknown length."""
_NOT_CONTENT = (b"idx1", b"JUNK", b"junk", b"INFO")


def missing_of_riff(file: BinaryIO, size: int) -> str:
    """As `layout.missing_part`: the data of a WAV file, the frames of an AVI file."""
    if read_at(file, 8, 4) == b"WAVE":
        return _missing_of_wav(file, size)
    return _missing_of_avi(file, size)


def _missing_of_wav(file: BinaryIO, size: int) -> str:
    long_size = 0
    for name, body, length in _chunks(file, 12, size):
        if name == b"ds64":
            long_size = unsigned(read_at(file, body + 8, 8), little=True)
        if name == b"data":
            announced = long_size or (length if length < _LARGEST else 0)
            return "data chunk" if body + announced > size else ""
        if body + length > size:
            return "data chunk"
    return ""


def _missing_of_avi(file: BinaryIO, size: int) -> str:
    """Descends into RIFF chunks and lists of frames; an AVI that was never closed is accepted."""
    position = 0
    while position + _HEADER <= size:
        name, length = read_at(file, position, 4), _little(read_at(file, position + 4, 4))
        kind = read_at(file, position + _HEADER, 4)
        end = position + _HEADER + length
        if name == b"RIFF":
            position += _HEADER + 4
            continue
        if name == b"LIST" and kind in {b"movi", b"rec "}:
            if length < _LARGEST and end > size:
                return "list of frames"
            position = end + length % 2 if length > 4 and kind == b"movi" else position + 12
            continue
        if not name.isalnum() and not name.strip(b" ").isalnum():
            return ""
        if end > size:
            return "" if name in _NOT_CONTENT or kind in _NOT_CONTENT else "frame"
        position = end + length % 2
    return "frame" if is_cut_header(read_at(file, position, _HEADER), _HEADER) else ""


def missing_of_form(file: BinaryIO, size: int) -> str:
    """As `layout.missing_part`, for AIFF."""
    for name, body, length in _chunks(file, 12, size, little=False):
        if name == b"SSND" or body + length > size:
            return "SSND chunk" if length < _LARGEST and body + length > size else ""
    return ""


def _chunks(
    file: BinaryIO, position: int, size: int, *, little: bool = True
) -> Iterator[tuple[bytes, int, int]]:
    """Yields name, start and length of each chunk's body."""
    while position + _HEADER <= size:
        head = read_at(file, position, _HEADER)
        length = unsigned(head[4:], little=little)
        yield head[:4], position + _HEADER, length
        position += _HEADER + length + length % 2


def _little(content: bytes) -> int:
    return unsigned(content, little=True)


def missing_of_asf(file: BinaryIO, size: int) -> str:
    """As `layout.missing_part`: the data object of a WMV, WMA or ASF file."""
    position = 0
    while position + 24 <= size:
        head = read_at(file, position, 24)
        length = _little(head[16:])
        if length < 24:  # unknown length of a live stream
            return ""
        position += length
        if position > size:
            return "data object" if head[:16] in {ASF_HEADER, _ASF_DATA} else ""
    return ""


def missing_of_flv(file: BinaryIO, size: int) -> str:
    """As `layout.missing_part`: a tag, or bytes that the size in the metadata announces."""
    position = unsigned(read_at(file, 5, 4)) + 4
    first = read_at(file, position, 1024)
    while position < size:
        head = read_at(file, position, 11)
        end = position + 11 + unsigned(head[1:4])
        if len(head) < 11 or end > size:
            return "tag" if any(head) else ""
        position = end + 4
    place = first.find(b"\x00\x08filesize\x00")
    promised = struct.unpack(">d", first[place + 11 : place + 19])[0] if 0 <= place < 1000 else 0
    # Each tag is followed by its size in 4 bytes.
    return "tag" if promised > size + 4 or (position > size and not promised) else ""
