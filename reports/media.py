"""Small videos and film strips of recordings, for a page that holds everything itself."""

import io
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from PIL import Image

from evals.extractors import FPS, SAMPLE_RATE
from evals.features.canonical import canonical
from evals.recording.recording import Recording
from streamchar_ref.media.decode import audio, frames, probe, scaled_size
from streamchar_ref.media.encode import write_mp4
from streamchar_ref.media.lengths import measure
from streamchar_ref.media.source import opened

SHORT_SIDE = 256
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
    last = measure(source).num_frames - 1
    wanted = np.unique(np.linspace(0, max(0, last), STRIP_FRAMES).round().astype(int))
    with opened(source) as container:
        return [(index / FPS, _picture(container, index / FPS)) for index in wanted.tolist()]


def _picture(container: av.container.InputContainer, t_s: float) -> bytes:
    """Decodes from the key frame before a time: a minute-long video is not read in whole."""
    stream = container.streams.video[0]
    assert stream.time_base is not None, "canonical files have a clock"
    start = stream.start_time or 0
    container.seek(start + round(t_s / float(stream.time_base)), stream=stream)
    for frame in container.decode(stream):
        shown_s = float(((frame.pts or 0) - start) * stream.time_base)
        if shown_s > t_s - 0.5 / FPS:
            break
    width, height = scaled_size(frame.width, frame.height, STRIP_SIDE)
    return _png(frame.to_ndarray(format="rgb24", width=width, height=height))


def _sound(source: Path, num_frames: int) -> np.ndarray | None:
    if not probe(source).audio_codec:
        return None
    return audio(source, sample_rate=SAMPLE_RATE)[: num_frames * SAMPLE_RATE // FPS]


def _png(frame: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, format="png", optimize=True)
    return buffer.getvalue()
