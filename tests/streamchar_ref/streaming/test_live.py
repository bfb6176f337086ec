import math
import threading
from itertools import count, islice

import numpy as np
import pytest

from streamchar_ref.streaming.live import LiveTranscript
from streamchar_ref.streaming.stream import stream
from streamchar_ref.streaming.transcript import SLOWEST_PER_S, SPARE_S, Transcript
from streamchar_ref.world.lexicon import UnreadableText
from tests.streamchar_ref.tiny import tiny_model

FIRST, OTHER = "Hello there, my friend.", "We think so."
PICTURE = np.zeros((32, 32, 3), np.uint8)


def words_of(transcript: LiveTranscript) -> str:
    return " ".join(transcript.prefix(0.0).text.words)


def test_it_has_the_phonemes_of_a_scheduled_transcript_and_no_end() -> None:
    live = LiveTranscript(FIRST)
    prefix = live.prefix(3.0)
    assert np.array_equal(prefix.text.tokens, Transcript(FIRST).text.tokens)
    assert not prefix.is_final
    assert live.longest_s == math.inf


def test_appended_text_follows() -> None:
    live = LiveTranscript(FIRST)
    live.append(OTHER)
    assert words_of(live) == "hello there my friend we think so"
    assert live.num_unsaid == len(live.text)


@pytest.mark.parametrize(
    ("spoken", "words"),
    [
        (0.0, "we think so"),
        (0.2, "hello we think so"),  # a word that has been begun is said to its end
        (4.0, "hello we think so"),
        (4.5, "hello there we think so"),
        (1000.0, "hello there my friend we think so"),
    ],
)
def test_what_has_been_said_stays_to_the_end_of_the_word(spoken: float, words: str) -> None:
    live = LiveTranscript(FIRST)
    live.said(min(spoken, len(live.text)))
    live.replace(OTHER)
    assert words_of(live) == words
    assert np.array_equal(live.text.word_starts, live.prefix(0.0).text.word_starts)
    assert [live.text.tokens[start, 1] for start in live.text.word_starts] == [1] * len(
        words.split()
    )


def test_a_replacement_waits_for_the_next_chunk_and_for_its_pointer() -> None:
    live = LiveTranscript(FIRST)
    before = live.prefix(0.0).text
    live.replace(OTHER)
    assert live.text is before  # a chunk that is being made has read this text
    live.append("Or not.")
    live.said(4.5)
    assert live.num_unsaid == len(Transcript("there we think so or not").text) - 0.5
    assert words_of(live) == "hello there we think so or not"


def test_the_last_replacement_counts() -> None:
    live = LiveTranscript(FIRST)
    live.replace("Nobody knows.")
    live.replace(OTHER)
    assert words_of(live) == "we think so"


def test_pieces_know_what_is_left_of_them() -> None:
    live = LiveTranscript(FIRST)
    live.append("And more.")
    live.said(0.5)
    live.replace(OTHER)
    live.prefix(0.0)
    assert [(piece.typed, piece.start, piece.length) for piece in live.pieces] == [
        (FIRST, 0, 4),
        (OTHER, 4, len(Transcript(OTHER).text)),
    ]


def test_the_pointer_never_goes_back() -> None:
    live = LiveTranscript(FIRST)
    live.said(4.5)
    live.said(1.0)
    live.replace(OTHER)
    assert words_of(live) == "hello there we think so"


def test_a_finished_transcript_ends_by_its_longest_time_and_takes_no_more() -> None:
    live = LiveTranscript(FIRST)
    live.prefix(10.0)
    live.said(4.0)
    live.finish()
    assert live.is_finished
    assert live.prefix(10.0).is_final
    assert live.longest_s == pytest.approx(10 + (len(live.text) - 4) / SLOWEST_PER_S + SPARE_S)
    for change in (live.append, live.replace):
        with pytest.raises(ValueError, match="open a new stream"):
            change(OTHER)


@pytest.mark.parametrize("text", ["...", "Привет", ""])
def test_text_that_cannot_be_said_changes_nothing(text: str) -> None:
    live = LiveTranscript(FIRST)
    for change in (live.append, live.replace):
        with pytest.raises(UnreadableText):
            change(text)
    assert words_of(live) == "hello there my friend"


def test_every_thread_is_heard() -> None:
    live = LiveTranscript()
    threads = [threading.Thread(target=lambda: live.append(OTHER)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert words_of(live).split() == ["we", "think", "so"] * 8


def test_a_stream_goes_on_in_silence_and_says_what_comes_later() -> None:
    model, live = tiny_model(), LiveTranscript(OTHER)
    model.orchestrator.over_out.bias.data.fill_(50.0)  # it always says that all is said
    chunks = stream(model, live, prompt="", reference=PICTURE, clock=count(0, 1000).__next__)
    known = [len(list(islice(chunks, 2))), len(live.text)]
    live.append(FIRST)
    known += [len(list(islice(chunks, 2))), len(live.text)]
    live.finish()
    assert known == [2, len(Transcript(OTHER).text), 2, len(Transcript(OTHER + FIRST).text)]
    assert len(list(chunks)) == 1
