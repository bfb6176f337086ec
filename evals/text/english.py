"""OpenAI Whisper's English text normaliser.

Source: ``EnglishTextNormalizer`` of OpenAI Whisper 20250625 (github.com/openai/whisper,
whisper/normalizers), Copyright (c) 2022 OpenAI, MIT licence (``LICENSE-whisper``), with its tables
``contractions.json`` and ``spelling.json`` as they are. Byte-identical output is checked in
``tests/evals/text/test_normalise.py``, against that package where it is installed and against
``whisper-normalizer`` 0.1.15 without the four rules that this one adds (cause, kinda, sorta,
dunno).

Quirks that a reader of a table should know: fillers (uh, um, hmm, mm, mhm) and all in brackets are
dropped; ``O'Neil's`` becomes ``0 neil is``, as a lone o is a zero; a possessive ``'s`` becomes
``is``; ``ninth`` stays a word while ``tenth`` becomes ``10th``.
"""

import json
import re
import unicodedata
from functools import cache
from importlib.resources import files

from evals.text.numbers import normalise_numbers

_NUMERIC_SYMBOLS = ".%$\u00a2\u20ac\u00a3"
_LETTERS = {  # not decomposed by NFKD
    "\u0153": "oe",
    "\u0152": "OE",
    "\u00f8": "o",
    "\u00d8": "O",
    "\u00e6": "ae",
    "\u00c6": "AE",
    "\u00df": "ss",
    "\u1e9e": "SS",
    "\u0111": "d",
    "\u0110": "D",
    "\u00f0": "d",
    "\u00d0": "D",
    "\u00fe": "th",
    "\u00de": "th",
    "\u0142": "l",
    "\u0141": "L",
}
# Whisper's ``[<\[][^>\]]*[>\]]`` and ``\(([^)]+?)\)``. An unclosed bracket is matched once, to the
# end, and kept, so that time grows linearly with the length and not quadratically.
_BRACKETS = re.compile(r"([<\[][^>\]]*[>\]])|[<\[][^>\]]*\Z")
_PARENTHESES = re.compile(r"(\([^)]+?\))|\([^)]*\Z")


def _unclosed(match: re.Match[str]) -> str:
    return "" if match[1] else match[0]


def without_brackets(text: str) -> str:
    """Drops what stands in brackets, as Whisper's normalisers do; unclosed ones stay."""
    return _PARENTHESES.sub(_unclosed, _BRACKETS.sub(_unclosed, text))


@cache
def _table(name: str) -> dict[str, str]:
    table: dict[str, str] = json.loads(files("evals.text").joinpath(name).read_text())
    return table


@cache
def _contractions() -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(pattern), full) for pattern, full in _table("contractions.json").items()]


@cache
def _plain(char: str) -> str:
    """A character without diacritics; a space for symbols and punctuation."""
    if char in _NUMERIC_SYMBOLS:
        return char
    if char in _LETTERS:
        return _LETTERS[char]
    category = unicodedata.category(char)
    if category == "Mn":
        return ""
    return " " if category[0] in "MSP" else char


def plain_letter(char: str) -> str:
    """A character without diacritics, as Whisper's normaliser writes it; others are unchanged."""
    if char in _LETTERS:
        return _LETTERS[char]
    return "" if unicodedata.category(char) == "Mn" else char


def american(word: str) -> str:
    """The American spelling of a lower-case word."""
    return _table("spelling.json").get(word, word)


def whisper_english(text: str) -> str:
    """Returns the text as Whisper's authors compare English transcripts."""
    text = without_brackets(text.lower())
    text = re.sub(r"\b(hmm|mm|mhm|mmm|uh|um)\b", "", text)
    text = re.sub(r"(?<!\s)\s++'", "'", text)
    for pattern, full in _contractions():
        text = pattern.sub(full, text)
    text = re.sub(r"(\d),(\d)", r"\1\2", text)
    text = re.sub(r"\.([^0-9]|$)", r" \1", text)
    text = "".join(map(_plain, unicodedata.normalize("NFKD", text)))
    text = normalise_numbers(text)
    spelling = _table("spelling.json")
    text = " ".join(spelling.get(word, word) for word in text.split())
    text = re.sub("[.$\u00a2\u20ac\u00a3]([^0-9])", r" \1", text)
    text = re.sub(r"([^0-9])%", r"\1 ", text)
    return re.sub(r"\s+", " ", text)
