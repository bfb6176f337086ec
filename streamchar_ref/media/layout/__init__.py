"""Walks the parts of a container by its bytes, to find announced parts that are missing.

FFmpeg's demuxers stop silently at the end of a file, wherever that is.
"""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from streamchar_ref.media.layout import chunks, matroska, mp4, mpeg, pages

_HEAD = 4096
_Walk = Callable[[BinaryIO, int], str]


def missing_part(path: Path) -> str:
    """Names an announced part of picture or sound that a file does not contain.

    Args:
        path: Any file.

    Returns:
        A name such as ``Cluster`` or ``mdat box``; empty if the file is complete, if only an index
        or padding at the end is missing, or if the container announces no lengths.
    """
    with path.open("rb") as file:
        walk = _walk_of(file.read(_HEAD))
        return walk(file, path.stat().st_size) if walk else ""


def _walk_of(head: bytes) -> _Walk | None:
    if mp4.is_mp4(head):
        return mp4.missing_part
    if mpeg.is_transport_stream(head):
        return mpeg.missing_of_transport_stream
    return next((walk for magic, walk in _BY_MAGIC.items() if head.startswith(magic)), None)


_BY_MAGIC: dict[bytes, _Walk] = {
    b"\x1a\x45\xdf\xa3": matroska.missing_part,
    b"RIFF": chunks.missing_of_riff,
    b"RF64": chunks.missing_of_riff,
    b"FORM": chunks.missing_of_form,
    chunks.ASF_HEADER: chunks.missing_of_asf,
    b"FLV": chunks.missing_of_flv,
    b"OggS": pages.missing_part,
    b"\x00\x00\x01\xba": mpeg.missing_of_program_stream,
    b"ID3": mpeg.missing_of_audio,
    b"\xff": mpeg.missing_of_audio,
}
