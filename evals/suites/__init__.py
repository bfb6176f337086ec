"""Suites of prompts: JSONL files with one prompt a line.

Fields of a line: ``prompt_id``; ``transcript``, a string or a list of ``{"t_s": ..., "text":
...}`` for text that arrives ``t_s`` seconds after the request; either ``reference_path``, a
picture beside the file, or ``character``, the seed of a character of the world, who is drawn as
the reference; and if wanted ``voice``, ``caption``, ``seed`` and ``groups``.
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
    "caption": str,
    "seed": Count,
    "groups": dict[str, str | int | float],
}


@dataclass(frozen=True, kw_only=True)
class SuiteSummary:
    """A suite in figures.

    Attributes:
        name: Of the suite.
        split: ``dev``, for tuning, if the name ends so; else ``test``.
        prompts: How many.
        identities: How many characters or pictures speak.
        words: Of all transcripts, cut at blanks.
    """

    name: str
    split: str
    prompts: int
    identities: int
    words: int


def suite_names() -> list[str]:
    """Returns the suites that come with the harness."""
    return sorted(path.stem for path in SUITES.glob("*.jsonl"))


def summarise_suite(name_or_path: str | Path) -> SuiteSummary:
    """Counts what is in a suite, without drawing anyone.

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
    """Refuses a run that holds another suite of the same name, as of a file in another folder.

    Args:
        run: Run folder, or where it will be.
        suite: Name of the suite.
        prompts: All of it.

    Raises:
        InputError: If something is recorded there that is no prompt of this suite.
    """
    known = {prompt.prompt_id for prompt in prompts}
    for folder in sorted(run.glob("recordings/*/")):
        there = {path.name for path in (folder / suite).glob("*/")} - known
        others = sorted(name for name in there if not name.startswith("."))
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
    caption = entry.get("caption", "")
    if "character" in entry:
        drawn, drawn_caption = _drawn(entry["character"])
        reference = drawn.copy()
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
    try:
        language_code(str(entry.get("groups", {}).get("language", "")))
    except ValueError as error:
        raise InputError(f"{place}: groups.language: {error}") from error


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
def _drawn(seed: int) -> tuple[UInt8[np.ndarray, "H W 3"], str]:
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
