"""Removes what a transcript contains but nobody says: tags, stage directions, speaker names."""

import html
import re

from evals.text.choices import choice
from evals.text.quantities import plain_amount
from evals.text.tables import TABLES

# An unclosed bracket is matched once, to the end, and kept: time grows linearly with the length.
_COMMENT = re.compile(r"(<!--.*?-->)|<!--.*", re.DOTALL)
_TAG = re.compile(r"<\|[^|<>]*\|>|</?[A-Za-z][^<>]*>")
_BRACKETS = re.compile(r"\[[^\[\]]*\]")
_DOUBLE = re.compile(r"\{\{?[^{}]*\}?\}")
_ASIDE = re.compile(r"\(([^()]*)\)|(?<!\*)\*++([^*\n]+)\*+")
_TIMESTAMPS = re.compile(
    r"^(?:\d+\n)?\d\d:\d\d(?::\d\d)?[.,]\d+ *--> *\d\d:\d\d(?::\d\d)?[.,]\d+.*$|^WEBVTT.*$",
    re.MULTILINE,
)
_LABEL = re.compile(
    r"^[ \t]*(?:- ?|>> ?)?(?P<name>[^\W\d_][\w.' ]{0,24}?(?: ?#?\d{1,2})?)[ \t]*:(?=\s)[ \t]*",
    re.MULTILINE,
)
_DIRECTIONS = frozenset(TABLES["directions"])
_WITH_DIRECTIONS = frozenset(
    "a and as deep deeply for her his in long loud my short soft the then to with".split()  # noqa: SIM905
)
_MOST_DIRECTION_WORDS = 4


def without_markup(text: str) -> str:
    """Removes markup.

    Args:
        text: Plain characters, see `evals.text.characters`.

    Returns:
        Text; a name before a colon that may be a speaker's becomes a choice.
    """
    text = html.unescape(text) if "&" in text else text
    text = _TIMESTAMPS.sub(" ", text)
    text = _COMMENT.sub(lambda match: " " if match[1] else match[0], text)
    for pattern in (_TAG, _BRACKETS, _DOUBLE):
        text = pattern.sub(" ", text)
    text = _ASIDE.sub(_aside, text)
    return _LABEL.sub(_label, text)


def _aside(match: re.Match[str]) -> str:
    """Removes a stage direction and keeps other words in parentheses or asterisks.

    Ambiguous ones become a choice: ``(slowly)``, ``*nothing*``, ``(don't cry)``.
    """
    inside = match[1] or match[2] or ""
    words = re.findall(r"[a-z']+", inside.lower())
    if not words and any(char.isdigit() for char in inside):
        return match[0]  # e.g. the area code of a telephone number
    directions = _DIRECTIONS.intersection(words)
    is_manner = [word.endswith(("ing", "ly", "ghs")) for word in words]
    if not words or (directions and _only_directions(words)):
        return " "
    words_inside = f", {inside}, " if match[1] else inside
    is_short = len(words) <= _MOST_DIRECTION_WORDS
    if match[0].startswith("**") or not is_short or any(map(str.isdigit, inside)):
        return words_inside
    return choice("", words_inside) if directions or is_manner == [True] else words_inside


def _only_directions(words: list[str]) -> bool:
    """Whether the words only name a sound or manner: ``laughs nervously``."""
    return all(
        word in _DIRECTIONS or word in _WITH_DIRECTIONS or word.endswith(("ing", "ly"))
        for word in words
    )


def _label(match: re.Match[str]) -> str:
    """Removes a speaker's name in capitals or a role; what may be said becomes a choice.

    ``Anna:`` and ``Chapter 1:`` may be.
    """
    name = match["name"]
    words = name.lower().split()
    if words[0] in TABLES["spoken_labels"] or len(words) > 3:
        return match[0]
    if words[0] in TABLES["speakers"] or (name.isupper() and len(name) > 1):
        return ""
    if not all(word[0].isupper() or word.isdigit() for word in name.split()):
        return match[0]
    # Numbers are read now: a choice must not come to lie in another.
    said = re.sub(r"\d+", lambda number: f" {plain_amount(int(number[0]))} ", name.lower())
    return choice("", f"{' '.join(said.split())}, ")
