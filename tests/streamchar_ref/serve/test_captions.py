from dataclasses import replace

import pytest

from streamchar_ref.serve.captions import captions_of
from streamchar_ref.streaming.live import LiveTranscript, read_piece


def words_of(live: LiveTranscript) -> list[str]:
    return [word for word, _ in captions_of(live.pieces)]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("Hello, my Friend!", ["Hello,", "my", "Friend!"]),
        ("I have 20 cats.", ["I", "have", "20", "cats."]),
        ("Well \u2014 yes.", ["Well \u2014", "yes."]),
        ("Yes \U0001f600 we can", ["Yes \U0001f600", "we", "can"]),
    ],
)
def test_words_are_shown_as_they_were_typed(typed: str, words: list[str]) -> None:
    live = LiveTranscript(typed)
    assert words_of(live) == words


def test_each_word_has_the_place_at_which_it_is_said() -> None:
    live = LiveTranscript("I have 20 cats.")
    starts = live.text.word_starts
    live.append("Yes.")
    assert captions_of(live.pieces) == [
        ("I", starts[0]),
        ("have", starts[1]),
        ("20", starts[2]),
        ("cats.", starts[3]),
        ("Yes.", len(live.text) - 3),
    ]


def test_what_was_replaced_is_not_shown() -> None:
    live = LiveTranscript("Hello there, my friend.")
    live.said(2.0)
    live.replace("Good bye.")
    assert words_of(live) == ["Hello", "there,", "my", "friend."]
    live.prefix(0.0)
    assert words_of(live) == ["Hello", "Good", "bye."]


def test_words_that_cannot_be_paired_are_shown_as_spoken() -> None:
    piece = replace(read_piece("It costs $5 now."), typed="It costs five")
    assert words_of(LiveTranscript(piece)) == ["it", "costs", "five", "dollars", "now"]
