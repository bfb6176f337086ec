"""Progress through a transcript, read from phonemes that a recogniser is sure or unsure of."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.extractors.align_world import greedy
from evals.text.progress import (
    PHONES,
    at_times,
    at_video_frames,
    onset_frames,
    spoken_path,
    spoken_progress,
)

TEXT = [PHONES[i] for i in (3, 10, 27, 5, 5, 19, 31, 0, 22, 14, 8, 37, 2, 30, 11, 16)]


def emitted(phones: Sequence[str], *, every: int = 5, tail: int = 10) -> np.ndarray:
    """Log-probabilities of a recogniser that is sure: a phoneme every 100 ms, blank between."""
    log_probs = np.full((len(phones) * every + tail, len(PHONES) + 1), np.log(1e-4))
    log_probs[:, 0] = np.log(0.99)
    for place, phone in enumerate(phones):
        log_probs[place * every + every // 2] = np.log(1e-4)
        log_probs[place * every + every // 2, PHONES.index(phone) + 1] = np.log(0.99)
    return log_probs.astype(np.float16)


def test_progress_of_exact_speech_counts_every_phoneme_in_its_time() -> None:
    progress = spoken_progress(emitted(TEXT), TEXT)
    truth = np.minimum(np.arange(len(progress)) // 5 + 1, len(TEXT))
    assert np.abs(progress - truth).max() <= 1
    assert np.abs(progress - truth).mean() < 0.15
    assert spoken_path(emitted(TEXT), TEXT).num_jumps == 0


def test_progress_passes_over_what_is_skipped() -> None:
    said = [*TEXT[:5], *TEXT[10:]]
    progress = spoken_progress(emitted(said), TEXT)
    assert progress[22] == 5
    assert progress[29] == 11
    assert progress[-1] == len(TEXT)
    assert spoken_path(emitted(said), TEXT).num_jumps == 1


LONG = [PHONES[i] for i in np.random.default_rng(0).permutation(np.repeat(np.arange(39), 4))]
"""156 phonemes."""


def test_a_misreading_far_ahead_from_which_speech_comes_back_does_not_count() -> None:
    said = [*LONG[:20], *LONG[120:125], *LONG[24:60]]
    path = spoken_path(emitted(said), LONG)
    assert set(range(120, 125)) <= set(path.index.tolist())
    progress = spoken_progress(emitted(said), LONG)
    assert (progress[99:123] == 20).all()
    assert progress[-1] == 60


def test_a_leap_from_which_speech_does_not_come_back_counts_however_short_the_rest() -> None:
    progress = spoken_progress(emitted([*LONG[:20], *LONG[150:]]), LONG)
    assert progress[-1] == len(LONG)


def test_what_is_said_too_early_at_length_counts() -> None:
    said = [*LONG[:20], *LONG[60:90], *LONG[20:60]]
    progress = spoken_progress(emitted(said), LONG)
    assert progress[48 * 5] == pytest.approx(89, abs=1)
    assert progress[-1] == 90


def test_a_long_misreading_does_not_count_where_the_text_went_on_meanwhile() -> None:
    said = [*LONG[:20], *LONG[120:132], *LONG[33:60]]
    path = spoken_path(emitted(said), LONG)
    assert set(range(120, 132)) <= set(path.index.tolist())
    progress = spoken_progress(emitted(said), LONG)
    assert (progress[99:155] == 20).all()
    assert progress[-1] == 60


def test_progress_waits_while_something_is_repeated() -> None:
    said = [*TEXT[:10], *TEXT[4:10], *TEXT[10:]]
    progress = spoken_progress(emitted(said), TEXT)
    assert (progress[48:79] == 10).all()
    assert progress[-1] == len(TEXT)
    path = spoken_path(emitted(said), TEXT)
    assert path.num_jumps == 1
    assert path.index[10:16].tolist() == list(range(4, 10))


def test_progress_stops_where_speech_stops() -> None:
    progress = spoken_progress(emitted(TEXT[:9], tail=100), TEXT)
    assert progress[-1] == 9


def test_progress_waits_while_other_words_are_said() -> None:
    other = [PHONES[i] for i in (33, 12, 20, 7, 34, 25)]
    progress = spoken_progress(emitted([*TEXT[:8], *other, *TEXT[8:]]), TEXT)
    assert progress[39] == 8
    assert progress[60] <= 9
    assert progress[-1] == len(TEXT)


def test_a_garbled_phoneme_does_not_lose_the_place() -> None:
    said = [*TEXT[:6], PHONES[33], *TEXT[7:]]
    path = spoken_path(emitted(said), TEXT)
    assert path.num_jumps == 0
    assert path.index.tolist() == list(range(len(TEXT)))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(PHONES), min_size=1, max_size=30), st.integers(0, 99))
def test_progress_never_falls_and_stays_within_the_text(text: list[str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    log_probs = rng.normal(0, 3, (60, len(PHONES) + 1))
    progress = spoken_progress(log_probs - log_probs.max(axis=1, keepdims=True), text)
    assert progress.shape == (60,)
    assert (np.diff(progress) >= 0).all()
    assert progress[0] >= 0
    assert progress[-1] <= len(text)


def test_progress_of_nothing_is_nothing() -> None:
    assert spoken_progress(emitted([]), []).tolist() == [0.0] * 10
    assert len(spoken_progress(np.zeros((0, 40)), TEXT)) == 0
    with pytest.raises(ValueError, match="not ARPAbet: xx"):
        spoken_progress(emitted(TEXT), ["xx"])


def test_onsets_lie_between_emissions_and_never_far_ahead() -> None:
    assert onset_frames(np.array([3, 9, 40, 42])).tolist() == [0, 6, 36, 41]


def test_progress_is_read_at_any_moment_and_stands_beyond_the_end() -> None:
    begun = np.arange(1.0, 6.0)  # at 5, 25, 45, 65, 85 ms
    moments = np.array([0.0, 0.04, 0.08, 0.1, 7.0])
    assert at_times(begun, moments).tolist() == [0.0, 2.0, 4.0, 5.0, 5.0]


def test_progress_is_read_at_the_end_of_each_video_frame() -> None:
    begun = np.arange(20.0)  # frame k is 20 k + 5 ms
    assert at_video_frames(begun, num_frames=4, fps=25).tolist() == [1.0, 3.0, 5.0, 7.0]


def test_greedy_joins_frames_and_keeps_repeats_apart() -> None:
    names, times_s = greedy(emitted(["B", "IY", "IY"]).astype(np.float64))
    assert names.tolist() == ["B", "IY", "IY"]
    np.testing.assert_allclose(times_s, [0.045, 0.145, 0.245])
