"""Boxes of mp4, mov and m4a files (ISO/IEC 14496-12)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from streamchar_ref.media.layout.reading import (
    is_cut_header,
    read_at,
    uint32s,
    uint64s,
    unsigned,
)

_FIRST = (b"ftyp", b"styp", b"sidx", b"moov", b"moof", b"mdat", b"wide", b"free", b"skip", b"pnot")
_CONTENT = (b"moov", b"moof", b"mdat")
_PATH = (b"trak", b"mdia", b"minf", b"stbl")
_HEADER = 8


@dataclass(frozen=True)
class _Box:
    name: bytes
    body: int
    end: int


def is_mp4(head: bytes) -> bool:
    """Whether a file that begins so consists of boxes."""
    return head[4:8] in _FIRST


def missing_part(file: BinaryIO, size: int) -> str:
    """As `layout.missing_part`: a box that ends beyond the file, or data that an index names."""
    awaits_data, end = False, 0
    for box in _boxes(file, 0, size):
        if box.end > size:
            return f"{box.name.decode()} box" if box.name in _CONTENT else ""
        if box.name == b"sidx" and _indexed_end(file, box) > size:
            return "moof box"
        if box.name == b"moov" and _furthest_chunk(file, box) >= size:
            return "mdat box"
        awaits_data = box.name == b"moof" or (awaits_data and box.name != b"mdat")
        end = box.end
    if is_cut_header(read_at(file, end, _HEADER), _HEADER):
        return "box"
    return "mdat box" if awaits_data else ""


def _boxes(file: BinaryIO, start: int, stop: int) -> Iterator[_Box]:
    """Yields consecutive boxes up to the first invalid header."""
    while start + _HEADER <= stop:
        head = read_at(file, start, 2 * _HEADER)
        length, name = unsigned(head[:4]), head[4:8]
        body = start + _HEADER
        if length == 1:
            length, body = unsigned(head[8:]), body + _HEADER
        if length == 0:  # to the end of the file
            length = stop - start
        if length < _HEADER or not name.isascii() or not name.decode().isprintable():
            return
        yield _Box(name, body, start + length)
        start += length


def _indexed_end(file: BinaryIO, sidx: _Box) -> int:
    """Returns where the last fragment of a segment index ends."""
    content = read_at(file, sidx.body, sidx.end - sidx.body)
    if content[:1] == b"\0":
        first_offset, table = unsigned(content[16:20]), content[24:]
    else:
        first_offset, table = unsigned(content[20:28]), content[32:]
    sizes = uint32s(table)[::3]
    return sidx.end + first_offset + sum(entry & 0x7FFF_FFFF for entry in sizes)


def _furthest_chunk(file: BinaryIO, parent: _Box, path: tuple[bytes, ...] = _PATH) -> int:
    """Returns where the last chunk of any track begins; -1 if the samples are in fragments."""
    furthest = -1
    for box in _boxes(file, parent.body, parent.end):
        if path and box.name == path[0]:
            furthest = max(furthest, _furthest_chunk(file, box, path[1:]))
        elif not path and box.name in {b"stco", b"co64"}:
            table = read_at(file, box.body + _HEADER, box.end - box.body - _HEADER)
            offsets = uint32s(table) if box.name == b"stco" else uint64s(table)
            furthest = max(furthest, max(offsets, default=-1))
    return furthest
