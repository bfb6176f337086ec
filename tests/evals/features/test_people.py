"""Whose reference picture is whose: people of a run in which not every sample names one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.features.store import FeatureStore
from evals.metrics import METRICS
from evals.recording.recording import Recording

(RANK1,) = (metric for metric in METRICS if metric.name == "id_rank1")


def sample(sample_id: str, picture: str, suite: str = "u", identity: str = "") -> Recording:
    return Recording(
        sample_id=sample_id, system="mine", suite=suite, transcript="", video_path=Path("v.mp4"),
        reference_path=Path(picture), groups={"identity": identity} if identity else {},
    )  # fmt: skip


@pytest.fixture(autouse=True)
def pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures ``0`` to ``9`` show people one apart."""

    def shown(self: FeatureStore, recording: Recording, names: Any) -> dict[str, Any]:
        return {"reference_identity": {"embedding": embedding(recording)[None]}}

    monkeypatch.setattr(FeatureStore, "reference", shown)


def embedding(recording: Recording) -> np.ndarray:
    return np.full(4, float(recording.reference_path.name), np.float32)  # type: ignore[union-attr]


def ranks(recordings: list[Recording]) -> list[float]:
    """Rank-1 of recordings that show exactly the person of their picture."""
    context = FeatureStore().context(recordings, ["identity"])
    shares = []
    for recording in recordings:
        found = {
            "face": {"has_mesh": np.ones(50, bool), "num_faces": np.ones(50, np.int32)},
            "identity": {
                "embedding": np.tile(embedding(recording), (4, 1)),
                "frame": np.arange(4) * 12,
            },
            "reference_identity": {"embedding": embedding(recording)[None]},
        }
        shares.append(RANK1.measure_person(recording, found, context).value)
    return shares


def test_samples_of_one_name_in_two_suites_are_two_people() -> None:
    assert ranks([sample(n, p, suite=s) for n, s, p in ("1a0", "2a1", "1b2", "2b3")]) == [1.0] * 4


def test_samples_with_one_picture_show_one_person() -> None:
    shown = [sample("x", "0"), sample("y", "0"), sample("z", "1"), sample("a", "0", "u", "anna")]
    assert ranks(shown) == [1.0] * 4
    context = FeatureStore().context(shown, ["identity"])
    assert set(context.references["identity"]) == {"anna", "u/z"}
