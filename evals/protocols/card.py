"""Protocol cards: what the code of a protocol cannot say, one TOML file a protocol or family.

A card holds the title, the citations, the protocol in words, what its numbers may be compared with,
and a recipe: a paragraph for a methods section. Settings, weights and hashes are not repeated in a
card: the recipe has placeholders such as ``{window_s}``, see `fill`, which are filled from the
metric and its extractors.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

from streamchar_ref.core.errors import InputError

CARDS = Path(__file__).parent / "cards"
REFERENCES = Path(__file__).parent
HOW_TO_ADD = (
    "a protocol gets a card by a TOML file evals/protocols/cards/METRIC.PROTOCOL.toml with its id "
    "as `protocol`, or by its id in the list `protocols` of its family's file"
)
_ENTRY = re.compile(r"^@\w+\{([^,\s]+),.*?^\}$", re.M | re.S)


@dataclass(frozen=True, kw_only=True)
class Card:
    """What there is to say of a protocol beside its settings.

    Attributes:
        protocols: Ids, e.g. ``wer/whisper-base@2``; a family shares one card, and where its ids
            are not known beforehand, they are patterns such as ``wer/asr:*@1``.
        title: What is measured, in a line.
        cites: Keys in ``references.bib``.
        preprocessing: What is done to picture, sound and text before the network or the count.
        sampling: Which frames, clips or windows are taken.
        aggregation: How they become one number a recording, and recordings one number a system.
        minimum_n: Samples (of a set metric: features) below which the number says little; 0 if any
            number will do.
        compare_with: Numbers that it may stand beside.
        not_with: Numbers that it must not stand beside.
        traps: What deceives.
        recipe: A paragraph for a methods section, with placeholders.
    """

    protocols: tuple[str, ...]
    title: str
    cites: tuple[str, ...]
    preprocessing: str
    sampling: str
    aggregation: str
    minimum_n: int
    compare_with: tuple[str, ...]
    not_with: tuple[str, ...]
    traps: tuple[str, ...]
    recipe: str


_LISTS = {"protocols", "cites", "compare_with", "not_with", "traps"}
_KEYS = [field.name for field in fields(Card)]


@cache
def load_cards(folder: Path = CARDS) -> Mapping[str, Card]:
    """Reads all cards of a folder; see `card_of` for protocols of a family.

    Args:
        folder: With one TOML file a card.

    Returns:
        Protocol id or pattern -> its card.

    Raises:
        InputError: If a file is no card, or two cards have one protocol.
    """
    found: dict[str, Card] = {}
    for path in sorted(folder.glob("*.toml")):
        card = read_card(path)
        for protocol in card.protocols:
            if protocol in found:
                raise InputError(f"{path.name}: {protocol!r} has another card already")
            found[protocol] = card
    return found


def is_pattern(protocol: str) -> bool:
    """Whether this stands for a family of protocols whose ids are not known beforehand."""
    return "*" in protocol


def card_of(protocol: str) -> Card | None:
    """Returns the card of a protocol.

    Args:
        protocol: Id, without ``+native`` or ``+as-played``.

    Returns:
        Its own card, else that of the narrowest family; ``None`` if there is neither.
    """
    cards = load_cards()
    families = [one for one in cards if is_pattern(one) and fnmatchcase(protocol, one)]
    return cards.get(protocol) or (cards[max(families, key=len)] if families else None)


def read_card(path: Path) -> Card:
    """Reads one card.

    Args:
        path: TOML file; ``protocol`` may stand for a list of one, and a text for a list of one
            text.

    Returns:
        The card, with every run of blanks and line ends as one blank.

    Raises:
        InputError: If a key is missing, unknown or of the wrong type.
    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name}: not TOML ({error})") from error
    if "protocol" in entries:
        entries["protocols"] = [entries.pop("protocol"), *entries.get("protocols", [])]
    wrong = sorted(set(_KEYS) ^ set(entries))
    if wrong:
        what = "is missing" if wrong[0] in _KEYS else f"is none of {', '.join(_KEYS)}"
        raise InputError(f"{path.name}: the key {wrong[0]!r} {what}")
    values = {key: _value(path, key, entries[key]) for key in _KEYS}
    return Card(**values)


def _value(path: Path, key: str, value: Any) -> Any:
    if key == "minimum_n":
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InputError(f"{path.name}: minimum_n is a whole number from 0, not {value!r}")
        return value
    if key in _LISTS:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise InputError(f"{path.name}: {key} is a list of texts, not {value!r:.60}")
        return tuple(filter(None, (" ".join(text.split()) for text in texts)))
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{path.name}: {key} is a text, not {value!r:.60}")
    return " ".join(value.split())


@cache
def bibliography(folder: Path = REFERENCES) -> Mapping[str, str]:
    """Reads the BibTeX entries of a folder.

    Args:
        folder: With ``references.bib``, and others if need be.

    Returns:
        Key -> entry, as it is written there.

    Raises:
        InputError: If a key is there twice.
    """
    entries: dict[str, str] = {}
    for path in sorted(folder.glob("*.bib")):
        for match in _ENTRY.finditer(path.read_text(encoding="utf-8")):
            if match[1] in entries:
                raise InputError(f"{path.name}: {match[1]!r} is there twice")
            entries[match[1]] = match[0]
    return entries


def fill(recipe: str, values: Mapping[str, Any]) -> str:
    """Fills the placeholders of a recipe.

    Args:
        recipe: With names in braces; ``{a.b}`` is entry ``b`` of the mapping ``a``, and ``{x:.0%}``
            has a format.
        values: Numbers, texts, lists and mappings by name.

    Returns:
        The paragraph.

    Raises:
        KeyError: If a name has no value; its text is the placeholder.
    """
    parts = []
    for text, name, form, _ in Formatter().parse(recipe):
        parts.append(text)
        if name is not None:
            value = _looked_up(values, name)
            parts.append(format(value, form) if form else in_words(value))
    return "".join(parts)


def _looked_up(values: Mapping[str, Any], name: str) -> Any:
    value: Any = values
    for key in name.split("."):
        if not isinstance(value, Mapping) or key not in value:
            raise KeyError(name)
        value = value[key]
    return value


def in_words(value: Any) -> str:
    """Writes a setting as prose does: lists with commas, short numbers, yes and no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        items = {name: in_words(item) for name, item in value.items()}
        nested = {name for name, item in value.items() if isinstance(item, Mapping)}
        return ", ".join(f"{n} ({t})" if n in nested else f"{n} {t}" for n, t in items.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(in_words, value))
    return str(value)
