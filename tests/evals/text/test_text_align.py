import random

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.text.align import (
    align,
    error_curve,
    error_times_s,
    operations_s,
    place_words,
    reference_times_s,
)
from evals.text.failures import Failures, find_failures, num_reached, runs, seconds_per_word

FEW_WORDS = st.lists(st.sampled_from("abc"), max_size=12)
PROPERTY = settings(max_examples=200, deadline=None, derandomize=True)
STORY = [f"w{i}" for i in range(60)]


def spans(count: int, *, word_s: float = 0.4) -> np.ndarray:
    starts = word_s * np.arange(count)
    return np.stack([starts, starts + 0.8 * word_s], axis=1)


def failures(said: list[str], heard: list[str]) -> Failures:
    return find_failures(said, heard, align(said, heard))


@PROPERTY
@given(FEW_WORDS.filter(bool), FEW_WORDS)
def test_error_counts_are_those_of_jiwer(said: list[str], heard: list[str]) -> None:
    expected = jiwer.process_words(" ".join(said), " ".join(heard))
    found = align(said, heard)
    assert found.num_errors == expected.substitutions + expected.deletions + expected.insertions
    assert found.num_hits + found.num_substitutions + found.num_deletions == len(said)
    assert found.num_hits + found.num_substitutions + found.num_insertions == len(heard)
    assert found.num_deletions - found.num_insertions == expected.deletions - expected.insertions


@PROPERTY
@given(FEW_WORDS, FEW_WORDS)
def test_pairs_are_hits_where_their_words_are_the_same(said: list[str], heard: list[str]) -> None:
    found = align(said, heard)
    pairs = zip(found.reference_index, found.heard_index, strict=True)
    assert [said[i] == heard[j] for i, j in pairs] == found.is_hit.tolist()


@PROPERTY
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30), st.data())
def test_a_text_cut_short_has_one_gap_at_its_end(said: list[str], data: st.DataObject) -> None:
    kept = data.draw(st.integers(0, len(said)))
    gaps = runs(align(said, said[:kept]).is_deleted)
    assert [(gap.start, gap.stop) for gap in gaps] == (
        [(kept, len(said))] if kept < len(said) else []
    )


@PROPERTY
@given(st.lists(st.sampled_from("abcd"), min_size=12, max_size=40), st.data())
def test_a_text_with_a_hole_has_one_gap_of_its_size(said: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(said) - 1))
    stop = data.draw(st.integers(start + 1, len(said)))
    gaps = runs(align(said, said[:start] + said[stop:]).is_deleted)
    assert max(len(gap) for gap in gaps) >= (stop - start) / 2
    assert sum(map(len, gaps)) == stop - start


def test_a_hole_is_not_broken_by_a_word_that_stands_on_both_its_sides() -> None:
    said, heard = (
        "we saw the cat and the dog and the bird in the garden",
        "we saw the bird in the garden",
    )
    gaps = runs(align(said.split(), heard.split()).is_deleted)
    assert [len(gap) for gap in gaps] == [6]


def test_words_dropped_at_the_end_are_an_early_stop_and_no_skip() -> None:
    found = failures(STORY, STORY[:40])
    assert (found.completion, found.early_stop_words, found.longest_skip) == (40 / 60, 20, 0)


def test_words_dropped_inside_are_a_skip_and_no_early_stop() -> None:
    found = failures(STORY, STORY[:20] + STORY[30:])
    assert (found.completion, found.early_stop_words, found.longest_skip) == (1.0, 0, 10)


def test_a_stray_word_after_the_stop_does_not_complete_the_text() -> None:
    assert num_reached(align(STORY, [*STORY[:30], "w55"])) == 30
    assert num_reached(align(STORY, [*STORY[:30], "thank", "you"])) == 30


def test_one_last_word_after_a_small_gap_completes_the_text() -> None:
    assert num_reached(align(STORY, [*STORY[:57], "w59"])) == 60


def test_silence_reaches_nothing() -> None:
    found = failures(STORY, [])
    assert (found.completion, found.longest_skip, found.loops) == (0.0, 0, ())


@pytest.mark.parametrize(
    ("start", "stop", "times"), [(10, 14, 1), (10, 14, 5), (0, 3, 2), (50, 60, 1)]
)
def test_a_looped_phrase_is_one_loop(start: int, stop: int, times: int) -> None:
    heard = STORY[:stop] + STORY[start:stop] * times + STORY[stop:]
    found = failures(STORY, heard)
    assert [len(loop) for loop in found.loops] == [(stop - start) * times]
    assert found.completion == 1.0
    assert found.longest_skip == 0


def test_a_loop_with_one_misheard_word_is_still_a_loop() -> None:
    heard = [*STORY[:20], "w12", "w13", "w14", "x", *STORY[16:]]
    assert len(failures(STORY, heard).loops) == 1


def test_new_words_and_a_word_said_twice_are_no_loop() -> None:
    assert failures(STORY, [*STORY[:20], *"xyzu", *STORY[20:]]).loops == ()
    assert failures(STORY, [*STORY[:20], "w19", *STORY[20:]]).loops == ()


def test_a_text_that_repeats_itself_as_written_has_no_loop() -> None:
    said = STORY[:10] * 3
    found = failures(said, list(said))
    assert (found.loops, found.excess_ngrams) == ((), 0)


def test_excess_ngrams_count_a_loop_that_ends_the_speech() -> None:
    heard = STORY[:10] + STORY[6:10] * 3
    assert failures(STORY, heard).excess_ngrams >= 3


def test_swapped_sentences_are_misplaced_words() -> None:
    assert failures(STORY, STORY[30:] + STORY[:30]).num_misplaced == 30


def test_heard_words_carry_their_times_through_the_normaliser() -> None:
    raw = ["I", "don't", "um,", "have", "twenty", "seven."]
    placed = place_words(["i", "do", "not", "have", "27"], raw, spans(6, word_s=1.0), "whisper-en")
    assert placed == pytest.approx(
        np.array([[0, 0.8], [1, 1.4], [1.4, 1.8], [3, 3.8], [4, 5.8]]), abs=1e-9
    )


def test_without_heard_words_no_word_has_a_time() -> None:
    assert place_words([], [], np.zeros((0, 2)), "raw").shape == (0, 2)


def test_deleted_words_lie_between_their_neighbours() -> None:
    found = align(list("abcd"), list("ad"))
    times = reference_times_s(found, np.array([[0.0, 2.0], [6.0, 8.0]]), 10.0)
    assert times == pytest.approx([1.0, 3.0, 5.0, 7.0])


def test_errors_have_the_time_of_their_word() -> None:
    found = align(list("abcd"), list("axcdy"))
    assert error_times_s(found, spans(5, word_s=1.0), 6.0) == pytest.approx([1.4, 4.4])


def test_windows_hold_all_errors_and_all_words() -> None:
    rng = random.Random(0)
    said = rng.choices(STORY, k=200)
    heard = [word for word in said if rng.random() > 0.2]
    found = align(said, heard)
    windows = error_curve(found, spans(len(heard)), 0.4 * len(heard) + 1)
    times = reference_times_s(found, spans(len(heard)), 0.4 * len(heard) + 1)
    errors = [rate * ((times >= t0) & (times < t1)).sum() for t0, t1, rate in windows]
    assert sum(errors) == pytest.approx(found.num_errors)
    assert windows[0, :2].tolist() == [0.0, 15.0]


def test_a_window_with_the_errors_has_the_rate() -> None:
    said = [f"w{i}" for i in range(100)]
    heard = [f"x{i}" if 40 <= i < 50 else word for i, word in enumerate(said)]
    windows = error_curve(align(said, heard), spans(100, word_s=1.0), 100.0, window_s=10.0)
    assert windows[:, 2].tolist() == [1.0 if t0 == 40.0 else 0.0 for t0 in windows[:, 0]]


def test_a_window_without_reference_words_is_not_a_number() -> None:
    windows = error_curve(align(["a"], ["a"]), np.array([[0.0, 1.0]]), 40.0)
    assert np.isnan(windows[:, 2]).tolist() == [False, True, True]


def test_seconds_per_word_is_the_step_between_neighbours() -> None:
    found = align(list("abcdef"), list("abdef"))
    assert seconds_per_word(found, spans(5)) == pytest.approx(0.4)


def test_half_an_hour_of_speech_has_the_errors_that_jiwer_counts() -> None:
    rng = random.Random(0)
    said = rng.choices([f"w{i}" for i in range(400)], k=4_500)
    heard = [w if rng.random() > 0.08 else "x" for w in said if rng.random() > 0.02]
    found = align(said, heard)
    assert found.num_errors / 4_500 == pytest.approx(jiwer.wer(" ".join(said), " ".join(heard)))
    assert len(error_curve(found, spans(len(heard)), 1_800.0)) == 120


def test_each_word_has_its_operation_and_time() -> None:
    found = align(list("abcdfg"), list("axdfge"))
    said = operations_s(found, spans(6, word_s=1.0), 6.0)
    assert [operation for _, operation in said].count("equal") == found.num_hits == 4
    assert sorted({operation for _, operation in said}) == ["del", "equal", "ins", "sub"]
    assert len(said) == 6 + found.num_insertions
    assert [t_s for t_s, _ in said] == sorted(t_s for t_s, _ in said)
