"""HLS playlists, which list media files (RFC 8216)."""

import re
from collections.abc import Iterator
from pathlib import Path

from streamchar_ref.media.chunk import MediaError

_HEAD = b"#EXTM3U"
_ATTRIBUTE = re.compile(r'URI="([^"]*)"')


def parts_of(path: Path) -> list[Path]:
    """Lists the files that a playlist names, including those of nested playlists.

    Args:
        path: Any file.

    Returns:
        Distinct paths in order, which may not exist; empty if ``path`` is no playlist.
    """
    return [part for part in dict.fromkeys(_walk(path, frozenset())) if part != path]


def _walk(path: Path, above: frozenset[Path]) -> Iterator[Path]:
    yield path
    if path not in above:
        for name in _names(_lines(path)):
            yield from _walk(path.parent / name, above | {path})


def check_playlist(path: Path) -> None:
    """Refuses a playlist that FFmpeg would silently play in part.

    Args:
        path: Any file; other files than playlists pass.

    Raises:
        MediaError: If a listed file is missing, or a playlist is not finished.
    """
    for part in (path, *parts_of(path)):
        if not part.is_file():
            raise MediaError(f"{path.name}: names {part.name}, and there is no such file ({part})")
        lines = _lines(part)
        is_of_streams = any(line.startswith("#EXT-X-STREAM-INF") for line in lines)
        if lines and not is_of_streams and "#EXT-X-ENDLIST" not in lines:
            raise MediaError(
                f"{part.name}: is a playlist without an end (#EXT-X-ENDLIST); is it still being "
                "written?"
            )


def _lines(path: Path) -> list[str]:
    """Lines of a playlist; none for another file."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        if file.read(len(_HEAD)) != _HEAD:
            return []
    return [line.strip() for line in path.read_text(errors="replace").splitlines()]


def _names(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if line.startswith("#"):
            yield from _ATTRIBUTE.findall(line)
        elif line:
            yield line
