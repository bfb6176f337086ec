"""The canonical encode: every recording is scored as the same kind of file.

A lossless file would otherwise beat an mp4 in every picture metric by its container alone.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from evals.content import content_hash
from evals.extractors import FPS, SAMPLE_RATE
from evals.metrics.base import NotMeasured, protocol_hash
from evals.recording import Recording
from streamchar_ref.media import MediaError
from streamchar_ref.media.decode import MediaInfo, audio, frames, probe, video_start_s
from streamchar_ref.media.encode import write_mp4
from streamchar_ref.weights import cache_folder

SHORT_SIDE = 512
WIDTH_GRID = 32
CANONICAL: dict[str, Any] = {
    "name": "canonical@1",
    "fps": FPS,
    "short_side": SHORT_SIDE,
    "width_grid": WIDTH_GRID,
    "video": "h264 crf 18 veryfast yuv420p",
    "audio": "aac 128k mono 16000 Hz",
}
NATIVE: dict[str, Any] = {"name": "native@1", "fps": FPS, "audio": "mono 16000 Hz"}


def input_protocol(*, native: bool) -> dict[str, Any]:
    """What is done to a file before anything is measured on it."""
    return NATIVE if native else CANONICAL


def recording_hash(recording: Recording, *, native: bool) -> str:
    """Stands for the bytes of a recording's files and what is done to them before scoring."""
    files = content_hash(recording.video_path, recording.audio_path)
    return f"{files}-{protocol_hash(input_protocol(native=native))}"


def canonical(recording: Recording) -> Path:
    """Makes the canonical encode once and returns the cached file.

    Args:
        recording: Its files give picture and sound.

    Returns:
        An mp4; without an audio stream if the recording has no sound.

    Raises:
        MediaError: If the recording cannot be read or has no picture.
    """
    target = cache_folder() / "canonical" / f"{recording_hash(recording, native=False)}.mp4"
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    batches = map(_even_width, frames(recording.video_path, fps=FPS, short_side=SHORT_SIDE))
    samples = _sound_or_none(recording)
    write_mp4(target, batches, samples, fps=FPS, sample_rate=SAMPLE_RATE)
    return target


def _even_width(batch: np.ndarray) -> np.ndarray:
    """Cuts the sides: on widths off this grid, x264 was seen to write other bytes now and then."""
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
        NotMeasured: If the recording has no picture.
        MediaError: If it cannot be read.
    """
    if not probe(recording.video_path).video_codec:
        raise NotMeasured("the file has no picture")
    if native:
        return frames(recording.video_path, fps=FPS)
    return frames(canonical(recording), fps=FPS)


def picture_path(recording: Recording, *, native: bool) -> Path:
    """The file whose frames `picture` yields."""
    return recording.video_path if native else canonical(recording)


def sound(recording: Recording, *, native: bool) -> np.ndarray:
    """Decodes the sound as it is scored: mono at 16 kHz.

    Args:
        recording: What to decode.
        native: Whether to take the file as it is, not its canonical encode.

    Returns:
        Samples in [-1, 1], float32 [S].

    Raises:
        NotMeasured: If the recording has no sound.
        MediaError: If it cannot be read.
    """
    samples = _sound_or_none(recording)
    if samples is None or not len(samples):
        raise NotMeasured("the file has no sound")
    if native or not probe(recording.video_path).video_codec:
        return samples
    path = canonical(recording)
    return audio(path, sample_rate=SAMPLE_RATE, start_s=video_start_s(path))


def _sound_or_none(recording: Recording) -> np.ndarray | None:
    if recording.audio_path is not None:
        return audio(recording.audio_path, sample_rate=SAMPLE_RATE)
    if not probe(recording.video_path).audio_codec:
        return None
    start_s = video_start_s(recording.video_path)
    return audio(recording.video_path, sample_rate=SAMPLE_RATE, start_s=start_s)


def notes_on(recording: Recording) -> list[str]:
    """Says what a reader of the scores should know about a file.

    Args:
        recording: The file as it came, not its canonical encode.

    Returns:
        Sentences: other frame rate, sound that starts apart from the picture or lasts otherwise.
    """
    try:
        info = probe(recording.video_path)
    except MediaError as error:
        return [str(error)]
    notes = []
    if info.video_codec and abs(info.fps - FPS) > 0.01:
        notes.append(f"{info.fps:g} fps, converted to {FPS} by nearest frame")
    if recording.audio_path is None and abs(info.start_offset_s) > 0.02:
        word = "after" if info.start_offset_s > 0 else "before"
        notes.append(f"sound starts {abs(info.start_offset_s):.3f} s {word} the picture")
    lengths = _lengths_s(recording, info)
    if min(lengths) > 0 and abs(lengths[0] - lengths[1]) > 0.1:
        notes.append(f"{lengths[0]:.2f} s of picture, {lengths[1]:.2f} s of sound")
    if info.video_codec and min(info.width, info.height) < SHORT_SIDE:
        notes.append(f"{info.width}x{info.height}, scaled up to shorter side {SHORT_SIDE}")
    return notes


def _lengths_s(recording: Recording, info: MediaInfo) -> tuple[float, float]:
    """Length of picture and sound; 0 where it is not known without decoding."""
    if recording.trace is not None:
        trace = recording.trace
        num_samples = sum(arrival.num_samples for arrival in trace.arrivals)
        return float(trace.media_s.sum()), num_samples / trace.sample_rate
    return info.video_s, info.audio_s if recording.audio_path is None else 0.0
