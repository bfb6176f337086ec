"""HLS playlists: text files that name the files that hold picture and sound (RFC 8216)."""

import re
from collections.abc import Iterator
from pathlib import Path

from streamchar_ref.media.chunk import MediaError

_HEAD = b"#EXTM3U"
_ATTRIBUTE = re.compile(r'URI="([^"]*)"')


def parts_of(path: Path) -> list[Path]:
    """Lists the files that a playlist names, and those of the playlists that it names.

    Args:
        path: Any file.

    Returns:
        Each once, in order, whether it is there or not; none if ``path`` is no playlist.
    """
    return [part for part in dict.fromkeys(_walk(path, frozenset())) if part != path]


def _walk(path: Path, above: frozenset[Path]) -> Iterator[Path]:
    yield path
    if path not in above:
        for name in _names(_lines(path)):
            yield from _walk(path.parent / name, above | {path})


def check_playlist(path: Path) -> None:
    """Refuses a playlist of which FFmpeg would play a part only, without a word.

    Args:
        path: Any file; what is no playlist is right.

    Raises:
        MediaError: If a file that is named is not there, or a playlist has not come to its end.
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
    """Lines of a playlist; none of another file."""
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
