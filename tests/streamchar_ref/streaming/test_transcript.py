import numpy as np
import pytest

from streamchar_ref.networks.text import read_phonemes
from streamchar_ref.streaming.transcript import SLOWEST_PER_S, SPARE_S, Transcript
from streamchar_ref.world.lexicon import UnreadableText

FIRST, SECOND = "Hello there.", "How are you?"


def test_a_whole_text_is_known_at_once() -> None:
    prefix = Transcript(FIRST).prefix(0.0)
    assert prefix.is_final
    np.testing.assert_array_equal(prefix.text.tokens, read_phonemes(FIRST).tokens)


@pytest.mark.parametrize(
    ("elapsed_s", "words", "is_final"),
    [(0.0, 0, False), (0.49, 0, False), (0.5, 2, False), (1.99, 2, False), (2.0, 5, True)],
)
def test_a_piece_arrives_at_its_time_on(elapsed_s: float, words: int, is_final: bool) -> None:
    prefix = Transcript([(0.5, FIRST), (2.0, SECOND)]).prefix(elapsed_s)
    assert len(prefix.text.words) == words
    assert prefix.is_final is is_final


def test_what_had_arrived_stays_as_it_was() -> None:
    transcript = Transcript([(0.0, FIRST), (1.0, SECOND)])
    early, late = transcript.prefix(0.0).text, transcript.prefix(1.0).text
    np.testing.assert_array_equal(late.tokens[: len(early)], early.tokens)
    np.testing.assert_array_equal(late.tokens, transcript.text.tokens)


@pytest.mark.parametrize("silent", ["", "  ", ".", " ...", "\N{GRINNING FACE}"])
def test_a_piece_without_letters_says_nothing(silent: str) -> None:
    transcript = Transcript([(0.0, FIRST), (1.0, silent)])
    np.testing.assert_array_equal(transcript.text.tokens, read_phonemes(FIRST).tokens)
    assert not transcript.prefix(0.5).is_final, "more may come as long as a piece is missing"
    assert transcript.prefix(1.0).is_final


def test_pieces_may_arrive_together() -> None:
    assert Transcript([(1.0, FIRST), (1.0, SECOND)]).prefix(1.0).is_final


def test_falling_times_are_an_error() -> None:
    with pytest.raises(ValueError, match="must rise"):
        Transcript([(1.0, FIRST), (0.5, SECOND)])


@pytest.mark.parametrize("pieces", ["", " ", "...", [], [(0.0, ""), (1.0, "!")]], ids=repr)
def test_nothing_to_say_is_an_error(pieces: str | list[tuple[float, str]]) -> None:
    with pytest.raises(UnreadableText, match="no words"):
        Transcript(pieces)


def test_letters_of_another_script_are_an_error() -> None:
    with pytest.raises(UnreadableText, match="only English"):
        Transcript([(0.0, FIRST), (1.0, "\u043f\u0440\u0438\u0432\u0435\u0442")])


def test_the_longest_time_allows_for_the_slowest_speech_after_the_last_arrival() -> None:
    pieces = Transcript([(0.0, FIRST), (3.0, SECOND)])
    phonemes = len(read_phonemes(FIRST)) + len(read_phonemes(SECOND))
    assert pieces.longest_s == 3.0 + phonemes / SLOWEST_PER_S + SPARE_S
