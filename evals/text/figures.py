"""Verbalises figures: money, dates, times, units, ranges and plain numbers.

Each rule matches one notation and returns it in words, with its other usual readings. Rules run
in order; the output of a rule contains no digits.
"""

import re

from evals.text.choices import choice, several
from evals.text.dates import DATE_RULES, until, year_readings
from evals.text.quantities import (
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
from evals.text.rules import RewriteRule, rewrite, rule
from evals.text.tables import TABLES

_NUMBER = r"\d{1,3}(?:,\d{3})+|\d+"
_DECIMAL = rf"(?P<whole>{_NUMBER}|(?<!\d)(?=\.\d))(?:\.(?P<fraction>\d+))?"
_SCALES = "|".join(("thousand", "million", "billion", "trillion", *TABLES["scales"]))
_SIGNS = "|".join(map(re.escape, sorted(TABLES["currencies"], key=len, reverse=True)))
_UNITS = "|".join(map(re.escape, sorted(TABLES["units"], key=len, reverse=True)))
_DENOMINATORS = {2: "half", 4: "quarter"}


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
        return f" {several(_values(match), [scale], [many, one])} "
    if len(fraction) != 2:
        names = [one, many] if _is_one(match) else [many, one]
        return f" {several(_values(match), names)} "
    small = int(fraction)
    end = f"{plain_amount(small)} {cent if small == 1 else cents}"
    if not int(whole or 0):
        return f" {several([end, *(f'{value} {many}' for value in _values(match))])} "
    value, name = amounts(whole)[0], one if whole == "1" else many
    if not small:
        return f" {several(amounts(whole), [name])} "
    short = f"oh {plain_amount(small)}" if small < 10 else plain_amount(small)
    points = [f"{point} {many}" for point in decimals(whole, fraction)[:2]]
    return " " + choice(
        f"{value} {name} and {end}", f"{value} {name} {end}", f"{value} {name} {short}",
        f"{value} {name} and {short}", f"{value} {short}", *points,
    ) + " "  # fmt: skip


def _minus(_: re.Match[str]) -> str:
    return choice("minus ", "negative ")


def _money_range(match: re.Match[str]) -> str:
    first = several(numbers(match["first"].replace(",", "")))
    return f"{first} to {match['sign']}{match['second']}"


def _decimal_comma(match: re.Match[str]) -> str:
    return f"{match['whole'] or ''}."


def _small_money(match: re.Match[str]) -> str:
    if match["pence"]:
        return f" {several(amounts(match['pence']), ['pence', 'p.'])} "
    return f" {several(_values(match), ['cent'] if _is_one(match) else ['cents', 'cent'])} "


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
    if unit == "kilogram":
        names += ["kilo", "kilos"]
    if " per " in unit:
        names += [name.replace(" per hour", " an hour").replace(" per ", " a ") for name in names]
    if unit.startswith("degree "):
        names += [name.split()[0] for name in names] + [f"{many.split()[0]} {match['unit'][-1]}."]
    return f"{several(_values(match), names)} "


def _scaled(match: re.Match[str]) -> str:
    letter = f"{match['scale'].lower()}."
    names = [TABLES["scales"][match["scale"]], letter]
    return several(_values(match), names[::-1] if letter == "b." else names) + " "


def _power(match: re.Match[str]) -> str:
    power = int(match["power"])
    nth, number = plain_ordinal(power), plain_amount(power)
    named = {2: [" squared"], 3: [" cubed"]}.get(power, [])
    return choice(*named, f" to the {nth}", f" to the power of {number}", f" to the {number}") + " "


def _feet_inches(match: re.Match[str]) -> str:
    feet, inches = plain_amount(int(match[1])), plain_amount(int(match[2]))
    return choice(f"{feet} foot {inches}", f"{feet} feet {inches} inches", f"{feet} {inches}") + " "


def _range(match: re.Match[str]) -> str:
    joint = choice(" to ", " ", " through ", " dash ", " minus ")
    values = _values(match) if match["fraction"] else numbers(match["whole"].replace(",", ""))
    return f"{several(values)}{joint}{match['second']}"


def _decade(match: re.Match[str]) -> str:
    digits = match["digits"]
    if len(digits) == 4 and digits.endswith("00"):
        pairs = plain_amount(int(digits)) if digits[1] == "0" else years(digits)[0]
        return several([plural(pairs)])
    return several([plural(reading) for reading in numbers(digits)[:2]])


def _fraction(match: re.Match[str]) -> str:
    top, bottom = int(match["top"]), int(match["bottom"])
    plain = [f"{plain_amount(top)} {plain_amount(bottom)}"]
    plain += [f"{plain[0].replace(' ', ' over ', 1)}"] if " " in plain[0] else []
    plain += [f"{plain_amount(top)} slash {plain_amount(bottom)}"]
    plain += [f"{plain_amount(top)} out of {plain_amount(bottom)}"]
    if not 0 < top < bottom or bottom > 20:
        if match["whole"]:
            return match[0]
        return several(plain)
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
        return several([f"{value} and" for value in amounts(match["whole"])[:1]], first)
    return several([*parts, *plain] if bottom <= 10 else [*plain, *parts])


def _phone(match: re.Match[str]) -> str:
    groups = re.findall(r"\d+", match[0])
    plus = "plus " * match[0].startswith("+")
    spelled = [digit_by_digit(group)[0] for group in groups]
    plain = " ".join(spelled)
    hundreds = " ".join([*amounts(groups[0])[:1], *spelled[1:]])
    is_round = [len(group) == 3 and group.endswith("00") for group in groups]
    rounded = " ".join(
        amounts(group)[0] if whole else words
        for group, whole, words in zip(groups, is_round, spelled, strict=True)
    )
    return plus + several([plain, plain.replace("zero", "oh"), hundreds, rounded])


def _spaced_groups(match: re.Match[str]) -> str:
    groups = match[0].split(" ")
    return several([*amounts("".join(groups)), " ".join(numbers(group)[0] for group in groups)])


def _dotted(match: re.Match[str]) -> str:
    groups = match[0].split(".")
    parts = [numbers(group)[0] for group in groups]
    is_sum = len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])
    singles = [digit_by_digit(group)[0] for group in groups]
    return choice(
        *(f" {dot} ".join(words) for words in (parts, singles) for dot in ("point", "dot")),
        *(amounts("".join(groups)) if is_sum else ()),
    )


def _ordinal(match: re.Match[str]) -> str:
    return several(ordinals(match["digits"].replace(",", "")))


def _plain(match: re.Match[str]) -> str:
    if match["fraction"]:
        return several(_values(match))
    is_grouped = "," in match["whole"]
    digits = match["whole"].replace(",", "")
    return several(amounts(digits) if is_grouped else numbers(digits))


RULES: tuple[RewriteRule, ...] = (
    *DATE_RULES,
    rule(rf"(?<![\w.])-(?=(?:{_SIGNS})\s?\.?\d)", _minus),
    rule(
        r"(?<=\d),(?=\d\d\s?(?:\u20ac|EUR))|(?<=\u20ac)(?P<whole>\d+),(?=\d\d(?!\d))",
        _decimal_comma,
    ),
    rule(
        rf"(?P<sign>{_SIGNS})\s?(?P<first>{_NUMBER})\s?-\s?(?:{_SIGNS})?(?P<second>(?:{_NUMBER}))",
        _money_range,
    ),
    rule(rf"(?P<sign>{_SIGNS})\s?{_DECIMAL}(?:[\s-]?(?P<scale>{_SCALES})\b)?", _money),
    rule(
        rf"(?<![\d.,]){_DECIMAL}(?:\s?(?P<scale>{_SCALES}))?\s?(?P<sign>{_SIGNS})(?!\w|[\s.]?\d)",
        _money,
    ),
    rule(
        rf"(?<![\d.,])(?:{_DECIMAL}\s?(?P<sign>\u00a2))|(?<![\d.,])(?P<pence>\d{{1,3}})p\b",
        _small_money,
    ),
    rule(rf"(?<![\w.,]){_DECIMAL}(?P<scale>k|K|M|bn|B|mn|tn)\b", _scaled),
    rule(
        r"(?<![\d'])(\d)(?:'|\s?ft\.?|\s?feet|\s?foot)\s?(\d{1,2})"
        r"(?:\"|''|\s?in\b\.?|\s?inches)?(?![\w'])",
        _feet_inches,
    ),
    rule(r"(?<=\d)\"(?=[ -][a-z])", lambda _: choice("", " inch", " inches")),
    rule(r"(?<!\w)\+\d{1,3}(?:[ -]\d{2,4}){2,5}(?![\w-])", _phone),
    rule(r"(?<![\d.,])\d{1,3}(?: \d{3})+(?![\d.,:/-])", _spaced_groups),
    rule(r"(?<![\w-])(?:\+\d{1,3}[ -]|1-)?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?![\w-])", _phone),
    rule(r"(?<![\w.-])\d{3}-\d{4}(?![\w-])", _phone),
    rule(r"(?<![\w.])\d+(?:\.\d+){2,}(?!\w)", _dotted),
    rule(r"(?<=\d)\s?(?:%|\u00b0)-(?=\d)", lambda m: choice(f"{m[0][:-1]} to ", " to ", " ")),
    rule(rf"(?<=\d)(?P<unit>\s?(?:{_UNITS}))-(?=\d)", lambda m: f"{m['unit']}{until()}"),
    rule(rf"(?<![\w.,$-]){_DECIMAL}\s?-\s?(?P<second>\d)", _range),
    rule(r"(?<![\w.])-(?=\.?\d)", _minus),
    rule(
        rf"(?<![\w.,/]){_DECIMAL}[ -]?(?P<unit>{_UNITS})(?P<power>\^[23])?(?![\w/\u00b0])",
        _with_unit,
    ),
    rule(r"'?(?P<digits>\d{2}(?:\d\d)?)'?s\b", _decade),
    rule(r"(?<![\w'])'(?P<digits>\d\d)\b", lambda m: several(year_readings(m["digits"]))),
    rule(
        r"(?<![\w./])(?:(?P<whole>\d+)[ -])?(?P<top>\d{1,3})/(?P<bottom>\d{1,3})(?![\w/])",
        _fraction,
    ),
    rule(r"(?<![\d.,])(?P<digits>[\d,]*\d)(?:st|nd|rd|th)\b", _ordinal),
    rule(r"(?<=\d):(?=\d)", lambda _: choice(" to ", " ", " by ")),
    rule(r"(?<=\d)\s?[x\u00d7*]\s?(?=\d)", lambda _: choice(" by ", " times ", " x. ")),
    rule(r"(?<=\d)\s/\s(?=\d)", lambda _: choice(" divided by ", " over ", " slash ", " ")),
    rule(r">\s?(?=\d)", lambda _: choice(" greater than ", " is greater than ")),
    rule(r"<\s?(?=\d)", lambda _: choice(" less than ", " is less than ")),
    rule(r"(?<=\w)\^(?P<power>\d{1,3})(?!\w)", _power),
    rule(r"(?<=\d)x\b", lambda _: choice(" times", " x.")),
    rule(_DECIMAL, lambda match: f" {_plain(match)} "),
)


def read_figures(text: str) -> str:
    """Replaces all figures with words.

    Args:
        text: Plain characters, without markup.

    Returns:
        Text without digits 0 to 9, with choices; see `evals.text.choices`.
    """
    return rewrite(text, RULES) if re.search(r"\d", text) else text
