"""Whether the files of a recording are those that were recorded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from evals.recording.lengths import lengths_of
from streamchar_ref.core.cache import file_hash
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import sha256_of
from streamchar_ref.media import MediaError

MEND = "delete the folder and record this sample again"
_NEEDED = ("video.mkv", "audio.wav", "chunks.jsonl")
_FILES = (*_NEEDED, "reference.png")


class Digest(TypedDict):
    """What ``meta.json`` says of a file."""

    bytes: int
    sha256: str


def digests_of(folder: Path) -> dict[str, Digest]:
    """Returns the digests of the files of a recording that are there, for ``meta.json``."""
    present = [folder / name for name in _FILES if (folder / name).is_file()]
    return {
        path.name: Digest(bytes=path.stat().st_size, sha256=sha256_of(path)) for path in present
    }


def check_files(folder: Path, meta: Mapping[str, Any]) -> None:
    """Compares the files of a finished recording with what ``meta.json`` says of them.

    Args:
        folder: Of the recording.
        meta: Its ``meta.json``. One that was written before it had digests gives numbers of
            frames and samples to compare with.

    Raises:
        InputError: If a file is missing, cut, altered or of another recording.
        OSError: If one cannot be read.
    """
    for name in _NEEDED:
        if not (folder / name).is_file():
            raise InputError(f"{name} is missing; {MEND}")
    if "files" not in meta:
        _check_counts(folder, meta)
        return
    for name in _FILES:
        told = meta["files"].get(name)
        if told is None:
            raise InputError(f"meta.json has no digest of {name}; {MEND}")
        _check_file(folder / name, told)


def _check_file(path: Path, told: Digest) -> None:
    if not path.is_file():
        raise InputError(f"{path.name} is missing; {MEND}")
    size = path.stat().st_size
    if size != told["bytes"]:
        raise InputError(
            f"{path.name} has {size} bytes and was recorded with {told['bytes']}; {MEND}"
        )
    if file_hash(path) != told["sha256"]:
        raise InputError(f"{path.name} is not the file that was recorded; {MEND}")


def _check_counts(folder: Path, meta: Mapping[str, Any]) -> None:
    try:
        picture, sound = lengths_of(folder / "video.mkv"), lengths_of(folder / "audio.wav")
    except MediaError as error:
        raise InputError(f"{error}; {MEND}") from error
    for name, held in (("video.mkv", picture), ("audio.wav", sound)):
        if held.cut:
            raise InputError(f"{name} {held.cut}; {MEND}")
    counts = picture.num_frames, round(sound.sound_s * meta["sample_rate"])
    if counts != (meta["num_frames"], meta["num_samples"]):
        raise InputError(
            f"video.mkv holds {counts[0]} frames and audio.wav {counts[1]} samples, meta.json says "
            f"{meta['num_frames']} and {meta['num_samples']}; {MEND}"
        )
