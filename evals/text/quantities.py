"""Readings of numbers as English words, the most likely first.

Amounts and years come from `streamchar_ref.world.numerals`; the others are common alternatives.
"""

from streamchar_ref.world.numerals import spoken_number

YEARS = range(1000, 2100)
_LONGEST_AMOUNT = 12  # digits; longer ones are read one by one


def plain_amount(number: int) -> str:
    """Returns 1205 as one thousand two hundred five."""
    return " ".join(spoken_number(f"{number:,}"))


def plain_ordinal(number: int) -> str:
    """Returns 21 as twenty first."""
    return " ".join(spoken_number(f"{number}th"))


def amounts(digits: str) -> list[str]:
    """Reads a whole number as an amount.

    Args:
        digits: Without commas.

    Returns:
        Readings; with "and", with "a" for a first "one", and in hundreds after the plain one.
    """
    if len(digits.lstrip("0") or "0") > _LONGEST_AMOUNT:
        return digit_by_digit(digits)
    value = int(digits)
    readings = _different(plain_amount(value), _with_and(plain_amount(value)))
    if value >= 100 and readings[0].startswith("one "):
        readings += [f"a{reading[3:]}" for reading in readings]
        readings += [readings[0][4:]] if readings[0].count(" ") == 1 else []
    hundreds, rest = divmod(value, 100)
    if 1100 <= value <= 9999 and hundreds % 10:
        readings.append(
            f"{plain_amount(hundreds)} hundred {plain_amount(rest) * bool(rest)}".strip()
        )
    return readings


def years(digits: str) -> list[str]:
    """Reads four digits as a year (nineteen ninety nine), then as an amount.

    Args:
        digits: Within `YEARS`.

    Returns:
        Readings.
    """
    century, rest = divmod(int(digits), 100)
    pair = f"{plain_amount(century)} {_two_digits(rest)}" if rest else _hundred(century)
    is_amount = (century % 10 == 0) and rest < 10
    first, *others = amounts(digits)
    return _different(*([first, pair] if is_amount else [pair, first]), *others)


def numbers(digits: str) -> list[str]:
    """Reads plain digits, as a year where they look like one, digit by digit after a leading zero.

    Args:
        digits: Without commas.

    Returns:
        Readings.
    """
    if digits == "0":
        return ["zero", "oh", "nil"]
    if len(digits) > _LONGEST_AMOUNT or (len(digits) > 1 and digits[0] == "0"):
        return digit_by_digit(digits)
    if len(digits) == 4:
        is_year = int(digits) in YEARS
        pair = f"{_two_digits(int(digits[:2]))} {_two_digits(int(digits[2:]))}"
        return _different(*(years(digits) if is_year else [*amounts(digits), pair]))
    if len(digits) == 3 and int(digits) % 100:
        room = f"{plain_amount(int(digits[0]))} {_two_digits(int(digits[1:]))}"
        return _different(*amounts(digits), room, *digit_by_digit(digits))
    return _different(*amounts(digits), *(digit_by_digit(digits) if len(digits) > 3 else ()))


def digit_by_digit(digits: str) -> list[str]:
    """Reads 007 as zero zero seven, and as oh oh seven."""
    plain = " ".join(plain_amount(int(digit)) for digit in digits)
    return _different(plain, plain.replace("zero", "oh"))


def decimals(whole: str, fraction: str) -> list[str]:
    """Reads a decimal number.

    Args:
        whole: Digits before the point; may be empty.
        fraction: Digits after it.

    Returns:
        Readings: one point two five, one point twenty five.
    """
    ends = digit_by_digit(fraction)
    if len(fraction) == 2 and fraction[0] != "0":
        ends.append(plain_amount(int(fraction)))
    if int(whole or 0):
        starts = [f"{start} " for start in amounts(whole)[:2]]
    else:
        starts = ["zero ", "", "oh "] if whole else ["", "zero "]
    readings = [f"{start}point {end}" for end in ends for start in starts]
    is_price = len(fraction) == 2 and int(whole or 0)
    return readings + ([f"{starts[0]}{_two_digits(int(fraction))}"] if is_price else [])


def ordinals(digits: str) -> list[str]:
    """Reads 121 as one hundred twenty first, and with "and"."""
    plain = plain_ordinal(int(digits))
    return _different(plain, _with_and(plain))


def plural(words: str) -> str:
    """Returns the plural of a number word: nineties, sixes."""
    if words.endswith("y"):
        return f"{words[:-1]}ies"
    return words + ("es" if words.endswith("x") else "s")


def _different(*readings: str) -> list[str]:
    return list(dict.fromkeys(readings))


def _two_digits(number: int) -> str:
    return f"oh {plain_amount(number)}" if number < 10 else plain_amount(number)


def _hundred(century: int) -> str:
    is_thousand = century % 10 == 0
    return plain_amount(100 * century) if is_thousand else f"{plain_amount(century)} hundred"


def _with_and(plain: str) -> str:
    """British reading: "and" between hundreds or thousands and the number below a hundred."""
    words = plain.split()
    large = [i for i, word in enumerate(words) if word in {"hundred", "thousand", "million"}]
    if not large or large[-1] == len(words) - 1:
        return plain
    return " ".join([*words[: large[-1] + 1], "and", *words[large[-1] + 1 :]])
