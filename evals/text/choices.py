"""A text that may be read in several ways, and the choice among them.

``1250`` is "twelve fifty" or "one thousand two hundred fifty", ``7:00`` is "seven" or "seven
o'clock". Rules write such a place as ``{first|other}`` with private characters in the place of
these signs, as NIST's ``sclite`` does with alternations in its GLM files. What was heard decides:
the reading with the fewest errors counts.
"""

import re
from collections.abc import Callable, Sequence

_OPEN, _BAR, _CLOSE = "\ue000", "\ue001", "\ue002"
_CHOICE = re.compile(f"{_OPEN}([^{_OPEN}{_CLOSE}]*){_CLOSE}")
_BOUNDARY = re.compile(f"({_OPEN}[^{_CLOSE}]*{_CLOSE})")
_SENTENCE = re.compile(r"(?<=[.!?;])\s+(?=[A-Z])")
MAX_PASSES = 2

Pieces = tuple[tuple[str, ...], ...]
"""A text cut into pieces, each with its readings; plain text has one reading."""


def choice(*readings: str) -> str:
    """Writes a place with several readings, the usual one first; equal ones count once."""
    different = tuple(dict.fromkeys(readings))
    if len(different) == 1:
        return different[0]
    return f"{_OPEN}{_BAR.join(different)}{_CLOSE}"


def pieces_of(marked: str) -> Pieces:
    """Cuts a text that `choice` wrote into; a choice within a choice is not allowed.

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


def best_reading(pieces: Pieces, errors_of: Callable[[str], int]) -> str:
    """Chooses the readings with the fewest errors, one piece after the other.

    Args:
        pieces: Of the text.
        errors_of: Counts the errors of a whole text.

    Returns:
        The text; the usual reading where none is better.
    """
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
    """Cuts a text after its full stops."""
    return _SENTENCE.split(text)


def outside_choices(marked: str, change: Callable[[str], str]) -> str:
    """Changes a text between its choices only."""
    parts = _BOUNDARY.split(marked)
    return "".join(part if i % 2 else change(part) for i, part in enumerate(parts))
