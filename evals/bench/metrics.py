"""What measuring costs: time per second of video and memory, each part in its own process."""

import resource
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evals.extractors import EXTRACTORS, FPS, SAMPLE_RATE
from evals.features.cache import FEATURES
from evals.features.canonical import ENCODES, canonical
from evals.features.extraction import extract, unavailable
from evals.metrics import EVERY_METRIC, METRICS, SET_METRICS
from evals.recording.recording import Recording
from evals.scoring.score import Options, default_jobs, score
from streamchar_ref.core.executor import WorkerProcesses
from streamchar_ref.media.decode import audio, frames
from streamchar_ref.media.encode import write_mp4
from streamchar_ref.weights import cache_folder


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one part of the suite costs on one clip.

    Attributes:
        part: Extractor, ``encode`` or ``decode``.
        feeds: Metrics that read it.
        wall_s: Seconds on the clock.
        s_per_s: The same per second of video.
        cpu_s_per_s: Seconds of all cores, worker processes included, per second of video.
        peak_mb: Largest resident memory of the process, all libraries included.
        grown_mb: Of that, what came after imports and loading of the decoder.
    """

    part: str
    feeds: str
    wall_s: float
    s_per_s: float
    cpu_s_per_s: float
    peak_mb: float
    grown_mb: float


def looped_clip(source: Path, seconds: float, folder: Path) -> Path:
    """Writes a 512 px mp4 of a given length by playing a clip over and over.

    Args:
        source: A clip with picture and sound.
        seconds: Length of the result.
        folder: Where to put it; a clip that is there already is taken as it is.

    Returns:
        The mp4, whose name tells source and length.
    """
    path = folder / f"{source.stem}-{seconds:g}s.mp4"
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    num_frames = round(seconds * FPS)
    heard = audio(source, sample_rate=SAMPLE_RATE)
    samples = np.resize(heard, round(seconds * SAMPLE_RATE))
    write_mp4(path, _endless(source, num_frames), samples, fps=FPS, sample_rate=SAMPLE_RATE)
    return path


def _endless(source: Path, num_frames: int) -> Iterator[np.ndarray]:
    left = num_frames
    while left > 0:
        for batch in frames(source, fps=FPS, short_side=512):
            yield batch[:left]
            left -= len(batch[:left])
            if left <= 0:
                return


def bench_metrics(
    clip: Path, seconds: float, progress: Callable[[str, int, int], None]
) -> list[Cost]:
    """Measures what the default suite runs on one clip, part by part and whole.

    Args:
        clip: An mp4.
        seconds: Its length.
        progress: Told ``(part, done, total)``.

    Returns:
        A row for the canonical encode, for decoding it, for each extractor (one that reads
        another's results includes that one's cost), and for the whole suite with a worker on each
        core; the suite's memory is that of its largest process.
    """
    parts = ["encode", "decode", *_default_extractors(), "suite"]
    rows = []
    for done, part in enumerate(parts):
        progress(part, done, len(parts))
        with WorkerProcesses(1) as executor:
            wall_s, cpu_s, peak_mb, grown_mb = executor.submit(_measure, clip, part).result()
        rows.append(
            Cost(
                part=part,
                feeds=_feeds(part),
                wall_s=round(wall_s, 2),
                s_per_s=round(wall_s / seconds, 4),
                cpu_s_per_s=round(cpu_s / seconds, 4),
                peak_mb=round(peak_mb, 1),
                grown_mb=round(grown_mb, 1),
            )
        )
    progress("done", len(parts), len(parts))
    return rows


def _default_extractors() -> list[str]:
    needed = {n for m in EVERY_METRIC if m.is_default for n in m.needs}
    absent = unavailable(EXTRACTORS)
    return [name for name in EXTRACTORS if name in needed and name not in absent]


def _measure(clip: Path, part: str) -> tuple[float, float, float, float]:
    """Returns seconds on the clock and of all cores, peak and growth of memory in MB."""
    recording = Recording(
        sample_id="bench", system="bench", suite="bench", transcript="hello", video_path=clip
    )
    before = _peak_mb()
    for name in {"encode": (ENCODES,), "suite": (ENCODES, FEATURES)}.get(part, ()):
        shutil.rmtree(cache_folder() / name, ignore_errors=True)
    start, cpu_start = time.perf_counter(), _cpu_s()
    if part == "encode":
        canonical(recording)
    elif part == "decode":
        for _ in frames(canonical(recording), fps=FPS):
            pass
    elif part == "suite":
        metrics = [metric for metric in METRICS if metric.is_default]
        sets = [metric for metric in SET_METRICS if metric.is_default]
        options = Options(jobs=default_jobs())
        score([recording], metrics=metrics, set_metrics=sets, options=options)
    else:
        shutil.rmtree(cache_folder() / FEATURES, ignore_errors=True)
        extract(recording, [part], native=False)
    wall_s, cpu_s = time.perf_counter() - start, _cpu_s() - cpu_start
    return wall_s, cpu_s, _peak_mb(), _peak_mb() - before


def _cpu_s() -> float:
    """Of this process and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _peak_mb() -> float:
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(one).ru_maxrss for one in who) / 1024


def _feeds(part: str) -> str:
    metrics = {m.name for m in EVERY_METRIC if m.is_default and part in m.needs}
    return " ".join(sorted(metrics))
