"""Published SyncNet metrics from cached distances, and the torchmetrics classes beside them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from evals.metrics.published import (
    PUBLISHED,
    WITHOUT_CROP,
    AvOffset,
    SyncConfidence,
    SyncDistance,
)
from evals.numerics.frechet import frechet_distance
from evals.numerics.syncnet import score_embeddings, shifted_distances
from evals.protocols.base import Metric, MetricContext, Score
from evals.recording.recording import Recording
from evals.torchmetrics import FrechetDistance, SyncScores


def recording(domain: str = "real") -> Recording:
    return Recording(
        sample_id="a",
        system="s",
        suite="t",
        transcript="x",
        video_path=Path("a.mp4"),
        groups={"domain": domain},
    )


def embeddings(seed: int, num_windows: int, early: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    visual = rng.normal(size=(num_windows, 16)).astype(np.float32)
    audio = visual + 0.3 * rng.normal(size=visual.shape).astype(np.float32)
    return visual, np.roll(audio, -early, axis=0)


def measure(metric: Metric, *tracks: tuple[int, np.ndarray], name: str = "syncnet") -> Score:
    distances = [distance for _, distance in tracks]
    features = {
        name: {
            "distance": np.concatenate([np.zeros((0, 31), np.float32), *distances]),
            "start_frame": np.array([start for start, _ in tracks], np.int64),
            "num_windows": np.array([len(distance) for distance in distances], np.int64),
            "track": np.full(len(tracks), -1),
        },
        "face": {"has_mesh": np.ones(300, bool)},
    }
    return metric.score(recording(), features, MetricContext())


def test_one_track_has_the_scores_of_its_embeddings() -> None:
    pair = embeddings(0, 200, early=3)
    track = 10, shifted_distances(*pair)
    expected = score_embeddings(*pair)
    confidence = measure(SyncConfidence(), track)
    assert confidence.value == pytest.approx(expected.sync_c)
    assert measure(SyncDistance(), track).value == pytest.approx(expected.sync_d)
    assert measure(AvOffset(), track).value == 3
    parts = confidence.components
    assert parts["sync_c0"] == pytest.approx(expected.sync_c0)
    assert parts["sync_d0"] == pytest.approx(expected.sync_d0)
    assert (parts["offset_frames"], parts["offset_is_censored"]) == (3, False)
    assert parts["offset_histogram"] == {"3": 4}
    assert parts["offset_within_1_share"] == 0
    json.dumps(dict(parts), allow_nan=False)


def test_windows_lie_on_playing_time() -> None:
    score = measure(AvOffset(), (25, shifted_distances(*embeddings(1, 120))))
    assert [(window.t0_s, window.t1_s) for window in score.windows] == [(1.0, 3.0), (3.0, 5.0)]
    assert [window.value for window in score.windows] == [0, 0]


def test_drifting_clocks_show_as_a_slope() -> None:
    visual, _ = embeddings(2, 1500)
    index = np.arange(1500) + np.arange(1500) // 300  # one frame more a 12 s: 40 ms
    drifting = visual[np.minimum(index, 1499)]
    score = measure(AvOffset(), (0, shifted_distances(visual, drifting)))
    assert score.components["offset_slope_ms_per_min"] == pytest.approx(200, rel=0.1)


def test_tracks_weigh_by_their_windows_and_the_longest_gives_the_offset() -> None:
    short, long = (shifted_distances(*embeddings(3, n, early=e)) for n, e in ((60, 5), (120, 1)))
    alone = [measure(SyncConfidence(), (0, distance)).value for distance in (short, long)]
    both = measure(SyncConfidence(), (0, short), (100, long))
    assert both.value == pytest.approx((60 * alone[0] + 120 * alone[1]) / 180)
    assert both.components["num_tracks"] == 2
    assert measure(AvOffset(), (0, short), (100, long)).value == 1


def test_short_track_has_no_curve() -> None:
    score = measure(SyncConfidence(), (0, shifted_distances(*embeddings(4, 20))))
    assert score.windows == ()
    assert score.components["offset_slope_ms_per_min"] is None


def test_without_a_track_nothing_is_measured() -> None:
    for tracks in ([], [(0, np.zeros((0, 31), np.float32))]):
        score = measure(SyncConfidence(), *tracks)
        assert np.isnan(score.value)
        assert "no face track" in score.reason


def test_drawn_faces_are_not_judged() -> None:
    score = SyncConfidence().score(recording("world"), {}, MetricContext())
    assert score.status == "not_applicable"
    assert "domain" in score.reason


def test_protocols_name_the_crop() -> None:
    assert [metric.protocol for metric in PUBLISHED] == [
        "sync_c/mesh-crop@1",
        "sync_d/mesh-crop@1",
        "av_offset_frames/mesh-crop@1",
    ]
    assert all(metric.is_default for metric in PUBLISHED)
    assert [metric.protocol.split("/")[1] for metric in WITHOUT_CROP] == ["wav2lip-no-crop@1"] * 3
    assert not any(metric.is_default for metric in WITHOUT_CROP)


def test_torchmetrics_scores_are_means_over_windows() -> None:
    pairs = [embeddings(5, 80, early=2), embeddings(6, 40, early=-5)]
    metric = SyncScores()
    for visual, audio in pairs:
        metric.update(torch.from_numpy(visual), torch.from_numpy(audio))
    found = metric.compute()
    scores = [score_embeddings(*pair) for pair in pairs]
    confidence = (80 * scores[0].sync_c + 40 * scores[1].sync_c) / 120
    assert found["sync_c"].item() == pytest.approx(confidence)
    assert found["abs_av_offset_frames"].item() == pytest.approx((80 * 2 + 40 * 5) / 120)
    metric.reset()
    with pytest.warns(UserWarning, match="before the"):
        assert metric.compute()["sync_d"].isnan()


@pytest.mark.parametrize("num_audio", [30, 60])
def test_torchmetrics_sync_scores_refuse_sound_of_another_length(num_audio: int) -> None:
    visual, audio = (torch.zeros(num, 16) for num in (40, num_audio))
    with pytest.raises(ValueError, match="an embedding for each frame"):
        SyncScores().update(visual, audio)


def test_torchmetrics_frechet_distance_is_ours_for_any_batches() -> None:
    rng = np.random.default_rng(7)
    real, fake = rng.normal(size=(50, 8)), rng.normal(size=(40, 8)) + 0.3
    metric = FrechetDistance()
    for part in np.split(real, 5):
        metric.update(torch.from_numpy(part), real=True)
    metric.update(torch.from_numpy(fake), real=False)
    assert metric.compute().item() == frechet_distance(real, fake)


def test_torchmetrics_frechet_distance_needs_both_kinds() -> None:
    metric = FrechetDistance()
    metric.update(torch.zeros(3, 4), real=True)
    with pytest.raises(ValueError, match="both real and generated"):
        metric.compute()
