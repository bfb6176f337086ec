import math

import numpy as np
import pytest

from evals.metrics.lip_closures import CLOSURE_LEAD_MS, closure_offset_s, closure_times
from evals.metrics.mesh_sync import SYNC
from evals.metrics.sync import PHONEME_LEAD_MS
from evals.protocols.base import MetricContext
from tests.evals.metrics.test_sync import synthetic
from tests.evals.real_clips import recording

_, _, MESH_OFFSET, _ = SYNC


def heard(rows: list[tuple[str, float, float]]) -> dict[str, np.ndarray]:
    symbols, times, posteriors = zip(*rows, strict=True) if rows else ((), (), ())
    return {
        "likely": np.array(symbols, dtype=np.str_),
        "likely_s": np.array(times, float),
        "posterior": np.array(posteriors, np.float32),
    }


def mouth_that_closes(at_s: np.ndarray, *, num_frames: int = 250) -> np.ndarray:
    middles = (np.arange(num_frames) + 0.5) / 25
    dips = np.exp(-0.5 * ((middles[:, None] - at_s) / 0.05) ** 2).sum(axis=1)
    return 0.05 * (1 - np.clip(dips, 0, 1))


def test_a_closure_is_the_middle_of_its_run_and_p_b_and_m_count_together() -> None:
    rows = [
        ("ɑ", 0.40, 0.9), ("p", 0.50, 0.2), ("b", 0.50, 0.2), ("b", 0.52, 0.4),
        ("m", 1.00, 0.1), ("pʰ", 2.00, 0.9), ("n", 2.02, 0.9),
    ]  # fmt: skip
    assert closure_times(heard(rows)) == pytest.approx([0.51, 2.0], abs=1e-6)
    assert len(closure_times(heard([]))) == 0


@pytest.mark.parametrize("ahead_s", [-0.13, -0.05, 0.0, 0.1])
def test_the_mean_closure_is_found_between_frames(ahead_s: float) -> None:
    times = np.array([1.013, 2.5, 4.11, 6.66, 8.3])
    place_s, num = closure_offset_s(mouth_that_closes(times + ahead_s), times)
    assert place_s == pytest.approx(ahead_s, abs=0.008)
    assert num == 5


def test_too_few_closures_or_lips_that_stay_apart_say_nothing() -> None:
    times = np.array([1.0, 3.0, 5.0])
    place_s, num = closure_offset_s(mouth_that_closes(times), times[:2])
    assert math.isnan(place_s)
    assert num == 2
    elsewhere = mouth_that_closes(np.array([2.0, 4.0, 6.0]))
    assert math.isnan(closure_offset_s(elsewhere, times)[0])


def test_closures_and_peak_agree_on_a_mouth_that_does_what_it_says() -> None:
    """Here closures are in the middle of their sound, so that their own lead is still there."""
    components = MESH_OFFSET.measure(
        recording(), synthetic(delay_s=0.12), MetricContext()
    ).components
    assert components["num_closures"] >= 3
    assert components["closure_offset_ms"] == pytest.approx(
        components["offset_ms"] + CLOSURE_LEAD_MS, abs=25
    )


def test_there_is_no_absolute_offset_where_closures_contradict_the_peak() -> None:
    features = synthetic(num_frames=400)
    closures = closure_times(features["phonemes_hama"]) - PHONEME_LEAD_MS["real"] / 1000
    elsewhere = mouth_that_closes(closures + 0.2, num_frames=400)
    aperture = features["face"]["lip_aperture"] + 3 * elsewhere
    mixed = features | {"face": features["face"] | {"lip_aperture": aperture.astype(np.float32)}}
    score = MESH_OFFSET.score(recording(), mixed, MetricContext())
    assert math.isnan(score.value)
    assert score.reason.startswith("no absolute offset: the peak says")
