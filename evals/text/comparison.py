"""Both sides of a comparison, transcript and heard text, as words that are counted.

All metrics of words go through `compare_texts`. Under a published normaliser each side is written
by itself. Under ours, ``spoken-en``, each side is read as it is said (`evals.text.spoken`), the
readings with the fewest errors are taken, Whisper's normaliser writes both, and a compound that
one side writes as one word and the other as two is written as the transcript has it.
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
"""Letters; shorter words next to each other are joined by chance ("a way")."""

_SIGNS = "$\u00a3\u20ac\u00a2%+-"
_SIGN_WORD = re.compile(
    r"\b(?:(?P<plus>plus)|minus|negative)\b"
    rf"(?=\s+(?:{'|'.join(sorted(DECIMALS))}|a hundred|point)\b)"
)
_WORDS_OF_SIGNS = {"plusword": "plus", "minusword": "minus"}
Words = tuple[str, ...]


@lru_cache(maxsize=1024)
def compare_texts(said: str, heard: str, normaliser: str) -> tuple[Words, Words]:
    """Writes a transcript and what was heard as words to be counted.

    Args:
        said: The transcript.
        heard: The recogniser's own text.
        normaliser: A key of `evals.text.normalise.NORMALISERS`.

    Returns:
        Words of the transcript and words heard.
    """
    if normaliser != SPOKEN:
        return _words(said, normaliser), _words(heard, normaliser)
    wanted, found = readings(said), readings(heard)
    target = _counted(first_reading(found))
    reference = _counted(_nearest(wanted, target))
    target = _counted(_nearest(found, reference))
    reference = _counted(_nearest(wanted, target))
    return reference, tuple(_same_compounds(reference, target))


def _words(text: str, normaliser: str) -> Words:
    return tuple(normalise(text, normaliser).split())


@lru_cache(maxsize=16_384)
def _counted(spoken: str) -> Words:
    """Words as Whisper's normaliser writes them, without the full stops that it can leave.

    A sign in words stays a word: the normaliser would lose it before sums of money.
    """
    kept = _SIGN_WORD.sub(lambda match: "plusword" if match["plus"] else "minusword", spoken)
    words = (_WORDS_OF_SIGNS.get(word, word) for word in _words(kept, "whisper-en"))
    return tuple(word for word in words if any(char.isalnum() for char in word))


def _nearest(pieces: Pieces, target: Words) -> str:
    """The reading with the fewest errors; those with words that ``target`` lacks are not tried."""
    vocabulary = {word.strip(_SIGNS) for word in target}
    likely = tuple(
        (first, *(other for other in others if vocabulary.issuperset(_bare(other))))
        for first, *others in pieces
    )
    return best_reading(likely, _by_sentence, target)


def _bare(spoken: str) -> set[str]:
    """Words without the signs that neighbours give to numbers."""
    return {word.strip(_SIGNS) for word in _counted(spoken)}


def _by_sentence(spoken: str) -> Words:
    """About what `_counted` gives, and quick where one sentence has changed."""
    return tuple(word for part in sentences(spoken) for word in _counted(part))


def _same_compounds(reference: Words, heard: Words) -> Iterator[str]:
    """Heard words, with compounds joined or parted where the transcript has them so."""
    from_said, from_heard = 0, 0
    for block in Levenshtein.editops(reference, heard).as_matching_blocks():
        yield from _joined_or_parted(reference[from_said : block.a], heard[from_heard : block.b])
        from_said, from_heard = block.a + block.size, block.b + block.size
        yield from heard[block.b : from_heard]


def _joined_or_parted(reference: Words, heard: Words) -> Iterator[str]:
    """Words that were heard between two that agree."""
    wanted = frozenset(reference)
    parted = {a + b: (a, b) for a, b in pairwise(reference) if _is_compound(a, b)}
    skips = False
    for word, after in zip_longest(heard, heard[1:], fillvalue=""):
        if skips:
            skips = False
        elif word in parted:
            yield from parted[word]
        elif after and word + after in wanted and _is_compound(word, after):
            yield word + after
            skips = True
        else:
            yield word


def _is_compound(first: str, second: str) -> bool:
    return len(first + second) >= MIN_COMPOUND and first.isalpha() and second.isalpha()
