"""Sync at zero shift, and the drift of the offset, on signals whose drift is known."""

import numpy as np
import pytest
from scipy import stats

from evals.metrics.sync_drift import (
    SYNC_DETAIL,
    MeshDrift,
    SyncConfidenceAtZero,
    SyncDistanceAtZero,
    SyncDrift,
    SyncDriftInWorld,
)
from evals.numerics.line import least_squares_slope
from evals.numerics.syncnet import score_embeddings, shifted_distances
from evals.protocols.base import MetricContext
from tests.evals.metrics.test_published import embeddings, measure
from tests.evals.metrics.test_sync import synthetic
from tests.evals.real_clips import recording


def test_scores_at_zero_are_those_of_the_embeddings_without_a_search() -> None:
    pair = embeddings(0, 120, early=2)
    track, expected = (0, shifted_distances(*pair)), score_embeddings(*pair)
    confidence = measure(SyncConfidenceAtZero(), track)
    assert confidence.value == pytest.approx(expected.sync_c0)
    assert confidence.value < 0.1 < expected.sync_c
    assert measure(SyncDistanceAtZero(), track).value == pytest.approx(expected.sync_d0)


def test_a_clock_that_runs_fast_is_a_slope_in_ms_a_minute() -> None:
    visual, _ = embeddings(1, 1500)
    index = np.arange(1500) + np.arange(1500) // 300  # 40 ms more each 12 s
    score = measure(SyncDrift(), (0, shifted_distances(visual, visual[np.minimum(index, 1499)])))
    low, high = score.components["ci95"]
    assert low < 200 < high
    assert score.value == pytest.approx(200, rel=0.1)
    assert [window.value for window in score.windows[:2]] == [0, 0]
    assert score.windows[-1].value == 160


def test_a_constant_offset_is_no_drift_but_not_known_to_be_exactly_none() -> None:
    score = measure(SyncDrift(), (0, shifted_distances(*embeddings(2, 600, early=4))))
    low, high = score.components["ci95"]
    assert score.value == pytest.approx(0, abs=1e-9)
    assert low < -5
    assert high > 5
    assert score.components["offset_at_start_ms"] == 160


def test_too_few_windows_have_no_drift_and_say_so() -> None:
    score = measure(SyncDrift(), (0, shifted_distances(*embeddings(3, 200))))
    assert np.isnan(score.value)
    assert score.reason == "4 of 4 windows with an offset, 5 needed"
    beyond = measure(SyncDrift(), (0, shifted_distances(*embeddings(4, 400, early=15))))
    assert beyond.reason == "0 of 8 windows with an offset, 5 needed"


def test_the_mesh_sees_a_stretched_sound() -> None:
    features = synthetic(num_frames=700)
    heard = features["phonemes_hama"]
    for name in ("start_s", "end_s", "likely_s"):
        heard[name] = heard[name] * 1.003  # later by 180 ms each minute
    score = MeshDrift().score(recording(), features, MetricContext())
    assert score.value == pytest.approx(-180, abs=15)
    low, high = score.components["ci95"]
    assert low < score.value < high < -100


def test_windows_in_which_nothing_fits_have_no_offset() -> None:
    one, other = synthetic(num_frames=700), synthetic(num_frames=1500, seed=1)
    score = MeshDrift().score(
        recording(), one | {"phonemes_hama": other["phonemes_hama"]}, MetricContext()
    )
    assert np.isnan(score.value)
    assert "of 7 windows with an offset" in score.reason


def test_a_slope_is_the_textbook_one_and_its_interval_too() -> None:
    rng = np.random.default_rng(0)
    times, values = np.arange(12.0), rng.normal(size=12)
    expected = stats.linregress(times, values)
    found = least_squares_slope(times, values)
    assert found.value == pytest.approx(expected.slope)
    reach = stats.t.ppf(0.975, 10) * expected.stderr
    assert (found.low, found.high) == pytest.approx((found.value - reach, found.value + reach))
    assert least_squares_slope(times, values, step=100.0).high > found.high
    with pytest.raises(ValueError, match="three points"):
        least_squares_slope(times[:2], values[:2])


def test_none_of_them_is_computed_unless_asked_for() -> None:
    assert not any(metric.is_default for metric in SYNC_DETAIL)
    assert SyncDriftInWorld().params["min_sync_c"] == 0.6
