"""Small files with odd clocks, tracks and shapes, and what the frames in them are."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition

RATE = 16_000
TICKS = 90_000
BITS = 8
CELL = 16


def numbered(count: int, start: int = 0) -> np.ndarray:
    """Frames that carry their number as black and white cells, [T, 32, 128, 3]."""
    pixels = np.full((count, 32, BITS * CELL, 3), 90, np.uint8)
    for index in range(count):
        for bit in range(BITS):
            cell = slice(bit * CELL, (bit + 1) * CELL)
            pixels[index, :, cell] = 235 if (start + index) >> bit & 1 else 16
    return pixels


def numbers(frames: Sequence[np.ndarray] | np.ndarray) -> list[int]:
    """Reads the numbers back, whatever the codec did to the frames."""
    cells = np.concatenate(list(frames)).mean(axis=(1, 3)).reshape(-1, BITS, CELL)[:, :, 4:-4]
    return [int(sum(1 << bit for bit in np.flatnonzero(row))) for row in cells.mean(axis=2) > 128]


def tone(seconds: float, rate: int = RATE, hz: float = 440) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def clicks(times_s: Sequence[float], seconds: float, rate: int = RATE) -> np.ndarray:
    """Short bursts at the times given."""
    samples = np.zeros(round(seconds * rate), np.float32)
    for time_s in times_s:
        start = round(time_s * rate)
        samples[start : start + rate // 100] = tone(0.01, rate, 1000)
    return samples


def click_times_s(samples: np.ndarray, rate: int = RATE) -> list[float]:
    loud = np.flatnonzero(np.abs(samples) > 0.2)
    starts = loud[np.diff(loud, prepend=-rate) > rate // 20]
    return [float(start) / rate for start in starts]


def write(
    path: Path,
    pixels: np.ndarray | None = None,
    samples: np.ndarray | None = None,
    *,
    fps: float = 25,
    rate: int = RATE,
    vcodec: str = "libx264",
    acodec: str = "aac",
    times_s: Sequence[float] | None = None,
    lost: Sequence[tuple[float, float]] = (),
    aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
    container: str | None = None,
    pix_fmt: str = "yuv420p",
    layout: str = "mono",
) -> Path:
    """Encodes frames [T, H, W, 3] and samples [C, S] or [S], without packets of ``lost`` spans."""
    with av.open(f"file:{path}", "w", format=container) as out:
        video = sound = None
        if pixels is not None:
            video = out.add_stream(vcodec, rate=Fraction(fps).limit_denominator(1001))
            video.height, video.width = pixels.shape[1:3]
            video.pix_fmt = pix_fmt
            video.codec_context.options = options or (
                {"crf": "10", "preset": "ultrafast", "bf": "0"} if vcodec == "libx264" else {}
            )
            if times_s is not None:
                video.codec_context.time_base = video.time_base = Fraction(1, TICKS)
            if aspect is not None:
                video.codec_context.sample_aspect_ratio = aspect
        if samples is not None:
            sound = out.add_stream(acodec, rate=rate, layout=layout)
        if video is not None and pixels is not None:
            for packet in _video_packets(video, pixels, times_s):
                out.mux(packet)
        if sound is not None and samples is not None:
            for packet in audio_packets(sound, samples, rate, layout):
                time_s = float((packet.pts or 0) * packet.time_base)
                if not any(start <= time_s < end for start, end in lost):
                    out.mux(packet)
    return path


def _video_packets(video: Any, pixels: np.ndarray, times_s: Sequence[float] | None) -> list[Any]:
    packets = []
    for index, picture in enumerate(pixels):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        if times_s is None:
            frame.pts = index
        else:
            frame.pts, frame.time_base = round(times_s[index] * TICKS), Fraction(1, TICKS)
        packets += video.encode(frame)
    return packets + video.encode()


def audio_packets(
    sound: Any, samples: np.ndarray, rate: int, layout: str = "mono", late: Any = lambda index: 0
) -> list[Any]:
    """Encodes [C, S] or [S]; ``late`` moves the timestamp of each piece by some samples."""
    channels = np.atleast_2d(samples)
    wanted, step, packets = sound.codec_context.format.name, 960, []
    for index, start in enumerate(range(0, channels.shape[1], step)):
        part = np.ascontiguousarray(channels[:, start : start + step], np.float32)
        if wanted in {"s16", "s16p"}:
            part = (np.clip(part, -1, 1) * 32767).astype(np.int16)
        if wanted == "s32p":
            part = (np.clip(part, -1, 1) * 0x7FFF_FF00).astype(np.int32)
        if wanted in {"s16", "flt"}:
            part = np.ascontiguousarray(part.T.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(part, format=wanted, layout=layout)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = start + late(index)
        packets += sound.encode(frame)
    return packets + sound.encode()


def copy_packets(
    source: Path, target: Path, *, first_s: float, last_s: float = 1e9, shift_s: float = 0.0,
    container: str | None = None,
) -> Path:  # fmt: skip
    """Copies packets from a time on, or from the key frame before it if the clock is shifted.

    With a shift, what lies before time 0 gets negative times, and the mp4 muxer writes an edit
    list for it.
    """
    edits = {"avoid_negative_ts": "disabled", "use_editlist": "1", "movflags": "+faststart"}
    options = edits if shift_s else {}
    with (
        av.open(f"file:{source}") as given,
        av.open(f"file:{target}", "w", format=container, container_options=options) as out,
    ):
        read = (*given.streams.video, *given.streams.audio)
        tracks = {stream: out.add_stream_from_template(stream) for stream in read}
        packets = [p for p in given.demux(*tracks) if p.dts is not None]
        start_s = min(float(p.pts * p.time_base) for p in packets)
        key_s = max(
            (float(p.pts * p.time_base) - start_s for p in packets
             if p.stream.type == "video" and p.is_keyframe
             and float(p.pts * p.time_base) - start_s <= first_s),
            default=0.0,
        )  # fmt: skip
        for packet in packets:
            time_s = float(packet.pts * packet.time_base) - start_s
            keeps_key = shift_s and packet.stream.type == "video"
            if not (key_s if keeps_key else first_s) <= time_s + 1e-6 < last_s:
                continue
            ticks = round(shift_s / packet.time_base)
            packet.pts, packet.dts = packet.pts - ticks, packet.dts - ticks
            packet.stream = tracks[packet.stream]
            out.mux(packet)
    return target


def set_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Writes the display matrix of an mp4's first track, x' = a x + c y, y' = b x + d y."""
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd")
    place = at + 4 + 4 + (32 if data[at + 4] else 20) + 16
    values = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    data[place : place + 36] = struct.pack(">9i", *values)
    path.write_bytes(data)


def write_tracks(
    path: Path, pixels: np.ndarray, sounds: Sequence[np.ndarray], *, default: int, rate: int = RATE
) -> Path:
    """A picture with several tracks of sound, one of them marked as default."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25)
        video.height, video.width = pixels.shape[1:3]
        video.pix_fmt = "yuv420p"
        tracks = [out.add_stream("aac", rate=rate, layout="mono") for _ in sounds]
        for index, track in enumerate(tracks):
            track.disposition = Disposition.default if index == default else Disposition(0)
        for packet in _video_packets(video, pixels, None):
            out.mux(packet)
        for track, samples in zip(tracks, sounds, strict=True):
            for packet in audio_packets(track, samples, rate):
                out.mux(packet)
    return path


def write_with_cover(path: Path, pixels: np.ndarray | None, samples: np.ndarray) -> Path:
    """A still as first video track, marked as cover where the container can, then the rest."""
    with av.open(str(path), "w") as out:
        cover = out.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 48, 48, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        video = None
        if pixels is not None:
            video = out.add_stream("libx264", rate=25)
            video.height, video.width = pixels.shape[1:3]
            video.pix_fmt = "yuv420p"
        sound = out.add_stream("aac", rate=RATE, layout="mono")
        still = np.full((1, 48, 48, 3), 250, np.uint8)
        for packet in _video_packets(cover, still, None):
            out.mux(packet)
        if video is not None and pixels is not None:
            for packet in _video_packets(video, pixels, None):
                out.mux(packet)
        for packet in audio_packets(sound, samples, RATE):
            out.mux(packet)
    return path
