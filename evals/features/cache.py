"""Features on disk, kept by what files hold and by how they were measured."""

from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np

from evals.extractors import EXTRACTORS, ExtractorSpec
from evals.features.canonical import input_protocol, track_hash
from evals.features.missing import Arrays, Missing, failed_reading
from evals.features.npz import read_arrays
from evals.protocols.base import protocol_hash
from evals.recording.recording import Recording
from streamchar_ref.core.cache import read_sealed, write_sealed

TrackKeys = Mapping[str, str]
"""Track of an extractor -> what its features of one recording are kept under."""
FEATURES = "features-3"
"""Folder in the cache. In the first one a fault of ours could be kept as a system's failure, the
second one may hold features of files that were cut short."""


def track_keys(recording: Recording, *, native: bool) -> TrackKeys:
    """Returns what the features of a recording are kept under, track by track."""
    whole = track_hash(recording, "clip", native=native)
    picture = sound = whole  # of one file
    if recording.audio_path is not None:
        picture = track_hash(recording, "frames", native=native)
        sound = track_hash(recording, "audio", native=native)
    spoken = f"{sound}-{recording.spoken_key}"
    return {"frames": picture, "audio": sound, "spoken": spoken, "clip": whole}


def feature_files(names: Iterable[str]) -> dict[str, str]:
    """Returns the name of the files with each extractor's features, by its protocol as it is now.

    It is the same for all recordings: look it up once for many.
    """
    return {name: _file_name(EXTRACTORS[name]) for name in names}


def load_kept(
    keys: TrackKeys, names: Iterable[str], *, files: Mapping[str, str] | None = None
) -> dict[str, Arrays | Missing]:
    """Returns what the cache holds under some keys; extractors that never ran are left out.

    Args:
        keys: Of a recording.
        names: Extractors.
        files: Their `feature_files`, if they are known.

    Returns:
        Features by extractor.
    """
    names = list(names)
    files = feature_files(names) if files is None else files
    found = {name: _read(_cache_path(keys, EXTRACTORS[name], files[name])) for name in names}
    return {name: arrays for name, arrays in found.items() if arrays is not None}


def keep(keys: TrackKeys, spec: ExtractorSpec, found: Arrays | Missing) -> Arrays | Missing:
    """Caches findings; what cannot be kept would be missing when it is looked up."""
    try:
        _write(_cache_path(keys, spec, _file_name(spec)), found)
    except OSError as error:
        return failed_reading(error)
    return found


def feature_protocol(names: Sequence[str], *, native: bool) -> dict[str, Any]:
    """Everything behind the features a metric reads: input and extractors, as JSON values."""
    return {
        "input": input_protocol(native=native),
        "extractors": [EXTRACTORS[name].protocol() for name in names if name in EXTRACTORS],
    }


def _file_name(spec: ExtractorSpec) -> str:
    return f"{spec.name}-{protocol_hash(spec.protocol())}.npz"


def _cache_path(keys: TrackKeys, spec: ExtractorSpec, file: str) -> str:
    """Names the features in the cache folder."""
    key = keys[spec.track]
    return f"{FEATURES}/{key[:2]}/{key}/{file}"


def _read(name: str) -> Arrays | Missing | None:
    """Returns what `_write` wrote under that name; None if it is not there as it was written."""
    content = read_sealed(name)
    if content is None:
        return None
    arrays = read_arrays(content)
    if "missing_reason" in arrays:
        return Missing(
            reason=str(arrays["missing_reason"]),
            status=str(arrays["missing_status"]),  # type: ignore[arg-type]
        )
    return arrays


def _write(name: str, found: Arrays | Missing) -> None:
    """Caches findings; what may be cured by installing or mending something is tried again."""
    if isinstance(found, Missing):
        if found.status in {"unavailable", "evaluator_failure"}:
            return
        found = {
            "missing_reason": np.array(found.reason), "missing_status": np.array(found.status)
        }  # fmt: skip
    buffer = BytesIO()
    np.savez(buffer, allow_pickle=False, **{n: np.asarray(array) for n, array in found.items()})
    write_sealed(name, buffer.getvalue())
