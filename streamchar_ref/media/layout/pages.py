"""Pages of Ogg files (RFC 3533)."""

from typing import BinaryIO

from streamchar_ref.media.layout.reading import is_cut_header, read_at, unsigned

_HEADER = 27
_LAST = 0x04


def missing_part(file: BinaryIO, size: int) -> str:
    """As `layout.missing_part`: a page, or the last page of a stream, which is marked as such."""
    position = 0
    is_open: dict[int, bool] = {}
    while position < size:
        head = read_at(file, position, _HEADER + 255)
        if head[:4] != b"OggS":
            return "page" if is_cut_header(head, 4) and b"OggS".startswith(head) else ""
        lengths = head[_HEADER : _HEADER + head[_HEADER - 1]] if len(head) >= _HEADER else b""
        end = position + _HEADER + len(lengths) + sum(lengths)
        if len(head) < _HEADER or len(lengths) < head[_HEADER - 1] or end > size:
            return "page"
        is_open[unsigned(head[14:18])] = not head[5] & _LAST
        position = end
    return "last page" if any(is_open.values()) else ""
