"""Video and sound files that are cut, altered, of odd shapes, or no such thing at all."""

import os
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import av
import numpy as np

from streamchar_ref.media.wav import write_wav
from tests.faults import base
from tests.faults.trial import Trial

METRICS = ("exposure_drift", "phoneme_error_rate")
FORMATS = {  # suffix -> video codec, audio codec, what their headers say of the length
    ".mp4": ("libx264", "aac"),
    ".mov": ("libx264", "aac"),
    ".mkv": ("libx264", "aac"),
    ".webm": ("libvpx", "libopus"),
    ".avi": ("mpeg4", "mp3"),
    ".ts": ("libx264", "aac"),
    ".mpg": ("mpeg2video", "mp2"),
}
LONGEST_S = 2  # a few pixels of an odd shape become millions when they are scaled
SAYS_ITS_LENGTH = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".wav")


def media(rng: Random, work: Path) -> Trial:
    """A good sample and one whose file is damaged or odd."""
    if rng.random() < 0.2:
        path, note, is_hopeless = _sound(rng, work)
        sample = {"video_path": "good.mp4", "audio_path": path.name}
    else:
        path, note, is_hopeless = _video(rng, work)
        sample = {"video_path": path.name}
    bad = {"sample_id": "bad", "system": "s", "transcript": "Hello there.", **sample}
    good = {"sample_id": "good", "system": "s", "video_path": "good.mp4"}
    base.write_lines(work / "list.jsonl", [bad, good])
    by_list = rng.random() < 0.7
    source = ("--manifest", "list.jsonl") if by_list else (path.name, "good.mp4")
    command = ("score", *source, "--out", "out", "--jobs", "1", "--metrics", ",".join(METRICS))
    is_native = rng.random() < 0.7
    return Trial(
        note=f"{path.name}: {note}",
        commands=((*command, *(("--native",) if is_native else ())),),
        samples=("bad", "good") if by_list else (),
        metrics=METRICS,
        must_score=by_list,
        is_hopeless=is_hopeless,
        well=("good",),
    )


def _video(rng: Random, work: Path) -> tuple[Path, str, bool]:
    suffix = rng.choice(list(FORMATS))
    path = work / f"bad{suffix}"
    shape = {
        "height": rng.choice((16, 32, 32, 64, 33, 2, 250)),
        "width": rng.choice((16, 32, 32, 64, 35, 4, 250)),
        "count": rng.choice((1, 2, 10, 25, 40)),
        "fps": rng.choice((25, 25, 24, 30, 50, 29.97, 12.5, 1, 120)),
        "rate": rng.choice((16_000, 44_100, 48_000, 8000, 22_050)),
        "has_sound": rng.random() < 0.7,
        "has_picture": rng.random() < 0.95,
    }
    if suffix in (".mpg", ".ts", ".webm"):
        shape |= {"rate": 48_000, "fps": 25}
    shape["count"] = min(shape["count"], int(LONGEST_S * shape["fps"]))
    try:
        _encode(rng, path, suffix, shape)
    except (av.error.FFmpegError, ValueError):  # the codec has no such shape
        path.unlink(missing_ok=True)
        shape |= {"height": 32, "width": 32, "fps": 25, "rate": 48_000}
        _encode(rng, path, suffix, shape)
    return _damaged(rng, path, f"{shape}")


def _encode(rng: Random, path: Path, suffix: str, shape: dict[str, Any]) -> None:
    vcodec, acodec = FORMATS[suffix]
    options = {"fflags": "+bitexact"}  # no random identifiers
    if suffix in (".mp4", ".mov"):
        options |= rng.choice((
            {}, {"movflags": "+faststart"}, {"movflags": "frag_keyframe+empty_moov"},
        ))  # fmt: skip
    pixels = base.pictures(shape["count"], shape["height"], shape["width"])
    seconds = shape["count"] / shape["fps"]
    with av.open(str(path), "w", container_options=options) as out:
        video = sound = None
        if shape["has_picture"]:
            video = out.add_stream(vcodec, rate=Fraction(shape["fps"]).limit_denominator(1001))
            video.height, video.width, video.pix_fmt = shape["height"], shape["width"], "yuv420p"
            video.codec_context.options = (
                {"preset": "ultrafast", "g": "5"} if "264" in vcodec else {}
            )
        if shape["has_sound"] or video is None:
            sound = out.add_stream(acodec, rate=shape["rate"], layout="mono")
        if video is not None:
            for index, picture in enumerate(pixels):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts = index
                out.mux(video.encode(frame))
            out.mux(video.encode())
        if sound is not None:
            samples = base.tone(min(max(seconds, 0.2), 5), shape["rate"])
            for start in range(0, len(samples), 960):
                part = samples[None, start : start + 960]
                heard = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
                heard.sample_rate, heard.pts = shape["rate"], start
                heard.time_base = Fraction(1, shape["rate"])
                out.mux(sound.encode(heard))
            out.mux(sound.encode())


def _sound(rng: Random, work: Path) -> tuple[Path, str, bool]:
    path = work / "bad.wav"
    rate = rng.choice((16_000, 44_100, 48_000, 8000, 11_025, 192_000))
    seconds = rng.choice((0.0, 0.01, 0.6, 0.6, 1.5))
    write_wav(path, base.tone(seconds, rate), sample_rate=rate)
    if rng.random() < 0.25:  # fields of the header: format, channels, rate, width, size
        content = bytearray(path.read_bytes())
        at, width = rng.choice(
            ((4, 4), (16, 4), (20, 2), (22, 2), (24, 4), (32, 2), (34, 2), (40, 4))
        )
        value = rng.choice((0, 1, 3, 7, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF)) & (256**width - 1)
        content[at : at + width] = struct.pack("<I", value)[:width]
        path.write_bytes(content)
        return path, f"header at {at} is {value}", False
    return _damaged(rng, path, f"{seconds} s at {rate} Hz")


def _damaged(rng: Random, path: Path, shape: str) -> tuple[Path, str, bool]:
    ways = (
        _whole,
        _cut,
        _cut,
        _cut,
        _flipped,
        _flipped,
        _zeroed,
        _box,
        _renamed,
        _swapped,
        _nothing,
    )
    note, is_hopeless = rng.choice(ways)(rng, path)
    target = path
    if note.startswith("renamed"):
        target = path.with_suffix(note.split()[-1])
    return target, f"{note}; {shape}", is_hopeless


def _whole(rng: Random, path: Path) -> tuple[str, bool]:
    return "as it is", False


def _cut(rng: Random, path: Path) -> tuple[str, bool]:
    content = path.read_bytes()
    share = rng.choice((0.0, 0.02, 0.3, 0.5, 0.8, 0.95, 0.999))
    path.write_bytes(content[: int(share * len(content))])
    return f"cut to {share:.1%}", share == 0 or (share <= 0.8 and path.suffix in SAYS_ITS_LENGTH)


def _flipped(rng: Random, path: Path) -> tuple[str, bool]:
    content = bytearray(path.read_bytes())
    count = rng.choice((1, 5, 50, 500))
    first = rng.choice((0, 0, len(content) // 2))
    for _ in range(count if len(content) > first else 0):
        content[rng.randrange(first, len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)
    return f"{count} bits flipped", False


def _zeroed(rng: Random, path: Path) -> tuple[str, bool]:
    content = path.read_bytes()
    start, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    path.write_bytes(content[:start] + bytes(end - start) + content[end:])
    return f"zeros from {start} to {end}", False


def _box(rng: Random, path: Path) -> tuple[str, bool]:
    """Alters numbers behind a name that mp4, avi or Matroska headers have."""
    content = bytearray(path.read_bytes())
    names = (
        b"mvhd", b"mdhd", b"tkhd", b"stts", b"stsz", b"stco", b"stsd", b"elst", b"trun", b"moov",
        b"avih", b"strh", b"strf", b"idx1", b"\x44\x89", b"\x2a\xd7\xb1", b"\xb0", b"\xba",
    )  # fmt: skip
    there = [name for name in names if name in content]
    if not there:
        return _flipped(rng, path)
    name = rng.choice(there)
    at = content.index(name) + len(name) + 4 * rng.randrange(8)
    content[at : at + 4] = rng.choice(
        (b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\1\0\0\0")
    )
    path.write_bytes(content)
    return f"a number after {name!r} is {bytes(content[at : at + 4])!r}", False


def _renamed(rng: Random, path: Path) -> tuple[str, bool]:
    suffix = rng.choice(
        (".mp4", ".mkv", ".avi", ".wav", ".webm", ".mp3", ".gif", ".h264", ".m3u8", ".ffconcat")
    )
    path.rename(path.with_suffix(suffix))
    return f"renamed to {suffix}", False


def _swapped(rng: Random, path: Path) -> tuple[str, bool]:
    """Other content under the name."""
    contents: dict[str, bytes] = {
        "text": b"hello\n" * 50,
        "a picture": (path.parent / "face.png").read_bytes(),
        "a playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nbad.mp4\n",
        "a list of files": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "subtitles": b"1\n00:00:00,000 --> 00:00:01,000\nhello\n",
        "an archive": b"PK\x03\x04" + bytes(60),
        "SVG": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        "random bytes": rng.randbytes(3000),
        "zeros": bytes(3000),
        "HTML": b"<html><body>404 Not Found</body></html>",
        "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\nsize 1\n",
        "numbers": np.arange(500).tobytes(),
    }
    what = rng.choice(list(contents))
    path.write_bytes(contents[what])
    return what, what not in ("a picture", "a playlist")


def _nothing(rng: Random, path: Path) -> tuple[str, bool]:
    path.unlink()
    kinds: dict[str, Callable[[], Any]] = {
        "nothing": lambda: None,
        "a folder": path.mkdir,
        "a link to itself": lambda: path.symlink_to(path.name),
        "a link to nothing": lambda: path.symlink_to("nowhere"),
        "a pipe": lambda: os.mkfifo(path),
        "no bytes": path.touch,
    }
    what = rng.choice(list(kinds))
    kinds[what]()
    return what, True
