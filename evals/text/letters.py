"""Verbalises abbreviations, initials, addresses and symbols."""

import re
from collections.abc import Callable

from evals.text.choices import choice, outside_choices
from evals.text.quantities import plain_amount, plain_ordinal
from evals.text.rules import RewriteRule, rewrite, rule
from evals.text.tables import TABLES

_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50}
_ROMAN_NUMBER = r"(?=[IVXL])(?:XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
_EXPANSIONS = {name.lower(): words for name, words in TABLES["abbreviations"].items()}
_HOUR_WORDS = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|thirty|forty[ -]five"
)
_WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAYS = "Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun"
_DOMAINS = "com|org|net|edu|gov|io|ai|co|uk|de|fr|eu|info|tv|app|dev|ca|au"


_CAPITALS = re.compile(r"(?<![\w'])(?P<word>[A-Z]{2,6}|PhD)(?P<ending>'?s)?(?![\w'])")


def _one_of(words: list[str]) -> str:
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))


def spelled(letters: str) -> str:
    """Returns letters said one by one, each with a full stop: ``f. b. i.``."""
    return " ".join(f"{letter.lower()}." for letter in letters if letter.isalpha())


def roman_value(numeral: str) -> int:
    """Returns the value of a Roman numeral below 90."""
    values = [_ROMAN[letter] for letter in numeral]
    after = [*values[1:], 0]
    return sum(-v if v < a else v for v, a in zip(values, after, strict=True))


def _address(match: re.Match[str]) -> str:
    text = re.sub(r"^https?://", "", match[0])
    for sign, word in (
        (".", " dot "),
        ("@", " at "),
        ("/", " slash "),
        ("_", " underscore "),
        ("-", " dash "),
    ):
        text = text.replace(sign, word)
    return re.sub(r"^www\b", "w. w. w.", text, flags=re.IGNORECASE)


def _abbreviation(match: re.Match[str]) -> str:
    words = _EXPANSIONS.get(match["short"].lower()) or TABLES["with_period"][match["short"]]
    return choice(*words.split("|"))


def _number_sign(match: re.Match[str]) -> str:
    return "number " if match["dot"] or match["plural"] else choice("number ", f"{match['no']} ")


def _regnal(match: re.Match[str]) -> str:
    value = roman_value(match["roman"])
    readings = [f"the {plain_ordinal(value)}", plain_amount(value), spelled(match["roman"])]
    if match["before"].title() in TABLES["numbered"]:
        readings = [readings[1], match["roman"].lower(), readings[0], readings[2]]
    elif match["before"] not in TABLES["regnal"]:
        readings = [match["roman"].lower(), *readings]
    return f"{match['before']} {choice(*readings)}"


def _dotted(match: re.Match[str]) -> str:
    letters = match[0].replace(".", "").replace(" ", "")
    return choice(spelled(letters), letters) if len(letters) > 1 else spelled(letters)


def _capitals(is_shouted: bool) -> Callable[[re.Match[str]], str]:
    """Returns a replacement for words in capitals: spelled if known as initials or vowelless."""

    def read(match: re.Match[str]) -> str:
        word, ending = match["word"], match["ending"] or ""
        letters = spelled(word)
        if ending:
            letters = f"{letters[:-1]}'s"
        is_known = word in TABLES["initialisms"]
        if is_shouted:
            is_known = is_known and word not in TABLES["ambiguous_initialisms"]
            return choice(letters, match[0]) if is_known else match[0]
        has_vowel = any(letter in "AEIOUY" for letter in word)
        if is_known or not has_vowel:
            return choice(letters, match[0])
        return choice(match[0], letters)

    return read


def _day(written: str) -> str:
    """Full name of a day of the week, e.g. of ``Thurs``."""
    return next(day for day in _WEEK if day.startswith(written[:3]))


def _slash(match: re.Match[str]) -> str:
    return choice(" ", " slash ", " or ", " per ")


BEFORE_FIGURES: tuple[RewriteRule, ...] = (
    rule(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,9}\b|https?://[^\s,;]+[\w/]", _address),
    rule(
        rf"\b(?:www\.)?(?:[a-zA-Z0-9-]{{1,63}}\.){{1,9}}(?:{_DOMAINS})\b(?:/[\w/.-]*\w)?", _address
    ),
    rule(r"\b(?:OK|Ok|ok|O\.K\.|o\.k\.)(?=\W|$)", "okay"),
    rule(r"\bPh\.?\s?D\b\.?", "p. h. d."),
    rule(r"(?<=\w)\s?'n'?\s(?=\w)|(?<=[a-z]) n (?=[a-z])", lambda _: choice(" and ", " n ")),
    rule(r"(?<!\w)[wW]/o(?!\w)", "without"),
    rule(r"(?<!\w)[wW]/(?=\s|\w{3})", "with "),
    rule(r"(?<!\w)'[cC](?:ause|uz|os)\b", lambda _: choice("cause", "because")),
    rule(r"(?<!\w)'[eE]m\b", lambda _: choice("em", "them")),
    rule(
        r"\b(?P<stem>[A-Za-z][a-z]+)in'(?!\w)",
        lambda m: choice(f"{m['stem']}in", f"{m['stem']}ing"),
    ),
    rule(r"(?<=[sxz])'s\b", lambda _: choice("'s", "'")),
    rule(r"\bU\.?S\.? (?=dollars?\b)", lambda _: choice("u. s. ", "")),
    rule(r"(?<![\w.])[vV](?=\d)", lambda _: choice("v ", "version ")),
    rule(r"\bCO2\b", "c. o. 2"),
    rule(
        rf"\b(?P<first>{_DAYS})\.?\s?-\s?(?P<last>{_DAYS})\b\.?",
        lambda m: f"{_day(m['first'])}{choice(' to ', ' ', ' through ')}{_day(m['last'])}",
    ),
    rule(rf"\b(?P<day>{_DAYS})(?:\.,?|,)(?=\s\d)", lambda m: _day(m["day"])),
    rule(
        rf"\b(?P<short>{_one_of(list(TABLES['before_numbers']))})\.\s?(?=\d)",
        lambda m: f"{TABLES['before_numbers'][m['short']]} ",
    ),
    rule(r"\b(?:USD|US\$)\s?(?=\d)", "$"),
    rule(r"\b(?P<no>[Nn]o)(?P<plural>s)?(?P<dot>\.)?\s?(?=\d)", _number_sign),
    rule(r"#\s?(?=\d)", "number "),
    rule(r"#(?=[A-Za-z])", choice("hashtag ", "")),
    rule(r"(?<=[a-z]\s)Dr\b(?!\.?\s?[A-Z])\.?", lambda _: choice("drive", "doctor")),
    rule(r"\bDr\b\.?", lambda _: choice("doctor", "drive")),
    rule(r"(?<=\w\s)St\b(?!\.?\s?[A-Z])\.?", lambda _: choice("street", "saint")),
    rule(r"\bSt\b\.?", lambda _: choice("saint", "street")),
    rule(
        rf"(?<=\w\s)(?P<short>{_one_of(list(TABLES['streets']))})\b(?:\.|(?=[\s,]*$|,))",
        lambda m: TABLES["streets"][m["short"]],
    ),
    rule(rf"\b(?P<short>{_one_of(TABLES['without_period'])})\b\.?", _abbreviation),
    rule(
        rf"\b(?P<short>{_one_of([*TABLES['with_period'], 'Ft', 'v', 'Messrs'])})\.(?!\w)",
        _abbreviation,
    ),
    rule(
        r"\b(?P<month>Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.(?!\s?\d{1,2}\b)",
        lambda m: next(n for n, s in TABLES["months"].items() if re.fullmatch(s, m["month"])),
    ),
    rule(
        rf"\b(?P<before>[A-Za-z][a-z]+)\s(?P<roman>{_ROMAN_NUMBER})\b(?!['.]\w)",
        lambda m: _regnal(m) if _is_regnal(m) else m[0],
    ),
)
AFTER_FIGURES: tuple[RewriteRule, ...] = (
    rule(
        r"\b(?P<half>[ap])(?:\.\s?|\s)m\b\.?(?!\w)|\b(?P<word>[pP][mM])\b|\b(?<!\w)A\.?M\.?(?!\w)",
        lambda m: f"{'p' if (m['half'] or m[0][0]).lower() == 'p' else 'a'}. m.",
    ),
    rule(
        rf"\b(?P<number>{_HOUR_WORDS}) am\b(?! [a-z]+ing)",
        lambda m: f"{m['number']} a. m.",
    ),
    rule(r"\b[A-Za-z](?:\.[A-Za-z])+(?:\.|\b)|(?<![\w.'])[A-Z](?: [A-Z]){2,}(?![\w'])", _dotted),
    rule(r"(?<![\w'])(?:(?![AI])[A-Z])(?![\w'.])", lambda m: spelled(m[0])),
    rule(r"(?<=\w)[ ]?&[ ]?(?=\w)", " and "),
    rule(r"(?<=[\w\ue002]) ?/ ?(?=\w)", _slash),
    rule(r"~\s?(?=[\w\ue000])", choice("about ", "approximately ", "")),
    *(rule(re.escape(sign), f" {word} ") for sign, word in TABLES["symbols"].items()),
)


def _is_regnal(match: re.Match[str]) -> bool:
    before, roman = match["before"], match["roman"]
    if not roman:
        return False
    return (
        len(roman) > 1
        or before.title() in TABLES["numbered"]
        or (before in TABLES["regnal"] and roman != "I")
    )


def read_short_forms(text: str) -> str:
    """Expands abbreviations and addresses; runs before `read_figures`."""
    return rewrite(text, BEFORE_FIGURES)


def read_letters_and_signs(text: str) -> str:
    """Spells out initials and symbols; runs after `read_figures`."""
    text = rewrite(text, AFTER_FIGURES)
    letters = [char for char in text if char.isalpha()]
    is_shouted = sum(map(str.isupper, letters)) > 0.6 * len(letters)
    return outside_choices(text, lambda part: _CAPITALS.sub(_capitals(is_shouted), part))
