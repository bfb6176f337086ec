import re
from typing import Any

import jiwer
import numpy as np
import pytest

from evals.extractors import EXTRACTORS, AudioExtractor
from streamchar_ref.world import speech
from streamchar_ref.world.lexicon import UnreadableText, read_text
from streamchar_ref.world.speech import SAMPLE_RATE, SILENCE, VOICES, speak

TEXT = "Good morning, it is lovely to see you. Shall we begin?"


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    first, again, other = (speak(TEXT, seed=seed).samples for seed in (3, 3, 4))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize("voice", VOICES)
def test_phonemes_tile_the_waveform(voice: str) -> None:
    spoken = speak(TEXT, voice=voice, seed=1)
    assert spoken.phonemes[0].t0_s == 0
    for before, after in zip(spoken.phonemes[:-1], spoken.phonemes[1:], strict=True):
        assert before.t1_s == after.t0_s > before.t0_s
        assert {before.phone, after.phone} != {SILENCE}
    end = spoken.phonemes[-1].t1_s * SAMPLE_RATE
    assert 0 <= len(spoken.samples) - end < 1


def test_phonemes_and_words_are_those_of_the_text() -> None:
    spoken = speak(TEXT, seed=1)
    words = [word for sentence in read_text(TEXT) for word in sentence]
    assert [word.text for word in spoken.words] == [word.text for word in words]
    assert [p.phone for p in spoken.phonemes if p.phone != SILENCE] == [
        p.phone for word in words for p in word.phonemes
    ]
    for index, word in enumerate(spoken.words):
        own = [p for p in spoken.phonemes if p.word_index == index]
        assert (own[0].t0_s, own[-1].t1_s) == (word.t0_s, word.t1_s)


def test_durations_of_the_voice_add_up_to_its_samples() -> None:
    pieces = speech._pieces(read_text("Two boats, one river.")[0])
    wave, durations = speech._synthesise(pieces, 1.0, np.random.default_rng(0))
    spans = speech._spans(pieces, durations, 0)
    assert durations.sum() == len(wave) == sum(span.num_samples for span in spans)


def test_sound_is_loud_in_words_and_quiet_around_them() -> None:
    spoken = speak(TEXT, seed=2)
    power = spoken.samples.astype(float) ** 2
    first, last = (round(t * SAMPLE_RATE) for t in (spoken.words[0].t0_s, spoken.words[-1].t1_s))
    assert power[first:last].mean() > 100 * power[: first - 800].mean()
    assert np.abs(spoken.samples).max() == pytest.approx(speech.PEAK, abs=0.02)


def test_a_voice_that_is_higher_takes_as_long() -> None:
    lengths = {voice: speak(TEXT, voice=voice, seed=1).length_s for voice in VOICES}
    assert max(lengths.values()) < 1.15 * min(lengths.values())


def plain(texts: list[str]) -> list[str]:
    return [re.sub(r"[^a-z ]", "", text.lower()) for text in texts]


@pytest.fixture(scope="module")
def whisper() -> Any:
    pytest.importorskip("faster_whisper")
    return EXTRACTORS["asr_whisper"].make()


@pytest.mark.parametrize("voice", VOICES)
def test_whisper_understands_all_but_one_word(voice: str, whisper: AudioExtractor) -> None:
    said = [
        "She laughed because the puppy had stolen his other shoe again.",
        "The garden gate was painted blue by my neighbor last summer.",
        "Nobody noticed the photograph hidden between the pages of that book.",
    ]
    padded = [np.pad(speak(text, voice=voice, seed=0).samples, 8000) for text in said]
    heard = [str(whisper.extract(samples)["text"][0]) for samples in padded]
    num_words = sum(len(text.split()) for text in said)
    assert jiwer.wer(plain(said), plain(heard)) * num_words <= 1.01


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="unknown voice 'nobody'"):
        speak("hello", voice="nobody")
    with pytest.raises(UnreadableText):
        speak("")
