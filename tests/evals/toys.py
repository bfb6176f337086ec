"""Extractors and metrics so small that a test can say what they should find."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals import extractors
from evals.extractors import ExtractorSpec
from evals.protocols.base import Features, Metric, MetricContext, MetricWindow, Score, Unscored
from evals.recording.recording import Recording
from streamchar_ref.media.encode import write_mp4
from streamchar_ref.weights import WeightsMissing

RAN: list[str] = []


class Brightness:
    """Mean grey level of each frame."""

    def __init__(self) -> None:
        RAN.append("brightness")
        self.levels: list[np.ndarray] = []

    def update(
        self, frames: np.ndarray, upstream: Mapping[str, Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        self.levels.append(frames.mean(axis=(1, 2, 3)))
        return {"level": self.levels[-1]}

    def finish(self) -> dict[str, np.ndarray]:
        return {"level": np.concatenate(self.levels)}


class Change(Brightness):
    """Difference of what comes from upstream."""

    def update(
        self, frames: np.ndarray, upstream: Mapping[str, Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        self.levels.append(upstream["brightness"]["level"] - frames.mean(axis=(1, 2, 3)))
        return {}


class Loudness:
    """Root mean square of the sound."""

    def __init__(self) -> None:
        RAN.append("loudness")

    def extract(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        if np.abs(samples).max(initial=0) < 1e-3:
            raise Unscored("nothing can be heard")
        return {"rms": np.sqrt(np.mean(samples**2))[None]}


class Broken:
    """Fails on the second batch."""

    def __init__(self) -> None:
        self.num_batches = 0

    def update(self, frames: np.ndarray, upstream: object) -> dict[str, np.ndarray]:
        self.num_batches += 1
        if self.num_batches == 2:
            raise ZeroDivisionError("inside the network")
        return {}

    def finish(self) -> dict[str, np.ndarray]:
        return {}


class NeedsWeights(Broken):
    def __init__(self) -> None:
        raise WeightsMissing(
            "weights 'toy' are missing; get them with: streamchar weights pull toy"
        )


class WholeClip:
    """Reads the file and what came before it."""

    def extract(self, path: Path, samples: np.ndarray, upstream: Features) -> dict[str, np.ndarray]:
        RAN.append("clip")
        return {"level": upstream["brightness"]["level"][:1], "size": np.array([len(samples)])}


SPECS: dict[str, dict[str, Any]] = {
    "brightness": {"track": "frames", "class": "Brightness"},
    "change": {"track": "frames", "class": "Change", "after": ("brightness",)},
    "loudness": {"track": "audio", "class": "Loudness"},
    "broken": {"track": "frames", "class": "Broken"},
    "needs_weights": {"track": "frames", "class": "NeedsWeights"},
    "whole": {"track": "clip", "class": "WholeClip", "after": ("brightness",)},
}


class First(Metric):
    """First number of a feature."""

    unit = "1"
    higher_is_better = True

    def __init__(self, extractor: str, array: str, **params: Any) -> None:
        self.name = extractor
        self.array = array
        self.needs = (extractor,)
        self.protocol = f"{extractor}/test@1"
        self.params = params

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        values = features[self.needs[0]][self.array]
        window = MetricWindow(t0_s=0.0, t1_s=1.0, value=float(values[-1]))
        return Score(value=float(values[0]), windows=(window,))


ALL = [
    First("brightness", "level"), First("change", "level"), First("loudness", "rms"),
    First("broken", "x"), First("needs_weights", "x"), First("whole", "level"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def toy_extractors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path / "cache"))
    RAN.clear()
    for name, entry in SPECS.items():
        spec = ExtractorSpec(
            name=name,
            track=entry["track"],
            implementation=f"{__name__}:{entry['class']}",
            after=entry.get("after", ()),
        )
        monkeypatch.setitem(extractors.EXTRACTORS, name, spec)


def video(path: Path, *, level: int = 100, sound: float | None = 0.3, count: int = 80) -> Path:
    samples = None if sound is None else np.full(count * 640, sound, np.float32)
    if samples is not None:
        samples[::2] *= -1
    pixels = np.full((count, 64, 64, 3), level, np.uint8)
    write_mp4(path, [pixels], samples, fps=25, sample_rate=16_000)
    return path


def recording(path: Path, sample_id: str = "a", **changes: Any) -> Recording:
    made = Recording(
        sample_id=sample_id, system="s", suite="u", transcript="hello", video_path=path
    )
    return replace(made, **changes)


def by_metric(rows: list[Any]) -> dict[str, Any]:
    return {row.metric: row for row in rows}
