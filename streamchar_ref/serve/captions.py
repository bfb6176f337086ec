"""Captions: the words as they were typed, with the place in the speech at which each begins."""

import re
from collections.abc import Iterable, Sequence

from streamchar_ref.streaming.live import Piece
from streamchar_ref.world.lexicon import UnreadableText, read_text

Caption = tuple[str, int]
"""A word to show, and the phoneme of the transcript with which it begins."""
_BLANK = re.compile(r"\s+")


def captions_of(pieces: Iterable[Piece]) -> list[Caption]:
    """Lists the words of a transcript.

    Args:
        pieces: Of the transcript.

    Returns:
        Words in order; of a piece whose end was replaced, those that stayed.
    """
    return [
        (word, piece.start + place)
        for piece in pieces
        for word, place in _words(piece)
        if place < piece.length
    ]


def _words(piece: Piece) -> list[Caption]:
    """Pairs typed words with places; where they cannot be paired, the spoken words are shown."""
    starts = [int(start) for start in piece.text.word_starts]
    typed = _BLANK.split(piece.typed.strip())
    counts = [_num_spoken(word) for word in typed]
    if sum(counts) != len(starts):  # read otherwise word by word than as a whole
        return list(zip(piece.text.words, starts, strict=True))
    return _paired(typed, counts, starts)


def _paired(typed: Sequence[str], counts: Sequence[int], starts: list[int]) -> list[Caption]:
    captions: list[Caption] = []
    place = 0
    for word, count in zip(typed, counts, strict=True):
        if count:
            captions.append((word, starts[place]))
        elif captions:  # a dash, an emoji: silent, and part of the word before it
            captions[-1] = (f"{captions[-1][0]} {word}", captions[-1][1])
        place += count
    return captions


def _num_spoken(word: str) -> int:
    """Returns how many words are said for a typed one."""
    try:
        return sum(len(sentence) for sentence in read_text(word))
    except UnreadableText:
        return 0
