"""Identifies the language of a tag and of a transcript.

Most protocols are English: there a transcript in another language has no error rate, whatever its
tag says; an English transcript always has one, whatever the system speaks. Which other language a
transcript is to be spoken in says `evals.text.spoken_language`.
"""

import difflib
import json
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

UNKNOWN = ""
"""Code of a recording that names no language: its transcript decides."""
_SCRIPTS = {
    "CJK": "Chinese", "HANGUL": "Korean",
    "CYRILLIC": "Russian or another language in Cyrillic letters",
    "ARABIC": "Arabic or another language in its letters",
    "DEVANAGARI": "Hindi or another language in Devanagari letters",
}  # fmt: skip
MAX_FOREIGN_LETTERS = 0.3
"""Share of letters of other scripts in an English text that names people or places."""
MIN_FOREIGN_WORDS = 2
MIN_FOREIGN_SHARE = 0.2
MIN_FOREIGN_RATIO = 2.0
"""Evidence of another language: its distinct function words, their share of all words, and their
ratio to the English ones."""
MIN_LEAD = 1.5
"""Ratio to the function words of the second likeliest language, from which it is taken for sure."""
LONG_TEXT = 40
"""Words beyond which the required number no longer grows, as function words repeat."""
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_OPENED = '["\u201c\u201e\u00ab][^"\u201d\u00bb\n]*'
_QUOTED = re.compile(f'({_OPENED}["\u201d\u201c\u00bb])|{_OPENED}')
MIN_OUTSIDE_QUOTES = 2
"""Words; with fewer outside quotation marks, quoted words count as evidence, too."""
_PARTICLES = frozenset("da das de del den der di do dos du el la las le los van von y".split())  # noqa: SIM905
_BEFORE_SENTENCE = tuple('.!?:\u00bf\u00a1"-')


@cache
def _tables() -> dict[str, Any]:
    text = files("evals.text").joinpath("languages.json").read_text(encoding="utf-8")
    tables: dict[str, Any] = json.loads(text)
    return tables


@cache
def _code_of() -> dict[str, str]:
    """Maps every known name and code to a two-letter code."""
    names: dict[str, str] = _tables()["names"]
    others = {name: code for code, words in names.items() for name in words.split()}
    return others | {code: code for code in names}


def language_code(tag: str) -> str:
    """Parses a language tag: ``en`` for ``en_GB``, ``eng``, ``English``, ``British English``.

    Args:
        tag: BCP 47, a locale, an ISO 639 code or an English name; empty or ``und`` is no language.

    Returns:
        Two letters; `UNKNOWN` without a language.

    Raises:
        ValueError: If it names no known language; the message names the nearest.
    """
    parts = re.split(r"[-_.@\s(]+", tag.strip().lower())
    if parts[0] in {"", "und", "unknown", "auto", "none"}:
        return UNKNOWN
    named = [_code_of()[part] for part in parts if len(part) > 3 and part in _code_of()]
    code = _code_of().get(parts[0]) or next(iter(named), None)
    if code is None:
        near = _code_of()[difflib.get_close_matches(parts[0], _code_of(), n=1, cutoff=0.0)[0]]
        raise ValueError(
            f"no language is called {tag!r}; did you mean {near!r} ({language_name(near)})?"
        )
    return code


def language_name(code: str) -> str:
    """English name of a code of two letters."""
    return str(_tables()["names"].get(code, code)).split()[0].capitalize()


@dataclass(frozen=True, kw_only=True)
class WrittenIn:
    """The language that a transcript's letters and words indicate.

    Attributes:
        language: Name of a language or script other than English; empty if none is evident.
        is_certain: Whether English is evident where no other language is.
        by_script: Whether its script is not Latin, so that it cannot be read as English.
        code: Of the language if its function words are clearly more than those of any other one.
        is_english: Whether its function words are as clearly English as another language's must be.
    """

    language: str
    is_certain: bool
    by_script: bool = False
    code: str = ""
    is_english: bool = False


@lru_cache(maxsize=4096)
def written_in(transcript: str) -> WrittenIn:
    """Detects a transcript that is not English by its script and its function words.

    Nonsense, names and single words count as English: only evidence of another language counts.

    Args:
        transcript: Without markup.

    Returns:
        The other language, or none.
    """
    scripts = Counter(
        unicodedata.name(char, "").split(" ")[0] for char in transcript if char.isalpha()
    )
    num_foreign = scripts.total() - scripts["LATIN"] - scripts["FEMININE"] - scripts["MASCULINE"]
    if num_foreign > MAX_FOREIGN_LETTERS * scripts.total():
        del scripts["LATIN"]
        return WrittenIn(language=_script_name(scripts), is_certain=True, by_script=True)
    return _by_function_words(_candidates(transcript))


def _script_name(scripts: Counter[str]) -> str:
    if scripts["HIRAGANA"] + scripts["KATAKANA"]:
        return "Japanese"
    script = scripts.most_common(1)[0][0]
    return _SCRIPTS.get(script, script.capitalize())


def _candidates(transcript: str) -> list[str]:
    """Lower-case words; empty for words that may belong to a name or a refrain."""
    if transcript == transcript.upper():
        transcript = transcript.lower()
    unquoted = _QUOTED.sub(lambda match: " , " if match[1] else match[0], transcript)
    transcript = unquoted if len(_WORD.findall(unquoted)) >= MIN_OUTSIDE_QUOTES else transcript
    matches = list(_WORD.finditer(transcript))
    words = [match[0] for match in matches]
    candidates = []
    for match, before, word, after in zip(
        matches, ["", *words], words, [*words[1:], ""], strict=False
    ):
        lead = transcript[max(0, match.start() - 9) : match.start()].rstrip()
        starts = not lead or lead.endswith(_BEFORE_SENTENCE) or word[:2] in {"I", "I'"}
        is_name = word[0].isupper() and not starts
        is_particle = word in _PARTICLES and before[:1].isupper() and after[:1].isupper()
        is_refrain = word.lower() in {before.lower(), after.lower()}
        candidates.append("" if is_name or is_particle or is_refrain else word.lower())
    return candidates


def _by_function_words(words: list[str]) -> WrittenIn:
    tables = _tables()
    english = _words("english")
    if words and all(len(word) <= 1 for word in words):
        words = []  # letters of the alphabet
    counts = {
        code: len((_words(code) - english).intersection(words)) for code in tables["function_words"]
    }
    likeliest = max(counts, key=lambda code: counts[code])
    most, num_english = counts[likeliest], len((english - _words(likeliest)).intersection(words))
    is_foreign = (
        most >= MIN_FOREIGN_WORDS
        and most >= MIN_FOREIGN_SHARE * min(len(words), LONG_TEXT)
        and most >= MIN_FOREIGN_RATIO * num_english
    )
    if is_foreign:
        rivals = [count for code, count in counts.items() if code != likeliest]
        code = likeliest if most >= MIN_LEAD * max(rivals) else ""
        return WrittenIn(language=language_name(likeliest), is_certain=True, code=code)
    is_english = (
        num_english >= MIN_FOREIGN_WORDS
        and num_english >= MIN_FOREIGN_SHARE * min(len(words), LONG_TEXT)
        and num_english >= MIN_FOREIGN_RATIO * most
    )
    is_certain = num_english > most or not words
    return WrittenIn(language="", is_certain=is_certain, is_english=is_english)


@cache
def _words(code: str) -> frozenset[str]:
    tables = _tables()
    return frozenset(
        (tables["english"] if code == "english" else tables["function_words"][code]).split()
    )
