"""What the recognisers hear, on the development clip, on silence and at length."""

import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from evals.extractors import EXTRACTORS
from evals.extractors.asr import (
    TranscriptLine,
    features_of,
    is_silent,
    language_features,
    spread_words,
)
from evals.metrics.phoneme_error_rate import PhonemeErrorRate
from evals.metrics.text import WordErrorRate
from evals.protocols.base import MetricContext
from streamchar_ref.weights import WeightsMissing
from tests.evals.real_clips import TALKING_HEAD, clip_samples, recording

SAID = (
    "everyone here today endeavoring towards a better, more just future for our country and our "
    "world."
)
RECOGNISERS = {"moonshine-tiny": "asr_moonshine", "whisper-base": "asr_whisper"}
AUDIO = [*RECOGNISERS.values(), "phonemes_hama"]


@cache
def extractor(name: str) -> Any:
    try:
        return EXTRACTORS[name].make()
    except (ImportError, WeightsMissing) as error:
        pytest.skip(f"{name}: {error}")


def hear(name: str, samples: np.ndarray) -> Mapping[str, np.ndarray]:
    return extractor(name).extract(samples)


@cache
def hear_clip(name: str) -> Mapping[str, np.ndarray]:
    return hear(name, clip_samples(TALKING_HEAD))


@pytest.mark.parametrize("recogniser", RECOGNISERS)
def test_the_clip_is_understood(recogniser: str) -> None:
    metric = WordErrorRate(recogniser)
    features = {metric.needs[0]: hear_clip(metric.needs[0])}
    score = metric.score(recording(transcript=SAID), features, MetricContext())
    assert score.value <= 0.2


def test_the_phonemes_of_the_clip_are_those_of_its_words() -> None:
    features = {"phonemes_hama": hear_clip("phonemes_hama")}
    said = f"{SAID} in fidelity"  # both recognisers hear two more words
    score = PhonemeErrorRate().score(recording(transcript=said), features, MetricContext())
    assert score.value < 0.2
    other = "Rice is often served in round bowls, and the hogs were fed chopped corn and garbage"
    assert (
        PhonemeErrorRate().score(recording(transcript=other), features, MetricContext()).value > 0.6
    )


@pytest.mark.parametrize("name", AUDIO)
def test_hearing_twice_gives_the_same_bytes(name: str) -> None:
    samples = clip_samples(TALKING_HEAD)
    first = hear_clip(name)
    hear(name, samples[: len(samples) // 2])
    again = hear(name, samples)
    for key, values in first.items():
        assert values.tobytes() == again[key].tobytes()


@pytest.mark.parametrize("name", AUDIO)
@pytest.mark.parametrize(
    "level", [0.0, 1e-3, 0.03], ids=["zeros", "-60 dBFS noise", "-30 dBFS noise"]
)
def test_silence_and_noise_have_no_words(name: str, level: float) -> None:
    noise = level * np.random.default_rng(0).standard_normal(3 * 16_000)
    found = hear(name, noise.astype(np.float32))
    assert not any(found[key].any() for key in ("text", "words", "phonemes") if key in found)
    assert found["duration_s"] == [3.0]


@pytest.mark.parametrize("name", AUDIO)
@pytest.mark.parametrize("num_samples", [0, 1, 319, 1_000])
def test_next_to_no_sound_is_no_error(name: str, num_samples: int) -> None:
    found = hear(name, np.full(num_samples, 0.1, dtype=np.float32))
    assert len(found["duration_s"]) == 1


@pytest.mark.parametrize("name", RECOGNISERS.values())
def test_word_times_rise_and_lie_within_the_recording(name: str) -> None:
    found = hear_clip(name)
    starts, ends = found["word_start_s"], found["word_end_s"]
    assert len(starts) == len(ends) == len(found["words"]) > 10
    assert (np.diff(starts) >= 0).all()
    assert (ends >= starts).all()
    assert starts[0] >= 0
    assert ends[-1] <= found["duration_s"][0] + 0.1


@pytest.mark.parametrize("name", AUDIO)
def test_nothing_is_lost_after_thirty_seconds(name: str) -> None:
    clip = clip_samples(TALKING_HEAD)
    once, often = hear_clip(name), hear(name, np.tile(clip, 6))
    key, start = ("phonemes", "start_s") if "phonemes" in once else ("words", "word_start_s")
    assert len(often[key]) == pytest.approx(6 * len(once[key]), rel=0.15)
    assert often[start].max() == pytest.approx(48.0, abs=1.5)


@pytest.mark.parametrize("name", AUDIO)
def test_sound_that_starts_later_is_heard_later(name: str) -> None:
    clip = clip_samples(TALKING_HEAD)
    later = hear(name, np.concatenate([np.zeros(5 * 16_000, dtype=np.float32), clip]))
    start = "start_s" if "start_s" in later else "word_start_s"
    shift = np.median(later[start]) - np.median(hear_clip(name)[start])
    assert shift == pytest.approx(5.0, abs=0.3)


def test_whisper_hears_the_same_whatever_the_number_of_threads() -> None:
    filters = extractor("asr_whisper")._model.feature_extractor.mel_filters
    spectrum = np.random.default_rng(0).random((201, 3_000), dtype=np.float32)
    parts = [filters @ spectrum[:, i : i + 7] for i in range(0, 3_000, 7)]
    whole = filters @ spectrum
    np.testing.assert_array_equal(whole, np.concatenate(parts, axis=1))
    np.testing.assert_allclose(whole, filters.filters @ spectrum, rtol=1e-5)


def test_words_share_the_time_of_their_line_by_their_characters() -> None:
    found = spread_words("a bcd ", 1.0, 4.0)
    assert found == [("a", 1.0, pytest.approx(2.0)), ("bcd", pytest.approx(2.0), 4.0)]
    assert spread_words("", 0.0, 1.0) == []


def test_features_without_words_are_text_arrays() -> None:
    found = features_of([], 16_000)
    assert found["words"].dtype.kind == found["text"].dtype.kind == "U"
    assert found["text"].tolist() == [""]


def test_the_text_is_the_recognisers_own_and_its_words_have_the_times_of_their_pieces() -> None:
    pieces = [
        (" costs", 0.0, 0.4), (" $25", 0.5, 0.8), (".50,", 0.8, 1.2), (" about", 1.3, 1.5),
        (" 10", 1.5, 1.7), ("%", 1.7, 2.0), (" a", 2.0, 2.1),
        (" mother", 2.1, 2.4), ("-in-law", 2.4, 2.9),
    ]  # fmt: skip
    line = TranscriptLine(
        text=" costs $25.50, about 10% a mother-in-law", start_s=0, end_s=3, pieces=pieces
    )
    found = features_of([line], 48_000)
    assert found["text"].tolist() == ["costs $25.50, about 10% a mother-in-law"]
    spans = zip(found["words"], found["word_start_s"], found["word_end_s"], strict=True)
    assert [(word, round(start, 6), round(end, 6)) for word, start, end in spans] == [
        ("costs", 0.0, 0.4), ("$25.50,", 0.5, 1.2), ("about", 1.3, 1.5), ("10%", 1.5, 2.0),
        ("a", 2.0, 2.1), ("mother-in-law", 2.1, 2.9),
    ]  # fmt: skip


def test_pieces_that_differ_from_the_text_still_give_times_in_order() -> None:
    pieces = [(" one", 0.0, 1.0), (" tw", 1.0, 2.0), (" four", 3.0, 4.0)]
    line = TranscriptLine(text="One two three four", start_s=0.0, end_s=4.0, pieces=pieces)
    found = features_of([line], 64_000)
    assert found["words"].tolist() == ["One", "two", "three", "four"]
    starts, ends = found["word_start_s"], found["word_end_s"]
    assert (np.diff(starts) >= 0).all()
    assert starts[1] == 1.0
    assert (starts[3], ends[3]) == (3.0, 4.0)
    assert 1.0 <= starts[2] <= ends[2] <= 3.0


def test_a_line_of_signs_is_noise_and_signs_within_a_line_are_text() -> None:
    lines = [
        TranscriptLine(text=" .", start_s=0.0, end_s=1.0, pieces=[(" .", 0.0, 1.0)]),
        TranscriptLine(text=" you & me", start_s=1.0, end_s=2.0),
    ]
    assert features_of(lines[:1], 16_000)["text"].tolist() == [""]
    assert features_of(lines, 32_000)["text"].tolist() == ["you & me"]


def test_the_likeliest_language_is_kept_with_that_of_english() -> None:
    found = language_features({"en": 0.2, "pt": 0.7, "es": 0.1})
    assert (found["language"][0], found["language_probability"][0]) == ("pt", 0.7)
    assert found["english_probability"][0] == 0.2
    assert language_features({})["language"].tolist() == [""]


def test_whisper_hears_english_in_the_clip_and_no_language_in_silence() -> None:
    found = hear_clip("asr_whisper")
    assert found["language"].tolist() == ["en"]
    assert found["language_probability"][0] > 0.9
    silence = hear("asr_whisper", np.zeros(16_000, dtype=np.float32))
    assert silence["language"].tolist() == [""]
    assert np.isnan(silence["language_probability"][0])


def test_silence_is_below_eighty_decibels() -> None:
    assert is_silent(np.full(100, 9e-5, dtype=np.float32))
    assert not is_silent(np.full(100, 2e-4, dtype=np.float32))


def openai_whisper_stub(**heard: object) -> ModuleType:
    stub = ModuleType("whisper")
    model = SimpleNamespace(transcribe=lambda samples, **settings: heard)
    stub.__dict__["load_model"] = lambda path, device: model
    return stub


def test_openai_whisper_without_weights_says_how_to_name_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "whisper", openai_whisper_stub())
    monkeypatch.delenv("STREAMCHAR_OPENAI_WHISPER", raising=False)
    with pytest.raises(WeightsMissing, match="STREAMCHAR_OPENAI_WHISPER"):
        EXTRACTORS["asr_openai_whisper"].make()


def test_openai_whisper_words_become_the_same_features(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = [
        {"word": " Hello", "start": 0.1, "end": 0.5},
        {"word": " you.", "start": 0.6, "end": 1},
    ]
    segment = {"text": " Hello you.", "start": 0.0, "end": 1.0, "words": words}
    monkeypatch.setitem(sys.modules, "whisper", openai_whisper_stub(segments=[segment]))
    weights = tmp_path / "base.pt"
    weights.write_bytes(b"")
    monkeypatch.setenv("STREAMCHAR_OPENAI_WHISPER", str(weights))
    transcriber = EXTRACTORS["asr_openai_whisper"].make()
    found = transcriber.extract(np.full(16_000, 0.1, dtype=np.float32))
    assert found["text"].tolist() == ["Hello you."]
    assert found["word_end_s"].tolist() == [0.5, 1.0]
    assert transcriber.extract(np.zeros(16_000, dtype=np.float32))["text"].tolist() == [""]
