"""Where the parts of a media file lie, by its bytes alone: whether all that is announced is there.

FFmpeg's demuxers read a file to its end without a word, wherever that is.
"""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from streamchar_ref.media.layout import chunks, matroska, mp4, mpeg, pages

_HEAD = 4096
_Walk = Callable[[BinaryIO, int], str]


def missing_part(path: Path) -> str:
    """Names the part of picture or sound that a file announces and does not hold.

    Args:
        path: Any file.

    Returns:
        Such as ``Cluster`` or ``mdat box``; empty if all is there, if only an index or padding
        after it is missing, or if the container does not say what belongs to it.
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
