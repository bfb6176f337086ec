"""The canonical encode: every recording is scored as the same kind of file.

A lossless file would otherwise beat an mp4 in every picture metric by its container alone.
Picture and sound that came as two files are encoded as two files, so that what is known of one is
known for every recording that shares it; the frames and samples are those of a joint encode.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from evals.extractors import FPS, SAMPLE_RATE
from evals.protocols.base import Unscored, protocol_hash
from evals.recording.content import content_hash
from evals.recording.lengths import lengths_of
from evals.recording.played import with_frozen_frames, with_silence
from evals.recording.recording import Recording
from evals.recording.unchanged import FileChanged, unchanged
from streamchar_ref.core.cache import cache_folder, ensure_cached
from streamchar_ref.core.files import remove
from streamchar_ref.media import MediaError
from streamchar_ref.media.decode import audio, frames, probe, scaled_size
from streamchar_ref.media.encode import write_m4a, write_mp4

ENCODES = "canonical-2"
"""Folder in the cache. The first one may hold encodes of files that were cut short."""
SHORT_SIDE = 512
WIDTH_GRID = 32
CANONICAL: dict[str, Any] = {
    "name": "canonical@2",
    "fps": FPS,
    "timeline": "by timestamps, as shown",
    "short_side": SHORT_SIDE,
    "width_grid": WIDTH_GRID,
    "video": "h264 crf 18 veryfast yuv420p",
    "audio": "aac 128k mono 16000 Hz",
}
NATIVE: dict[str, Any] = {
    "name": "native@2",
    "fps": FPS,
    "timeline": "by timestamps, as shown",
    "audio": "mono 16000 Hz",
}
_DAMAGED = "the cached encode was altered while it was read; score again"


def input_protocol(*, native: bool) -> dict[str, Any]:
    """What is done to a file before anything is measured on it."""
    return NATIVE if native else CANONICAL


def recording_hash(recording: Recording, *, native: bool) -> str:
    """Stands for the bytes of a recording's files and what is done to them before scoring."""
    files = content_hash(recording.video_path, recording.audio_path)
    return f"{files}-{protocol_hash(input_protocol(native=native))}"


def track_hash(
    recording: Recording, track: Literal["frames", "audio", "clip"], *, native: bool
) -> str:
    """Stands for the bytes that an extractor of one track reads, and what is done to them.

    Recordings that share a picture or a sound file share its features. Picture and sound in one
    file are one: all its tracks have the hash of the file.

    Args:
        recording: Its files.
        track: Of the extractor: ``frames``, ``audio``, or both, ``clip``.
        native: Whether the files are taken as they are.

    Returns:
        Hash of the files and hash of the input protocol.
    """
    video, sound = recording.video_path, recording.audio_path
    paths = {"frames": (video, None), "audio": (None, sound), "clip": (video, sound)}[track]
    files = content_hash(*(paths if sound is not None else (video, None)))
    pauses = f"-{protocol_hash({'holds': recording.holds})}" if recording.holds else ""
    return f"{files}-{protocol_hash(input_protocol(native=native))}{pauses}"


def encode_path(recording: Recording, track: Literal["frames", "audio", "clip"]) -> Path:
    """Where the canonical encode of a track is kept, whether or not it is there yet."""
    name = track_hash(recording, track, native=False)
    if recording.audio_path is not None:
        name += {"frames": ".picture.mp4", "audio": ".m4a", "clip": ".mp4"}[track]
    else:
        name += ".mp4"
    return cache_folder() / ENCODES / name


def canonical_picture(recording: Recording) -> Path:
    """Makes the canonical encode of the picture once; with its sound if they are one file.

    Args:
        recording: Its video file gives the picture.

    Returns:
        An mp4.

    Raises:
        MediaError: If the picture cannot be read.
    """
    if recording.audio_path is None:
        return canonical(recording)

    def write(target: Path) -> None:
        _encode(target, recording, None)

    return _kept(recording, "frames", write)


def canonical_sound(recording: Recording) -> Path:
    """Makes the canonical encode of the sound once; with its picture if they are one file.

    Args:
        recording: Its audio file gives the sound, or else its video file.

    Returns:
        An mp4 or m4a.

    Raises:
        MediaError: If the sound, or a picture in the same file, cannot be read.
    """
    source = recording.audio_path
    if source is None:
        return canonical(recording)

    def write(target: Path) -> None:
        samples = with_silence(audio(source, sample_rate=SAMPLE_RATE), recording.holds)
        write_m4a(target, samples, sample_rate=SAMPLE_RATE)

    return _kept(recording, "audio", write)


def _frames(recording: Recording) -> Iterator[np.ndarray]:
    path = recording.video_path
    lengths_of(path)  # refuses at once what would be found too long only in the end
    shown = map(_even_width, frames(path, fps=FPS, short_side=SHORT_SIDE))
    return with_frozen_frames(shown, recording.holds)


def _encode(target: Path, recording: Recording, samples: np.ndarray | None) -> None:
    pictures = _frames(recording)
    write_mp4(target, pictures, samples, fps=FPS, sample_rate=SAMPLE_RATE, is_padded=True)


def canonical(recording: Recording) -> Path:
    """Makes the canonical encode with picture and sound once and returns the cached file.

    Args:
        recording: Its files give picture and sound.

    Returns:
        An mp4; without an audio stream if the recording has no sound.

    Raises:
        MediaError: If the recording cannot be read or has no picture.
    """

    def write(target: Path) -> None:
        _encode(target, recording, _sound_or_none(recording))

    return _kept(recording, "clip", write)


def _kept(
    recording: Recording, track: Literal["frames", "audio", "clip"], write: Callable[[Path], None]
) -> Path:
    """Makes an encode once; what was made from files that changed meanwhile is thrown away."""
    target = encode_path(recording, track)
    if target.is_dir():
        remove(target)

    def write_checked(path: Path) -> None:
        try:
            with unchanged(recording.video_path, recording.audio_path):
                write(path)
                if encode_path(recording, track) != target:
                    raise FileChanged(f"{recording.video_path.name} changed; score again")
        except Exception:
            path.unlink(missing_ok=True)
            raise

    return ensure_cached(target, write_checked)


def _even_width(batch: np.ndarray) -> np.ndarray:
    """Cuts the sides to whole macroblocks."""
    margin = batch.shape[2] % WIDTH_GRID
    left = margin // 2
    return batch[:, :, left : batch.shape[2] - (margin - left)]


def picture(recording: Recording, *, native: bool) -> Iterator[np.ndarray]:
    """Decodes the picture as it is scored: RGB frames at 25 fps.

    Args:
        recording: What to decode.
        native: Whether to take the file as it is, not its canonical encode.

    Returns:
        Batches of frames in order, uint8 [T, H, W, 3].

    Raises:
        Unscored: If the recording has no picture, which is the system's failure.
        MediaError: If it cannot be read.
        EncodeDamaged: If the canonical encode was altered while it was read.
    """
    if not probe(recording.video_path).video_codec:
        raise Unscored("the file has no picture", "generation_failure")
    if native:
        return frames(recording.video_path, fps=FPS)
    return _decoded(partial(canonical_picture, recording))


def _decoded(make: Callable[[], Path]) -> Iterator[np.ndarray]:
    with intact(make) as path:
        yield from frames(path, fps=FPS)


class EncodeDamaged(RuntimeError):
    """An encode in the cache was altered while it was read: a fault of ours, not of a system."""


@contextmanager
def intact(make: Callable[[], Path]) -> Iterator[Path]:
    """Refuses what was read from an encode that is not as it was written, before or after.

    Args:
        make: Makes the encode, or checks the one that is there.

    Yields:
        The encode, to be read in the block.

    Raises:
        EncodeDamaged: If it is gone, cannot be decoded, or was altered. The next use makes it anew.
        MediaError: If the recording cannot be read.
    """
    path = make()
    try:
        before = content_hash(path)
        yield path
        after = content_hash(path)
    except (MediaError, OSError) as error:
        remove(path)  # its hash may fit
        raise EncodeDamaged(f"{_DAMAGED}: {error}") from error
    if after != before or content_hash(make()) != before:
        raise EncodeDamaged(_DAMAGED)


def source_scale(recording: Recording, *, native: bool) -> float:
    """Pixels of the file as it came for one pixel of the frames that are scored; at most 1."""
    if native:
        return 1.0
    info = probe(recording.video_path)
    return min(1.0, min(info.width, info.height) / SHORT_SIDE)


def picture_size(recording: Recording, *, native: bool) -> tuple[int, int]:
    """Looks up the size of the frames that `picture` yields, without decoding them.

    Args:
        recording: Its video file gives the picture.
        native: As of `picture`.

    Returns:
        Width and height in pixels.

    Raises:
        MediaError: If the file cannot be read.
        Unscored: If it has no picture.
    """
    info = probe(recording.video_path)
    if not info.video_codec:
        raise Unscored("the file has no picture", "generation_failure")
    if native:
        return info.width, info.height
    width, height = scaled_size(info.width, info.height, SHORT_SIDE)
    return width - width % WIDTH_GRID, height


def picture_path(recording: Recording, *, native: bool, with_sound: bool = False) -> Path:
    """The file whose frames `picture` yields; with the sound beside them if asked for."""
    if native:
        return recording.video_path
    return canonical(recording) if with_sound else canonical_picture(recording)


def sound(recording: Recording, *, native: bool) -> np.ndarray:
    """Decodes the sound as it is scored: mono at 16 kHz.

    Args:
        recording: What to decode.
        native: Whether to take the file as it is, without its holds, not its canonical encode.

    Returns:
        Samples in [-1, 1], float32 [S]; none if the recording has no sound: nothing can be heard.

    Raises:
        MediaError: If it cannot be read.
        EncodeDamaged: If the canonical encode was altered while it was read.
    """
    samples = _sound_or_none(replace(recording, holds=()) if native else recording)
    if samples is None or not len(samples):
        return np.zeros(0, np.float32)
    is_alone = recording.audio_path is None and not probe(recording.video_path).video_codec
    if native or is_alone:  # a file without a picture has no encode
        return samples
    with intact(partial(canonical_sound, recording)) as path:
        return audio(path, sample_rate=SAMPLE_RATE)


def _sound_or_none(recording: Recording) -> np.ndarray | None:
    if recording.audio_path is None and not probe(recording.video_path).audio_codec:
        return None
    samples = audio(recording.audio_path or recording.video_path, sample_rate=SAMPLE_RATE)
    return with_silence(samples, recording.holds)
