"""Verbalises dates, times of day and days of the week."""

import re
from functools import cache

from evals.text.choices import choice, several
from evals.text.quantities import YEARS, numbers, plain_amount, plain_ordinal, years
from evals.text.rules import RewriteRule, rule
from evals.text.tables import TABLES

_MONTHS = "|".join(f"{name}|{short}\\.?" for name, short in TABLES["months"].items())
_MERIDIEM = r"\s?[aApP]\.?\s?[mM]\b\.?"
_AMPM = r"\s?(?P<half>[aApP])\.?\s?[mM]\b\.?"
_TIME_AFTER = rf"(?:{_AMPM})?"


def until() -> str:
    """Readings of the dash in a range."""
    return choice(" to ", " ", " through ", " until ")


def year_readings(digits: str | None) -> list[str]:
    """Readings of a year of two or four digits; empty without digits."""
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
        return f"{several(days)} to {several([plain_ordinal(int(last)), plain_amount(int(last))])} "
    return several([*days, *_day_month(month, match["day"])], year_readings(match["year"]))


def _british_date(match: re.Match[str]) -> str:
    month = _month(match["month"])
    days = [*_day_month(month, match["day"]), *_month_day(month, match["day"])]
    return several(days, year_readings(match["year"]))


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
    return several(
        [*days, f"{plain_amount(first)} {plain_amount(second)}"], year_readings(match["year"])
    )


def _iso_date(match: re.Match[str]) -> str:
    month, day = int(match["month"]), match["day"]
    if not 1 <= month <= 12:
        return match[0]
    name = list(TABLES["months"])[month - 1]
    return several(
        [*_month_day(name, day)[:1], *_day_month(name, day)[:1]], year_readings(match["year"])
    )


def _half_day(match: re.Match[str]) -> str:
    return f"{match['half'].lower()}. m." if match["half"] else ""


def _time(match: re.Match[str]) -> str:
    hour, minute = int(match["hour"]), int(match["minute"])
    half = _half_day(match)
    name, twelve = plain_amount(hour), plain_amount((hour - 1) % 12 + 1)
    if not minute:
        full = [name] if half else [f"{name} o'clock", name, f"{name} hundred", twelve]
        return several([*full, f"{name} o'clock"], [half, ""] if half else [""])
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
        return several(times[:3], [seconds, f"and {seconds} seconds"], [half])
    return choice(*(f"{time} {half}".strip() for time in times))


def _hour(match: re.Match[str]) -> str:
    return f"{several(numbers(match['hour']))} {_half_day(match)} "


DATE_RULES: tuple[RewriteRule, ...] = (
    rule(r"(?<![\w/-])(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)(?![\w-])", _iso_date),
    rule(
        r"(?<![\w/.-])(?P<first>\d{1,2})([/.-])(?P<second>\d{1,2})\2(?P<year>\d{4}|\d\d)(?![\w/-]|\.\d)",
        _date_in_figures,
    ),
    rule(
        rf"\b(?P<month>{_MONTHS})\s(?:the\s)?(?P<day>[12]?\d|3[01])(?:st|nd|rd|th)?"
        rf"(?:\s?-\s?(?P<last>[12]?\d|3[01])(?:st|nd|rd|th)?)?(?![\d:]|[.,]\d|\s?[ap]\.?m\b)"
        r"(?:(?:,\s?|\s)(?P<year>\d{4})\b(?!:))?",
        _american_date,
    ),
    rule(
        rf"(?:\b[tT]he\s)?(?<![\d.,/-])\b(?P<day>[12]?\d|3[01])(?:st|nd|rd|th)?[\s-](?:of\s)?"
        rf"(?P<month>{_MONTHS})(?!\w)(?:,?[\s-](?P<year>\d{{4}})\b)?",
        _british_date,
    ),
    rule(
        rf"(?P<start>(?<![\d:.,/-])(?:\d\d?:[0-5]\d(?:{_MERIDIEM})?|\d\d?{_MERIDIEM}))\s?-\s?"
        r"(?=\d|noon\b|midnight\b)",
        lambda m: f"{m['start']}{until()}",
    ),
    rule(
        rf"(?<![\d:.,/-])(?P<start>\d\d?)\s?-\s?(?=\d\d?(?::[0-5]\d(?!\d)|{_MERIDIEM}))",
        lambda m: f"{m['start']}{until()}",
    ),
    rule(
        rf"(?<![\d:])(?P<hour>[01]?\d|2[0-4])[:](?P<minute>[0-5]\d)(?:[:](?P<second>[0-5]\d))?"
        rf"(?![\d:]){_TIME_AFTER}",
        _time,
    ),
    rule(rf"(?<![\d:.,])(?P<hour>1?\d|2[0-4])\.(?P<minute>[0-5]\d)(?P<second>(?!))?{_AMPM}", _time),
    rule(rf"(?<![\d:.,])(?P<hour>1?\d|2[0-4]){_AMPM}", _hour),
)
