"""Reads video and audio of a file in bounded memory, on a common clock.

Time 0 is the first frame that can be shown; later sound is padded, earlier sound is cut. A file
without a picture starts at its first sample.
Shape letters: T frames, H and W pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.container import InputContainer
from jaxtyping import UInt8

from streamchar_ref.media.cfr import ConstantRate
from streamchar_ref.media.chunk import MediaError
from streamchar_ref.media.complete import check_complete
from streamchar_ref.media.display import Display, display_of
from streamchar_ref.media.limits import batch_size, check_picture, check_scaled
from streamchar_ref.media.sound import audio, first_sample_s
from streamchar_ref.media.source import first_frame, opened, picture_tracks, sound_tracks
from streamchar_ref.media.timeline import TimedFrame, clock_of, timed_frames

__all__ = ["MediaInfo", "audio", "frames", "probe", "scaled_size", "video_start_s"]
BATCH = 32
_HDR = {16: "PQ", 18: "HLG"}  # transfer characteristics of ITU-T H.273
_OPAQUE = 255


@dataclass(frozen=True, kw_only=True)
class MediaInfo:
    """Properties of a file from its headers and its first frame.

    Lengths are not included, because headers are often wrong about them; see `lengths.measure`.

    Attributes:
        fps: Video frames per second by the header, for display only; 0 without picture.
        width: Of the picture as shown, in pixels.
        height: Of the picture as shown, in pixels.
        sample_rate: Of the sound; 0 without sound.
        channels: Of the sound.
        start_offset_s: Start of the sound after the start of the picture; negative if before.
        video_codec: Name, empty without picture.
        audio_codec: Name, empty without sound.
        video_tracks: Number of video tracks; the first of `picture_tracks` is read.
        audio_tracks: Number of audio tracks.
        display: How stored pixels are shown.
        oddities: Properties that 8-bit RGB cannot represent: interlaced fields, high dynamic
            range, transparency.
    """

    fps: float
    width: int
    height: int
    sample_rate: int
    channels: int
    start_offset_s: float
    video_codec: str
    audio_codec: str
    video_tracks: int
    audio_tracks: int
    display: Display
    oddities: tuple[str, ...]


def probe(path: Path) -> MediaInfo:
    """Reads a file's headers and decodes its first frame.

    Args:
        path: Any file that FFmpeg's libraries read.

    Returns:
        What they say.

    Raises:
        MediaError: If the file is missing, unreadable, or has neither picture nor sound.
    """
    with opened(path) as container:
        pictures, sounds = picture_tracks(container), sound_tracks(container)
        if not pictures and not sounds:
            raise MediaError(f"{path.name}: has neither picture nor sound")
        video = pictures[0] if pictures else None
        sound = sounds[0] if sounds else None
        frame = first_frame(container, video) if video else None
        display = display_of(video, frame) if video and frame else Display()
        width, height = display.size(video.width, video.height) if video else (0, 0)
        return MediaInfo(
            fps=float(video.average_rate or 0) if video else 0.0,
            width=width,
            height=height,
            sample_rate=sound.sample_rate if sound else 0,
            channels=sound.channels if sound else 0,
            start_offset_s=_start_offset_s(path) if video and sound else 0.0,
            video_codec=video.codec_context.name if video else "",
            audio_codec=sound.codec_context.name if sound else "",
            video_tracks=len(pictures),
            audio_tracks=len(sounds),
            display=display,
            oddities=_oddities(frame) if frame else (),
        )


def _start_offset_s(path: Path) -> float:
    """Start of the sound after that of the picture; 0 if a track is empty."""
    audio_s, video_s = first_sample_s(path), _first_frame_s(path)
    return 0.0 if audio_s is None or video_s is None else float(audio_s - video_s)


def _oddities(frame: av.VideoFrame) -> tuple[str, ...]:
    notes = []
    if frame.interlaced_frame:
        notes.append("interlaced: both fields are shown at once")
    if frame.color_trc in _HDR:
        notes.append(f"high dynamic range ({_HDR[frame.color_trc]}): shown without tone mapping")
    has_alpha = any(component.is_alpha for component in frame.format.components)
    if has_alpha and frame.to_ndarray(format="rgba")[..., 3].min() < _OPAQUE:
        notes.append("transparent: what lies under the transparency is shown")
    return tuple(notes)


def frames(
    path: Path,
    *,
    fps: float | None = None,
    short_side: int | None = None,
    batch: int = BATCH,
    rule: Literal["nearest", "ffmpeg -r"] = "nearest",
) -> Iterator[UInt8[np.ndarray, "_T H W 3"]]:
    """Decodes the video from start to end, upright and with square pixels.

    Args:
        path: Any file that FFmpeg's libraries read.
        fps: Frame rate to convert to, as FFmpeg's filter ``fps`` does: a frame is shown from the
            output time nearest to its own (ties: the later one) until that of the next frame. It
            is at most half an output frame early, and is held as long as in a player. By default
            every frame of the file once.
        short_side: Length of the shorter side to scale to (bicubic); by default as in the file.
        batch: Frames per array; the last may have fewer, as may all arrays of large frames.
        rule: ``ffmpeg -r`` converts the rate as that option of the program does, which shows
            frames of a faster video late, see `ConstantRate`.

    Yields:
        RGB frames.

    Raises:
        MediaError: If the file cannot be read, is truncated or damaged, has no picture, no
            frames, frames of several sizes, or timestamps that jump.
        TooLarge: If the file, or the scaled picture, exceeds a limit.
    """
    check_complete(path)
    held: list[np.ndarray] = []
    with opened(path) as container:
        stream = _picture(path, container)
        stream.thread_type = "AUTO"
        display = None
        repeated = _repeated if rule == "nearest" else _repeated_by_option
        for frame, repeats in repeated(timed_frames(path, container, stream), fps):
            if display is None:
                display = display_of(stream, frame)
                width, height = _shown_size(frame, display, short_side)
                check_picture(path, width, height, "a picture as shown, of")
                if short_side is not None:
                    check_scaled(path, width, height)
                batch = batch_size(batch, width, height)
            shown = _rgb(frame, display, short_side) if repeats else None
            while shown is not None and repeats:
                taken = min(repeats, batch - len(held))
                held += [shown] * taken
                repeats -= taken
                if len(held) == batch:
                    yield np.stack(held)
                    held = []
    if held:
        yield np.stack(held)


def _picture(path: Path, container: InputContainer) -> av.VideoStream:
    tracks = picture_tracks(container)
    if not tracks:
        raise MediaError(f"{path.name}: has no picture")
    return tracks[0]


def _repeated(
    timed: Iterator[TimedFrame], fps: float | None
) -> Iterator[tuple[av.VideoFrame, int]]:
    """Yields each frame with its number of output frames; there is at least one in all."""
    rate = None if fps is None else Fraction(fps).limit_denominator(1001)
    start_s, done, last = None, 0, None
    for item in timed:
        if rate is None:
            yield item.frame, 1
            continue
        start_s = item.start_s if start_s is None else start_s
        until = nearest_index(item.end_s - start_s, rate)
        yield item.frame, max(0, until - done)
        done, last = max(done, until), item.frame
    if last is not None and done == 0:
        yield last, 1


def _repeated_by_option(
    timed: Iterator[TimedFrame], fps: float | None
) -> Iterator[tuple[av.VideoFrame, int]]:
    """The same by the rule of FFmpeg's option ``-r``."""
    if fps is None:
        raise ValueError("the rule 'ffmpeg -r' needs a rate")
    clock = ConstantRate(rate=Fraction(fps).limit_denominator(1001))
    start_s: Fraction | None = None
    last: av.VideoFrame | None = None
    for item in timed:
        start_s = item.start_s if start_s is None else start_s
        before, own = clock.repeats(item.start_s - start_s, item.end_s - item.start_s)
        if last is not None:
            yield last, before
        yield item.frame, own
        last = item.frame


def nearest_index(time_s: Fraction, fps: Fraction) -> int:
    """Index of the nearest output frame; ties go to the later one."""
    return int((time_s * fps + Fraction(1, 2)) // 1)


def _shown_size(frame: av.VideoFrame, display: Display, short_side: int | None) -> tuple[int, int]:
    width, height = display.stretched(frame.width, frame.height)
    return (width, height) if short_side is None else scaled_size(width, height, short_side)


def _rgb(frame: av.VideoFrame, display: Display, short_side: int | None) -> np.ndarray:
    # Colour first, then size: both at once shifts flat grey by up to 2 levels in libswscale.
    picture = frame.reformat(format="rgb24")
    width, height = _shown_size(frame, display, short_side)
    if (width, height) != (frame.width, frame.height) or short_side is not None:
        picture = picture.reformat(width=width, height=height, interpolation="BICUBIC")
    return display.turn(picture.to_ndarray())


def scaled_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Returns even width and height with the given shorter side."""
    scale = short_side / min(width, height)
    return 2 * round(width * scale / 2), 2 * round(height * scale / 2)


def video_start_s(path: Path) -> float:
    """Time of the first frame that can be shown, on the file's clock; 0 without picture."""
    with opened(path) as container:
        if not picture_tracks(container):
            return 0.0
    return float(_first_frame_s(path) or 0)


def _first_frame_s(path: Path) -> Fraction | None:
    with opened(path) as container:
        stream = _picture(path, container)
        frame = first_frame(container, stream)
        return clock_of(stream).time_of(frame) if frame else None
