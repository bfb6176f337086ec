"""Measured lengths of files, remembered by content."""

from dataclasses import asdict
from pathlib import Path

from evals.content import content_hash
from streamchar_ref.cache import recall, remember
from streamchar_ref.media.lengths import Lengths, measure

_VERSION = 1
"""Raised when `measure` finds other lengths."""


def lengths_of(path: Path) -> Lengths:
    """Measures a file, once for the same bytes.

    Args:
        path: Any file that FFmpeg's libraries read.

    Returns:
        What a player gets out of it.

    Raises:
        MediaError: If it is unreadable.
    """
    name = f"lengths/{content_hash(path)}-{_VERSION}"
    known = recall(name)
    if known is None:
        known = asdict(measure(path))
        remember(name, known)
    return Lengths(**known)
