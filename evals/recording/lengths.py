"""Measured lengths of files, remembered by content."""

from dataclasses import asdict
from pathlib import Path

from evals.recording.unchanged import unchanged
from streamchar_ref.core.cache import recall, remember
from streamchar_ref.media.lengths import Lengths, measure

_VERSION = 2
"""Raised when `measure` finds other lengths."""


def lengths_of(path: Path) -> Lengths:
    """Measures a file, once for the same bytes.

    Args:
        path: Any file that FFmpeg's libraries read.

    Returns:
        What a player gets out of it.

    Raises:
        MediaError: If it is damaged.
        OSError: If it is gone, cannot be read, or changed meanwhile.
    """
    with unchanged(path) as digest:
        name = f"lengths/{digest}-{_VERSION}"
        known = recall(name)
        found = asdict(measure(path)) if known is None else known
    if known is None:
        remember(name, found)
    return Lengths(**found)
