"""Alternative readings of a text, and the choice of the one closest to the recognised text.

``1250`` is "twelve fifty" or "one thousand two hundred fifty", ``7:00`` is "seven" or "seven
o'clock". Rules write alternatives as ``{first|other}``, with private-use characters in the place
of braces and bar, like the alternations in the GLM files of NIST's ``sclite``. The reading with
the fewest errors counts.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import product

from rapidfuzz.distance import Levenshtein, Opcodes

_OPEN, _BAR, _CLOSE = "\ue000", "\ue001", "\ue002"
_CHOICE = re.compile(f"{_OPEN}([^{_OPEN}{_CLOSE}]*){_CLOSE}")
_BOUNDARY = re.compile(f"({_OPEN}[^{_CLOSE}]*{_CLOSE})")
_SENTENCE = re.compile(r"(?<=[.!?;])\s+(?=[A-Z])")
MAX_PASSES = 2
MOST_READINGS = 12
STRETCH = 150
"""Words of a segment whose readings are chosen together."""

Pieces = tuple[tuple[str, ...], ...]
"""A text split into pieces, each with its readings; plain text has one reading."""


def choice(*readings: str) -> str:
    """Writes alternative readings, the usual one first; duplicates are dropped."""
    different = tuple(dict.fromkeys(readings))
    if len(different) == 1:
        return different[0]
    return f"{_OPEN}{_BAR.join(different)}{_CLOSE}"


def several(*parts: Iterable[str]) -> str:
    """Writes all combinations of the parts' readings as one choice, in order of preference."""
    combined = (" ".join(" ".join(words).split()) for words in product(*parts))
    return choice(*[text for text, _ in zip(combined, range(MOST_READINGS), strict=False)])


def pieces_of(marked: str) -> Pieces:
    """Splits a text with choices; choices cannot be nested.

    Args:
        marked: Text with choices.

    Returns:
        Its pieces in order.
    """
    parts = _CHOICE.split(marked)
    return tuple(
        tuple(part.split(_BAR)) if i % 2 else (part,) for i, part in enumerate(parts) if part
    )


def first_reading(pieces: Pieces) -> str:
    """The text with the usual reading of every piece."""
    return "".join(readings[0] for readings in pieces)


def best_reading(
    pieces: Pieces, units_of: Callable[[str], Sequence[Hashable]], target: Sequence[Hashable]
) -> str:
    """Chooses the readings with the fewest errors, one piece after the other.

    A long text is split into segments of about `STRETCH` units, each compared with its part of
    the target, so that time grows linearly with the length and not cubically.

    Args:
        pieces: Of the text.
        units_of: Splits a text into words or phonemes.
        target: The recognised words or phonemes.

    Returns:
        The text; the usual reading where none is better.
    """
    return "".join(
        _best_of_segment(segment, units_of, part)
        for segment, part in _segments(pieces, units_of, target)
    )


def _segments(
    pieces: Pieces, units_of: Callable[[str], Sequence[Hashable]], target: Sequence[Hashable]
) -> Iterator[tuple[Pieces, Sequence[Hashable]]]:
    """Splits a text before plain pieces, and the target where the usual reading aligns."""
    units: list[Hashable] = []
    cuts, ends, start = [0], [0], 0
    for index, readings in enumerate(pieces):
        if len(readings) == 1 and len(first_reading(pieces[start:index]).split()) >= STRETCH:
            units += units_of(first_reading(pieces[start:index]))
            cuts, ends, start = [*cuts, index], [*ends, len(units)], index
    units += units_of(first_reading(pieces[start:]))
    if len(cuts) == 1:
        yield pieces, target
        return
    edits = Levenshtein.opcodes(units, target)
    places = [_place(end, edits) for end in ends]
    for first, last, begin, end in zip(
        cuts, [*cuts[1:], len(pieces)], places, [*places[1:], len(target)], strict=True
    ):
        yield pieces[first:last], target[begin:end]


def _place(position: int, edits: Opcodes) -> int:
    """Maps a position between two units of the text to one in the target."""
    for edit in edits:
        if edit.src_start <= position < edit.src_end:
            return min(edit.dest_start + position - edit.src_start, edit.dest_end)
    return edits.dest_len


def _best_of_segment(
    pieces: Pieces, units_of: Callable[[str], Sequence[Hashable]], target: Sequence[Hashable]
) -> str:
    def errors_of(text: str) -> int:
        return Levenshtein.distance(units_of(text), target)

    chosen = [readings[0] for readings in pieces]
    least = errors_of("".join(chosen))
    for _ in range(MAX_PASSES):
        before = least
        for index, readings in enumerate(pieces):
            for reading in readings if least else ():
                errors = errors_of(_with(chosen, index, reading))
                if errors < least:
                    chosen[index], least = reading, errors
        if least in {0, before}:
            break
    return "".join(chosen)


def _with(chosen: Sequence[str], index: int, reading: str) -> str:
    return "".join((*chosen[:index], reading, *chosen[index + 1 :]))


def sentences(text: str) -> list[str]:
    """Splits a text into sentences."""
    return _SENTENCE.split(text)


def outside_choices(marked: str, change: Callable[[str], str]) -> str:
    """Applies a change to the text outside its choices."""
    parts = _BOUNDARY.split(marked)
    return "".join(part if i % 2 else change(part) for i, part in enumerate(parts))
