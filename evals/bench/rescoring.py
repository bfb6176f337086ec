"""What it costs to score a manifest again when every feature is in the cache."""

import io
import json
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from evals.extractors import EXTRACTORS, FPS, SAMPLE_RATE
from evals.features.cache import keep, track_keys
from evals.features.missing import Missing
from evals.features.store import FeatureStore
from evals.recording.manifest import load_manifest
from evals.recording.recording import Recording
from evals.scoring.persist import score_run
from evals.scoring.score import Options, extractors_of
from evals.scoring.speech_protocols import choose_for
from streamchar_ref.commands.verb import run_verb
from streamchar_ref.core.progress import ProgressFn
from streamchar_ref.media.decode import audio, frames
from streamchar_ref.media.encode import write_mp4

SECONDS = 5.0
SHORT_SIDE = 96
PEOPLE = 20
TEXT = "She laughed because the puppy had stolen his other shoe again and hid it in the garden"
_KEPT_BY_OTHERS = ("other", "pair")


def bench_rescoring(
    source: Path, count: int, folder: Path, progress: ProgressFn
) -> list[dict[str, Any]]:
    """Scores a manifest of short clips twice and times the second pass.

    The features of one clip are kept for all of them under the hash of each, so that everything
    but the measuring is done as for clips that differ: texts, people and contents do.

    Args:
        source: A clip with picture and sound.
        count: Samples of the manifest.
        folder: For clips and run.
        progress: Told what is done.

    Returns:
        A row for the scoring and one for the table that the command prints at its end.
    """
    manifest = _write_manifest(source, count, folder)
    _fill_cache(load_manifest(manifest), progress)
    run = folder / "run"
    _score(manifest, run, progress)
    return [
        _row(f"{count} samples rescored", lambda: _score(manifest, run, progress), count),
        _row(f"table of {count} samples", lambda: _print_table(run), count),
    ]


def _row(what: str, work: Callable[[], int], count: int) -> dict[str, Any]:
    started, cpu_started = time.perf_counter(), time.process_time()
    num_rows = work()
    cpu_s, wall_s = time.process_time() - cpu_started, time.perf_counter() - started
    return {
        "what": what,
        "rows": num_rows,
        "cpu_s": round(cpu_s, 1),
        "wall_s": round(wall_s, 1),
        "cpu_ms_a_sample": round(1000 * cpu_s / count, 2),
    }


def _write_manifest(source: Path, count: int, folder: Path) -> Path:
    clip = _small_clip(source, folder / "clip.mp4")
    (folder / "clips").mkdir()
    pictures = [_write_picture(source, folder / f"person{n}.png", n) for n in range(PEOPLE)]
    content, rng, lines = clip.read_bytes(), Random(0), []
    for number in range(count):
        path = folder / "clips" / f"{number:05d}.mp4"
        path.write_bytes(content + _free_box(number))
        words = TEXT.split()
        rng.shuffle(words)
        lines.append(
            {
                "sample_id": f"s{number:05d}",
                "system": "bench",
                "video_path": f"clips/{path.name}",
                "reference_path": pictures[number % PEOPLE].name,
                "transcript": " ".join(words),
                "groups": {"identity": f"person{number % PEOPLE}"},
            }
        )
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return manifest


def _small_clip(source: Path, path: Path) -> Path:
    pictures = np.concatenate(list(frames(source, fps=FPS, short_side=SHORT_SIDE)))
    samples = audio(source, sample_rate=SAMPLE_RATE)[: round(SECONDS * SAMPLE_RATE)]
    write_mp4(path, [pictures[: round(SECONDS * FPS)]], samples, fps=FPS, sample_rate=SAMPLE_RATE)
    return path


def _write_picture(source: Path, path: Path, number: int) -> Path:
    """Writes a picture of the clip; each is of another moment, hence another file."""
    batch = next(frames(source, fps=FPS, short_side=256))
    Image.fromarray(batch[number % len(batch)]).save(path)
    return path


def _free_box(number: int) -> bytes:
    """Bytes at the end of an mp4 that players skip: ISO/IEC 14496-12, 8.1.2."""
    return (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")


def _fill_cache(recordings: Sequence[Recording], progress: ProgressFn) -> None:
    """Measures the first recording and keeps its features for all."""
    metrics, sets = choose_for(recordings, (), "default", "")
    names = [
        name
        for name in extractors_of([*metrics, *sets])
        if EXTRACTORS[name].track not in _KEPT_BY_OTHERS
    ]
    found = FeatureStore().measured(recordings[0], names)
    kept = {name: one for name, one in found.items() if not isinstance(one, Missing)}
    for done, recording in enumerate(recordings):
        progress("filling the cache", done, len(recordings))
        keys = track_keys(recording, native=False)
        for name, arrays in kept.items():
            keep(keys, EXTRACTORS[name], arrays)


def _score(manifest: Path, run: Path, progress: ProgressFn) -> int:
    recordings = load_manifest(manifest)
    metrics, sets = choose_for(recordings, (), "default", "")
    options = Options(jobs=1)
    rows = score_run(
        run, recordings, metrics=metrics, set_metrics=sets, options=options, progress=progress
    )
    return len(rows)


def _print_table(run: Path) -> int:
    with redirect_stdout(io.StringIO()) as text:
        run_verb("table", str(run))
    return text.getvalue().count("\n")
