"""The run folder: reads recordings and ``run.json`` of one run."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from evals.recording.damage import REMEDY, check_files
from evals.recording.manifest import load_manifest, read_arrivals
from evals.recording.media_files import recordings_of_files
from evals.recording.meta import Meta, read_meta
from evals.recording.recording import Recording, Trace
from evals.recording.role import Role, RoleName
from evals.recording.transaction import RECORDINGS, consistently, place_of
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import has_file, is_being_written, real, write_atomically
from streamchar_ref.core.shape import Count, read_shaped
from streamchar_ref.core.swap import settled_name

SCHEMA_VERSION = 1
_SEED = re.compile(r"0|-?[1-9][0-9]{0,17}")
_RESTORE = "restore it, or delete it and score again"


def recordings_of(run: Path) -> list[Recording]:
    """Reads all samples of a run: recorded streams, and samples of a manifest or of files.

    Args:
        run: Run folder.

    Returns:
        Recorded streams in the order of their folders, then the samples of the manifest or of the
        scored files. Unreadable ones are included with an ``error``.

    Raises:
        InputError: If there are none.
    """
    recordings = [_read_or_failed(folder) for folder in recording_folders(run).values()]
    manifest = read_run(run).get("manifest")
    if manifest:
        recordings += load_manifest(real(run / manifest))
    if files := read_run(run).get("files"):
        sources = [real(run / source) for source in files["sources"]]
        recordings += recordings_of_files(sources, files["system"], files.get("language", ""))
    if not recordings:
        raise InputError(f"{run}: holds no recordings; make some with: streamchar record, or score")
    return recordings


def _read_or_failed(folder: Path) -> Recording:
    """Reads a recording; an unreadable one is identified by its path."""
    try:
        return read_recording(folder)
    except FileNotFoundError as error:
        reason = f"{Path(error.filename or folder).name} is missing; {REMEDY}"
    except InputError as error:
        reason = str(error)
    except Exception as error:  # one damaged recording must not fail the others
        reason = f"{type(error).__name__}: {error}; {REMEDY}"
    system, suite, sample_id, seed = (*folder.parts[-4:-1], settled_name(folder.name))
    return Recording(
        sample_id=sample_id,
        system=system,
        suite=suite,
        seed=int(seed),
        transcript="",
        video_path=folder / "video.mkv",
        error=f"damaged recording {system}/{suite}/{sample_id}/{seed}: {reason}",
        error_status="evaluator_failure",
    )


def recording_folders(run: Path) -> dict[str, Path]:
    """Finds the complete recordings of a run.

    Args:
        run: Run folder.

    Returns:
        ``system/suite/sample_id/seed`` -> folder, sorted.
    """
    root = recordings_root(run)
    folders: dict[str, Path] = {}
    for folder in root.glob("*/*/*/*"):
        name = settled_name(folder.name)
        is_newer = name != folder.name or _key(root, folder, name) not in folders
        if _SEED.fullmatch(name) and is_newer:
            folders[_key(root, folder, name)] = folder
    return dict(sorted(folders.items(), key=lambda item: item[0].split("/")))


def recordings_root(run: Path) -> Path:
    """Where the recordings of a run lie, whether or not there are any."""
    return place_of(run, RECORDINGS)


def _key(root: Path, folder: Path, name: str) -> str:
    return (folder.relative_to(root).parent / name).as_posix()


def cut_off(run: Path) -> list[str]:
    """Finds interrupted recordings.

    Args:
        run: Run folder.

    Returns:
        ``system/suite/sample_id`` of each, except those that may still be written.
    """
    root = recordings_root(run)
    partial = [path for path in root.glob("*/*/*/.*.part/") if not is_being_written(path.name)]
    return sorted({path.parent.relative_to(root).as_posix() for path in partial})


def unknown_folders(run: Path) -> list[str]:
    """Finds folders beside the recordings that are not named by a seed.

    Args:
        run: Run folder.

    Returns:
        ``system/suite/sample_id/name`` of each.
    """
    root = recordings_root(run)
    folders = [path for path in root.glob("*/*/*/*/") if not path.name.startswith(".")]
    return sorted(_key(root, path, path.name) for path in folders if not _SEED.fullmatch(path.name))


def recording_folder(run: Path, system: str, suite: str, sample_id: str, seed: int) -> Path:
    """Returns the folder of one recording."""
    return run / "recordings" / system / suite / sample_id / str(seed)


def read_recording(folder: Path) -> Recording:
    """Reads a recording folder without decoding media.

    Args:
        folder: With ``meta.json``, and video, audio and arrivals unless the stream failed.

    Returns:
        The recording. A failed stream has an ``error`` and no trace; so does a recording whose
        files are missing, altered or inconsistent with ``meta.json``, with another status.

    Raises:
        InputError: If ``meta.json`` is damaged.
    """
    meta = read_meta(folder)
    error = error_of(folder)
    is_damaged = False
    trace = None
    if not error:
        try:
            trace = _trace(folder, meta)
        except (InputError, OSError) as damage:
            error, is_damaged = f"damaged recording: {damage}", True
    return Recording(
        sample_id=meta["sample_id"],
        system=meta["system"],
        suite=meta["suite"],
        seed=meta["seed"],
        transcript=meta["transcript"],
        video_path=folder / "video.mkv",
        audio_path=folder / "audio.wav",
        reference_path=folder / "reference.png",
        language=meta["language"],
        checkpoint=meta["checkpoint"],
        trace=trace,
        groups=meta["groups"],
        role=Role(meta["role"]) if "role" in meta else None,
        is_silent=meta.get("is_silent", False),
        is_still=meta.get("is_still", False),
        error=error,
        error_status="evaluator_failure" if is_damaged else "generation_failure",
    )


def error_of(folder: Path) -> str:
    """Returns the last line of a failed stream's traceback; empty for a successful one."""
    path = folder / "error.txt"
    if not has_file(path):
        return ""
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it does not say why"


def _trace(folder: Path, meta: Meta) -> Trace:
    check_files(folder, meta)
    arrivals = read_arrivals(folder / "chunks.jsonl")
    counts = (sum(a.num_frames for a in arrivals), sum(a.num_samples for a in arrivals))
    if counts != (meta["num_frames"], meta["num_samples"]):
        raise InputError(
            f"chunks hold {counts[0]} frames and {counts[1]} samples, meta.json says "
            f"{meta['num_frames']} and {meta['num_samples']}; {REMEDY}"
        )
    fps, sample_rate = meta["fps"], meta["sample_rate"]
    if fps is None or sample_rate is None:
        raise InputError(f"meta.json says no frame rate or sample rate; {REMEDY}")
    return Trace(
        arrivals=arrivals,
        fps=fps,
        sample_rate=sample_rate,
        is_warm=meta["is_warm"],
        timing_note=meta.get("timing_note", ""),
        device=meta["device"],
    )


class FilesEntry(TypedDict):
    """Sources of videos that were scored without a manifest."""

    sources: list[str]
    system: str
    language: NotRequired[str]


class RunEntries(TypedDict, total=False):
    """Known entries of ``run.json``."""

    schema_version: Count
    manifest: str
    files: FilesEntry
    protocols: dict[str, dict[str, Any]]
    notes: dict[str, list[str]]
    identities: dict[str, str]
    sources: dict[str, str]
    roles: dict[str, RoleName]
    still: dict[str, bool]
    versions: dict[str, str]
    git: str
    device: str


def read_run(run: Path) -> dict[str, Any]:
    """Reads ``run.json``.

    Args:
        run: Run folder.

    Returns:
        Its entries; empty if the file does not exist.

    Raises:
        InputError: If it is damaged or was written by a newer version.
    """
    return consistently([run], lambda: _read_run(place_of(run, "run.json")))


def _read_run(path: Path) -> dict[str, Any]:
    if not has_file(path):
        return {}
    content = dict[str, Any](read_shaped(path, RunEntries, remedy=_RESTORE))
    if content.get("schema_version", 0) > SCHEMA_VERSION:
        raise InputError(f"{path}: schema {content['schema_version']} is newer than this program")
    return content


def write_run(path: Path, entries: Mapping[str, Any]) -> None:
    """Writes a ``run.json``; the same entries give the same bytes."""
    content = {"schema_version": SCHEMA_VERSION, **entries}
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_atomically(path, text.encode(errors="replace"))


def sources_from(run: Path, other: Path) -> dict[str, Any]:
    """Returns the source entries of a run with paths relative to another run folder."""
    entries = read_run(run)
    moved: dict[str, Any] = {}
    if "manifest" in entries:
        moved["manifest"] = relative_to_run(run / entries["manifest"], other)
    if "files" in entries:
        paths = [relative_to_run(run / source, other) for source in entries["files"]["sources"]]
        moved["files"] = entries["files"] | {"sources": paths}
    return moved


def relative_to_run(path: Path, run: Path) -> str:
    """Returns a path relative to the run folder, so that both can be moved together."""
    relative = os.path.relpath(real(path), real(run))
    if os.fsencode(relative).decode(errors="replace") != relative:
        raise InputError(f"{path}: the name is not UTF-8 text; rename it, or name a link to it")
    return relative
