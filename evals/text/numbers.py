"""English number words as digits: ``twenty one`` -> ``21``, ``five dollars`` -> ``$5``.

Source: ``EnglishNumberNormalizer`` of OpenAI Whisper (github.com/openai/whisper,
whisper/normalizers/english.py), Copyright (c) 2022 OpenAI, MIT licence (``LICENSE-whisper``),
restructured; byte-identical output is checked in ``tests/evals/text/test_normalise.py``. Its quirks
are kept, because published numbers depend on them: a lone ``o`` is a zero, ``ninth`` is no number.
"""

import re
from collections.abc import Sequence
from fractions import Fraction

PendingNumber = int | str | None  # a number so far; digits that are no longer a number; nothing
Suffixed = dict[str, tuple[int, str]]

_UNITS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
_TEENS = "sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_POWERS = (
    "thousand million billion trillion quadrillion quintillion sextillion septillion octillion"
)
_IRREGULAR: Suffixed = {
    "zeroth": (0, "th"),
    "first": (1, "st"),
    "second": (2, "nd"),
    "third": (3, "rd"),
    "fifth": (5, "th"),
    "twelfth": (12, "th"),
}


def _ordinal(name: str) -> str:
    return name + ("h" if name.endswith("t") else "th")


ZEROS = frozenset({"o", "oh", "zero"})
ONES = {name: i for i, name in enumerate(f"{_UNITS} {_TEENS}".split(), start=1)}
ONES_SUFFIXED: Suffixed = (
    {"sixes" if name == "six" else f"{name}s": (n, "s") for name, n in ONES.items()}
    | _IRREGULAR
    | {_ordinal(name): (n, "th") for name, n in ONES.items() if n > 3 and n not in {5, 12}}
)
TENS = {name: 10 * i for i, name in enumerate(_TENS.split(), start=2)}
TENS_SUFFIXED: Suffixed = {name.replace("y", "ies"): (n, "s") for name, n in TENS.items()} | {
    name.replace("y", "ieth"): (n, "th") for name, n in TENS.items()
}
MULTIPLIERS = {"hundred": 100} | {
    name: 1000**i for i, name in enumerate(f"{_POWERS} nonillion decillion".split(), start=1)
}
MULTIPLIERS_SUFFIXED: Suffixed = {f"{name}s": (n, "s") for name, n in MULTIPLIERS.items()} | {
    f"{name}th": (n, "th") for name, n in MULTIPLIERS.items()
}
SIGNS = {"minus": "-", "negative": "-", "plus": "+", "positive": "+"}
CURRENCIES = {
    "pound": "\u00a3",
    "pounds": "\u00a3",
    "euro": "\u20ac",
    "euros": "\u20ac",
    "dollar": "$",
    "dollars": "$",
    "cent": "\u00a2",
    "cents": "\u00a2",
}
PREFIXES = frozenset({*SIGNS.values(), *CURRENCIES.values()})
DECIMALS = frozenset({*ONES, *TENS, *ZEROS})
PERCENT = frozenset({"per", "percent"})
SPECIALS = frozenset({"and", "double", "triple", "point"})
WORDS = frozenset(
    {*DECIMALS, *ONES_SUFFIXED, *TENS_SUFFIXED, *MULTIPLIERS, *MULTIPLIERS_SUFFIXED}
    | {*SIGNS, *CURRENCIES, *PERCENT, *SPECIALS}
)

MAX_DIGITS = 4000
"""Of a buffered number; Python formats integers of up to 4300 digits."""
_NUMERAL = re.compile(r"^\d+(\.\d+)?$")


def _is_numeral(word: str | None) -> bool:
    return word is not None and _NUMERAL.match(word) is not None


def _fraction(digits: str) -> Fraction | None:
    try:
        return Fraction(digits)
    except ValueError:
        return None


class _Reader:
    """Reads words left to right and buffers a number until it is complete."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.prefix = ""
        self.value: PendingNumber = None
        self.skips = False  # the word just read used up the next one

    def emit(self, result: int | str) -> None:
        """Writes a word or number with the pending prefix."""
        self.out.append(f"{self.prefix}{result}")
        self.prefix, self.value = "", None

    def flush(self) -> None:
        """Writes the buffered number, if any."""
        if self.value is not None:
            self.emit(self.value)

    def read(self, before: str | None, word: str, after: str | None) -> None:
        """Takes the next word, with its neighbours."""
        if isinstance(self.value, str) and len(self.value) > MAX_DIGITS:
            self.flush()
        if _is_numeral(word[1:] if word[0] in PREFIXES else word):
            self.read_numeral(word)
        elif word in DECIMALS:
            self.read_cardinal(before, word)
        elif word in ONES_SUFFIXED:
            number, suffix = ONES_SUFFIXED[word]
            self.emit(f"{self.with_ones(before, number)}{suffix}")
        elif word in TENS_SUFFIXED:
            number, suffix = TENS_SUFFIXED[word]
            self.emit(f"{self.with_tens(number)}{suffix}")
        elif word in MULTIPLIERS:
            self.value = self.times(MULTIPLIERS[word])
        elif word in MULTIPLIERS_SUFFIXED:
            number, suffix = MULTIPLIERS_SUFFIXED[word]
            self.emit(f"{self.times(number)}{suffix}")
        else:
            self.read_other(before, word, after)

    def read_numeral(self, word: str) -> None:
        """Takes Arabic digits, perhaps with a sign, a currency or a decimal point."""
        if isinstance(self.value, str) and self.value.endswith("."):
            self.value += word  # decimals, parts of an IP address
            return
        self.flush()
        digits = word
        if word[0] in PREFIXES:
            self.prefix, digits = word[0], word[1:]
        if len(digits) > MAX_DIGITS:
            self.emit(digits)
            return
        number = Fraction(digits)
        self.value = number.numerator if number.denominator == 1 else digits

    def read_cardinal(self, before: str | None, word: str) -> None:
        """Takes ``zero`` to ``ninety``."""
        if word in ZEROS:
            self.value = f"{self.value or ''}0"
        elif word in ONES:
            self.value = self.with_ones(before, ONES[word])
        else:
            self.value = self.with_tens(TENS[word])

    def with_ones(self, before: str | None, ones: int) -> int | str:
        """The buffered number followed by 1 to 19."""
        if self.value is None:
            return ones
        if isinstance(self.value, str) and before in TENS and ones < 10:
            return f"{self.value[:-1]}{ones}"  # replaces the last zero
        if isinstance(self.value, str) or before in ONES:
            return f"{self.value}{ones}"
        fits = self.value % (10 if ones < 10 else 100) == 0
        return self.value + ones if fits else f"{self.value}{ones}"

    def with_tens(self, tens: int) -> int | str:
        """The buffered number followed by 20 to 90."""
        if self.value is None:
            return tens
        if isinstance(self.value, str) or self.value % 100:
            return f"{self.value}{tens}"
        return self.value + tens

    def times(self, multiplier: int) -> int:
        """The buffered number times ``multiplier``; digits that are no number are written first."""
        if self.value is None:
            return multiplier
        if isinstance(self.value, int):
            return self.value // 1000 * 1000 + self.value % 1000 * multiplier
        number = _fraction(self.value)
        if number is not None and (number * multiplier).denominator == 1:
            return (number * multiplier).numerator
        self.emit(self.value)
        return multiplier

    def read_other(self, before: str | None, word: str, after: str | None) -> None:
        """Takes a word that is no number by itself."""
        can_be_numeric = after in WORDS or _is_numeral(after)
        if word in SIGNS and can_be_numeric:
            self.flush()
            self.prefix = SIGNS[word]
        elif word in CURRENCIES and self.value is not None:
            self.prefix = CURRENCIES[word]
            self.flush()
        elif word in PERCENT and self.value is not None and (word, after) != ("per", "cent"):
            self.read_percent(word)
        elif word in PERCENT and self.value is not None:
            self.emit(f"{self.value}%")
            self.skips = True
        elif word in SPECIALS and can_be_numeric:
            self.read_special(before, word, after)
        else:
            self.flush()
            self.emit(word)

    def read_percent(self, word: str) -> None:
        """Takes ``percent`` or a lone ``per`` after a number."""
        if word == "percent":
            self.emit(f"{self.value}%")
        else:
            self.flush()
            self.emit(word)

    def read_special(self, before: str | None, word: str, after: str | None) -> None:
        """Takes ``and``, ``double``, ``triple`` or ``point`` before what may be a number."""
        if word == "point":
            if after in DECIMALS or _is_numeral(after):
                self.value = f"{self.value or ''}."
        elif word == "and":
            if before not in MULTIPLIERS:
                self.flush()
                self.emit(word)
        elif after in ONES or after in ZEROS:
            digits = str(ONES.get(after or "", 0)) * (2 if word == "double" else 3)
            self.value = f"{self.value or ''}{digits}"
            self.skips = True
        else:
            self.flush()
            self.emit(word)


def read_numbers(words: Sequence[str]) -> list[str]:
    """Returns the words with each spelled-out number as one word of digits."""
    reader = _Reader()
    padded = [None, *words, None]
    for before, word, after in zip(padded, words, padded[2:], strict=False):
        if reader.skips:
            reader.skips = False
            continue
        reader.read(before, word, after)
    reader.flush()
    return reader.out


def _halves(text: str) -> str:
    """``two and a half`` -> ``two point five``."""
    parts = re.split(r"\band\s+a\s+half\b", text)
    results = []
    for i, part in enumerate(parts):
        if not part.strip():
            continue
        results.append(part)
        if i < len(parts) - 1:
            last = part.rsplit(maxsplit=2)[-1]
            is_number = last in DECIMALS or last in MULTIPLIERS
            results.append("point five" if is_number else "and a half")
    return " ".join(results)


def normalise_numbers(text: str) -> str:
    """Returns lower-case text with spelled-out numbers, ordinals and currencies as digits."""
    text = _halves(text)
    text = re.sub(r"([a-z])([0-9])", r"\1 \2", text)
    text = re.sub(r"([0-9])([a-z])", r"\1 \2", text)
    text = re.sub(r"([0-9])\s+(st|nd|rd|th|s)\b", r"\1\2", text)
    text = " ".join(read_numbers(text.split()))
    text = re.sub(
        "([\u20ac\u00a3$])([0-9]+) (?:and )?\u00a2([0-9]{1,2})\\b",
        lambda m: f"{m[1]}{m[2]}.{int(m[3]):02d}",
        text,
    )
    text = re.sub("[\u20ac\u00a3$]0.([0-9]{1,2})\\b", lambda m: f"\u00a2{int(m[1])}", text)
    return re.sub(r"\b1(s?)\b", r"one\1", text)
