"""Converts English text to words and phonemes, without GPL components.

A word is looked up in the CMU dictionary (first entry); other words are pronounced as letters
(capitals such as "GPU"), as a compound of two dictionary words, by the learned model of the
package ``hama``, or, without that package, letter by letter. Function words are reduced as in
connected speech. `numerals` reads numbers. Emoji and other symbols are silent; letters of other
scripts are an error.

Source:
    The symbols are those of eSpeak NG's American English, on which Piper's voices were trained.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import Any

from streamchar_ref.core.errors import InputError
from streamchar_ref.weights import locate
from streamchar_ref.weights.packaged import verify_package
from streamchar_ref.world.numerals import NUMBER, spoken_number
from streamchar_ref.world.tables import TABLES

MAX_SENTENCE_WORDS = 50
PRIMARY, SECONDARY = "\u02c8", "\u02cc"
_TOKEN = re.compile(
    rf"(?P<number>{NUMBER.pattern})|(?P<word>[a-z]+(?:'[a-z]+)*'?)|(?P<mark>[.,;:!?()]|--|\s-\s)"
    r"|(?P<sign>[&%+=@#/])",
    re.IGNORECASE,
)
_ABBREVIATION = re.compile(
    r"(?<![a-z.])(?:" + "|".join(re.escape(key) for key in TABLES["abbreviations"]) + r")(?![a-z])",
    re.IGNORECASE,
)
_PLAIN = str.maketrans({
    "\u2018": "'", "\u2019": "'", "\u02bc": "'", "\u2013": " - ", "\u2014": " - ", "\u2026": ".",
    "\u201c": " ", "\u201d": " ", '"': " ", "\u00df": "ss", "\u00e6": "ae", "\u00f8": "o",
    "\u0153": "oe", "\u00d8": "O", "\u0142": "l", "\u0141": "L", "\u0131": "i", "[": "(", "]": ")",
})  # fmt: skip


class UnreadableText(InputError):
    """Text that cannot be spoken; the message names the part."""


@dataclass(frozen=True, kw_only=True)
class Phoneme:
    """One speech sound.

    Attributes:
        phone: ARPAbet name without stress, e.g. ``OW``.
        symbols: In Piper's notation, e.g. the two letters of a diphthong.
        stress: IPA stress mark, or empty.
    """

    phone: str
    symbols: str
    stress: str = ""


@dataclass(frozen=True, kw_only=True)
class Word:
    """One spoken word.

    Attributes:
        text: Lower case, as spoken: "twenty", not "20".
        phonemes: In order.
        mark: Punctuation that follows, one of ``,;:.!?`` or empty.
    """

    text: str
    phonemes: tuple[Phoneme, ...]
    mark: str = ""


VOWELS = frozenset((
    "AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW",
))  # fmt: skip
Sentence = tuple[Word, ...]


def read_text(text: str) -> tuple[Sentence, ...]:
    """Splits English text into sentences of words with phonemes.

    Args:
        text: Free text with punctuation, numbers and capitals.

    Returns:
        Non-empty sentences in order; split after 50 words.

    Raises:
        UnreadableText: If it is not text, has no words, or letters of another script.
        WeightsMissing: If the dictionary is not on this machine.
    """
    if not isinstance(text, str):
        raise UnreadableText(f"a transcript is text, got {text!r}")
    sentences, words = [], []
    for word, mark in _marked_words(text):
        words.append((word, mark))
        if mark in tuple(".!?") or len(words) == MAX_SENTENCE_WORDS:
            sentences.append(_pronounced(words))
            words = []
    if words:
        sentences.append(_pronounced(words))
    if not sentences:
        raise UnreadableText(f"there are no words to say in {text[:60]!r}")
    return tuple(sentences)


def pronounce(word: str) -> str:
    """Returns the pronunciation of an isolated word.

    Args:
        word: One word in Latin letters, any case; an apostrophe may be inside.

    Returns:
        ARPAbet with stress digits, e.g. ``HH AH0 L OW1``.
    """
    key = word.lower()
    entries = _dictionary()
    if key in entries:
        return entries[key]
    if "'" in key:
        return _with_ending(key)
    if word.isupper() and len(word) <= 5:
        return _spelled(key)
    return _compound(key) or _learned(key)


def _marked_words(text: str) -> list[tuple[str, str]]:
    marked: list[tuple[str, str]] = []
    for match in _TOKEN.finditer(_normalised(text)):
        kind, token = match.lastgroup, match.group().strip()
        if kind == "mark":
            if marked:
                marked[-1] = (marked[-1][0], _stronger(marked[-1][1], token or ","))
        else:
            marked += [(word, "") for word in _spoken(kind or "", token)]
    return marked


def _spoken(kind: str, token: str) -> list[str]:
    if kind == "number":
        return spoken_number(token)
    if kind == "sign":
        return [TABLES["signs"][token]]
    return [token.rstrip("'")]


def _stronger(first: str, second: str) -> str:
    second = second if second in tuple(".!?;:") else ","
    ends = tuple(".!?")
    return first if first and (first in ends or second not in ends) else second


def _normalised(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).translate(_PLAIN)
    plain = re.sub(r"\n\s*\n", ". ", plain)  # a paragraph ends a sentence, a line does not
    plain = _ABBREVIATION.sub(lambda match: TABLES["abbreviations"][match.group().lower()], plain)
    kept = []
    for character in unicodedata.normalize("NFKD", plain):
        category = unicodedata.category(character)
        if character.isascii():
            kept.append(character)
        elif category.startswith(("L", "N")):
            name = unicodedata.name(character, "an unnamed character")
            raise UnreadableText(f"cannot read {character!r} ({name}): only English is spoken here")
        elif not category.startswith("M"):  # accents are dropped, other symbols are silent
            kept.append(" ")
    return "".join(kept)


def _pronounced(words: list[tuple[str, str]]) -> Sentence:
    followers = [_starts_with_vowel(word) for word, _ in words[1:]] + [False]
    return tuple(
        _word(word, mark, before_vowel=follower, is_last=bool(mark) or index == len(words) - 1)
        for index, ((word, mark), follower) in enumerate(zip(words, followers, strict=True))
    )


def _starts_with_vowel(word: str) -> bool:
    return pronounce(word).split()[0][:2] in VOWELS


def _word(text: str, mark: str, *, before_vowel: bool, is_last: bool) -> Word:
    key = text.lower()
    is_reduced = key in TABLES["function_words"] and not is_last
    if is_reduced and before_vowel and key in TABLES["before_vowel"]:
        phones = TABLES["before_vowel"][key]
    elif is_reduced:
        phones = TABLES["function_words"][key]
    else:
        phones = TABLES["strong"].get(key) or pronounce(text)
    return Word(text=key, phonemes=tuple(_phonemes(phones.split(), key, is_reduced)), mark=mark)


def _phonemes(phones: list[str], word: str, is_reduced: bool) -> Iterator[Phoneme]:
    has_vowel_stress = any(phone.endswith("1") for phone in phones)
    for index, phone in enumerate(phones):
        name, digit = phone.rstrip("012"), phone[-1]
        stress = {"1": PRIMARY, "2": SECONDARY}.get(digit, "")
        if not has_vowel_stress and name in VOWELS and not is_reduced:
            stress, has_vowel_stress = PRIMARY, True
        yield Phoneme(
            phone=name,
            symbols=_symbols(phones, index, word),
            stress="" if is_reduced else stress,
        )


def _symbols(phones: list[str], index: int, word: str) -> str:
    name, digit = phones[index].rstrip("012"), phones[index][-1]
    after = phones[index + 1] if index + 1 < len(phones) else ""
    is_ending = index == len(phones) - 2 and word.endswith(("ed", "es", "'s"))
    if is_ending and phones[index] in ("AH0", "IH0") and after in ("D", "Z"):
        return str(TABLES["unstressed"]["IH"])
    if name == "AH" and digit == "0" and index == 0 and after and word[0] != "u":
        return str(TABLES["initial_schwa"])
    if name == "T" and _is_flapped(phones, index):
        return str(TABLES["flap"])
    if name == "IY" and after == "R":
        return str(TABLES["symbols"]["IH"])
    is_weak = digit == "0" and name in ("AH", "ER", "IY") and not (name == "AH" and index == 0)
    symbol = str(TABLES["unstressed" if is_weak else "symbols"][name])
    links = name == "ER" and after[:2] in VOWELS
    return symbol + TABLES["symbols"]["R"] * links


def _is_flapped(phones: list[str], index: int) -> bool:
    """Whether a T is flapped as in "water": after a vowel or R, before a weak vowel."""
    before, after = phones[index - 1 : index], phones[index + 1 : index + 3]
    if not before or not after or after[0][-1] not in "02" or after[1:] == ["N"]:
        return False
    return before[0][-1].isdigit() or before[0] == "R"


def _with_ending(key: str) -> str:
    stem, _, ending = key.rpartition("'")
    phones = pronounce(stem)
    if ending != "s":
        return f"{phones} {pronounce(ending)}" if ending else phones
    last = phones.split()[-1]
    if last in ("S", "Z", "SH", "ZH", "CH", "JH"):
        return f"{phones} IH0 Z"
    return f"{phones} {'S' if last in ('P', 'T', 'K', 'F', 'TH') else 'Z'}"


def _compound(key: str) -> str:
    """Splits into two dictionary words of at least three letters, as evenly as possible."""
    entries = _dictionary()
    cuts = sorted(range(3, len(key) - 2), key=lambda cut: abs(cut - len(key) / 2))
    for cut in cuts:
        first, second = key[:cut], key[cut:]
        if first in entries and second in entries:
            return f"{entries[first]} {entries[second].replace('1', '2')}"  # stress on the first
    return ""


def _spelled(key: str) -> str:
    return " ".join(TABLES["letters"][letter] for letter in key if letter != "'")


def _learned(key: str) -> str:
    if find_spec("hama") is None:
        return _spelled(key)
    learned = [symbol for symbol in _hama_symbols(key) if symbol in TABLES["learned"]]
    phones = [TABLES["learned"][symbol] for symbol in learned]
    if not any(phone in VOWELS for phone in phones):
        return _spelled(key)
    return _with_stress(phones, [symbol in ("\u0259", "\u025a") for symbol in learned])


def _with_stress(phones: list[str], schwas: list[bool]) -> str:
    """Stresses the first vowel that is not a schwa, as the model gives no stress."""
    full = [index for index, phone in enumerate(phones) if phone in VOWELS and not schwas[index]]
    stressed = full[0] if full else next(i for i, phone in enumerate(phones) if phone in VOWELS)
    return " ".join(
        phone + ("1" if index == stressed else "0" if schwas[index] else "2") * (phone in VOWELS)
        for index, phone in enumerate(phones)
    )


@lru_cache(maxsize=4096)
def _hama_symbols(word: str) -> tuple[str, ...]:
    return tuple(item.phoneme for item in _hama().predict(word).alignments)


@cache
def _hama() -> Any:
    from hama import G2PModel

    verify_package("hama")
    return G2PModel()


@cache
def dictionary_words() -> tuple[str, ...]:
    """All purely alphabetic dictionary words of three to twelve letters, in order."""
    return tuple(word for word in _dictionary() if word.isalpha() and 3 <= len(word) <= 12)


@cache
def _dictionary() -> dict[str, str]:
    lines = (locate("cmudict-stress") / "cmudict.dict").read_text(encoding="utf-8").splitlines()
    entries = (line.split(" #")[0].split(" ", 1) for line in lines)
    return {word: phones for word, phones in entries if not word.endswith(")")}
