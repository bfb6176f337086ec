"""The binary messages of a chunk: header, sound, and one sheet of pictures.

Little-endian; the page's script reads the same layout. The pictures of a chunk go as one JPEG
sheet of rows and columns, because one encoder call is three times as cheap as one for each
picture (1.3 against 3.7 ms of CPU for 32 pictures of 64 px; WebP 6 ms, PNG 12 ms).

Shape letters: T frames, H and W pixels.
"""

import io
import math
import struct
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from streamchar_ref.media import AVChunk

HEADER = struct.Struct("<4sHHIIIfIHHHfddfd")
MAGIC = b"AVC1"
IS_LAST, SKIPS_WAIT = 1, 2
"""Flags: the stream ends with this chunk; what waits before it is silence and may be skipped."""
QUALITY = 95
_LEFT_OUT = -1.0
_SENT_AT = HEADER.size - 8
"""Where the time of sending stands, which is filled in last."""


@dataclass(frozen=True, kw_only=True)
class ChunkTimes:
    """When a chunk was made, by the server's clock.

    Attributes:
        start_s: Where it begins in its stream.
        made_s: When it was finished.
        took_s: How long the engine's step took that made it.
    """

    start_s: float
    made_s: float
    took_s: float


def pack_chunk(
    chunk: AVChunk,
    times: ChunkTimes,
    *,
    stream: int,
    fps: float,
    sample_rate: int,
    flags: int = 0,
) -> bytearray:
    """Packs a chunk.

    Args:
        chunk: With any number of frames, from one on.
        times: Of it.
        stream: Its number.
        fps: Frames a second.
        sample_rate: Of its sound.
        flags: `IS_LAST`, `SKIPS_WAIT` or both.

    Returns:
        Header (magic, flags, columns, stream, index, sample rate, fps, samples, frames, width,
        height, spoken, start, made, took, sent), 16-bit samples, JPEG.
    """
    frames, height, width, _ = chunk.frames.shape
    columns = math.ceil(math.sqrt(frames))
    spoken = _LEFT_OUT if chunk.spoken is None else chunk.spoken
    header = HEADER.pack(
        MAGIC, flags, columns, stream, chunk.index, sample_rate, fps, len(chunk.samples), frames,
        width, height, spoken, times.start_s, times.made_s, times.took_s, 0.0,
    )  # fmt: skip
    pcm = np.round(np.clip(chunk.samples, -1, 1) * 32767).astype("<i2")
    return bytearray(header + pcm.tobytes() + _sheet(chunk.frames, columns))


def stamp_sent(message: bytearray, sent_s: float) -> bytes:
    """Writes into a packed chunk when it was sent, by the server's clock."""
    struct.pack_into("<d", message, _SENT_AT, sent_s)
    return bytes(message)


def _sheet(frames: UInt8[np.ndarray, "T H W 3"], columns: int) -> bytes:
    """Lays pictures out in rows, and encodes them as one JPEG without colour subsampling."""
    count, height, width, _ = frames.shape
    rows = math.ceil(count / columns)
    cells = np.zeros((rows * columns, height, width, 3), np.uint8)
    cells[:count] = frames
    grid = cells.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    picture = Image.fromarray(grid.reshape(rows * height, columns * width, 3))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY, subsampling=0)
    return out.getvalue()
