"""Writes video and audio: lossless for archiving, H.264 for playback and canonical scoring.

Shape letters: T frames, H and W pixels, S audio samples.
"""

import errno
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from jaxtyping import Float32, UInt8

from streamchar_ref.core.files import replacing
from streamchar_ref.media.chunk import MediaError
from streamchar_ref.media.source import fault_of_machine, file_url, opened

# No dates, versions or random identifiers: the same frames give the same bytes.
BIT_EXACT = {"fflags": "+bitexact"}
TREE_GRID = 128
"""Width in pixels whose multiples x264's mbtree, which shares out bits by what later frames refer
to, encodes the same way each time: its vector code takes eight macroblocks of a row at once, and
beyond the end of a row reads memory that was never written."""


def write_lossless(
    path: Path, batches: Iterable[UInt8[np.ndarray, "_T H W 3"]], *, fps: float
) -> int:
    """Writes RGB frames to Matroska with FFV1, every bit kept.

    Args:
        path: Ends in ``.mkv``.
        batches: RGB frames of one size.
        fps: Frames per second.

    Returns:
        Number of frames written.

    Raises:
        MediaError: If there are no frames, the size changes, or FFV1 has no such size.
        OSError: If it cannot be written, or the file does not hold all frames afterwards.
    """
    try:
        with replacing(path) as partial:
            count = _encode_lossless(partial, _video_frames(_of_one_size(batches, path)), fps)
            _check_written(path, partial, count)
    except av.error.FFmpegError as error:
        raise _cannot_encode(path, error) from error
    return count


def _encode_lossless(path: Path, frames: Iterable[av.VideoFrame], fps: float) -> int:
    rate = Fraction(fps).limit_denominator(1001)
    count = 0
    with av.open(file_url(path), "w", format="matroska", container_options=BIT_EXACT) as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.pix_fmt = "bgr0"
        stream.codec_context.options = {"flags": "+bitexact", "level": "3", "slices": "4"}
        for frame in frames:
            if count == 0:
                stream.width, stream.height = frame.width, frame.height
            frame.pts, count = count, count + 1
            container.mux(stream.encode(frame.reformat(format="bgr0")))
        if count:
            container.mux(stream.encode())
    return count


def _check_written(path: Path, written: Path, count: int) -> None:
    """Verifies the number of frames of a temporary file before it replaces the target."""
    if not count:
        raise MediaError(f"{path.name}: no frames to write")
    with opened(written) as container:
        held = sum(packet.size > 0 for packet in container.demux(video=0))
    if held != count:
        reason = f"only {held} of {count} frames were written; is the disk full?"
        raise OSError(errno.EIO, f"cannot write {path.name}: {reason}")


def write_mp4(
    path: Path,
    batches: Iterable[UInt8[np.ndarray, "_T H W 3"]],
    samples: Float32[np.ndarray, " S"] | Callable[[], Float32[np.ndarray, " S"]] | None,
    *,
    fps: float,
    sample_rate: int,
    crf: int = 18,
    preset: str = "veryfast",
    is_padded: bool = False,
) -> int:
    """Writes an mp4 that plays anywhere: H.264 4:2:0 and AAC.

    Args:
        path: Ends in ``.mp4``; written atomically.
        batches: RGB frames of one size; odd sizes lose their last row or column.
        samples: Mono waveform, or a function that returns it after the last frame, for sound that
            is generated with the frames; no audio stream if ``None``.
        fps: Frames per second.
        sample_rate: Of ``samples``.
        crf: Constant rate factor, 0 to 51; 18 is hard to tell from the source.
        preset: Of x264; part of a protocol, because it changes the picture: faster presets
            flicker more in still scenes.
        is_padded: Whether widths off `TREE_GRID` are padded up to it and cropped again by every
            decoder, so that bits are shared out at all widths alike; otherwise they are encoded
            without mbtree. Not for players: the file's header has the padded width.

    Returns:
        Number of frames written.

    Raises:
        MediaError: If there are no frames, the size changes, or H.264 has no such size.
    """
    # A fixed thread count: x264's output depends on it.
    options = {"crf": str(crf), "preset": preset, "threads": "2", "flags": "+bitexact"}
    try:
        with replacing(path) as partial:
            pictures = _repeatable(_of_one_size(map(_even, batches), path), options, is_padded)
            frames = _video_frames(pictures)
            count = _encode_mp4(partial, frames, samples, fps, sample_rate, options)
            _check_written(path, partial, count)
    except av.error.FFmpegError as error:
        raise _cannot_encode(path, error) from error
    return count


def _encode_mp4(
    path: Path,
    frames: Iterable[av.VideoFrame],
    samples: np.ndarray | Callable[[], np.ndarray] | None,
    fps: float,
    sample_rate: int,
    x264: dict[str, str],
) -> int:
    rate = Fraction(fps).limit_denominator(1001)
    options = BIT_EXACT | {"movflags": "+faststart"}
    count = 0
    with av.open(file_url(path), "w", format="mp4", container_options=options) as container:
        video = container.add_stream("libx264", rate=rate)
        video.pix_fmt = "yuv420p"
        sound = None if samples is None else _aac_stream(container, sample_rate)
        for frame in frames:
            if count == 0:
                video.width, video.height = frame.width & ~1, frame.height & ~1
                video.codec_context.options = x264
            frame.pts, count = count, count + 1
            container.mux(video.encode(frame))
        if not count:
            return 0
        container.mux(video.encode())
        if sound is not None and samples is not None:
            waveform = samples() if callable(samples) else samples
            _encode_sound(container, sound, waveform, sample_rate)
    return count


def write_m4a(path: Path, samples: Float32[np.ndarray, " S"], *, sample_rate: int) -> None:
    """Writes sound alone, with the same AAC samples as `write_mp4` writes beside a picture.

    Args:
        path: Ends in ``.m4a``; written atomically.
        samples: Mono waveform.
        sample_rate: Of ``samples``.

    Raises:
        MediaError: If the sound cannot be encoded.
    """
    try:
        with (
            replacing(path) as partial,
            av.open(file_url(partial), "w", format="mp4", container_options=BIT_EXACT) as container,
        ):
            sound = _aac_stream(container, sample_rate)
            _encode_sound(container, sound, samples, sample_rate)
    except av.error.FFmpegError as error:
        raise _cannot_encode(path, error) from error


def _cannot_encode(path: Path, error: av.error.FFmpegError) -> Exception:
    """Distinguishes a full disk or read-only folder from input that cannot be encoded."""
    if (fault := fault_of_machine(error, path)) is not None:
        return OSError(fault.errno, f"cannot write {path.name}: {fault.strerror}")
    return MediaError(f"{path.name}: cannot be encoded ({error.strerror})")


def _of_one_size(batches: Iterable[np.ndarray], path: Path) -> Iterator[np.ndarray]:
    size = None
    for batch in batches:
        size = size or batch.shape[1:]
        if batch.shape[1:] != size:
            raise MediaError(f"{path.name}: frame size changes from {size} to {batch.shape[1:]}")
        yield batch


def _video_frames(batches: Iterable[np.ndarray]) -> Iterator[av.VideoFrame]:
    for frame in chain.from_iterable(batches):
        yield av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")


def _repeatable(
    batches: Iterable[np.ndarray], x264: dict[str, str], is_padded: bool
) -> Iterator[np.ndarray]:
    """Makes widths off `TREE_GRID` safe; completes the options before the first batch is out."""
    for batch in batches:
        margin = -batch.shape[2] % TREE_GRID
        if margin and is_padded:
            x264["x264-params"] = f"crop-rect=0,0,{margin},0"
            yield np.pad(batch, ((0, 0), (0, 0), (0, margin), (0, 0)), mode="edge")
        else:
            x264 |= {"mbtree": "0"} if margin else {}
            yield batch


def _even(batch: np.ndarray) -> np.ndarray:
    """Removes the last row or column of odd sizes, which 4:2:0 does not allow."""
    height, width = batch.shape[1:3]
    return batch[:, : height & ~1 or height, : width & ~1 or width]


def _aac_stream(container: av.container.OutputContainer, sample_rate: int) -> av.AudioStream:
    stream = container.add_stream("aac", rate=sample_rate, layout="mono")
    stream.codec_context.options = {"flags": "+bitexact"}
    stream.bit_rate = 128_000
    return stream


def _encode_sound(
    container: av.container.OutputContainer,
    stream: av.AudioStream,
    samples: np.ndarray,
    sample_rate: int,
) -> None:
    for start in range(0, len(samples), 1024):
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[None, start : start + 1024]), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = sample_rate, start
        frame.time_base = Fraction(1, sample_rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
