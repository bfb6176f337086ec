"""Measured lengths of files, remembered by content."""

import json
from dataclasses import asdict
from pathlib import Path

from evals.content import content_hash
from streamchar_ref.files import write_atomically
from streamchar_ref.media.lengths import Lengths, measure
from streamchar_ref.shape import remembered
from streamchar_ref.weights import cache_folder

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
    kept = cache_folder() / "lengths" / f"{content_hash(path)}-{_VERSION}.json"
    if known := remembered(kept, Lengths):
        return Lengths(**known)
    found = measure(path)
    write_atomically(kept, json.dumps(asdict(found)).encode())
    return found
