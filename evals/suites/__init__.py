"""Suites of prompts: JSONL files with one prompt a line.

Fields of a line: ``prompt_id``; ``transcript``, a string or a list of ``{"t_s": ..., "text":
...}`` for text that arrives ``t_s`` seconds after the request; either ``reference_path``, a
picture beside the file, or ``character``, the seed of a world character whose portrait is the
reference; optionally ``voice``, ``language``, ``caption``, ``seed`` and ``groups``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from evals.recording.jsonl import (
    check_fields,
    check_folder_length,
    check_folder_name,
    path_beside,
    read_objects,
)
from evals.recording.system import Prompt, TextPiece
from evals.text.language import language_code
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import has_file
from streamchar_ref.core.shape import Count, NonNegative
from streamchar_ref.media import MediaError
from streamchar_ref.media.picture import read_picture

SUITES = Path(__file__).parent
REFERENCE_SIZE = 256
_REQUIRED: dict[str, Any] = {"prompt_id": str}
_OPTIONAL: dict[str, Any] = {
    "transcript": str | list[dict[str, Any]],
    "reference_path": str,
    "character": Count,
    "voice": str,
    "language": str,
    "caption": str,
    "seed": Count,
    "groups": dict[str, str | int | float],
}


@dataclass(frozen=True, kw_only=True)
class SuiteSummary:
    """Size of a suite.

    Attributes:
        name: Of the suite.
        split: ``dev``, for tuning, if the name ends in it; else ``test``.
        prompts: Number of prompts.
        identities: Number of characters or reference pictures.
        words: Number of words in all transcripts.
    """

    name: str
    split: str
    prompts: int
    identities: int
    words: int


def suite_names() -> list[str]:
    """Returns the names of the built-in suites."""
    return sorted(path.stem for path in SUITES.glob("*.jsonl"))


def summarise_suite(name_or_path: str | Path) -> SuiteSummary:
    """Counts prompts, identities and words of a suite, without drawing references.

    Args:
        name_or_path: One of `suite_names`, or a ``.jsonl`` file.

    Returns:
        The counts.

    Raises:
        InputError: If there is no such suite, or a line is wrong; names file and line.
    """
    path = _find(name_or_path)
    rows = list(read_objects(path))
    for place, entry in rows:
        _check(entry, place)
    texts = [piece.text for place, entry in rows for piece in _pieces(entry["transcript"], place)]
    return SuiteSummary(
        name=path.stem,
        split="dev" if path.stem.endswith("_dev") else "test",
        prompts=len(rows),
        identities=len({entry.get("character", entry.get("reference_path")) for _, entry in rows}),
        words=sum(len(text.split()) for text in texts),
    )


def load_suite(name_or_path: str | Path) -> list[Prompt]:
    """Reads a suite.

    Args:
        name_or_path: One of `suite_names`, or a ``.jsonl`` file.

    Returns:
        Prompts in the order of the file.

    Raises:
        InputError: If there is no such suite, or a line is wrong; names file and line.
    """
    path = _find(name_or_path)
    prompts: dict[str, Prompt] = {}
    for place, entry in read_objects(path):
        prompt = _prompt(entry, path.parent, place)
        if prompt.prompt_id in prompts:
            raise InputError(f"{place}: prompt_id {prompt.prompt_id!r} is taken by an earlier line")
        prompts[prompt.prompt_id] = prompt
    if not prompts:
        raise InputError(f"{path.name} has no prompts")
    return list(prompts.values())


def check_suite_folder(run: Path, suite: str, prompts: Sequence[Prompt]) -> None:
    """Refuses a run that contains another suite of the same name, e.g. from another folder.

    Args:
        run: Run folder, which may not exist yet.
        suite: Name of the suite.
        prompts: All prompts of the suite.

    Raises:
        InputError: If the run has a recording of a prompt that is not in this suite.
    """
    prompt_ids = {prompt.prompt_id for prompt in prompts}
    for folder in sorted(run.glob("recordings/*/")):
        unknown = {path.name for path in (folder / suite).glob("*/")} - prompt_ids
        others = sorted(name for name in unknown if not name.startswith("."))
        if others:
            raise InputError(
                f"{folder / suite} holds {others[0]!r}, which is no prompt of this suite: another "
                f"one is called {suite!r} too; choose another --out or name of the suite's file"
            )


def _find(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix == ".jsonl":
        return path
    if str(name_or_path) not in suite_names():
        known = ", ".join(suite_names())
        raise InputError(f"no suite {str(name_or_path)!r}; known: {known}, or give a .jsonl file")
    return SUITES / f"{name_or_path}.jsonl"


def _prompt(entry: dict[str, Any], folder: Path, place: str) -> Prompt:
    _check(entry, place)
    pieces = _pieces(entry["transcript"], place)
    groups = {str(key): str(value) for key, value in entry.get("groups", {}).items()}
    groups |= {"language": entry["language"]} if "language" in entry else {}
    caption = entry.get("caption", "")
    if "character" in entry:
        picture, drawn_caption = _portrait(entry["character"])
        reference = picture.copy()
        caption = caption or drawn_caption
        groups |= {"domain": "world", "identity": f"character-{entry['character']}"}
    else:
        path = path_beside(place, "reference_path", entry["reference_path"], folder)
        reference = _picture(path, place)
    return Prompt(
        prompt_id=entry["prompt_id"],
        transcript=" ".join(piece.text for piece in pieces),
        reference=reference,
        pieces=pieces,
        voice=entry.get("voice", ""),
        caption=caption,
        seed=entry.get("seed", 0),
        groups=groups,
    )


def _check(entry: dict[str, Any], place: str) -> None:
    check_fields(place, entry, required=_REQUIRED, optional=_OPTIONAL)
    if not entry.get("transcript"):
        raise InputError(f"{place}: field 'transcript' is missing or empty")
    check_folder_name(place, "prompt_id", entry["prompt_id"])
    check_folder_length(place, "prompt_id", entry["prompt_id"])
    if ("reference_path" in entry) == ("character" in entry):
        raise InputError(f"{place}: give either 'reference_path' or 'character'")
    groups = entry.get("groups", {})
    for field, tag in (
        ("language", entry.get("language")),
        ("groups.language", groups.get("language")),
    ):
        try:
            language_code(str(tag or ""))
        except ValueError as error:
            raise InputError(f"{place}: {field}: {error}") from error


def _pieces(transcript: str | list[dict[str, Any]], place: str) -> tuple[TextPiece, ...]:
    if isinstance(transcript, str):
        return (TextPiece(t_s=0.0, text=transcript),)
    pieces = []
    for item in transcript:
        check_fields(place, item, required={"text": str}, optional={"t_s": NonNegative})
        pieces.append(TextPiece(t_s=float(item.get("t_s", 0)), text=item["text"]))
    times = [piece.t_s for piece in pieces]
    if times != sorted(times):
        raise InputError(f"{place}: times of the transcript must rise from 0, not {times}")
    return tuple(pieces)


@cache  # many prompts share a character
def _portrait(seed: int) -> tuple[UInt8[np.ndarray, "H W 3"], str]:
    from streamchar_ref.world.character import draw_character  # torch, for world prompts only
    from streamchar_ref.world.render import portrait

    character = draw_character(seed)
    return portrait(character, size=REFERENCE_SIZE), character.caption


def _picture(path: Path, place: str) -> UInt8[np.ndarray, "H W 3"]:
    if not has_file(path):
        raise InputError(f"{place}: cannot read the picture: there is no file {path}")
    try:
        return read_picture(path)
    except (MediaError, OSError) as error:
        raise InputError(f"{place}: cannot read the picture: {error}") from error
