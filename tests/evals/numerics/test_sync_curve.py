import math
from collections.abc import Sequence

import numpy as np
import pytest

from evals.metrics.sync_curve import MAX_SHIFT, SyncCurve, SyncSignals, surrogates


def signals(sound: np.ndarray, mouth: np.ndarray) -> SyncSignals:
    ok = np.ones(len(mouth), bool)
    return SyncSignals(
        mouth=mouth[None], has_mouth=ok, sound=sound[None], has_sound=ok, weights=(1.0,)
    )


@pytest.mark.parametrize("shift", [-15, -3, 0, 7, 15])
def test_curve_matches_numpy_corrcoef_at_each_shift(shift: int) -> None:
    sound, mouth = np.random.default_rng(1).normal(size=(2, 120))
    curve = signals(sound, mouth).curve(min_frames=25)
    frames = np.arange(max(0, shift), min(120, 120 + shift))
    expected = np.corrcoef(mouth[frames], sound[frames - shift])[0, 1]
    assert curve.correlations[shift + MAX_SHIFT] == pytest.approx(expected, abs=1e-12)


def test_channels_are_averaged_by_their_weights_and_a_constant_one_counts_as_zero() -> None:
    mouth, sound = np.random.default_rng(3).normal(size=(2, 2, 120))
    ok = np.ones(120, bool)

    def at_zero(mouth: np.ndarray) -> float:
        both = SyncSignals(mouth=mouth, has_mouth=ok, sound=sound, has_sound=ok, weights=(1.0, 0.5))
        return float(both.curve(min_frames=25).correlations[MAX_SHIFT])

    first, second = (np.corrcoef(mouth[c], sound[c])[0, 1] for c in (0, 1))
    assert at_zero(mouth) == pytest.approx((first + 0.5 * second) / 1.5, abs=1e-12)
    still = np.stack([mouth[0], np.full(120, 0.3)])
    assert at_zero(still) == pytest.approx(first / 1.5, abs=1e-12)


def test_a_window_borrows_sound_from_its_neighbours() -> None:
    sound = np.random.default_rng(2).normal(size=300)
    shifted = signals(sound, np.roll(sound, 6))
    whole = shifted.curve(min_frames=100)
    curve = shifted.window(100, 200, whole=whole, min_frames=100)
    assert curve.num_frames == 100
    assert curve.correlations.max() == pytest.approx(1.0)
    assert int(np.argmax(curve.correlations)) - MAX_SHIFT == 6


@pytest.mark.parametrize("length", [74, 75])
def test_surrogates_keep_the_power_at_each_rate_and_the_phases_between_channels(
    length: int,
) -> None:
    mouth = np.random.default_rng(4).normal(size=(2, length))
    (found,) = surrogates(mouth, num=3)
    ours, theirs = (np.fft.rfft(x)[..., 1:-1] for x in (mouth, found))
    assert np.abs(theirs) == pytest.approx(np.abs(np.broadcast_to(ours, theirs.shape)), rel=1e-9)
    between = np.angle(theirs[:, 0] / theirs[:, 1])
    assert np.exp(1j * between) == pytest.approx(
        np.exp(1j * np.broadcast_to(np.angle(ours[0] / ours[1]), between.shape)), abs=1e-9
    )
    assert abs(np.corrcoef(found[0, 0], mouth[0])[0, 1]) < 0.5


def curve_with(values: Sequence[float]) -> SyncCurve:
    return SyncCurve(
        correlations=np.array(values), num_frames=200, chance=0.1, unrelated=np.zeros((0, 31))
    )


def test_an_edge_is_flagged_and_the_best_true_peak_is_scored() -> None:
    values = np.zeros(31)
    values[0], values[20] = 0.9, 0.4
    curve = curve_with(values.tolist())
    assert curve.is_edge
    assert curve.score == pytest.approx(0.4)
    assert curve.offset_frames == pytest.approx(5.0)


def test_a_curve_without_a_peak_scores_nothing() -> None:
    curve = curve_with(np.linspace(0, 1, 31).tolist())
    assert curve.is_edge
    assert curve.score == 0
    assert math.isnan(curve.offset_frames)


def test_of_two_peaks_that_fit_alike_the_nearer_one_is_taken_and_a_clear_one_anywhere() -> None:
    values = np.zeros(31)
    values[2], values[16] = 0.25, 0.24
    assert curve_with(values.tolist()).peak == 16
    values[2] = 0.6
    assert curve_with(values.tolist()).peak == 2
