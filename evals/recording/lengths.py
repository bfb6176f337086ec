"""Measured lengths of files, cached by content."""

from dataclasses import asdict
from pathlib import Path

from evals.recording.unchanged import unchanged
from streamchar_ref.core.cache import recall, remember
from streamchar_ref.media.lengths import Lengths, measure

_VERSION = 2
"""Incremented when `measure` changes its results."""


def lengths_of(path: Path) -> Lengths:
    """Measures a file; the result is cached by the file's content.

    Args:
        path: Any file that FFmpeg's libraries read.

    Returns:
        Its lengths.

    Raises:
        MediaError: If it is damaged.
        OSError: If it cannot be read, or changes while it is read.
    """
    with unchanged(path) as digest:
        name = f"lengths/{digest}-{_VERSION}"
        cached = recall(name)
        lengths = asdict(measure(path)) if cached is None else cached
    if cached is None:
        remember(name, lengths)
    return Lengths(**lengths)
