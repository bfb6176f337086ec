import inspect
import re
import sys
from dataclasses import replace
from typing import Any

import jiwer
import numpy as np
import pytest

from evals.extractors import EXTRACTORS
from evals.extractors.kinds import AudioExtractor
from streamchar_ref.world import piper, speech
from streamchar_ref.world.lexicon import UnreadableText, read_text
from streamchar_ref.world.room import Room, draw_room, place
from streamchar_ref.world.speech import SAMPLE_RATE, SILENCE, speak
from streamchar_ref.world.take import EngineMissing
from streamchar_ref.world.voices import VOICES, Voice, voices_of

PARAGRAPH = (
    "The garden gate was painted blue by my neighbor last summer. A quiet old engine "
    "carried the tired miners back across the valley; we could hear it long before it reached us."
)
TEXT = "Good morning, it is lovely to see you. Shall we begin?"


@pytest.mark.parametrize("voice", ["joe", "gwen", "uma", "walt"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(voice: str) -> None:
    first = speak(TEXT, voice=voice, seed=3).samples
    other = speak(TEXT, voice=voice, seed=4).samples
    again = speak(TEXT, voice=voice, seed=3).samples
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


@pytest.mark.parametrize("voice", ["kira", "uma"])
def test_phonemes_and_words_are_those_of_the_text(voice: str) -> None:
    spoken = speak(TEXT, voice=voice, seed=1)
    words = [word for sentence in read_text(TEXT) for word in sentence]
    assert [word.text for word in spoken.words] == [word.text for word in words]
    assert [p.phone for p in spoken.phonemes if p.phone != SILENCE] == [
        p.phone for word in words for p in word.phonemes
    ]
    for index, word in enumerate(spoken.words):
        own = [p for p in spoken.phonemes if p.word_index == index]
        assert (own[0].t0_s, own[-1].t1_s) == (word.t0_s, word.t1_s)


def test_sound_is_loud_in_words_and_quiet_around_them() -> None:
    spoken = speak(TEXT, seed=2)
    power = spoken.samples.astype(float) ** 2
    first, last = (round(t * SAMPLE_RATE) for t in (spoken.words[0].t0_s, spoken.words[-1].t1_s))
    assert power[first:last].mean() > 100 * power[: first - 800].mean()
    assert np.abs(spoken.samples).max() == pytest.approx(speech.PEAK, abs=0.02)


@pytest.mark.parametrize("engine", ["piper", "espeak"])
def test_times_do_not_depend_on_formants_tilt_and_breath(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_voice = Voice(name="x", engine=engine, pitch=1.0, formant=1.0)
    coloured = replace(plain_voice, tilt_db=4, breath=0.3)
    coloured = replace(coloured, formant=1.2) if engine == "piper" else coloured
    said = []
    for voice in (plain_voice, coloured):
        monkeypatch.setitem(VOICES, "x", voice)
        said.append(speak(TEXT, voice="x", seed=1))
    assert said[0].phonemes == said[1].phonemes
    assert said[0].samples.shape == said[1].samples.shape
    power = [np.convolve(one.samples**2, np.ones(400) / 400, "same") for one in said]
    assert np.corrcoef(np.sqrt(power))[0, 1] > 0.8


@pytest.mark.parametrize("voice", ["joe", "kira", "ben", "uma", "walt"])
@pytest.mark.parametrize("rate_wpm", [120, 160, 200])
def test_a_rate_is_met_within_two_percent(voice: str, rate_wpm: float) -> None:
    words = speak(PARAGRAPH, voice=voice, seed=3, rate_wpm=rate_wpm).words
    measured = 60 * len(words) / (words[-1].t1_s - words[0].t0_s)
    assert measured == pytest.approx(rate_wpm, rel=0.02)


@pytest.mark.parametrize("voice", ["joe", "uma"])
def test_a_room_moves_nothing_in_time(voice: str) -> None:
    dry, wet = (speak(TEXT, voice=voice, seed=2, room=room) for room in (None, draw_room(5)))
    assert dry.phonemes == wet.phonemes
    lags = np.arange(-200, 201)
    inside = slice(200, len(dry.samples) - 200)
    likeness = [float(dry.samples[inside] @ np.roll(wet.samples, lag)[inside]) for lag in lags]
    assert lags[int(np.argmax(likeness))] == 0


def test_a_room_makes_noise_at_its_level() -> None:
    samples = np.sin(np.arange(32_000) / 5).astype(np.float32)
    noise = place(samples, Room(snr_db=20), rate=SAMPLE_RATE, seed=0) - samples
    assert 10 * np.log10((samples**2).mean() / (noise**2).mean()) == pytest.approx(20, abs=0.01)
    assert draw_room(3) == draw_room(3) != draw_room(4)


@pytest.mark.parametrize("name", VOICES)
def test_espeak_and_piper_say_every_sound_of_hard_texts(name: str) -> None:
    text = (
        "Peter put big black books back. Are our aunts away, or in Iowa? Theirs are: three, four."
    )
    spoken = speak(text, voice=name, seed=0)
    assert [p.phone for p in spoken.phonemes if p.phone != SILENCE] == [
        p.phone for sentence in read_text(text) for word in sentence for p in word.phonemes
    ]
    assert min(p.t1_s - p.t0_s for p in spoken.phonemes) > 0.005


def test_a_stop_of_espeak_begins_with_its_closure() -> None:
    spoken = speak("Happy puppy.", voice="toby", seed=0)
    stops = [p for p in spoken.phonemes if p.phone == "P"]
    for stop in (stops[0], stops[2]):
        first = round(stop.t0_s * SAMPLE_RATE)
        closed = spoken.samples[first + 80 : first + 400]
        assert np.abs(closed).max() < 0.1 * np.abs(spoken.samples).max()


@pytest.mark.parametrize("voice", ["gwen", "vera"])
def test_odd_texts_are_said(voice: str) -> None:
    for text in ("3.14 & 42% \U0001f600!", "GPU", "Zyxwv qqq", "a", "caf\u00e9 -- no"):
        assert len(speak(text, voice=voice).words) > 0


@pytest.mark.parametrize("text", ["", " \n", "...", "\U0001f600\U0001f600", "\u4f60\u597d"])
def test_text_without_english_words_is_an_error(text: str) -> None:
    for voice in ("joe", "sage"):
        with pytest.raises(UnreadableText):
            speak(text, voice=voice)


def test_ten_thousand_characters_are_said() -> None:
    spoken = speak("pack my box with five dozen jugs " * 300, voice="walt")
    assert len(spoken.words) == 2100


@pytest.mark.parametrize(
    ("voice", "package"), [("robin", "espeakng_loader"), ("joe", "onnxruntime")]
)
def test_a_missing_engine_names_the_extra(
    voice: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(piper, "_model", piper._model.__wrapped__)
    with pytest.raises(EngineMissing, match=r"streamchar\[world\]"):
        speak("hello", voice=voice)


def test_voices_are_those_of_both_styles() -> None:
    assert (len(voices_of("piper")), len(voices_of("espeak"))) == (12, 8)
    assert all(voice.name == name for name, voice in VOICES.items())


def test_two_takes_of_a_voice_are_liker_than_two_voices() -> None:
    extractor = EXTRACTORS["voice"].make()
    texts = (PARAGRAPH[:60], PARAGRAPH[60:130])

    def embedded(voice: str, text: str) -> np.ndarray:
        mean = extractor.extract(speak(text, voice=voice, seed=1).samples)["embeddings"].mean(0)
        return mean / np.linalg.norm(mean)

    names = ("joe", "elsa", "cora", "hugo")
    first, second = (np.stack([embedded(name, text) for name in names]) for text in texts)
    likeness = first @ second.T
    assert likeness.diagonal().min() > (likeness - 2 * np.eye(len(names))).max()


def plain(texts: list[str]) -> list[str]:
    return [re.sub(r"[^a-z ]", "", text.lower()) for text in texts]


@pytest.fixture(scope="module")
def whisper() -> Any:
    pytest.importorskip("faster_whisper")
    return EXTRACTORS["asr_whisper"].make()


@pytest.mark.parametrize("voice", ["joe", "elsa", "finn"])
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
    with pytest.raises(ValueError, match="100 to 220 words a minute, got 20"):
        speak("hello", rate_wpm=20)
    with pytest.raises(ValueError, match="seed must be a whole number of at least 0, got -1"):
        speak("hello", seed=-1)


def test_what_is_no_text_is_refused_as_such() -> None:
    unchecked: Any = inspect.unwrap(read_text)  # as for users, whose calls nobody checks
    with pytest.raises(ValueError, match="a transcript is text, got None"):
        unchecked(None)
