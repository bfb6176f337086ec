"""Elements of Matroska and WebM files (RFC 8794, RFC 9559)."""

from typing import BinaryIO

from streamchar_ref.media.layout.reading import is_cut_header, read_at, unsigned

_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675
_AFTER_CONTENT = {
    0x1C53BB6B: "Cues",
    0x1254C367: "Tags",
    0x1043A770: "Chapters",
    0x1941A469: "Attachments",
    0x114D9B74: "SeekHead",
    0xEC: "Void",
}
_LONGEST_HEADER = 12


def missing_part(file: BinaryIO, size: int) -> str:
    """As `layout.missing_part`: an element that ends beyond the file.

    Segments and clusters of unknown size, as live streams have, are walked from block to block.
    """
    position, segment_end, has_content = 0, 0, False
    while position < size:
        header = _header(read_at(file, position, _LONGEST_HEADER))
        if header is None:
            rest = read_at(file, position, _LONGEST_HEADER)
            return "block" if is_cut_header(rest, _LONGEST_HEADER) else ""
        identity, body, length = header
        end = size if length is None else position + body + length
        if identity == _SEGMENT:
            segment_end = end
        if identity == _SEGMENT or (identity == _CLUSTER and length is None):
            position += body
            continue
        if end > size:
            return "" if has_content and identity in _AFTER_CONTENT else "Cluster"
        has_content = has_content or identity == _CLUSTER
        position = end
    return "Cluster" if segment_end > size else ""


def _header(content: bytes) -> tuple[int, int, int | None] | None:
    """Returns identity, length of the header, and length of the body, ``None`` if unknown."""
    identity_bytes = _width(content[:1], most=4)
    if not identity_bytes:
        return None
    length_bytes = _width(content[identity_bytes : identity_bytes + 1], most=8)
    body = identity_bytes + length_bytes
    if not length_bytes or len(content) < body:
        return None
    mask = (1 << 7 * length_bytes) - 1
    length = unsigned(content[identity_bytes:body]) & mask
    return unsigned(content[:identity_bytes]), body, None if length == mask else length


def _width(first: bytes, *, most: int) -> int:
    """Bytes of a variable-length integer, by its first byte; 0 if invalid."""
    width = 9 - unsigned(first).bit_length()
    return width if first and width <= most else 0
