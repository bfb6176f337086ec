"""Rewrite rules: a regular expression, and what to write for each match."""

import re
from collections.abc import Callable, Iterable

RewriteRule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def rule(pattern: str, replacement: Callable[[re.Match[str]], str] | str) -> RewriteRule:
    """Returns a rule; a replacement in the form of text is written as it is."""
    write = replacement if callable(replacement) else lambda _: replacement
    return re.compile(pattern), write


def rewrite(text: str, rules: Iterable[RewriteRule]) -> str:
    """Applies rules to a text, one after the other."""
    for pattern, write in rules:
        text = pattern.sub(write, text)
    return text
