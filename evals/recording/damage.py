"""Verifies that the files of a recording are unaltered."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from evals.recording.lengths import lengths_of
from streamchar_ref.core.cache import file_hash
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import sha256_of
from streamchar_ref.media import MediaError

REMEDY = "delete the folder and record this sample again"
_NEEDED = ("video.mkv", "audio.wav", "chunks.jsonl")
_FILES = (*_NEEDED, "reference.png")


class Digest(TypedDict):
    """Size and hash of a file in ``meta.json``."""

    bytes: int
    sha256: str


def digests_of(folder: Path) -> dict[str, Digest]:
    """Returns the digests of a recording's existing files, for ``meta.json``."""
    present = [folder / name for name in _FILES if (folder / name).is_file()]
    return {
        path.name: Digest(bytes=path.stat().st_size, sha256=sha256_of(path)) for path in present
    }


def check_files(folder: Path, meta: Mapping[str, Any]) -> None:
    """Compares the files of a recording with ``meta.json``.

    Args:
        folder: Of the recording.
        meta: Its ``meta.json``; an early version without digests is checked by its numbers of
            frames and samples.

    Raises:
        InputError: If a file is missing, truncated, altered or from another recording.
        OSError: If one cannot be read.
    """
    for name in _NEEDED:
        if not (folder / name).is_file():
            raise InputError(f"{name} is missing; {REMEDY}")
    if "files" not in meta:
        _check_counts(folder, meta)
        return
    for name in _FILES:
        digest = meta["files"].get(name)
        if digest is None:
            raise InputError(f"meta.json has no digest of {name}; {REMEDY}")
        _check_file(folder / name, digest)


def _check_file(path: Path, digest: Digest) -> None:
    if not path.is_file():
        raise InputError(f"{path.name} is missing; {REMEDY}")
    size = path.stat().st_size
    if size != digest["bytes"]:
        raise InputError(
            f"{path.name} has {size} bytes and was recorded with {digest['bytes']}; {REMEDY}"
        )
    if file_hash(path) != digest["sha256"]:
        raise InputError(f"{path.name} is not the file that was recorded; {REMEDY}")


def _check_counts(folder: Path, meta: Mapping[str, Any]) -> None:
    try:
        picture, sound = lengths_of(folder / "video.mkv"), lengths_of(folder / "audio.wav")
    except MediaError as error:
        raise InputError(f"{error}; {REMEDY}") from error
    for name, lengths in (("video.mkv", picture), ("audio.wav", sound)):
        if lengths.cut:
            raise InputError(f"{name} {lengths.cut}; {REMEDY}")
    counts = picture.num_frames, round(sound.sound_s * meta["sample_rate"])
    if counts != (meta["num_frames"], meta["num_samples"]):
        raise InputError(
            f"video.mkv holds {counts[0]} frames and audio.wav {counts[1]} samples, meta.json says "
            f"{meta['num_frames']} and {meta['num_samples']}; {REMEDY}"
        )
