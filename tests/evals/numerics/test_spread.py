"""Spread over takes: 0 for equal ones, linear in their deviations, blind to what words imply."""

import numpy as np
import pytest

from evals.numerics.spread import (
    BY_PLAYING_TIME,
    Warp,
    align_takes,
    smoothed,
    spread_of,
    squared_difference,
)

PHONEMES = list("abcdefghijklmnopqrst")
TIMES = np.arange(20) * 0.2 + 0.5


def spread(takes: list[np.ndarray], warp: Warp = BY_PLAYING_TIME) -> np.ndarray:
    return spread_of(
        [
            squared_difference(takes[a], takes[b], warp, centred=True)
            for a in range(len(takes))
            for b in range(a + 1, len(takes))
        ]
    )


@pytest.mark.parametrize("count", [2, 3, 5])
def test_independent_takes_have_the_spread_of_one_whatever_their_number(count: int) -> None:
    rng = np.random.default_rng(count)
    takes = [rng.normal(size=(20_000, 2)) * (1.0, 3.0) for _ in range(count)]
    assert spread(takes) == pytest.approx([1.0, 3.0], rel=0.03)


def test_equal_takes_have_none() -> None:
    take = np.random.default_rng(0).normal(size=(200, 3))
    warp = align_takes((PHONEMES, TIMES), (PHONEMES, TIMES))
    assert warp.is_by_words
    assert (spread([take, take, take], warp) == 0).all()
    assert (warp.log_tempo() == 0).all()


def test_halved_deviations_from_the_mean_take_halve_it() -> None:
    takes = np.random.default_rng(1).normal(size=(4, 300, 2)).cumsum(axis=1)
    halved = takes.mean(axis=0) + 0.5 * (takes - takes.mean(axis=0))
    assert spread(list(halved)) == pytest.approx(0.5 * spread(list(takes)))


def test_a_resting_pose_is_no_motion() -> None:
    take = np.random.default_rng(2).normal(size=(100, 1))
    assert spread([take, take + 5]) == pytest.approx([0], abs=1e-9)


def test_motion_that_words_imply_counts_as_equal_in_takes_of_another_tempo() -> None:
    def nods(times_s: np.ndarray, tempo: float) -> np.ndarray:
        return np.sin(2 * np.pi * times_s / tempo)[:, None]

    frames = (np.arange(110) + 0.5) / 25
    first, second = nods(frames, 1.0), nods(frames, 1.1)
    warp = align_takes((PHONEMES, TIMES), (PHONEMES, TIMES * 1.1))
    assert spread([first, second])[0] > 0.4
    assert spread([first, second], warp)[0] < 0.1
    assert warp.log_tempo() == pytest.approx(np.log2(1.1), abs=1e-3)


def test_takes_of_other_words_are_compared_by_playing_time() -> None:
    other = align_takes((PHONEMES, TIMES), (PHONEMES[::-1], TIMES))
    assert not other.is_by_words
    assert (other.at(TIMES) == TIMES).all()
    assert not len(other.log_tempo())


def test_left_out_phonemes_do_not_shift_what_follows() -> None:
    shorter = PHONEMES[:8] + PHONEMES[11:]
    warp = align_takes((PHONEMES, TIMES), (shorter, np.delete(TIMES, [8, 9, 10])))
    assert warp.at(TIMES) == pytest.approx(TIMES)


def test_outside_the_anchors_takes_run_at_equal_speed() -> None:
    warp = Warp(first_s=np.array([1.0, 2.0]), second_s=np.array([2.0, 4.0]))
    assert warp.at(np.array([0.5, 1.5, 3.0])) == pytest.approx([1.5, 3.0, 5.0])


def test_frames_without_a_face_are_left_out_and_less_than_a_second_is_nothing() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(2, 100, 1))
    first[:40] = np.nan
    known = spread([first[40:], second[40:]])
    assert spread([first, second]) == pytest.approx(known)
    first[:80] = np.nan
    assert np.isnan(spread([first, second])).all()


def test_smoothing_uses_what_was_measured_alone() -> None:
    values = np.array([[1.0], [np.nan], [4.0], [4.0]])
    assert smoothed(values, 3)[:, 0] == pytest.approx([1, np.nan, 4, 4], nan_ok=True)
