"""Maps Unicode variants of a character to one form, the first step of reading a text.

Text from a word processor, a web page or a subtitle file encodes the same words with different
code points. This step, ``characters`` in a protocol's parameters, is specific to this harness:
published normalisers lack it. In ASCII text it changes only backticks and control characters.

======================  ==========================================================================
apostrophes             typographic, modifier, prime, accent and backtick become ``'``
quotes                  typographic and angle ones become ``"``
hyphens, dashes         hyphens and minus become ``-``; dashes become ``-`` between digits and,
                        if en dashes, before a number too; they are set off by spaces elsewhere
invisible               soft hyphens, zero-width and direction marks are removed
blanks                  non-breaking, thin and other blanks, tabs and controls become a space; the
                        narrow ones between groups of three digits a comma
compatibility           ligatures, full-width and styled letters, superscripts, fractions (NFKC)
======================  ==========================================================================
"""

import re
import unicodedata

_APOSTROPHES = (
    "\u2018\u2019\u201a\u201b\u02b9\u02bb\u02bc\u02bd\u02be\u02bf\u02c8\u02ca\u02cb\u2032\u2035"
    "\uff07\ua78b\ua78c\u055a\u1fbd\u1fbf\u05f3\u00b4`"
)
_QUOTES = (
    "\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb\u2039\u203a\uff02\u300c\u300d\u300e\u300f"
    "\u301d\u301e\u301f\u02ba\u02ee\u275d\u275e"
)
_HYPHENS = "\u2010\u2011\u2043\u2212\ufe63\uff0d"
_DASHES = "\u2012\u2013\u2014\u2015\u2e3a\u2e3b\ufe58\ufe31\u301c"
_SUPERSCRIPTS = str.maketrans({"\u00b2": "^2", "\u00b3": "^3", "\u2044": "/", "\u2215": "/"})
_SINGLE = str.maketrans(
    dict.fromkeys(_APOSTROPHES, "'") | dict.fromkeys(_QUOTES, '"') | dict.fromkeys(_HYPHENS, "-")
)
_DASH = re.compile(rf"[{_DASHES}]")
_BETWEEN_DIGITS = re.compile(rf"(?<=\d)\s?[{_DASHES}]\s?(?=\d)")
_EN_DASH_MINUS = re.compile(r"(?<![^\s(])[\u2012\u2013](?=[$\u00a3\u20ac]?\.?\d)")
_FRACTION = re.compile("(\\d?)([\u00bc-\u00be\u2150-\u215e])")
_THOUSANDS = re.compile(r"(?<=\d)[\u00a0\u2007\u2009\u202f](?=\d{3}(?!\d))")
_KEPT_CONTROLS = "\n"


def _fraction(match: re.Match[str]) -> str:
    """Sets a one-character fraction apart from a number: NFKC alone turns 2 1/2 into 21/2."""
    return f"{match[1]}{' ' * bool(match[1])}{unicodedata.normalize('NFKC', match[2])}"


def _visible(char: str) -> str:
    """Maps blanks and controls to a space, and removes invisible and private characters."""
    category = unicodedata.category(char)
    if category in {"Cf", "Co", "Cn", "Cs"} or "\ufe00" <= char <= "\ufe0f":
        return ""
    if category in {"Zs", "Zl", "Zp", "Cc"} and char not in _KEPT_CONTROLS:
        return " "
    return char


def plain_characters(text: str) -> str:
    """Maps Unicode variants of characters to one form.

    Args:
        text: Any text.

    Returns:
        The same words; letters keep their diacritics.
    """
    text = _FRACTION.sub(_fraction, text.replace("\r\n", "\n").replace("\u2028", "\n"))
    text = _THOUSANDS.sub(",", text).translate(_SINGLE).translate(_SUPERSCRIPTS)
    text = _DASH.sub(" - ", _EN_DASH_MINUS.sub("-", _BETWEEN_DIGITS.sub("-", text)))
    text = unicodedata.normalize("NFKC", text).translate(_SUPERSCRIPTS)
    return "".join(map(_visible, text)) if not text.isascii() or not text.isprintable() else text
