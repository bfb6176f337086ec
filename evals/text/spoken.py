"""Words as they are spoken, for a pronouncing model that knows letters only."""

import re

from evals.text.numbers import ONES, TENS

_UNITS = ("zero", *ONES)
_TENS = ("", "ten", *TENS)
_POWERS = ((10**9, "billion"), (10**6, "million"), (10**3, "thousand"), (100, "hundred"))


def spell(number: int) -> list[str]:
    """Returns the words of a whole number below a trillion: 1205 -> one thousand two hundred five.

    Args:
        number: Not negative; larger ones are read digit by digit.

    Returns:
        Lower-case words.
    """
    if number < 20:
        return [_UNITS[number]]
    if number < 100:
        rest = spell(number % 10) if number % 10 else []
        return [_TENS[number // 10], *rest]
    if number >= 10**12:
        return [_UNITS[int(digit)] for digit in str(number)]
    size, name = next((size, name) for size, name in _POWERS if number >= size)
    rest = spell(number % size) if number % size else []
    return [*spell(number // size), name, *rest]


def spoken_words(transcript: str) -> list[str]:
    """Returns lower-case words of letters and apostrophes; digits are spelled out as numbers.

    Args:
        transcript: English text; punctuation and symbols are dropped, hyphens part words.

    Returns:
        Words in order; a year such as 2026 is read as a number.
    """
    text = transcript.lower().replace("\u2019", "'")
    text = re.sub(r"(?<=\d),(?=\d)", "", text)
    tokens = re.findall(r"[a-z]+(?:'[a-z]+)*|[0-9]+", text)
    return [w for token in tokens for w in (spell(int(token)) if token.isdigit() else [token])]
