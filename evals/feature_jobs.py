"""Features of many recordings: what is cached is read, the rest is made by worker processes."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool

import numpy as np

from evals.canonical import canonical_picture, canonical_sound
from evals.extractors import EXTRACTORS
from evals.features import (
    REFERENCE_EXTRACTORS,
    Arrays,
    FeatureView,
    Missing,
    extract,
    load,
    reference_features,
    track_keys,
    unavailable,
)  # fmt: skip
from evals.recording import Recording
from evals.workers import Progress, executor, submit, watch, workers

_OTHER_DOMAIN = Missing(reason="its network is for another domain", status="not_applicable")


def readable(names: Iterable[str], domain: str) -> list[str]:
    """Leaves out the judges of the drawn world for recordings of another domain."""
    return [name for name in names if domain == "world" or not EXTRACTORS[name].judge]


def features_of(
    recordings: Sequence[Recording],
    names: Sequence[str],
    *,
    native: bool,
    jobs: int,
    progress: Progress,
) -> list[FeatureView]:
    """Gathers the features of all recordings, with those of their reference pictures.

    Args:
        recordings: Failed ones have no features.
        names: Extractors.
        native: Take the files as they are rather than the canonical encode.
        jobs: Worker processes.
        progress: Told what is done.

    Returns:
        A view for each recording, in order.
    """
    absent = unavailable(names)
    runnable = [name for name in names if name not in absent]
    known: dict[int, dict[str, Arrays | Missing]] = {}
    todo: dict[int, list[str]] = {}
    for index, recording in enumerate(recordings):
        if recording.error:
            known[index] = {}
            continue
        wanted = readable(runnable, recording.domain)
        known[index] = dict.fromkeys(runnable, _OTHER_DOMAIN)
        known[index] |= load(recording, wanted, native=native)
        todo[index] = [name for name in wanted if known[index][name] is _OTHER_DOMAIN]
    todo = {index: missing for index, missing in todo.items() if missing}
    for index, found in _run_jobs(recordings, todo, native, jobs, progress):
        known[index] |= found
    return [
        FeatureView(known[index] | absent | reference_of(recording, names))
        for index, recording in enumerate(recordings)
    ]


def _run_jobs(
    recordings: Sequence[Recording],
    todo: Mapping[int, Sequence[str]],
    native: bool,
    num_workers: int,
    progress: Progress,
) -> Iterable[tuple[int, dict[str, Arrays | Missing]]]:
    """Runs what is not cached: first the canonical encodes, then picture and sound apart."""
    if not todo:
        return
    jobs = [(index, group) for index, names in todo.items() for group in _by_track(names)]
    jobs, same = _once_each(recordings, jobs, native)
    with executor(min(num_workers, len(jobs))) as pool:
        if not native:
            encodes = [submit(pool, _encode, *work) for work in _encodings(recordings, jobs)]
            watch(encodes, "encoding", progress)
        futures = [
            submit(pool, _extract_job, recordings[index], group, native) for index, group in jobs
        ]
        watch(futures, "measuring", progress)
        for (index, group), future in zip(jobs, futures, strict=True):
            try:
                failed = future.result()
            except BrokenProcessPool:
                failed = _extract_alone(recordings[index], group, native)
            for twin in (index, *same.get((index, group[0]), ())):
                found = load(recordings[twin], group, native=native)
                yield twin, {**found, **failed}


def _once_each(
    recordings: Sequence[Recording], jobs: Sequence[tuple[int, list[str]]], native: bool
) -> tuple[list[tuple[int, list[str]]], dict[tuple[int, str], list[int]]]:
    """Recordings that share a file leave its features to the first of them."""
    first: dict[tuple[str, ...], int] = {}
    same: dict[tuple[int, str], list[int]] = {}
    kept = []
    for index, group in jobs:
        keys = track_keys(recordings[index], native=native)
        work = (*sorted({keys[EXTRACTORS[name].track] for name in group}), *group)
        if work in first:
            same.setdefault((first[work], group[0]), []).append(index)
        else:
            first[work] = index
            kept.append((index, group))
    return kept, same


def _extract_alone(
    recording: Recording, names: Sequence[str], native: bool
) -> dict[str, Arrays | Missing]:
    """Tries again in a process of its own: any job may have ended the worker of all."""
    try:
        with workers(1) as pool:
            failed: dict[str, Arrays | Missing] = pool.submit(
                _extract_job, recording, names, native
            ).result()
            return failed
    except BrokenProcessPool:
        reason = "the process that measured it was ended; did the machine run out of memory?"
        return dict.fromkeys(names, Missing(reason=reason, status="evaluator_failure"))


def _by_track(names: Sequence[str]) -> list[list[str]]:
    groups = [
        [name for name in names if EXTRACTORS[name].track != "audio"],
        [name for name in names if EXTRACTORS[name].track == "audio"],
    ]
    return [group for group in groups if group]


def _encodings(
    recordings: Sequence[Recording], jobs: Sequence[tuple[int, list[str]]]
) -> list[tuple[Recording, frozenset[str]]]:
    """What is to be encoded, with the tracks that are read; a file of both tracks only once."""
    tracks: dict[tuple[int, str], frozenset[str]] = {}
    for index, group in jobs:
        read = frozenset(EXTRACTORS[name].track for name in group)
        is_joint = recordings[index].audio_path is None
        tracks.setdefault((index, "" if is_joint else group[0]), read)
    return [(recordings[index], read) for (index, _), read in tracks.items()]


def _encode(recording: Recording, tracks: frozenset[str]) -> None:
    try:
        if tracks != {"audio"}:
            canonical_picture(recording)
        if tracks != {"frames"}:
            canonical_sound(recording)
    except Exception:  # the extraction that follows meets it again and makes rows of it
        return


def _extract_job(
    recording: Recording, names: Sequence[str], native: bool
) -> dict[str, Arrays | Missing]:
    """Fills the cache and returns only what is not cached: the reasons of failures."""
    found = extract(recording, names, native=native)
    return {
        name: missing
        for name, missing in found.items()
        if isinstance(missing, Missing) and name in names
    }


def reference_of(recording: Recording, names: Sequence[str]) -> dict[str, Arrays | Missing]:
    """Returns embeddings of the reference picture as ``reference_NAME``."""
    wanted = [n for n in REFERENCE_EXTRACTORS if n in readable(names, recording.domain)]
    if not wanted or recording.error:
        return {}
    if recording.reference_path is None:
        missing = Missing(reason="no reference picture", status="not_applicable")
        return {f"reference_{name}": missing for name in wanted}
    found = reference_features(recording.reference_path, wanted)
    return {f"reference_{name}": found[name] for name in wanted}


def references_of(
    recordings: Sequence[Recording], names: Sequence[str]
) -> dict[str, dict[str, np.ndarray]]:
    """Of several pictures of one identity the first by recording counts, whatever the order."""
    found: dict[str, dict[str, np.ndarray]] = {name: {} for name in REFERENCE_EXTRACTORS}
    for recording in sorted(recordings, key=lambda recording: recording.recording_id):
        pictures = reference_of(recording, names)
        for name, known in found.items():
            picture = pictures.get(f"reference_{name}")
            if picture is None or isinstance(picture, Missing) or not len(picture["embedding"]):
                continue
            known.setdefault(recording.identity, picture["embedding"][0])
    return found
