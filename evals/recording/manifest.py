"""The manifest: a JSONL file with one line per finished video to be scored."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from evals.recording.jsonl import check_fields, check_folder_name, path_beside, read_objects
from evals.recording.recording import Arrival, Recording
from evals.recording.trace import trace_of_file
from evals.text.language import language_code
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import check_is_file, real
from streamchar_ref.core.shape import Count, NonNegative
from streamchar_ref.media import MediaError

PATHS = (
    "video_path", "audio_path", "reference_path", "ground_truth_path", "voice_reference_path",
    "trace_path",
)  # fmt: skip
REQUIRED: dict[str, Any] = {"sample_id": str, "system": str, "video_path": str}
OPTIONAL: dict[str, Any] = {
    "transcript": str,
    "checkpoint": str,
    "seed": Count,
    "audio_path": str,
    "reference_path": str,
    "ground_truth_path": str,
    "voice_reference_path": str,
    "language": str,
    "chunk_frames": Count,
    "trace_path": str,
    "groups": dict[str, str],
}
TRACE_FIELDS: dict[str, Any] = {
    "index": int,
    "num_frames": Count,
    "num_samples": Count,
    "t_arrival_s": NonNegative,
}
TRACE_OPTIONAL: dict[str, Any] = {"spoken": float}
DOMAINS = ("real", "world")


def load_manifest(path: Path) -> list[Recording]:
    """Reads a manifest; unusable files become recordings with an ``error``.

    Args:
        path: JSONL file with paths relative to its folder.

    Returns:
        One recording per line, in order.

    Raises:
        InputError: If a line is invalid.
    """
    recordings = _recordings(read_objects(path), path.parent, suite=path_name(path.parent))
    if not recordings:
        raise InputError(f"{path}: holds no samples")
    return recordings


def recordings_of_rows(rows: Iterable[Mapping[str, Any]]) -> list[Recording]:
    """Makes recordings from rows with the fields of a manifest.

    Args:
        rows: Fields of each sample; paths are absolute or relative to the working directory.

    Returns:
        One recording per row, in order.

    Raises:
        InputError: If a row is invalid.
    """
    places = ((f"row {number}", dict(row)) for number, row in enumerate(rows))
    recordings = _recordings(places, None, suite="rows")
    if not recordings:
        raise InputError("there are no rows to score")
    return recordings


def _recordings(
    lines: Iterable[tuple[str, dict[str, Any]]], folder: Path | None, *, suite: str
) -> list[Recording]:
    recordings: dict[str, Recording] = {}
    for place, value in lines:
        if value.get("transcript", "") is None:
            del value["transcript"]
        if not isinstance(value.get("transcript", ""), str):
            raise InputError(
                f"{place}: transcript is text, not {value['transcript']!r:.60}; leave it out where "
                "there is none"
            )
        check_fields(place, value, required=REQUIRED, optional=OPTIONAL)
        recording = _recording(place, value, folder, suite)
        if recording.recording_id in recordings:
            raise InputError(f"{place}: {recording.recording_id} is there twice")
        recordings[recording.recording_id] = recording
    return list(recordings.values())


def _recording(place: str, value: dict[str, Any], folder: Path | None, suite: str) -> Recording:
    for field in ("sample_id", "system"):
        check_folder_name(place, field, value[field])
    groups = value.get("groups", {})
    if groups.get("domain", "real") not in DOMAINS:
        raise InputError(f"{place}: groups.domain is one of {', '.join(DOMAINS)}")
    paths: dict[str, Path] = {
        name: Path(value[name]) if folder is None else path_beside(place, name, value[name], folder)
        for name in PATHS
        if name in value
    }
    needed = [name for name in ("video_path", "audio_path") if name in paths]
    problems = [problem for name in needed if (problem := _problem(name, value[name], paths[name]))]
    return Recording(
        sample_id=value["sample_id"],
        system=value["system"],
        suite=groups.get("suite", suite),
        seed=value.get("seed", 0),
        transcript=value.get("transcript", ""),
        video_path=paths["video_path"],
        audio_path=paths.get("audio_path"),
        reference_path=paths.get("reference_path"),
        ground_truth_path=paths.get("ground_truth_path"),
        voice_reference_path=paths.get("voice_reference_path"),
        language=_language(place, value.get("language", "")),
        checkpoint=value.get("checkpoint", ""),
        chunk_frames=value.get("chunk_frames"),
        **_manifest_trace(paths) if "trace_path" in paths and not problems else {},
        groups=groups,
        error=problems[0] if problems else "",
        error_status="evaluator_failure",  # the file was never opened
    )


def _problem(name: str, given: str, path: Path) -> str:
    """Describes why a file cannot be opened; empty if it can."""
    try:
        check_is_file(path)
    except FileNotFoundError:
        return f"{name}: there is no file {given}"
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        return f"{name}: {given:.255} cannot be read ({getattr(error, 'strerror', None) or error})"
    return ""


def _language(place: str, tag: str) -> str:
    try:
        return language_code(tag)
    except ValueError as error:
        raise InputError(f"{place}: language: {error}") from error


def path_name(folder: Path) -> str:
    """Returns the default suite of a manifest's samples: the name of its folder."""
    return real(folder).name or "manifest"


def _manifest_trace(paths: Mapping[str, Path]) -> dict[str, Any]:
    """Returns the trace fields of a recording: the trace, or an error and its status."""
    video_path, audio_path = paths["video_path"], paths.get("audio_path")
    try:
        arrivals = read_arrivals(paths["trace_path"])
        return {"trace": trace_of_file(arrivals, video_path=video_path, audio_path=audio_path)}
    except MediaError as error:
        return {"trace_error": str(error), "trace_status": "generation_failure"}
    except (ValueError, OSError, MemoryError, RecursionError) as error:
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        return {"trace_error": f"{kind}{error}", "trace_status": "evaluator_failure"}


def read_arrivals(path: Path) -> tuple[Arrival, ...]:
    """Reads ``chunks.jsonl``: index, num_frames, num_samples, t_arrival_s, spoken of each chunk.

    Args:
        path: One chunk per line, indices from 0, times in seconds from the request; ``spoken`` is
            optional.

    Returns:
        Arrivals in order.

    Raises:
        InputError: If a line is invalid, or times or indices run backwards.
    """
    arrivals: list[Arrival] = []
    for place, value in read_objects(path):
        check_fields(place, value, required=TRACE_FIELDS, optional=TRACE_OPTIONAL)
        if value["index"] != len(arrivals):
            raise InputError(f"{place}: index {value['index']} should be {len(arrivals)}")
        if arrivals and value["t_arrival_s"] < arrivals[-1].t_s:
            raise InputError(f"{place}: t_arrival_s runs backwards")
        arrivals.append(
            Arrival(
                t_s=float(value["t_arrival_s"]),
                num_frames=value["num_frames"],
                num_samples=value["num_samples"],
                spoken=value.get("spoken"),
            )
        )
    return tuple(arrivals)
