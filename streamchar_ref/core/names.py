"""Escapes names that users choose, which may be any text, for output.

One place escapes for each kind of output: `streamchar_ref.commands.output` for terminals,
`reports.html` for HTML, `reports.render.escape_markdown` for Markdown,
`evals.scoring.summary_table.escape_latex` for LaTeX, `evals.scoring.results.csv_text` for CSV,
`reports.figures.style.drawn` for figures, and `file_name` here for files.
"""

import hashlib
import re
import unicodedata

MOST_BYTES = 255
"""Longest file name, in bytes, on common file systems."""
_HASH_DIGITS = 8
_JOINERS = "\u200c\u200d"  # part of words in some scripts, and of emoji
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_UNSAFE_IN_FILES = re.compile(r"[^\w.-]+", re.ASCII)


def visible(text: str) -> str:
    r"""Escapes invisible characters as Python does (``\n``, ``\u202e``).

    Args:
        text: Any text, with control characters, bidirectional marks or lone surrogates.

    Returns:
        One line of valid UTF-8; plain text is unchanged.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_escaped, text))


def visible_lines(text: str) -> str:
    """Escapes as `visible` does, but keeps line breaks and tabs."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if character in "\n\t" else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    code = ord(character)
    is_nothing = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    if is_nothing or (unicodedata.category(character) in _INVISIBLE and character not in _JOINERS):
        return character.encode("unicode_escape").decode()
    return character


def short(text: str, most: int = 48) -> str:
    """Shortens a long name; different names stay different.

    Args:
        text: Any name.
        most: Maximum number of characters.

    Returns:
        The name, or its beginning, four hex digits of its hash, and its end.
    """
    if len(text) <= most:
        return text
    end = most // 4
    return "\N{HORIZONTAL ELLIPSIS}".join((text[: most - end - 6], _digest(text)[:4], text[-end:]))


def file_name(text: str, most: int = 120) -> str:
    """Turns text into a file name that any file system accepts.

    Args:
        text: Any text.
        most: Maximum number of bytes, so that a suffix can follow.

    Returns:
        ASCII letters, digits, ``_``, ``.`` and ``-``. Where the text had to change, hex digits of
        its hash follow, so that different texts get different names.
    """
    plain = _UNSAFE_IN_FILES.sub("-", text).strip("-.")
    if plain == text and 0 < len(plain) <= most:
        return plain
    return f"{plain[: most - _HASH_DIGITS - 1]}-{_digest(text)[:_HASH_DIGITS]}".strip("-")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
