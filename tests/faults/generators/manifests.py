"""Manifests: lists of videos, of which a line or the whole file is wrong."""

from pathlib import Path
from random import Random
from typing import Any

from tests.faults import base
from tests.faults.generators import mangle, values
from tests.faults.trial import Trial

METRICS = ("rtf", "exposure_drift")


def manifest(rng: Random, work: Path) -> Trial:
    """Three samples; a field is strange, or the text of the file is damaged."""
    is_strange = rng.random() < 0.5
    samples = [_sample(rng, number, is_strange) for number in range(3)]
    base.write_lines(
        work / "trace.jsonl",
        [
            {"index": index, "num_frames": 5, "num_samples": 3200, "t_arrival_s": index * 0.1}
            for index in range(3)
        ],
    )
    base.write_lines(work / "list.jsonl", samples)
    note = mangle.mangle(rng, work / ("trace.jsonl" if rng.random() < 0.15 else "list.jsonl"))
    command = ("score", "--manifest", "list.jsonl", "--out", "out", "--jobs", "1", "--native")
    chosen = (*command, "--metrics", ",".join(METRICS))
    after: tuple[tuple[str, ...], ...] = (
        ("table", "out"),
        ("report", "out", "--out", "page.html"),
        ("score", "out", "--metrics", "rtf", "--jobs", "1"),
    )
    is_fine = note.startswith("trace.jsonl") and not is_strange
    return Trial(
        note=note,
        commands=(chosen, *(rng.sample(after, 1) if rng.random() < 0.4 else ())),
        samples=tuple(str(s["sample_id"]) for s in samples) if is_fine else (),
        metrics=METRICS,
        must_score=is_fine,
    )


def _sample(rng: Random, number: int, is_strange: bool) -> dict[str, Any]:
    sample: dict[str, Any] = {
        "sample_id": f"v{number}",
        "system": "s",
        "video_path": rng.choice(("good.mp4", "good.mp4", "missing.mp4")),
    }
    optional: dict[str, Any] = {
        "transcript": "Hello there.",
        "checkpoint": "c",
        "seed": 3,
        "audio_path": "good.wav",
        "reference_path": "face.png",
        "language": "en",
        "chunk_frames": 5,
        "trace_path": "trace.jsonl",
        "groups": {"identity": "anna", "suite": "u", "domain": "real"},
    }
    sample |= {name: content for name, content in optional.items() if rng.random() < 0.5}
    if is_strange and rng.random() < 0.5:
        sample[rng.choice(("sample_id", "system", "checkpoint", "transcript"))] = values.text(rng)
    if is_strange and rng.random() < 0.2:
        sample["groups"] = {values.text(rng): values.text(rng), "suite": values.text(rng)}
    return sample
