"""Text normalisers, by the names that protocols give them.

========================= ===================================================================
``spoken-en``             verbalised, see `evals.text.spoken`, then ``whisper-en`` (the default)
``whisper-en``            OpenAI Whisper's English normaliser, see `evals.text.english`
``seed-tts-en``           seed-tts-eval: punctuation but ``'`` removed, lower case
``raw``                   unchanged; words are separated by spaces
``whisper-basic``         OpenAI Whisper's normaliser of all other languages, as in transformers
``whisper-basic-letters`` the same with a space between all letters, for text without spaces
========================= ===================================================================
"""

import string
from collections.abc import Callable
from functools import cache, lru_cache

from evals.text.english import whisper_english, without_brackets
from evals.text.spoken import spoken_form

SPOKEN = "spoken-en"
BASIC = "whisper-basic"
BASIC_LETTERS = "whisper-basic-letters"

# What the package zhon 2 calls hanzi punctuation, as code points.
_HANZI = (
    "ff01-ff0f ff1a-ff20 ff3b-ff40 ff5b-ff64 3000-3003 3008-3011 3014-301f 3030 303e 303f "
    "2013 2014 2018 2019 201b-201f 2026 2027 fe4f fe51 fe54 00b7"
)


def _code_points(ranges: str) -> set[int]:
    ends = [[int(end, 16) for end in part.split("-")] for part in ranges.split()]
    return {point for pair in ends for point in range(pair[0], pair[-1] + 1)}


SEED_TTS_PUNCTUATION = frozenset(
    map(chr, _code_points(_HANZI) | set(map(ord, string.punctuation)) - {ord("'")})
)
_DROP_PUNCTUATION = str.maketrans(dict.fromkeys(SEED_TTS_PUNCTUATION, ""))


def seed_tts_english(text: str) -> str:
    """Normalises text as seed-tts-eval does for English.

    A typographic apostrophe counts as punctuation there, so that ``don't`` can become ``dont``.

    Args:
        text: Transcript or recognised text.

    Returns:
        Lower case without punctuation, with double spaces replaced once.

    Source:
        BytedanceSpeech/seed-tts-eval, run_wer.py, ``process_one``.
    """
    return text.translate(_DROP_PUNCTUATION).replace("  ", " ").lower()


def raw(text: str) -> str:
    """Returns the text unchanged."""
    return text


def spoken_english(text: str) -> str:
    """Returns the usual reading of a text as Whisper's normaliser writes it."""
    return whisper_english(spoken_form(text))


_OPENING = str.maketrans("[<(", "   ")


@cache
def _basic_normaliser(split_letters: bool) -> Callable[[str], str]:
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer  # slow

    normaliser: Callable[[str], str] = BasicTextNormalizer(split_letters=split_letters)
    return normaliser


def _basic(text: str, *, split_letters: bool) -> str:
    """Brackets without a partner would become spaces, after a search that grows quadratically."""
    return _basic_normaliser(split_letters)(without_brackets(text.lower()).translate(_OPENING))


def whisper_basic(text: str) -> str:
    """Returns the text as Whisper's authors compare transcripts that are not English.

    Lower case; what stands in brackets is dropped; marks, symbols and punctuation become spaces,
    and so do the vowel signs of Indic, Thai and other scripts, which splits their words.
    """
    return _basic(text, split_letters=False)


def whisper_basic_letters(text: str) -> str:
    """As `whisper_basic`, with a space between all letters."""
    return _basic(text, split_letters=True)


NORMALISERS: dict[str, Callable[[str], str]] = {
    SPOKEN: spoken_english,
    "whisper-en": whisper_english,
    "seed-tts-en": seed_tts_english,
    "raw": raw,
    BASIC: whisper_basic,
    BASIC_LETTERS: whisper_basic_letters,
}


def normalise(text: str, normaliser: str) -> str:
    """Applies a normaliser by name and strips the result.

    Args:
        text: Any text.
        normaliser: A key of `NORMALISERS`.

    Returns:
        Text whose words `str.split` gives.

    Raises:
        KeyError: If there is no such normaliser.
    """
    return NORMALISERS[normaliser](text).strip()


@lru_cache(maxsize=65_536)
def split_word(word: str, normaliser: str) -> tuple[str, ...]:
    """Words that a single recognised word is normalised to; cached, as speech repeats words."""
    return tuple(normalise(word, normaliser).split())
