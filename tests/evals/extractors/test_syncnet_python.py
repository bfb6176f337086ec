"""The second back end: what the package returns is what the rows say."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest

from evals.features.missing import Missing
from evals.features.view import FeatureView
from evals.metrics.published import SECOND_BACK_END
from evals.protocols.base import MetricContext
from evals.recording.recording import Recording


class Pipeline:
    """Stands in for the package's pipeline: two tracks."""

    def __init__(self, settings: dict[str, str], device: str) -> None:
        self.settings = settings

    def inference(self, video_path: str) -> tuple[object, ...]:
        return [-2, 1], [3.0, 7.5], [8.0, 9.0], 7.5, 8.0, "[]", True


def subject() -> Recording:
    return Recording(
        sample_id="a", system="s", suite="u", transcript="", video_path=Path("none.mp4")
    )


def test_scores_are_those_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("syncnet_python")
    module.SyncNetPipeline = Pipeline  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "syncnet_python", module)
    monkeypatch.delitem(sys.modules, "evals.extractors.syncnet_python", raising=False)
    from evals.extractors import syncnet_python as adapter

    monkeypatch.setattr(adapter.shutil, "which", lambda name: "/bin/ffmpeg")
    monkeypatch.setattr(adapter, "locate", Path)
    silence = np.zeros(16_000, np.float32)
    found = adapter.SyncNetPython().extract(Path("a.mp4"), silence, {})
    view = FeatureView({"syncnet_python": found})
    values = {m.name: m.score(subject(), view, MetricContext()).value for m in SECOND_BACK_END}
    assert values == {"sync_c": 7.5, "sync_d": 8.0, "av_offset_frames": 1.0}
    monkeypatch.delitem(sys.modules, "evals.extractors.syncnet_python", raising=False)


def test_without_the_package_the_rows_are_unavailable() -> None:
    missing = Missing(reason="needs a package", status="unavailable")
    for metric in SECOND_BACK_END:
        score = metric.score(subject(), FeatureView({"syncnet_python": missing}), MetricContext())
        assert score.status == "unavailable"
