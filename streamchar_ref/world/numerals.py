"""Numbers as spoken English words.

Integers are read as amounts ("one hundred seven"), four digits from 1100 to 1999 and from 2010 to
2099 as years ("nineteen eighty four"), numbers with a leading zero or more than twelve digits
digit by digit, decimals with "point", and ``$``, ``%`` and ``th`` as usual. A number with commas
is always an amount.
"""

import re

from streamchar_ref.world.tables import TABLES

NUMBER = re.compile(
    r"(?:(?<!\w)-)?\$?\d+(?:,\d{3})*(?:\.\d+)?(?:(?:st|nd|rd|th)\b)?%?", re.IGNORECASE
)
_SCALES = ((10**9, "billion"), (10**6, "million"), (10**3, "thousand"), (100, "hundred"))
_PARTS = re.compile(r"(-?)(\$?)([\d,]+)(?:\.(\d+))?(st|nd|rd|th)?(%?)", re.IGNORECASE)


def spoken_number(token: str) -> list[str]:
    """Reads one number.

    Args:
        token: What `NUMBER` matches, e.g. ``1,204``, ``3.5%``, ``$20`` or ``2nd``.

    Returns:
        Lower-case words.

    Raises:
        ValueError: If the token is not a number.
    """
    match = _PARTS.fullmatch(token)
    if match is None:
        raise ValueError(f"{token!r} is not a number")
    minus, dollar, whole, decimals, ordinal, percent = match.groups()
    words = ["minus"] * bool(minus) + _whole(whole, is_plain=not (dollar or ordinal or decimals))
    if ordinal:
        words[-1] = _ordinal(words[-1])
    if decimals:
        words += ["point", *_digits(decimals)]
    if dollar:
        words.append("dollar" if words == ["one"] else "dollars")
    return words + ["percent"] * bool(percent)


def _whole(digits: str, *, is_plain: bool) -> list[str]:
    plain = digits.replace(",", "")
    if len(plain) > 12 or (digits[0] == "0" and len(digits) > 1 and plain == digits):
        return _digits(plain)
    number = int(plain)
    if is_plain and len(digits) == 4 and (1100 <= number <= 1999 or 2010 <= number <= 2099):
        return _year(number)
    return _amount(number)


def _digits(digits: str) -> list[str]:
    return [TABLES["units"][int(digit)] for digit in digits]


def _year(number: int) -> list[str]:
    century, rest = divmod(number, 100)
    if rest == 0:
        return [*_amount(century), "hundred"]
    return [*_amount(century), *(["oh"] * (rest < 10)), *_amount(rest)]


def _amount(number: int) -> list[str]:
    for size, name in _SCALES:
        if number >= size:
            many, rest = divmod(number, size)
            return [*_amount(many), name, *(_amount(rest) if rest else [])]
    if number < 20:
        return [TABLES["units"][number]]
    tens, rest = divmod(number, 10)
    return [TABLES["tens"][tens], *([TABLES["units"][rest]] if rest else [])]


def _ordinal(word: str) -> str:
    if word in TABLES["ordinals"]:
        return str(TABLES["ordinals"][word])
    return word[:-1] + "ieth" if word.endswith("y") else word + "th"
