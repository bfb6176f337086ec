"""The encode that published SyncNet pipelines make of a file before they look at it.

``ffmpeg -i FILE -qscale:v 2 -async 1 -r 25 video.avi`` converts the rate by its own rule
(`streamchar_ref.media.cfr`) and codes as MPEG-4 part 2. LatentSync writes an mp4 instead, for which
FFmpeg ignores ``-qscale`` and codes as H.264 of crf 23.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from evals.extractors import FPS
from streamchar_ref.media.decode import frames

Encode = Literal["mpeg4 qscale 2", "h264 crf 23"]
_LAMBDA = 118
"""FFmpeg's quality units in one step of ``-qscale``."""
_ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "mpeg4 qscale 2": ("mpeg4", {"flags": "+qscale", "global_quality": str(2 * _LAMBDA)}),
    "h264 crf 23": ("libx264", {"crf": "23", "preset": "medium"}),
}
BATCH = 32


def reencoded(path: Path, encode: Encode) -> Iterator[np.ndarray]:
    """Decodes a file at 25 fps, as the published pipelines see it after their encode.

    Args:
        path: Any video.
        encode: Codec and quality.

    Yields:
        Batches of RGB frames [T, H, W, 3]; a last odd row or column is left out.

    Raises:
        MediaError: If the file cannot be read.
    """
    codec: _Codec | None = None
    held: list[np.ndarray] = []
    for batch in frames(path, fps=FPS, rule="ffmpeg -r"):
        codec = codec or _Codec(encode, height=batch.shape[1] & ~1, width=batch.shape[2] & ~1)
        for frame in batch:
            held += codec.push(frame)
        while len(held) >= BATCH:
            yield np.stack(held[:BATCH])
            held = held[BATCH:]
    held += codec.finish() if codec else []
    for start in range(0, len(held), BATCH):
        yield np.stack(held[start : start + BATCH])


class _Codec:
    """An encoder with its decoder."""

    def __init__(self, encode: Encode, *, height: int, width: int) -> None:
        name, options = _ENCODERS[encode]
        encoder = av.CodecContext.create(name, "w")
        assert isinstance(encoder, VideoCodecContext)
        self._encoder, self._size = encoder, (height, width)
        encoder.height, encoder.width = height, width
        encoder.pix_fmt, encoder.framerate = "yuv420p", Fraction(FPS)
        encoder.options, encoder.thread_count = options, 1
        decoder = av.CodecContext.create("mpeg4" if name == "mpeg4" else "h264", "r")
        assert isinstance(decoder, VideoCodecContext)
        self._decoder = decoder
        self._count = 0

    def push(self, frame: np.ndarray) -> list[np.ndarray]:
        """Codes one frame; returns those that come out, in order."""
        height, width = self._size
        picture = av.VideoFrame.from_ndarray(
            np.ascontiguousarray(frame[:height, :width]), format="rgb24"
        )
        picture.pts = self._count
        self._count += 1
        return self._decoded(self._encoder.encode(picture))

    def finish(self) -> list[np.ndarray]:
        """Returns the frames that are left."""
        left = self._decoded(self._encoder.encode(None))
        return left + self._arrays(self._decoder.decode(None))

    def _decoded(self, packets: list[av.Packet]) -> list[np.ndarray]:
        return [array for packet in packets for array in self._arrays(self._decoder.decode(packet))]

    def _arrays(self, pictures: list[av.VideoFrame]) -> list[np.ndarray]:
        return [picture.to_ndarray(format="rgb24") for picture in pictures]
