"""The run folder: where recordings and provenance of one run lie, and how they are read back."""

import json
import os
from pathlib import Path
from typing import Any, TypedDict

from evals.manifest import load_manifest, read_arrivals
from evals.media_files import recordings_of_files
from evals.meta import MEND, Meta, read_meta
from evals.recording import Recording, Trace
from streamchar_ref.errors import InputError
from streamchar_ref.files import has_file, write_atomically
from streamchar_ref.shape import Count, read_shaped

SCHEMA_VERSION = 1
_RESTORE = "restore it, or delete it and score again"


def recordings_of(run: Path) -> list[Recording]:
    """Reads what a run holds: recorded streams, and the samples that its scores were made from.

    Args:
        run: Run folder.

    Returns:
        Recorded streams in the order of their folders, then the samples of the manifest or of the
        files that were scored.

    Raises:
        InputError: If there is neither, or a ``meta.json`` is damaged.
    """
    folders = sorted((run / "recordings").glob("*/*/*/*/"))
    found = [read_recording(folder) for folder in folders if (folder / "meta.json").is_file()]
    manifest = read_run(run).get("manifest")
    if manifest:
        found += load_manifest((run / manifest).resolve())
    if files := read_run(run).get("files"):
        sources = [(run / source).resolve() for source in files["sources"]]
        found += recordings_of_files(sources, files["system"])
    if not found:
        raise InputError(f"{run}: holds no recordings; make some with: streamchar record, or score")
    return found


def recording_folder(run: Path, system: str, suite: str, sample_id: str, seed: int) -> Path:
    """Where one recording lies."""
    return run / "recordings" / system / suite / sample_id / str(seed)


def read_recording(folder: Path) -> Recording:
    """Reads a recording folder without decoding anything.

    Args:
        folder: Holds ``meta.json``, and picture, sound and arrivals unless the stream failed.

    Returns:
        The recording; one whose stream failed, or whose files are missing or do not add up to
        what ``meta.json`` says, has an ``error`` and no trace.

    Raises:
        InputError: If ``meta.json`` is damaged.
    """
    meta = read_meta(folder)
    error = error_of(folder)
    trace = None
    if not error:
        try:
            trace = _trace(folder, meta)
        except InputError as damage:
            error = f"damaged recording: {damage}"
    reference = folder / "reference.png"
    return Recording(
        sample_id=meta["sample_id"],
        system=meta["system"],
        suite=meta["suite"],
        seed=meta["seed"],
        transcript=meta["transcript"],
        video_path=folder / "video.mkv",
        audio_path=folder / "audio.wav",
        reference_path=reference if reference.is_file() else None,
        language=meta["language"],
        checkpoint=meta["checkpoint"],
        trace=trace,
        groups=meta["groups"],
        is_silent=meta.get("is_silent", False),
        is_still=meta.get("is_still", False),
        error=error,
    )


def error_of(folder: Path) -> str:
    """Returns the last line of what a failed stream left; empty where none failed."""
    path = folder / "error.txt"
    if not has_file(path):
        return ""
    return (
        path.read_text(encoding="utf-8", errors="replace").strip() or "it does not say why"
    ).splitlines()[-1]


def _trace(folder: Path, meta: Meta) -> Trace:
    for name in ("video.mkv", "audio.wav", "chunks.jsonl"):
        if not (folder / name).is_file():
            raise InputError(f"{name} is missing; {MEND}")
    arrivals = read_arrivals(folder / "chunks.jsonl")
    counts = (sum(a.num_frames for a in arrivals), sum(a.num_samples for a in arrivals))
    if counts != (meta["num_frames"], meta["num_samples"]):
        raise InputError(
            f"chunks hold {counts[0]} frames and {counts[1]} samples, meta.json says "
            f"{meta['num_frames']} and {meta['num_samples']}; {MEND}"
        )
    fps, sample_rate = meta["fps"], meta["sample_rate"]
    if fps is None or sample_rate is None:
        raise InputError(f"meta.json says no frame rate or sample rate; {MEND}")
    return Trace(
        arrivals=arrivals,
        fps=fps,
        sample_rate=sample_rate,
        is_warm=meta["is_warm"],
        device=meta["device"],
    )


class FilesEntry(TypedDict):
    """Videos that were scored without a manifest."""

    sources: list[str]
    system: str


class RunEntries(TypedDict, total=False):
    """Entries of ``run.json`` that are read again."""

    schema_version: Count
    manifest: str
    files: FilesEntry
    protocols: dict[str, dict[str, Any]]
    notes: dict[str, list[str]]
    identities: dict[str, str]
    versions: dict[str, str]
    git: str
    device: str


def read_run(run: Path) -> dict[str, Any]:
    """Reads ``run.json``.

    Args:
        run: Run folder.

    Returns:
        Its entries; none if there is no such file yet.

    Raises:
        InputError: If it is damaged or was written by a newer version.
    """
    path = run / "run.json"
    if not has_file(path):
        return {}
    content = dict[str, Any](read_shaped(path, RunEntries, remedy=_RESTORE))
    if content.get("schema_version", 0) > SCHEMA_VERSION:
        raise InputError(f"{path}: schema {content['schema_version']} is newer than this program")
    return content


def update_run(run: Path, **entries: Any) -> None:
    """Writes entries into ``run.json`` beside what it holds already."""
    content = {"schema_version": SCHEMA_VERSION} | read_run(run) | entries
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_atomically(run / "run.json", text.encode(errors="replace"))


def sources_from(run: Path, other: Path) -> dict[str, Any]:
    """Returns what a run's scores were made from, as the ``run.json`` of another folder has it."""
    told = read_run(run)
    moved: dict[str, Any] = {}
    if "manifest" in told:
        moved["manifest"] = relative_to_run(run / told["manifest"], other)
    if "files" in told:
        paths = [relative_to_run(run / source, other) for source in told["files"]["sources"]]
        moved["files"] = told["files"] | {"sources": paths}
    return moved


def relative_to_run(path: Path, run: Path) -> str:
    """A path as ``run.json`` keeps it: from the run folder, so that both can move together."""
    relative = os.path.relpath(path.resolve(), run.resolve())
    if os.fsencode(relative).decode(errors="replace") != relative:
        raise InputError(f"{path}: the name is not UTF-8 text; rename it, or name a link to it")
    return relative
