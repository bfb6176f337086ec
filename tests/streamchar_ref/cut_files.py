"""Small files of all containers, whole and cut."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from streamchar_ref.media.decode import audio, frames, probe
from tests.streamchar_ref.media_files import numbered, tone, write

_X264 = {"crf": "20", "preset": "ultrafast", "bf": "0", "g": "12"}
_FRAGMENTS = "+frag_keyframe+empty_moov+default_base_moof"
_VP8 = {"deadline": "realtime", "cpu-used": "8"}

# Name -> suffix, arguments of `write`, options of the muxer, whether it is written into a pipe.
CONTAINERS: dict[str, tuple[str, dict[str, Any], dict[str, str], bool]] = {
    "mp4": ("mp4", {"options": {"crf": "20", "bf": "2", "g": "12"}}, {}, False),
    "mp4, index first": ("mp4", {"options": _X264}, {"movflags": "+faststart"}, False),
    "mp4, fragments": ("mp4", {"options": _X264}, {"movflags": _FRAGMENTS}, False),
    "mp4, dash": (
        "mp4", {"options": _X264}, {"movflags": f"{_FRAGMENTS}+dash+global_sidx"}, False
    ),
    "mov": ("mov", {"options": _X264}, {}, False),
    "mkv": ("mkv", {"options": _X264}, {}, False),
    "mkv, lossless": ("mkv", {"vcodec": "ffv1", "acodec": "pcm_s16le"}, {}, False),
    "mkv, cues first": ("mkv", {"options": _X264}, {"cues_to_front": "1"}, False),
    "mkv, live": ("mkv", {"options": _X264}, {}, True),
    "webm": ("webm", {"vcodec": "libvpx", "acodec": "libopus", "options": _VP8}, {}, False),
    "webm, live": ("webm", {"vcodec": "libvpx", "acodec": "libopus", "options": _VP8}, {}, True),
    "avi": ("avi", {"vcodec": "mpeg4", "acodec": "mp2"}, {}, False),
    "avi, plain samples": (
        "avi", {"vcodec": "mjpeg", "acodec": "pcm_s16le", "pix_fmt": "yuvj420p"}, {}, False
    ),
    "flv": ("flv", {"options": _X264, "rate": 44_100}, {}, False),
    "wmv": ("wmv", {"vcodec": "wmv2", "acodec": "mp2"}, {}, False),
    "wav": ("wav", {"acodec": "pcm_s16le"}, {}, False),
    "aiff": ("aiff", {"acodec": "pcm_s16be"}, {}, False),
    "flac": ("flac", {"acodec": "flac"}, {}, False),
    "ogg": ("ogg", {"acodec": "libopus"}, {}, False),
    "mp3": ("mp3", {"acodec": "mp3", "rate": 44_100}, {}, False),
    "m4a": ("m4a", {"container": "mp4"}, {}, False),
    "m4a, index first": ("m4a", {"container": "mp4"}, {"movflags": "+faststart"}, False),
}  # fmt: skip
PROMISE_NOTHING = {
    "ts": ("ts", {"options": _X264}, {}, False),
    "mpg": ("mpg", {"vcodec": "mpeg2video", "acodec": "mp2"}, {}, False),
    "flv, live": ("flv", {"options": _X264, "rate": 44_100}, {}, True),
    "wav, from a pipe": ("wav", {"acodec": "pcm_s16le"}, {}, True),
}
"""Cut between two packets they are whole files, for all that anybody can know."""
_SOUNDS = ("wav", "aiff", "flac", "ogg", "mp3", "m4a")


def make(folder: Path, name: str) -> Path:
    """Writes 1.2 s of picture and sound, or of sound alone."""
    suffix, arguments, options, is_piped = (CONTAINERS | PROMISE_NOTHING)[name]
    rng = np.random.default_rng(0)
    pixels = numbered(30) + rng.integers(0, 16, (30, 32, 128, 3), dtype=np.uint8)
    rate = arguments.get("rate", 48_000)
    noise = 0.05 * rng.standard_normal(rate * 6 // 5).astype(np.float32)
    path = folder / f"made.{suffix}"
    picture = None if suffix in _SOUNDS else pixels
    write(path, picture, tone(1.2, rate) / 2 + noise, **({"rate": rate} | arguments))
    if not options and not is_piped:
        return path
    return _copied(path, folder / f"whole.{suffix}", options, is_piped)


class _Pipe:
    """Takes bytes and cannot go back."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._file = path.open("wb")

    def write(self, content: bytes) -> int:
        return self._file.write(content)

    def close(self) -> None:
        self._file.close()


def _copied(source: Path, target: Path, options: dict[str, str], is_piped: bool) -> Path:
    pipe = _Pipe(target) if is_piped else None
    kind = {"mkv": "matroska", "m4a": "mp4"}.get(target.suffix[1:], target.suffix[1:])
    with (
        av.open(str(source)) as given,
        av.open(pipe or str(target), "w", format=kind, container_options=options) as out,
    ):
        tracks = {stream: out.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.dts is not None:
                packet.stream = tracks[packet.stream]
                out.mux(packet)
    if pipe:
        pipe.close()
    return target


def cuts(path: Path, *, count: int, seed: int) -> Iterator[Path]:
    """Yields the file without its end, cut at random places and at some near both ends."""
    content = path.read_bytes()
    draw = random.Random(seed)
    size = len(content)
    places = {draw.randrange(size // 20, size) for _ in range(count)}
    cut = path.with_name(f"cut{path.suffix}")
    for place in sorted(places | {size - 1, size - 3, size * 99 // 100, size // 2}):
        cut.write_bytes(content[:place])
        yield cut


def values(path: Path) -> tuple[int, int, str]:
    """Returns the numbers of frames and samples that are read, and a digest of all of them."""
    info, digest = probe(path), hashlib.sha256()
    num_frames = num_samples = 0
    for batch in frames(path) if info.video_codec else ():
        digest.update(batch.tobytes())
        num_frames += len(batch)
    if info.audio_codec:
        samples = audio(path, sample_rate=16_000)
        digest.update(samples.tobytes())
        num_samples = len(samples)
    return num_frames, num_samples, digest.hexdigest()
