"""Turns transcript and recognised text into the words that are compared.

All word metrics use `compare_texts`. A published normaliser treats each side on its own. Under
``spoken-en`` each side is verbalised (`evals.text.spoken`), the readings with the fewest errors
are chosen, Whisper's normaliser is applied to both, and a compound that only one side writes as
one word is written as in the transcript.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise, zip_longest

from rapidfuzz.distance import Levenshtein

from evals.text.choices import Pieces, best_reading, first_reading, sentences
from evals.text.normalise import SPOKEN, normalise
from evals.text.numbers import DECIMALS
from evals.text.spoken import readings

MIN_COMPOUND = 5
"""Letters of the shortest compound; shorter neighbours match by chance ("a way")."""

_SIGNS = "$\u00a3\u20ac\u00a2%+-"
_SIGN_WORD = re.compile(
    r"\b(?:(?P<plus>plus)|minus|negative)\b"
    rf"(?=\s+(?:{'|'.join(sorted(DECIMALS))}|a hundred|point)\b)"
)
_WORDS_OF_SIGNS = {"plusword": "plus", "minusword": "minus"}
Words = tuple[str, ...]


@lru_cache(maxsize=1024)
def compare_texts(transcript: str, heard: str, normaliser: str) -> tuple[Words, Words]:
    """Normalises a transcript and a recognised text for comparison.

    Args:
        transcript: The reference.
        heard: The recogniser's text.
        normaliser: A key of `evals.text.normalise.NORMALISERS`.

    Returns:
        Reference words and heard words.
    """
    if normaliser != SPOKEN:
        return _words(transcript, normaliser), _words(heard, normaliser)
    reference_pieces, heard_pieces = readings(transcript), readings(heard)
    target = _counted(first_reading(heard_pieces))
    reference = _counted(_nearest(reference_pieces, target))
    target = _counted(_nearest(heard_pieces, reference))
    reference = _counted(_nearest(reference_pieces, target))
    return reference, tuple(_same_compounds(reference, target))


def _words(text: str, normaliser: str) -> Words:
    return tuple(normalise(text, normaliser).split())


@lru_cache(maxsize=16_384)
def _counted(spoken: str) -> Words:
    """Words as Whisper's normaliser writes them, without stray full stops.

    "plus" and "minus" stay words: the normaliser would lose them before sums of money.
    """
    guarded = _SIGN_WORD.sub(lambda match: "plusword" if match["plus"] else "minusword", spoken)
    words = (_WORDS_OF_SIGNS.get(word, word) for word in _words(guarded, "whisper-en"))
    return tuple(word for word in words if any(char.isalnum() for char in word))


def _nearest(pieces: Pieces, target: Words) -> str:
    """The reading with the fewest errors; only readings made of the target's words are tried."""
    vocabulary = {word.strip(_SIGNS) for word in target}
    likely = tuple(
        (first, *(other for other in others if vocabulary.issuperset(_bare(other))))
        for first, *others in pieces
    )
    return best_reading(likely, _by_sentence, target)


def _bare(spoken: str) -> set[str]:
    """Words without the signs that a neighbour attaches to a number."""
    return {word.strip(_SIGNS) for word in _counted(spoken)}


def _by_sentence(spoken: str) -> Words:
    """Approximates `_counted`; fast where one sentence changed, as it is cached by sentence."""
    return tuple(word for part in sentences(spoken) for word in _counted(part))


def _same_compounds(reference: Words, heard: Words) -> Iterator[str]:
    """Heard words, with compounds joined or split as in the reference."""
    reference_start, heard_start = 0, 0
    for block in Levenshtein.editops(reference, heard).as_matching_blocks():
        yield from _joined_or_split(
            reference[reference_start : block.a], heard[heard_start : block.b]
        )
        reference_start, heard_start = block.a + block.size, block.b + block.size
        yield from heard[block.b : heard_start]


def _joined_or_split(reference: Words, heard: Words) -> Iterator[str]:
    """Joins or splits compounds in a stretch between two matching blocks."""
    reference_words = frozenset(reference)
    split = {a + b: (a, b) for a, b in pairwise(reference) if _is_compound(a, b)}
    skips = False
    for word, after in zip_longest(heard, heard[1:], fillvalue=""):
        if skips:
            skips = False
        elif word in split:
            yield from split[word]
        elif after and word + after in reference_words and _is_compound(word, after):
            yield word + after
            skips = True
        else:
            yield word


def _is_compound(first: str, second: str) -> bool:
    return len(first + second) >= MIN_COMPOUND and first.isalpha() and second.isalpha()
