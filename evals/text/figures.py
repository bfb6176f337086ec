"""Figures in a transcript as one says them: money, dates, times, units, ranges and plain numbers.

Each rule finds one way of writing and returns it in words, with its other usual readings. Rules
run in order; what one has read holds no figures any more.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache
from itertools import product

from evals.text.choices import choice
from evals.text.quantities import (
    YEARS,
    amounts,
    decimals,
    digit_by_digit,
    numbers,
    ordinals,
    plain_amount,
    plain_ordinal,
    plural,
    years,
)
from evals.text.tables import TABLES

Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]
MOST_READINGS = 12
_NUMBER = r"\d{1,3}(?:,\d{3})+|\d+"
_DECIMAL = rf"(?P<whole>{_NUMBER}|(?<!\d)(?=\.\d))(?:\.(?P<fraction>\d+))?"
_MONTHS = "|".join(f"{name}|{short}\\.?" for name, short in TABLES["months"].items())
_SCALES = "|".join(("thousand", "million", "billion", "trillion", *TABLES["scales"]))
_SIGNS = "|".join(map(re.escape, sorted(TABLES["currencies"], key=len, reverse=True)))
_UNITS = "|".join(map(re.escape, sorted(TABLES["units"], key=len, reverse=True)))
_AMPM = r"\s?(?P<half>[aApP])\.?\s?[mM]\b\.?"
_TIME_AFTER = rf"(?:{_AMPM})?"
_DENOMINATORS = {2: "half", 4: "quarter"}


def _several(*parts: Iterable[str]) -> str:
    """All combinations of the parts' readings, first ones first, as one choice."""
    combined = (" ".join(" ".join(words).split()) for words in product(*parts))
    return choice(*[text for text, _ in zip(combined, range(MOST_READINGS), strict=False)])


def _values(match: re.Match[str]) -> list[str]:
    """Readings of the groups ``whole`` and ``fraction``."""
    whole = match["whole"].replace(",", "")
    return decimals(whole, match["fraction"]) if match["fraction"] else amounts(whole)


def _is_one(match: re.Match[str]) -> bool:
    return match["whole"] == "1" and not match["fraction"]


def _money(match: re.Match[str]) -> str:
    one, many, cent, cents = TABLES["currencies"][match["sign"]]
    whole, fraction = match["whole"].replace(",", ""), match["fraction"] or ""
    if match["scale"]:
        scale = TABLES["scales"].get(match["scale"], match["scale"])
        return f" {_several(_values(match), [scale], [many, one, ''])} "
    if len(fraction) != 2:
        names = [one, many] if _is_one(match) else [many, one]
        return f" {_several(_values(match), [*names, ''])} "
    small = int(fraction)
    end = f"{plain_amount(small)} {cent if small == 1 else cents}"
    if not int(whole or 0):
        return f" {_several([end, *(f'{value} {many}' for value in _values(match))])} "
    value, name = amounts(whole)[0], one if whole == "1" else many
    if not small:
        return f" {_several(amounts(whole), [name, ''])} "
    short = f"oh {plain_amount(small)}" if small < 10 else plain_amount(small)
    points = [f"{point} {many}" for point in decimals(whole, fraction)[:2]]
    return " " + choice(
        f"{value} {name} and {end}", f"{value} {name} {end}", f"{value} {name} {short}",
        f"{value} {name} and {short}", f"{value} {short}", *points,
    ) + " "  # fmt: skip


def _money_range(match: re.Match[str]) -> str:
    first = _several(numbers(match["first"].replace(",", "")))
    return f"{first} to {match['sign']}{match['second']}"


def _small_money(match: re.Match[str]) -> str:
    if match["pence"]:
        return f" {_several(amounts(match['pence']), ['pence', 'p.'])} "
    return f" {_several(_values(match), ['cent'] if _is_one(match) else ['cents', 'cent'])} "


def _year_readings(digits: str | None) -> list[str]:
    if not digits:
        return [""]
    if len(digits) == 2:
        return [*numbers(digits), *years(f"20{digits}"), *years(f"19{digits}")]
    return years(digits)[:2] if int(digits) in YEARS else numbers(digits)[:2]


def _month_day(month: str, day: str) -> list[str]:
    nth, number = plain_ordinal(int(day)), plain_amount(int(day))
    return [f"{month} {nth}", f"{month} the {nth}", f"{month} {number}"]


def _day_month(month: str, day: str) -> list[str]:
    nth, number = plain_ordinal(int(day)), plain_amount(int(day))
    return [f"the {nth} of {month}", f"{nth} of {month}", f"{nth} {month}", f"{number} {month}"]


@cache
def _month(written: str) -> str:
    """Full name of a month, e.g. of ``Sept.``."""
    names = TABLES["months"]
    key = written.rstrip(".")
    return next(n for n, s in names.items() if key == n or re.fullmatch(s, key))


def _american_date(match: re.Match[str]) -> str:
    month, last = _month(match["month"]), match["last"]
    days = _month_day(month, match["day"])
    if last:
        return (
            f"{_several(days)} to {_several([plain_ordinal(int(last)), plain_amount(int(last))])} "
        )
    return _several([*days, *_day_month(month, match["day"])], _year_readings(match["year"]))


def _british_date(match: re.Match[str]) -> str:
    month = _month(match["month"])
    days = [*_day_month(month, match["day"]), *_month_day(month, match["day"])]
    return _several(days, _year_readings(match["year"]))


def _date_in_figures(match: re.Match[str]) -> str:
    first, second = int(match["first"]), int(match["second"])
    names = list(TABLES["months"])
    days = []
    for month, day in ((first, second), (second, first)):
        if 1 <= month <= 12 and 1 <= day <= 31:
            days += [_month_day(names[month - 1], str(day))[0]]
            days += [_day_month(names[month - 1], str(day))[0]]
    if not days:
        return match[0]
    return _several(
        [*days, f"{plain_amount(first)} {plain_amount(second)}"], _year_readings(match["year"])
    )


def _iso_date(match: re.Match[str]) -> str:
    month, day = int(match["month"]), match["day"]
    if not 1 <= month <= 12:
        return match[0]
    name = list(TABLES["months"])[month - 1]
    return _several(
        [*_month_day(name, day)[:1], *_day_month(name, day)[:1]], _year_readings(match["year"])
    )


def _half_day(match: re.Match[str]) -> str:
    return f"{match['half'].lower()}. m." if match["half"] else ""


def _time(match: re.Match[str]) -> str:
    hour, minute = int(match["hour"]), int(match["minute"])
    half = _half_day(match)
    name, twelve = plain_amount(hour), plain_amount((hour - 1) % 12 + 1)
    if not minute:
        full = [name] if half else [f"{name} o'clock", name, f"{name} hundred", twelve]
        return _several([*full, f"{name} o'clock"], [half, ""] if half else [""])
    minutes = plain_amount(minute)
    usual = f"oh {minutes}" if minute < 10 else minutes
    times = [f"{name} {usual}", f"{twelve} {usual}", f"{name} {minutes}"]
    past = {15: "quarter", 30: "half"}.get(minute, minutes)
    times += [f"{past} past {twelve}", f"a {past} past {twelve}"]
    to = "quarter" if minute == 45 else plain_amount(60 - minute)
    after = plain_amount(hour % 12 + 1)
    times += [f"{to} to {after}", f"a {to} to {after}"]
    if match["second"] is not None:
        seconds = plain_amount(int(match["second"]))
        return _several(times[:3], [seconds, f"and {seconds} seconds"], [half])
    return choice(*(f"{time} {half}".strip() for time in times))


def _hour(match: re.Match[str]) -> str:
    return f"{_several(numbers(match['hour']))} {_half_day(match)} "


def _with_unit(match: re.Match[str]) -> str:
    unit = TABLES["units"][match["unit"]]
    noun, *rest = unit.split(" ")
    many = " ".join([TABLES["plurals"].get(noun, plural(noun)), *rest])
    if unit == "kilowatt hour":
        many = "kilowatt hours"
    power = {"^2": "square ", "^3": "cubic "}.get(match["power"] or "", "")
    names = [f"{power}{name}" for name in ([unit, many] if _is_one(match) else [many, unit])]
    if match["unit"] == "m":
        names.append("million")
    if unit.startswith("degree "):
        names += [name.split()[0] for name in names] + [f"{many.split()[0]} {match['unit'][-1]}."]
    return f"{_several(_values(match), names)} "


def _scaled(match: re.Match[str]) -> str:
    letter = f"{match['scale'].lower()}."
    names = [TABLES["scales"][match["scale"]], letter]
    return _several(_values(match), names[::-1] if letter == "b." else names) + " "


def _feet_inches(match: re.Match[str]) -> str:
    feet, inches = plain_amount(int(match[1])), plain_amount(int(match[2]))
    return choice(f"{feet} foot {inches}", f"{feet} feet {inches} inches", f"{feet} {inches}") + " "


def _range(match: re.Match[str]) -> str:
    joint = choice(" to ", " ", " dash ", " minus ")
    values = _values(match) if match["fraction"] else numbers(match["whole"].replace(",", ""))
    return f"{_several(values)}{joint}{match['second']}"


def _decade(match: re.Match[str]) -> str:
    digits = match["digits"]
    if len(digits) == 4 and digits.endswith("00"):
        pairs = plain_amount(int(digits)) if digits[1] == "0" else years(digits)[0]
        return _several([plural(pairs)])
    return _several([plural(reading) for reading in numbers(digits)[:2]])


def _fraction(match: re.Match[str]) -> str:
    top, bottom = int(match["top"]), int(match["bottom"])
    plain = [f"{plain_amount(top)} {plain_amount(bottom)}"]
    plain += [f"{plain[0].replace(' ', ' over ', 1)}"] if " " in plain[0] else []
    plain += [f"{plain_amount(top)} slash {plain_amount(bottom)}"]
    plain += [f"{plain_amount(top)} out of {plain_amount(bottom)}"]
    if not 0 < top < bottom or bottom > 20:
        if match["whole"]:
            return match[0]
        return _several(plain)
    names = [_DENOMINATORS.get(bottom, plain_ordinal(bottom)), plain_ordinal(bottom)]
    if bottom == 2:
        names = ["half"]
    if top > 1:
        names = ["halves" if name == "half" else plural(name) for name in names]
    parts = [f"{plain_amount(top)} {name}" for name in names]
    if top == 1:
        parts = [parts[0], f"a {names[0]}", f"{names[0]} a", f"{names[0]} an", names[0], *parts[1:]]
    if match["whole"]:
        first = [parts[1], parts[0]] if top == 1 else parts
        return _several([f"{value} and" for value in amounts(match["whole"])[:1]], first)
    return _several([*parts, *plain] if bottom <= 10 else [*plain, *parts])


def _phone(match: re.Match[str]) -> str:
    groups = re.findall(r"\d+", match[0])
    plus = "plus " * match[0].startswith("+")
    said = [digit_by_digit(group)[0] for group in groups]
    plain = " ".join(said)
    hundreds = " ".join([*amounts(groups[0])[:1], *said[1:]])
    return plus + _several([plain, plain.replace("zero", "oh"), hundreds])


def _spaced_groups(match: re.Match[str]) -> str:
    groups = match[0].split(" ")
    return _several([*amounts("".join(groups)), " ".join(numbers(group)[0] for group in groups)])


def _dotted(match: re.Match[str]) -> str:
    groups = match[0].split(".")
    parts = [numbers(group)[0] for group in groups]
    singles = [digit_by_digit(group)[0] for group in groups]
    return choice(
        *(f" {dot} ".join(words) for words in (parts, singles) for dot in ("point", "dot"))
    )


def _ordinal(match: re.Match[str]) -> str:
    return _several(ordinals(match["digits"].replace(",", "")))


def _plain(match: re.Match[str]) -> str:
    if match["fraction"]:
        return _several(_values(match))
    is_grouped = "," in match["whole"]
    digits = match["whole"].replace(",", "")
    return _several(amounts(digits) if is_grouped else numbers(digits))


def _rule(pattern: str, reader: Callable[[re.Match[str]], str]) -> Rule:
    return re.compile(pattern), reader


RULES: tuple[Rule, ...] = (
    _rule(r"(?<![\w/-])(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)(?![\w-])", _iso_date),
    _rule(
        r"(?<![\w/.-])(?P<first>\d{1,2})([/.-])(?P<second>\d{1,2})\2(?P<year>\d{4}|\d\d)(?![\w/-]|\.\d)",
        _date_in_figures,
    ),
    _rule(
        rf"\b(?P<month>{_MONTHS})\s(?:the\s)?(?P<day>[12]?\d|3[01])(?:st|nd|rd|th)?"
        rf"(?:\s?-\s?(?P<last>[12]?\d|3[01])(?:st|nd|rd|th)?)?(?![\d:]|[.,]\d|\s?[ap]\.?m\b)"
        r"(?:(?:,\s?|\s)(?P<year>\d{4})\b(?!:))?",
        _american_date,
    ),
    _rule(
        rf"(?:\b[tT]he\s)?(?<![\d.,/-])\b(?P<day>[12]?\d|3[01])(?:st|nd|rd|th)?\s(?:of\s)?"
        rf"(?P<month>{_MONTHS})(?!\w)(?:,?\s(?P<year>\d{{4}})\b)?",
        _british_date,
    ),
    _rule(
        rf"(?<![\d:])(?P<hour>[01]?\d|2[0-4])[:](?P<minute>[0-5]\d)(?:[:](?P<second>[0-5]\d))?"
        rf"(?![\d:]){_TIME_AFTER}",
        _time,
    ),
    _rule(
        rf"(?<![\d:.,])(?P<hour>1?\d|2[0-4])\.(?P<minute>[0-5]\d)(?P<second>(?!))?{_AMPM}", _time
    ),
    _rule(rf"(?<![\d:.,])(?P<hour>1?\d|2[0-4]){_AMPM}", _hour),
    _rule(
        rf"(?P<sign>{_SIGNS})\s?(?P<first>{_NUMBER})\s?-\s?(?:{_SIGNS})?(?P<second>(?:{_NUMBER}))",
        _money_range,
    ),
    _rule(rf"(?P<sign>{_SIGNS})\s?{_DECIMAL}(?:[\s-]?(?P<scale>{_SCALES})\b)?", _money),
    _rule(
        rf"(?<![\d.,]){_DECIMAL}(?:\s?(?P<scale>{_SCALES}))?\s?(?P<sign>{_SIGNS})(?!\w|[\s.]?\d)",
        _money,
    ),
    _rule(
        rf"(?<![\d.,])(?:{_DECIMAL}\s?(?P<sign>\u00a2))|(?<![\d.,])(?P<pence>\d{{1,3}})p\b",
        _small_money,
    ),
    _rule(rf"(?<![\w.,]){_DECIMAL}(?P<scale>k|K|M|bn|B|mn|tn)\b", _scaled),
    _rule(
        r"(?<![\d'])(\d)(?:'|\s?ft\.?|\s?feet|\s?foot)\s?(\d{1,2})"
        r"(?:\"|''|\s?in\b\.?|\s?inches)?(?![\w'])",
        _feet_inches,
    ),
    _rule(r"(?<=\d)\"(?=[ -][a-z])", lambda _: choice("", " inch", " inches")),
    _rule(r"(?<![\d.,])\d{1,3}(?: \d{3})+(?![\d.,:/-])", _spaced_groups),
    _rule(r"(?<![\w-])(?:\+\d{1,3}[ -])?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?![\w-])", _phone),
    _rule(r"(?<![\w.-])\d{3}-\d{4}(?![\w-])", _phone),
    _rule(r"(?<![\w.])\d+(?:\.\d+){2,}(?!\w)", _dotted),
    _rule(rf"(?<![\w.,$-]){_DECIMAL}\s?-\s?(?P<second>\d)", _range),
    _rule(r"(?<![\w.])-(?=\.?\d)", lambda _: choice("minus ", "negative ")),
    _rule(
        rf"(?<![\w.,/]){_DECIMAL}[ -]?(?P<unit>{_UNITS})(?P<power>\^[23])?(?![\w/\u00b0])",
        _with_unit,
    ),
    _rule(r"'?(?P<digits>\d{2}(?:\d\d)?)'?s\b", _decade),
    _rule(r"(?<![\w'])'(?P<digits>\d\d)\b", lambda m: _several(_year_readings(m["digits"]))),
    _rule(
        r"(?<![\w./])(?:(?P<whole>\d+)[ -])?(?P<top>\d{1,3})/(?P<bottom>\d{1,3})(?![\w/])",
        _fraction,
    ),
    _rule(r"(?<![\d.,])(?P<digits>[\d,]*\d)(?:st|nd|rd|th)\b", _ordinal),
    _rule(r"(?<=\d):(?=\d)", lambda _: choice(" to ", " ", " by ")),
    _rule(r"(?<=\d)\s?[x\u00d7*]\s?(?=\d)", lambda _: choice(" by ", " times ", " x. ")),
    _rule(r"(?<=\d)\s/\s(?=\d)", lambda _: choice(" divided by ", " over ", " slash ", " ")),
    _rule(r">\s?(?=\d)", lambda _: " greater than "),
    _rule(r"<\s?(?=\d)", lambda _: " less than "),
    _rule(r"(?<=\d)x\b", lambda _: choice(" times", " x.")),
    _rule(_DECIMAL, lambda match: f" {_plain(match)} "),
)


def read_figures(text: str) -> str:
    """Writes all figures as words.

    Args:
        text: Plain characters, without markup.

    Returns:
        Text without digits 0 to 9, with choices; see `evals.text.choices`.
    """
    if not re.search(r"\d", text):
        return text
    for pattern, reader in RULES:
        text = pattern.sub(reader, text)
    return text
