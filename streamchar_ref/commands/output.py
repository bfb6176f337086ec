"""What commands print: names in it cannot steer the terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from streamchar_ref.core.names import visible_lines


class VisibleStream:
    """A text stream that shows control characters as escapes; line ends and tabs pass.

    A carriage return at the start of what is written passes too: it begins the line of a progress
    report anew.

    Args:
        stream: What is written to.
    """

    def __init__(self, stream: Any) -> None:
        self.plain_stream = stream

    def write(self, text: str) -> int:
        """Writes text; what the stream's encoding lacks is escaped as well."""
        start, rest = ("\r", text[1:]) if text.startswith("\r") else ("", text)
        encoding = getattr(self.plain_stream, "encoding", None) or "utf-8"
        shown = visible_lines(rest).encode(encoding, "backslashreplace").decode(encoding)
        self.plain_stream.write(start + shown)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain_stream, name)


@contextmanager
def visible_output() -> Iterator[None]:
    """Has both streams of this process show what would steer a terminal."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = VisibleStream(sys.stdout), VisibleStream(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
