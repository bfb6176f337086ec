"""What was said in other languages than English: counted by their own rules, or refused."""

import math
import random
from pathlib import Path

import jiwer
import numpy as np
import pytest
from whisper_normalizer.basic import BasicTextNormalizer

from evals.extractors.asr import TranscriptLine, features_of, language_features
from evals.features.cache import track_keys
from evals.metrics.languages import (
    LANGUAGES,
    CharacterErrorRateOfLanguage,
    WordErrorRateOfLanguage,
)
from evals.metrics.macro import MacroWordErrorRate
from evals.metrics.text import ERROR_RATES, WordErrorRate
from evals.protocols.base import Metric, MetricContext, Score
from evals.scoring.persist import summaries_of
from evals.scoring.results import ScoreRow
from evals.scoring.speech_protocols import choose_for
from evals.text.normalise import normalise
from evals.text.spoken_language import spoken_language
from tests.evals.real_clips import recording

WER = WordErrorRateOfLanguage("whisper-base-multilingual", "asr_whisper_multilingual")
CER = CharacterErrorRateOfLanguage("whisper-base-multilingual", "asr_whisper_multilingual")
RUSSIAN = "Привет, мир! Как у тебя дела сегодня?"
PORTUGUESE = "Você está bem? Eu não sei o que ele disse para a minha mãe."
CHINESE = "今天天气很好，我们去公园走走吧。"
TRADITIONAL = "今天天氣很好，我們去公園走走吧。"
THAI = "สวัสดีครับ วันนี้อากาศดีมาก"
TEXTS = (
    RUSSIAN, PORTUGUESE, CHINESE, THAI, "नमस्ते दुनिया", "안녕하세요, 세계!",
    "Grüß Gott (leise) <b>Straße</b>",
    "１２３ ﬁn — «quoi ?» [rires", "x) y] > z", "((a)b) [c] d <e", "İstanbul'da   ÇOK güzel",
)  # fmt: skip


def measure(
    metric: Metric,
    said: str,
    heard: str,
    *,
    language: str = "",
    sounds: str = "",
    share: float = 0.95,
) -> Score:
    line = TranscriptLine(text=heard, start_s=0.0, end_s=60.0)
    features = features_of([line], 16_000 * 60)
    if sounds:
        features |= language_features({sounds: share, "xx": 1 - share})
    subject = recording(transcript=said, language=language)
    return metric.score(subject, {metric.needs[0]: features}, MetricContext())


def test_the_basic_normaliser_is_that_of_whisper() -> None:
    rng = random.Random(0)
    signs = "aBё你한ก้ि.-,!?()[]<>'\"%$5 é"
    texts = [*TEXTS, *("".join(rng.choices(signs, k=12)) for _ in range(300))]
    for name, split in (("whisper-basic", False), ("whisper-basic-letters", True)):
        theirs = BasicTextNormalizer(split_letters=split)
        assert [t for t in texts if normalise(t, name).split() != theirs(t).split()] == []


@pytest.mark.parametrize(
    "heard", [CHINESE, "今天天气好，我们去公园走", "明天天气很好我们也去公园走走吧了", ""]
)
def test_cer_of_chinese_is_that_of_jiwer_on_characters(heard: str) -> None:
    sides = ["".join(char for char in text if char.isalnum()) for text in (CHINESE, heard)]
    score = measure(CER, CHINESE, heard, language="zh", sounds="zh")
    assert score.value == pytest.approx(jiwer.cer(*sides), abs=1e-12)
    assert score.weight == len(sides[0]) == 14


@pytest.mark.parametrize(
    ("said", "language", "heard"),
    [
        (RUSSIAN, "ru", "привет мир как дела у тебя сегодня"),
        (PORTUGUESE, "pt-BR", "você esta bem eu não sei o que ele disse à mãe"),
        ("Der Fluß ist tief.", "German", "der Fluss ist sehr tief"),
    ],
)
def test_error_rates_of_words_and_characters_are_those_of_jiwer(
    said: str, language: str, heard: str
) -> None:
    sides = [" ".join(normalise(text, "whisper-basic").split()) for text in (said, heard)]
    assert measure(WER, said, heard, language=language).value == pytest.approx(jiwer.wer(*sides))
    assert measure(CER, said, heard, language=language).value == pytest.approx(jiwer.cer(*sides))


def test_languages_without_spaces_have_characters_and_no_words() -> None:
    for said, language in ((CHINESE, "zh"), (THAI, "th"), ("今日はいい天気ですね。", "ja")):
        for metric in LANGUAGES:
            score = measure(metric, said, said, language=language)
            expected = "computed" if metric.name == "cer" else "not_applicable"
            assert score.status == expected, (metric.protocol, score.reason)
            assert score.value == 0 or "by spaces" in score.reason


@pytest.mark.parametrize(
    ("said", "language", "heard", "sounds", "status", "reason"),
    [
        (CHINESE, "zh", "The weather is fine today", "zh", "evaluator_failure", "translates"),
        (PORTUGUESE, "pt", "are you well i do not know what he said to my mother", "pt",
         "evaluator_failure", "translates: it wrote English"),
        ("नमस्ते दुनिया", "hi", "Namaste dunia", "hi", "evaluator_failure", "Latin letters"),
        (CHINESE, "zh", TRADITIONAL, "zh", "evaluator_failure", "wrote traditional characters"),
        (CHINESE, "zh", CHINESE, "en", "generation_failure", "sounds English (0.95)"),
        (RUSSIAN, "", RUSSIAN, "ru", "not_applicable", "--language"),
        (RUSSIAN, "pt", RUSSIAN, "ru", "not_applicable", "in Cyrillic letters"),
        ("ni hao shi jie", "zh", "你好世界", "zh", "not_applicable", "in Latin letters"),
        ("Hello there, how are you?", "", "hello", "en", "not_applicable", "protocols of its own"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_has_a_reason_and_no_number(
    said: str, language: str, heard: str, sounds: str, status: str, reason: str
) -> None:
    score = measure(CER, said, heard, language=language, sounds=sounds)
    assert (math.isnan(score.value), score.status) == (True, status)
    assert reason in score.reason


def test_speech_that_sounds_like_a_third_language_is_scored_with_a_note() -> None:
    score = measure(WER, RUSSIAN, RUSSIAN, language="ru", sounds="pl")
    assert score.value == 0
    assert score.components["language_note"] == "the speech sounds Polish (0.95)"


def test_a_text_that_repeats_itself_has_a_note() -> None:
    looped = measure(CER, CHINESE, "天" + 80 * "鱼", language="zh", sounds="zh")
    assert looped.components["language_note"].startswith("the recognised text repeats itself")
    assert looped.components["heard"].startswith("天鱼")
    assert "language_note" not in measure(CER, CHINESE, CHINESE, language="zh").components


def test_without_a_tag_the_transcript_tells_its_language_where_it_is_clear() -> None:
    for text, code in ((PORTUGUESE, "pt"), (CHINESE, "zh"), (THAI, "th"), ("Hello you", "en")):
        assert spoken_language("", text).code == code
    note = measure(WER, PORTUGUESE, PORTUGUESE).components["language_note"]
    assert note == "Portuguese by the look of the transcript; no language was given"


def test_what_a_recogniser_is_told_tells_features_apart_and_nothing_else_does(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"a")
    keys = {text: spoken_language("zh", text).key for text in (CHINESE, TRADITIONAL, "三点5分")}
    assert list(keys.values()) == ["zh", "zh-hant", "zh+figures"]
    path = tmp_path / "a.mp4"
    subjects = [
        recording(transcript=RUSSIAN, language=code, video_path=path) for code in ("ru", "uk")
    ]
    first, second = (track_keys(subject, native=True) for subject in subjects)
    assert {track for track in first if first[track] != second[track]} == {"spoken"}


def test_each_language_has_a_hash_of_its_own_and_english_keeps_its_own() -> None:
    russian, german = (
        recording(transcript=t, language=c) for t, c in ((RUSSIAN, "ru"), ("Ja", "de"))
    )
    assert WER.params_for(russian) == {"language": "ru"}
    assert WER.params_for(german) == {"language": "de"}
    assert all(metric.params_for(german) == {} for metric in ERROR_RATES)


def test_other_languages_are_measured_by_default_where_there_are_some() -> None:
    english, german = recording(transcript="Hello"), recording(transcript="Ja", language="de")
    silent = recording(transcript="", language="de")
    for recordings, protocol, expected in (
        ([english, silent], "default", False), ([english, german], "default", True),
        ([english], "all", True),
    ):  # fmt: skip
        chosen, _ = choose_for(recordings, ["wer"], protocol, "")
        assert any(m.protocol == "wer/whisper-base-multilingual@1" for m in chosen) is expected


def test_macro_counts_recordings_and_micro_counts_words() -> None:
    pairs = [("a b c d e f g h", "a b c d e f g h"), ("a b", "x y")]
    macro = [measure(MacroWordErrorRate("whisper-base", "raw"), *pair) for pair in pairs]
    micro = [measure(WordErrorRate("whisper-base", "raw"), *pair) for pair in pairs]
    means = [
        np.average([s.value for s in m], weights=[s.weight for s in m]) for m in (macro, micro)
    ]
    assert means == [0.5, 0.2]
    rows = [
        ScoreRow(
            sample_id=str(i), system="s", suite="u", seed=0, metric="wer", protocol="p",
            protocol_hash="h", domain="real", value=score.value, weight=score.weight,
            status="computed", reason="", components={},
        )
        for i, score in enumerate(micro)
    ]  # fmt: skip
    (summary,) = summaries_of(rows, {})
    assert (summary.value, summary.macro_value) == (0.2, 0.5)
