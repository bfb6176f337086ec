"""Names are data: any text, written so that a reader sees it and nothing runs it.

Each kind of output has one place that uses this: `streamchar_ref.commands.output` for terminals,
`reports.html` for HTML, `reports.render.escape_markdown` for Markdown,
`evals.scoring.summary_table.escape_latex` for LaTeX, `evals.scoring.results.csv_text` for CSV,
`reports.figures.style.drawn` for figures, and `file_name` here for files.
"""

import hashlib
import re
import unicodedata

MOST_BYTES = 255
"""Of a file's name on the usual file systems."""
_HASH_DIGITS = 8
_JOINERS = "\u200c\u200d"  # part of words in some scripts, and of emoji
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_UNSAFE_IN_FILES = re.compile(r"[^\w.-]+", re.ASCII)


def visible(text: str) -> str:
    """Writes what cannot be seen, or changes how its neighbours are, as Python escapes it.

    Args:
        text: Any text: with control characters, directions of writing, lone surrogates.

    Returns:
        One line that UTF-8 can hold; plain text as it is.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_seen, text))


def visible_lines(text: str) -> str:
    """As `visible`, line by line; tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(sign if sign in "\n\t" else _seen(sign) for sign in text)


def _seen(sign: str) -> str:
    code = ord(sign)
    is_nothing = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    if is_nothing or (unicodedata.category(sign) in _UNSEEN and sign not in _JOINERS):
        return sign.encode("unicode_escape").decode()
    return sign


def short(text: str, most: int = 48) -> str:
    """Shortens a long name for a place that has no room for it; other names stay different.

    Args:
        text: Any name.
        most: Letters that there is room for.

    Returns:
        The name, or its beginning, a few hex digits that stand for all of it, and its end.
    """
    if len(text) <= most:
        return text
    end = most // 4
    return "\N{HORIZONTAL ELLIPSIS}".join((text[: most - end - 6], _digest(text)[:4], text[-end:]))


def file_name(text: str, most: int = 120) -> str:
    """Makes a name that any file system takes, for a file that need not be found by it.

    Args:
        text: Any text.
        most: Bytes it may have, so that an ending can follow.

    Returns:
        ASCII letters, digits, ``_``, ``.`` and ``-``. Where that is not the text itself, a few
        hex digits at the end stand for it, so that two texts have two names.
    """
    plain = _UNSAFE_IN_FILES.sub("-", text).strip("-.")
    if plain == text and 0 < len(plain) <= most:
        return plain
    return f"{plain[: most - _HASH_DIGITS - 1]}-{_digest(text)[:_HASH_DIGITS]}".strip("-")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
