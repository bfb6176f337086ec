"""What files are and how long they last, cached by content."""

from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

from evals.recording.content import content_hash
from evals.recording.unchanged import unchanged
from streamchar_ref.core.cache import recall, remember
from streamchar_ref.media.decode import MediaInfo, probe
from streamchar_ref.media.display import Display
from streamchar_ref.media.lengths import Lengths, measure

_VERSION = 2
"""Incremented when `measure` changes its results."""
_INFO_VERSION = 1
"""Incremented when `probe` changes its results."""


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
    return Lengths(**_of_content("lengths", _VERSION, path, lambda: asdict(measure(path))))


def info_of(path: Path) -> MediaInfo:
    """Reads a file's properties; the result is cached by the file's content.

    Args:
        path: Any file that FFmpeg's libraries read.

    Returns:
        See `probe`.

    Raises:
        MediaError: If it is damaged, or has neither picture nor sound.
        OSError: If it cannot be read, or changes while it is read.
    """
    found = dict(_of_content("media", _INFO_VERSION, path, lambda: _as_json(probe(path))))
    display, oddities = found.pop("display"), found.pop("oddities")
    aspect = Fraction(display.pop("pixel_aspect"))
    return MediaInfo(
        **found, display=Display(**display, pixel_aspect=aspect), oddities=tuple(oddities)
    )


def _as_json(info: MediaInfo) -> dict[str, Any]:
    values = asdict(info)
    values["display"]["pixel_aspect"] = str(info.display.pixel_aspect)
    return values


def _of_content(
    kind: str, version: int, path: Path, read: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Returns what is remembered of a content, or what ``read`` returns of the file now."""
    cached = recall(f"{kind}/{content_hash(path)}-{version}")
    if cached is not None:
        return dict(cached)
    with unchanged(path) as digest:
        found = read()
    remember(f"{kind}/{digest}-{version}", found)
    return found
