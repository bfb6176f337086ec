from pathlib import Path

import pytest

from streamchar_ref.weights import WeightsMissing, registry
from streamchar_ref.world import lexicon
from streamchar_ref.world.lexicon import UnreadableText, Word, read_text
from streamchar_ref.world.numerals import spoken_number


def words(text: str) -> list[Word]:
    return [word for sentence in read_text(text) for word in sentence]


def said(text: str) -> str:
    return " ".join(word.text for word in words(text))


def ipa(text: str) -> str:
    return " ".join("".join(p.stress + p.symbols for p in word.phonemes) for word in words(text))


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        ("0", "zero"),
        ("107", "one hundred seven"),
        ("1,204", "one thousand two hundred four"),
        ("1984", "nineteen eighty four"),
        ("1905", "nineteen oh five"),
        ("1900", "nineteen hundred"),
        ("2005", "two thousand five"),
        ("2024", "twenty twenty four"),
        ("007", "zero zero seven"),
        ("3.05", "three point zero five"),
        ("$1", "one dollar"),
        ("$20", "twenty dollars"),
        ("50%", "fifty percent"),
        ("-4", "minus four"),
        ("2nd", "second"),
        ("20th", "twentieth"),
        ("21st", "twenty first"),
        ("9th", "ninth"),
        ("1234567890123", "one two three four five six seven eight nine zero one two three"),
        ("5,000,000", "five million"),
        ("0,123", "one hundred twenty three"),
        ("9" * 5000, " ".join(["nine"] * 5000)),
    ],
)
def test_numbers_follow_the_written_rule(digits: str, expected: str) -> None:
    assert " ".join(spoken_number(digits)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is 5-10 km.", "it is five ten km"),
        ("Room 3b, 3dogs", "room three b three dogs"),
        ("Dr. Smith's caf\u00e9 & bar", "doctor smith's cafe and bar"),
        ("a \u201cquoted\u201d word \u2014 and more\u2026", "a quoted word and more"),
        ("waving \U0001f44b\U0001f3fd hello \u2764\ufe0f", "waving hello"),
        ("don\u2019t, hors d'\u0153uvre", "don't hors d'oeuvre"),
        ("x-ray, rock'n'roll", "x ray rock'n'roll"),
    ],
)
def test_text_is_read_as_one_would_say_it(text: str, expected: str) -> None:
    assert said(text) == expected


def test_function_words_are_reduced_inside_a_phrase_and_full_at_its_end() -> None:
    assert (
        ipa("the bird and the egg")
        == "\u00f0\u0259 b\u02c8\u025c\u02d0d \u00e6nd \u00f0i \u02c8\u025b\u0261"
    )
    assert ipa("I want to.").split()[-1] == "t\u02c8u\u02d0"


def test_every_symbol_is_one_that_the_voice_knows() -> None:
    import json

    from streamchar_ref.weights import locate

    config = json.loads((locate("piper-joe") / "en_US-joe-medium.onnx.json").read_text())
    text = "The quick judge vexed five boys with beige zebras, thinking: why would you choose oil?"
    used = set(ipa(text).replace(" ", ""))
    assert used <= set(config["phoneme_id_map"])


def test_sentences_end_at_marks_and_paragraphs_but_not_at_line_ends_or_abbreviations() -> None:
    text = "Mr. Hill paid 3.5 dollars\nfor it. Why?\n\nNobody knows"
    assert [len(sentence) for sentence in read_text(text)] == [9, 1, 2]


def test_a_sentence_without_end_is_cut() -> None:
    assert [len(sentence) for sentence in read_text("one " * 120)] == [50, 50, 20]


def test_capitals_that_are_no_word_are_spelled() -> None:
    assert " ".join(p.phone for p in words("GPU")[0].phonemes) == "JH IY P IY Y UW"


def test_an_unknown_compound_is_said_as_its_parts() -> None:
    parts = [p.phone for p in (*words("lantern")[0].phonemes, *words("house")[0].phonemes)]
    assert [p.phone for p in words("lanternhouse")[0].phonemes] == parts


def test_an_unknown_word_is_learned_with_hama_and_spelled_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("hama")
    assert [p.phone for p in words("zorbli")[0].phonemes][:2] == ["Z", "AO"]
    assert sum(bool(p.stress) for p in words("zorbli")[0].phonemes) >= 1
    monkeypatch.setattr(lexicon, "find_spec", lambda name: None)
    assert [p.phone for p in words("zorbli")[0].phonemes][:2] == ["Z", "IY"]


@pytest.mark.parametrize("text", ["", "   \n", "...!?", "\U0001f600\U0001f600"])
def test_text_without_words_is_an_error(text: str) -> None:
    with pytest.raises(UnreadableText, match="no words to say"):
        read_text(text)


@pytest.mark.parametrize("text", ["\u041f\u0440\u0438\u0432\u0435\u0442", "ok \u4f60\u597d"])
def test_other_scripts_are_an_error_that_names_the_letter(text: str) -> None:
    with pytest.raises(UnreadableText, match="only English"):
        read_text(text)


def test_without_the_dictionary_the_error_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(tmp_path))
    lexicon._dictionary.cache_clear()
    with pytest.raises(WeightsMissing, match="streamchar weights pull cmudict-stress"):
        read_text("hello")
    assert "cmudict-stress" in registry()
