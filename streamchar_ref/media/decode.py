"""Reads picture and sound of a file in bounded memory, on one clock.

Time 0 is the first video frame; sound that starts later is padded, earlier sound is cut.
Shape letters: T frames, H and W pixels, S audio samples.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soxr
from jaxtyping import Float32, UInt8

from streamchar_ref.media.chunk import MediaError

BATCH = 32


@dataclass(frozen=True, kw_only=True)
class MediaInfo:
    """What a file says about itself.

    Attributes:
        fps: Average video frames per second; 0 without picture.
        width: In pixels.
        height: In pixels.
        num_frames: Video frames that the container promises; 0 if it does not say.
        duration_s: Longest stream.
        video_s: Length of the picture; 0 if the container does not say.
        audio_s: Length of the sound; 0 if the container does not say.
        sample_rate: Of the sound; 0 without sound.
        channels: Of the sound.
        start_offset_s: Start of the sound after the start of the picture; negative if before.
        video_codec: Name, empty without picture.
        audio_codec: Name, empty without sound.
    """

    fps: float
    width: int
    height: int
    num_frames: int
    duration_s: float
    video_s: float
    audio_s: float
    sample_rate: int
    channels: int
    start_offset_s: float
    video_codec: str
    audio_codec: str


@contextmanager
def _opened(path: Path) -> Iterator[av.container.InputContainer]:
    """Opens a file and turns what PyAV raises on broken input into a `MediaError`."""
    if not path.is_file():
        raise MediaError(f"{path.name}: there is no such file ({path})")
    try:
        # Titles and comments need not be UTF-8; nothing here reads them.
        with av.open(str(path), metadata_errors="replace") as container:
            yield container
    except av.error.FFmpegError as error:
        raise MediaError(
            f"{path.name}: cannot be decoded; is it cut short or not a media file? "
            f"({error.strerror or error})"
        ) from error


def probe(path: Path) -> MediaInfo:
    """Reads a file's headers.

    Args:
        path: Any file that FFmpeg's libraries read.

    Returns:
        What the headers say; nothing is decoded.

    Raises:
        MediaError: If the file is missing, unreadable, or has neither picture nor sound.
    """
    with _opened(path) as container:
        video = container.streams.video[0] if container.streams.video else None
        audio = container.streams.audio[0] if container.streams.audio else None
        if video is None and audio is None:
            raise MediaError(f"{path.name}: has neither picture nor sound")
        starts = [
            _seconds(stream.start_time, stream.time_base) if stream else 0.0
            for stream in (video, audio)
        ]
        return MediaInfo(
            fps=float(video.average_rate or 0) if video else 0.0,
            width=video.width if video else 0,
            height=video.height if video else 0,
            num_frames=video.frames if video else 0,
            duration_s=(container.duration or 0) / av.time_base,
            video_s=_seconds(video.duration, video.time_base) if video else 0.0,
            audio_s=_seconds(audio.duration, audio.time_base) if audio else 0.0,
            sample_rate=audio.sample_rate if audio else 0,
            channels=audio.channels if audio else 0,
            start_offset_s=starts[1] - starts[0] if video and audio else 0.0,
            video_codec=video.codec_context.name if video else "",
            audio_codec=audio.codec_context.name if audio else "",
        )


def frames(
    path: Path, *, fps: float | None = None, short_side: int | None = None, batch: int = BATCH
) -> Iterator[UInt8[np.ndarray, "_T H W 3"]]:
    """Decodes the picture front to back.

    Args:
        path: Any file that FFmpeg's libraries read.
        fps: Frame rate to convert to: at each output time the frame nearest in time is shown.
            By default every frame of the file once.
        short_side: Size of the shorter side to scale to (bicubic); by default as in the file.
        batch: Frames in each array; the last may have fewer.

    Yields:
        RGB frames.

    Raises:
        MediaError: If the file cannot be read, has no picture, no frames, far fewer frames
            than its header promises, or frames of several sizes.
    """
    held: list[np.ndarray] = []
    size = None
    for frame, repeats in _timed_frames(path, fps):
        if repeats:
            pixels = _rgb(frame, short_side)
            size = size or pixels.shape
            if pixels.shape != size:
                change = f"from {size[1]}x{size[0]} to {pixels.shape[1]}x{pixels.shape[0]}"
                raise MediaError(f"{path.name}: frame size changes {change}")
            held += [pixels] * repeats
        while len(held) >= batch:
            yield np.stack(held[:batch])
            held = held[batch:]
    if held:
        yield np.stack(held)


def _timed_frames(path: Path, fps: float | None) -> Iterator[tuple[av.VideoFrame, int]]:
    """Yields each decoded frame with how often it is shown."""
    with _opened(path) as container:
        if not container.streams.video:
            raise MediaError(f"{path.name}: has no picture")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        step = 1 / float(stream.average_rate or 25)
        decoded, shown, start, last, last_t = 0, 0, 0.0, None, 0.0
        for frame in container.decode(stream):
            t = decoded * step if frame.pts is None else _seconds(frame.pts, stream.time_base)
            start = t if decoded == 0 else start
            t, decoded = t - start, decoded + 1
            if last is not None:
                until = shown + 1 if fps is None else _first_from((last_t + t) / 2 * fps)
                yield last, max(0, until - shown)
                shown = max(shown, until)
            last, last_t = frame, t
        if last is None:
            raise MediaError(f"{path.name}: has no video frames")
        if decoded < 0.95 * stream.frames:
            raise MediaError(
                f"{path.name}: is cut short: {decoded} of {stream.frames} frames can be decoded"
            )
        # Rounded: container times are, and must not make a frame more.
        until = shown + 1 if fps is None else max(1, round((last_t + step) * fps))
        yield last, max(0, until - shown)


def _first_from(position: float) -> int:
    """First output index at or after a position; on a tie the later frame is shown."""
    return int(np.ceil(position - 1e-6))


def _rgb(frame: av.VideoFrame, short_side: int | None) -> np.ndarray:
    # Colour first, then size: both at once shifts flat grey by up to 2 levels in libswscale.
    picture = frame.reformat(format="rgb24")
    if short_side is not None:
        width, height = scaled_size(frame.width, frame.height, short_side)
        picture = picture.reformat(width=width, height=height, interpolation="BICUBIC")
    return picture.to_ndarray()


def scaled_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Returns width and height with the shorter side as asked and both even."""
    scale = short_side / min(width, height)
    return 2 * round(width * scale / 2), 2 * round(height * scale / 2)


def audio(path: Path, *, sample_rate: int, start_s: float = 0.0) -> Float32[np.ndarray, " S"]:
    """Decodes the sound, mixed to mono and resampled.

    Args:
        path: Any file that FFmpeg's libraries read.
        sample_rate: Wanted samples per second.
        start_s: Time in the file's own clock that becomes sample 0, i.e. where the picture starts.

    Returns:
        Samples in [-1, 1]; what is louder is clipped, as a player would.

    Raises:
        MediaError: If the file cannot be read, has no sound, or holds NaN or infinite samples.
    """
    parts: list[np.ndarray] = []
    with _opened(path) as container:
        if not container.streams.audio:
            raise MediaError(f"{path.name}: has no sound")
        stream = container.streams.audio[0]
        mono = av.AudioResampler(format="fltp", layout="mono", rate=stream.sample_rate)
        soxr_stream = soxr.ResampleStream(stream.sample_rate, sample_rate, 1, dtype="float32")
        first_s = None
        for frame in container.decode(stream):
            if first_s is None:
                first_s = _seconds(frame.pts, frame.time_base)
            pieces = mono.resample(frame)
            parts += [soxr_stream.resample_chunk(piece.to_ndarray()[0]) for piece in pieces]
        parts.append(soxr_stream.resample_chunk(np.zeros(0, np.float32), last=True))
    samples = np.concatenate(parts)
    if not np.isfinite(samples).all():
        where = np.flatnonzero(~np.isfinite(samples))[0] / sample_rate
        raise MediaError(f"{path.name}: sound has NaN or infinite samples from {where:.2f} s on")
    lead = round(((first_s or 0.0) - start_s) * sample_rate)
    shifted = np.pad(samples, (lead, 0)) if lead > 0 else samples[-lead:]
    return np.clip(shifted, -1.0, 1.0).astype(np.float32)


def video_start_s(path: Path) -> float:
    """Time of the first video frame in the file's own clock; 0 without picture."""
    with _opened(path) as container:
        if not container.streams.video:
            return 0.0
        stream = container.streams.video[0]
        return _seconds(stream.start_time, stream.time_base)


def _seconds(ticks: int | None, time_base: Fraction | None) -> float:
    return float((ticks or 0) * (time_base or 0))
