"""Small videos and film strips of recordings, for a page that holds everything itself."""

import io
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from evals.canonical import canonical
from evals.extractors import FPS, SAMPLE_RATE
from evals.recording import Recording
from streamchar_ref.media.decode import audio, frames, probe, video_start_s
from streamchar_ref.media.encode import write_mp4

SHORT_SIDE = 240
MAX_PLAYED_S = 30
STRIP_FRAMES = 8
STRIP_SIDE = 128


def small_video(recording: Recording) -> bytes | None:
    """Returns the first half minute as a small mp4; nothing if there is no picture."""
    if recording.error or not probe(recording.video_path).video_codec:
        return None
    source = canonical(recording)
    num_frames = MAX_PLAYED_S * FPS
    batches, count = [], 0
    for batch in frames(source, fps=FPS, short_side=SHORT_SIDE):
        batches.append(batch[: num_frames - count])
        count += len(batches[-1])
        if count >= num_frames:
            break
    with TemporaryDirectory() as folder:
        target = Path(folder) / "small.mp4"
        samples = _sound(source, count)
        write_mp4(target, batches, samples, fps=FPS, sample_rate=SAMPLE_RATE, crf=28)
        return target.read_bytes()


def film_strip(recording: Recording) -> list[tuple[float, bytes]]:
    """Returns pictures at even distances from start to end, each with its time in seconds."""
    if recording.error or not probe(recording.video_path).video_codec:
        return []
    source = canonical(recording)
    length = max(1, round(probe(source).duration_s * FPS))
    wanted = set(np.linspace(0, length - 1, STRIP_FRAMES).round().astype(int).tolist())
    pictures: list[tuple[float, bytes]] = []
    start = 0
    for batch in frames(source, fps=FPS, short_side=STRIP_SIDE):
        here = sorted(wanted & set(range(start, start + len(batch))))
        pictures.extend((index / FPS, _png(batch[index - start])) for index in here)
        start += len(batch)
    return pictures


def _sound(source: Path, num_frames: int) -> np.ndarray | None:
    if not probe(source).audio_codec:
        return None
    samples = audio(source, sample_rate=SAMPLE_RATE, start_s=video_start_s(source))
    return samples[: num_frames * SAMPLE_RATE // FPS]


def _png(frame: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, format="png", optimize=True)
    return buffer.getvalue()
