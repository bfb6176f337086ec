"""Strict JSON-lines input; errors name file, line, and the closest known field."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import has_file, parse_json
from streamchar_ref.core.names import MOST_BYTES
from streamchar_ref.core.shape import fault_in

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_FOLDER_NAME = re.compile(r"[^/\\\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


def read_objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Reads a JSONL file line by line; blank lines are skipped.

    Args:
        path: UTF-8 text.

    Yields:
        Place (``file:line``, from 1) and fields of each object.

    Raises:
        InputError: If the file is missing, or a line is not a JSON object.
    """
    if not has_file(path):
        raise InputError(f"{path}: there is no such file")
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if line.strip():
            place = f"{path.name}:{number}"
            try:
                if _NUL.search(line):
                    raise ValueError("text holds NUL")
                yield place, parse_json(line)
            except ValueError as error:
                raise InputError(f"{place}: {error}") from error


def check_fields(
    place: str,
    value: Mapping[str, Any],
    *,
    required: Mapping[str, Any],
    optional: Mapping[str, Any],
) -> None:
    """Checks names and types of the fields of one object.

    Args:
        place: For messages.
        value: The object.
        required: Field name to type hint, see `streamchar_ref.core.shape`.
        optional: Field name to type hint.

    Raises:
        InputError: If a field is missing, of the wrong type, or unknown; names the closest field.
    """
    hints = {**required, **optional}
    for name, content in value.items():
        if name not in hints:
            near = get_close_matches(name, hints, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(hints)}"
            raise InputError(f"{place}: unknown field {name!r}; {hint}")
        fault = fault_in(content, hints[name])
        if fault:
            is_bare = hints[name] is str and type(content) in (int, float)
            hint = f'it is text: "{content}"' if is_bare else fault
            raise InputError(f"{place}: field {name!r} cannot be {content!r:.60}; {hint}")
    missing = [name for name in required if name not in value]
    if missing:
        raise InputError(f"{place}: field {missing[0]!r} is missing")


def check_folder_name(place: str, name: str, value: Any) -> None:
    """Refuses values that are not valid folder names of a run.

    Args:
        place: Of the line, for messages.
        name: Of the field, for messages.
        value: To check.

    Raises:
        InputError: If ``value`` is not text, is empty, or has slashes, control characters or lone
            surrogates.
    """
    is_name = isinstance(value, str) and _FOLDER_NAME.fullmatch(value)
    if not is_name or value in {".", "..", "*"}:
        raise InputError(f"{place}: {name} {value!r} cannot name a folder")


def check_folder_length(place: str, name: str, value: str) -> None:
    """Raises `InputError` for a name that is too long for a folder."""
    if len(value.encode()) > MOST_BYTES:
        raise InputError(
            f"{place}: {name} {value[:40]!r}... is too long to name a folder: it has "
            f"{len(value.encode())} bytes, and {MOST_BYTES} are allowed"
        )


def path_beside(place: str, name: str, value: str, folder: Path) -> Path:
    """Resolves a relative path against the folder of the input file that contains it.

    Args:
        place: Of the line, for messages.
        name: Of the field, for messages.
        value: The path as written.
        folder: Of the input file.

    Returns:
        The path, which may not exist.

    Raises:
        InputError: If the path is absolute, has ``..`` in it, or a NUL.
    """
    path = Path(value)
    if "\0" in value:
        raise InputError(f"{place}: {name} {value!r:.60} cannot name a file")
    if path.is_absolute() or ".." in path.parts:
        raise InputError(
            f"{place}: {name} {value!r} must be relative to the file it stands in, without '..'; "
            "put a link there if the data is elsewhere"
        )
    return folder / path
