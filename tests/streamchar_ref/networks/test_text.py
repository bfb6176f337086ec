from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamchar_ref.networks.text import (
    END,
    FIRST_PHONE,
    MARKS,
    NUM_TOKENS,
    PAD,
    PHONES,
    STRESSES,
    PhonemeText,
    empty_text,
    phonemes_of,
    read_phonemes,
)
from streamchar_ref.world.lexicon import VOWELS, Phoneme, UnreadableText, Word, read_text

SENTENCES = ("Hello there, my friend.", "Is it 20 past?", "Well, no; it is not!", "I think so.")


def numbered(count: int) -> PhonemeText:
    """A text whose rows tell their index."""
    rows = np.zeros((count, 4), np.int64)
    rows[:, 0] = FIRST_PHONE + np.arange(count)
    return PhonemeText(tokens=rows, words=("x",), word_starts=np.array([0]))


def test_a_phoneme_carries_word_start_stress_and_mark() -> None:
    hello = tuple(
        Phoneme(phone=phone, symbols="", stress=stress)
        for phone, stress in (("HH", ""), ("AH", ""), ("L", ""), ("OW", "\u02c8"))
    )
    text = phonemes_of([(Word(text="hello", phonemes=hello, mark=","),)])
    phones = [FIRST_PHONE + PHONES.index(phone) for phone in ("HH", "AH", "L", "OW")]
    assert text.tokens[:, 0].tolist() == phones
    assert text.tokens[:, 1].tolist() == [1, 0, 0, 0]
    assert text.tokens[:, 2].tolist() == [0, 0, 0, STRESSES.index("\u02c8")]
    assert text.tokens[:, 3].tolist() == [0, 0, 0, MARKS.index(",")]


def test_word_starts_are_where_words_begin() -> None:
    text = read_phonemes(" ".join(SENTENCES))
    assert np.flatnonzero(text.tokens[:, 1]).tolist() == text.word_starts.tolist()
    assert len(text.words) == len(text.word_starts)
    assert text.words[:2] == ("hello", "there")
    assert "twenty" in text.words


def test_every_vowel_has_a_token() -> None:
    assert set(PHONES) > VOWELS
    assert NUM_TOKENS == FIRST_PHONE + 39


@given(cuts=st.sets(st.integers(1, len(SENTENCES) - 1)))
@settings(max_examples=8, deadline=None)
def test_texts_cut_at_sentence_ends_add_up_to_the_whole(cuts: set[int]) -> None:
    whole, added = read_phonemes(" ".join(SENTENCES)), empty_text()
    edges = [0, *sorted(cuts), len(SENTENCES)]
    for first, last in pairwise(edges):
        added = added + read_phonemes(" ".join(SENTENCES[first:last]))
    np.testing.assert_array_equal(added.tokens, whole.tokens)
    np.testing.assert_array_equal(added.word_starts, whole.word_starts)
    assert added.words == whole.words


def test_nothing_added_changes_nothing() -> None:
    text = read_phonemes(SENTENCES[0])
    for same in (text + empty_text(), empty_text() + text):
        np.testing.assert_array_equal(same.tokens, text.tokens)
        np.testing.assert_array_equal(same.word_starts, text.word_starts)
    assert len(empty_text()) == 0


@given(
    position=st.integers(0, 60),
    count=st.integers(0, 30),
    behind=st.integers(0, 9),
    ahead=st.integers(1, 20),
    is_final=st.booleans(),
)
@settings(deadline=None)
def test_a_window_shows_each_row_in_its_place(
    position: int, count: int, behind: int, ahead: int, is_final: bool
) -> None:
    text = numbered(count)
    window = text.window(position, behind=behind, ahead=ahead, is_final=is_final)
    assert window.shape == (behind + ahead, 4)
    for index, row in enumerate(window):
        place = position - behind + index
        if 0 <= place < count:
            assert row.tolist() == text.tokens[place].tolist()
        else:
            assert row.tolist() == [END if is_final and place == count else PAD, 0, 0, 0]


@pytest.mark.parametrize("position", [0, 5, 12, 500])
def test_the_end_is_marked_only_when_nothing_more_will_come(position: int) -> None:
    text = numbered(12)
    arriving = text.window(position, behind=8, ahead=32, is_final=False)
    whole = text.window(position, behind=8, ahead=32, is_final=True)
    assert END not in arriving[:, 0]
    assert (whole[:, 0] == END).sum() == (position <= 12 + 8)


def test_text_that_cannot_be_said_is_an_error() -> None:
    with pytest.raises(UnreadableText, match="no words"):
        read_phonemes("...")


def test_positions_count_phonemes_of_the_front_end() -> None:
    sentences = read_text(SENTENCES[0])
    assert len(read_phonemes(SENTENCES[0])) == sum(
        len(word.phonemes) for sentence in sentences for word in sentence
    )
