import json
import math
import random
import sys

import jiwer
import numpy as np
import pytest
import torch
import torchmetrics
import torchmetrics.text

from evals.extractors.asr import TranscriptLine, features_of
from evals.extractors.pronunciation import nearest_phonemes
from evals.metrics.phoneme_error_rate import PHONEMES, PhonemeErrorRate
from evals.metrics.text import (
    COMPLETENESS,
    ERROR_RATES,
    CharacterErrorRate,
    Completion,
    LongestSkip,
    Loops,
    WordErrorRate,
)
from evals.protocols.base import Metric, MetricContext, Score
from evals.text.normalise import NORMALISERS, SPOKEN, normalise
from evals.torchmetrics import WordErrors
from tests.evals.real_clips import recording

TEXT_METRICS = (*ERROR_RATES, *PHONEMES, *COMPLETENESS)
PAIRS = [
    ("The cat sat on the mat.", "the cat sat on the mat"),
    ("One apple, two pears and three plums", "1 apple, two bears and plums"),
    ("I don't know what you're saying", "I do not know what your saying again"),
    ("Nothing was heard of this one", ""),
]
STORY = [f"w{i}" for i in range(60)]


def measure(metric: Metric, said: str, heard: str, **changes: object) -> Score:
    words = [(word, 0.5 * i, 0.5 * i + 0.4) for i, word in enumerate(heard.split())]
    line = TranscriptLine(text=heard, start_s=0.0, end_s=60.0, pieces=words)
    nothing = {"phonemes": np.array([], dtype=np.str_), "start_s": np.array([])}
    features = {metric.needs[0]: features_of([line], 16_000 * 60) | nothing}
    subject = recording(transcript=said, **changes)
    return metric.score(subject, features, MetricContext())


@pytest.mark.parametrize(("said", "heard"), PAIRS)
def test_wer_and_cer_of_normalised_text_are_those_of_jiwer(said: str, heard: str) -> None:
    sides = [normalise(text, "whisper-en") for text in (said, heard)]
    sides = [" ".join(side.split()) for side in sides]
    for metric, reference in (
        (WordErrorRate("whisper-base"), jiwer.wer),
        (CharacterErrorRate("whisper-base"), jiwer.cer),
    ):
        assert measure(metric, said, heard).value == pytest.approx(
            reference(sides[0], sides[1]), abs=1e-12
        )


def test_the_weighted_mean_is_the_corpus_wer_of_jiwer() -> None:
    scores = [measure(WordErrorRate("whisper-base", "raw"), *pair) for pair in PAIRS]
    mean = np.average([s.value for s in scores], weights=[s.weight for s in scores])
    expected = jiwer.wer([said for said, _ in PAIRS], [heard for _, heard in PAIRS])
    assert mean == pytest.approx(expected, abs=1e-12)


def test_torchmetrics_class_is_word_error_rate_of_torchmetrics_on_raw_text() -> None:
    ours, theirs = WordErrors("raw"), torchmetrics.text.WordErrorRate()
    for said, heard in PAIRS:
        ours.update([heard], [said])
        theirs.update([heard], [said])
    torch.testing.assert_close(ours.compute().float(), theirs.compute())


def test_torchmetrics_class_takes_a_single_text_as_torchmetrics_does() -> None:
    ours, theirs = WordErrors("raw"), torchmetrics.text.WordErrorRate()
    for metric in (ours, theirs):
        metric.update("the cat sat", "the dog sat")
    torch.testing.assert_close(ours.compute().float(), theirs.compute())
    assert ours.reference_words == 3


def test_a_collection_does_not_give_one_normaliser_the_rate_of_another() -> None:
    metrics = {name: WordErrors(name) for name in NORMALISERS}
    collection = torchmetrics.MetricCollection(metrics)
    for heard, said in (("the cat sat", "the cat sat"), ("The cat sat.", "the cat, sat")):
        collection.update([heard], [said])
    rates = {name: float(rate) for name, rate in collection.compute().items()}
    assert (rates["raw"], rates[SPOKEN]) == (0.5, 0.0)


def test_torchmetrics_class_normalises_and_resets() -> None:
    metric = WordErrors()
    metric.update(["i do not know twenty one"], ["I don't know 21!"])
    assert metric.compute() == 0
    metric.reset()
    metric.update(["a"], ["b c"])
    assert metric.compute() == 1


@pytest.mark.parametrize("metric", TEXT_METRICS, ids=lambda metric: metric.protocol)
def test_a_transcript_without_words_is_unscored_with_a_reason(metric: Metric) -> None:
    if metric.name == "phoneme_error_rate":
        pytest.importorskip("hama", reason="hama is not installed")
    reasons = {"": "there is no transcript", "... --- !!!": "the transcript has no words"}
    for transcript, reason in reasons.items():
        score = measure(metric, transcript, "hello")
        assert math.isnan(score.value)
        assert (score.status, score.reason) == ("not_applicable", reason)


@pytest.mark.parametrize("metric", TEXT_METRICS, ids=lambda metric: metric.protocol)
def test_other_languages_are_not_applicable(metric: Metric) -> None:
    score = measure(metric, "guten Tag", "guten Tag", language="de-DE")
    assert score.status == "not_applicable"
    assert "English" in score.reason


@pytest.mark.parametrize("metric", TEXT_METRICS, ids=lambda metric: metric.protocol)
def test_components_are_json(metric: Metric) -> None:
    if metric.name == "phoneme_error_rate":
        pytest.skip("has features of its own")
    for said, heard in PAIRS:
        json.dumps(dict(measure(metric, said, heard).components), allow_nan=False)


def test_american_english_is_english() -> None:
    assert measure(WordErrorRate("whisper-base"), "a b", "a b", language="en-US").value == 0


def test_protocols_differ_and_two_recognisers_are_default_for_wer() -> None:
    protocols = [metric.protocol for metric in TEXT_METRICS]
    assert len(set(protocols)) == len(protocols)
    default = [m.protocol for m in TEXT_METRICS if m.is_default and m.name == "wer"]
    assert default == ["wer/moonshine-tiny@2", "wer/whisper-base@2"]


def test_same_errors_of_other_kinds_are_told_apart() -> None:
    said = " ".join(STORY)
    faults = {
        "loop": STORY[:26] + STORY[20:26] + STORY[26:],
        "skip": STORY[:20] + STORY[26:],
        "stop": STORY[:54],
        "scattered": [f"x{i}" if i % 10 == 5 else word for i, word in enumerate(STORY)],
    }
    found = {}
    for fault, words in faults.items():
        heard = " ".join(words)
        metrics = (WordErrorRate, Loops, LongestSkip, Completion)
        found[fault] = [measure(m("whisper-base", "raw"), said, heard).value for m in metrics]
    assert found == {
        "loop": [0.1, 1.0, 0.0, 1.0],
        "skip": [0.1, 0.0, 6.0, 1.0],
        "stop": [0.1, 0.0, 0.0, 0.9],
        "scattered": [0.1, 0.0, 0.0, 1.0],
    }


def test_a_skip_is_told_in_words_and_in_seconds() -> None:
    heard = " ".join(STORY[:20] + STORY[26:])
    components = measure(LongestSkip("whisper-base", "raw"), " ".join(STORY), heard).components
    assert components["longest_skip_s"] == pytest.approx(3.0)
    assert components["skipped"] == "w20 w21 w22 w23 w24 w25"


def test_wer_along_the_recording_finds_where_words_fail() -> None:
    heard = [f"x{i}" if i >= 30 else word for i, word in enumerate(STORY)]
    windows = measure(
        WordErrorRate("whisper-base", "raw"), " ".join(STORY), " ".join(heard)
    ).windows
    assert [w.value for w in windows[:2]] == [0.0, 1.0]
    assert [(w.t0_s, w.t1_s) for w in windows] == [(0, 15), (15, 30), (30, 45), (45, 60)]


def test_wer_rises_with_the_share_of_wrong_words() -> None:
    rng = random.Random(0)
    order = rng.sample(range(60), 60)
    values = []
    for wrong in (0, 5, 20, 60):
        heard = [f"x{i}" if i in order[:wrong] else word for i, word in enumerate(STORY)]
        metric = WordErrorRate("whisper-base", "raw")
        values.append(measure(metric, " ".join(STORY), " ".join(heard)).value)
    assert values == [0.0, 5 / 60, 20 / 60, 1.0]


def test_phoneme_error_rate_without_its_package_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "hama", None)
    monkeypatch.delitem(sys.modules, "evals.extractors.phonemes", raising=False)
    score = measure(PhonemeErrorRate(), "a b", "")
    assert (score.status, math.isnan(score.value)) == ("unavailable", True)


SOUNDS_PORTUGUESE = {
    "language": np.array(["pt"]),
    "language_probability": np.array([0.95]),
    "english_probability": np.array([0.01]),
}


def wer_of_sound(said: str, heard: str, **changes: object) -> Score:
    metric = WordErrorRate("whisper-base")
    line = TranscriptLine(text=heard, start_s=0.0, end_s=5.0)
    features = {metric.needs[0]: features_of([line], 16_000 * 5) | SOUNDS_PORTUGUESE}
    return metric.score(recording(transcript=said, **changes), features, MetricContext())


def test_english_that_sounds_like_another_language_is_the_systems_failure() -> None:
    score = wer_of_sound("The quick brown fox jumps over the dog.", "o que rapido")
    assert (score.status, score.value) == ("computed", 1.0)
    assert score.components["language_note"] == "the speech sounds Portuguese (0.95)"


def test_a_transcript_in_another_language_has_no_english_word_error_rate() -> None:
    said = "Hoje todos aqui est\u00e3o a lutar por um futuro melhor para o nosso pa\u00eds."
    score = wer_of_sound(said, "o que")
    assert (score.status, math.isnan(score.value)) == ("not_applicable", True)
    assert "Portuguese" in score.reason
    tagged = wer_of_sound(said, "o que", language="en")
    assert tagged.status == "computed"
    assert "looks Portuguese" in tagged.components["language_note"]


def test_letters_of_another_script_are_not_english_whatever_the_tag_says() -> None:
    for language in ("", "en"):
        score = wer_of_sound("\u0421\u0435\u0433\u043e\u0434\u043d\u044f", "a", language=language)
        assert score.status == "not_applicable"


@pytest.mark.parametrize("tag", ["en_GB", "eng", "English", "EN-us", ""])
def test_every_spelling_of_english_is_english(tag: str) -> None:
    assert measure(WordErrorRate("whisper-base"), "go now", "go now", language=tag).value == 0


def test_numbers_heard_as_figures_are_no_errors_and_keep_their_times() -> None:
    pieces = [
        (" It", 0.0, 0.4), (" costs", 1.0, 1.4), (" $25", 16.0, 17.0), (".50", 17.0, 18.0),
        (" or", 31.0, 31.4), (" 10", 32.0, 33.0), ("%", 33.0, 34.0), (" more", 35.0, 36.0),
    ]  # fmt: skip
    line = TranscriptLine(
        text=" It costs $25.50 or 10% more", start_s=0.0, end_s=36.0, pieces=pieces
    )
    metric = WordErrorRate("whisper-base")
    features = {metric.needs[0]: features_of([line], 16_000 * 45)}
    said = "It costs twenty five dollars and fifty cents or ten percent more."
    score = metric.score(recording(transcript=said), features, MetricContext())
    assert (score.value, score.weight) == (0.0, 6.0)
    at = {operation for operation in score.components["alignment"] if 15 < operation[0] < 20}
    assert at == {(17.0, "equal")}


def test_the_published_normaliser_stays_a_protocol_of_its_own() -> None:
    said, heard = "I don\u2019t pay \u00a33.20", "I don't pay three pounds twenty"
    assert measure(WordErrorRate("whisper-base"), said, heard).value == 0
    published = WordErrorRate("whisper-base", "whisper-en")
    assert published.protocol == "wer/whisper-base+whisper-en@2"
    score = measure(published, said, heard)
    sides = [" ".join(normalise(text, "whisper-en").split()) for text in (said, heard)]
    assert score.value == pytest.approx(jiwer.wer(*sides))
    assert score.value > 0


@pytest.mark.parametrize(
    ("plain", "written"),
    [
        (
            "It costs twenty five dollars and fifty cents, ten percent more.",
            "It costs $25.50, 10% more.",
        ),
        (
            "On June third eighteen seventy one, the first train.",
            "On June 3rd, 1871, the 1st train.",
        ),
        ("At seven forty five p m, for one point five pounds.", "At 7:45 p.m., for 1.5 lbs."),
        ("The waiter at the cafe laughs.", "[laughs] The waiter <b>at</b> the caf\u00e9 laughs."),
        ("I don't think it's ready.", "ANNA: I don\u02bct think it`s ready."),
    ],
)
def test_the_phonemes_of_a_transcript_are_those_of_its_speech(plain: str, written: str) -> None:
    pytest.importorskip("hama", reason="hama is not installed")
    metric = PhonemeErrorRate()
    sounds = nearest_phonemes(plain, ())
    features = {
        metric.needs[0]: {
            "phonemes": np.array(sounds),
            "start_s": np.linspace(0, 5, len(sounds)),
            "duration_s": np.array([5.0]),
        }
    }
    score = metric.score(recording(transcript=written), features, MetricContext())
    assert (score.value, score.weight) == (0.0, len(sounds))
