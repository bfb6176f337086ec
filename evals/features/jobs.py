"""Extraction by workers: first the canonical encodes, then picture and sound apart.

On other machines each network is a task of its own. What it finds comes back and is kept here, so
the machines need not share the cache.
"""

import platform
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from evals.extractors import EXTRACTORS, SOUND_TRACKS
from evals.features.cache import TrackKeys, keep, load_kept
from evals.features.canonical import canonical_picture, canonical_sound
from evals.features.extraction import extract, with_upstream
from evals.features.missing import Arrays, Missing, failed_reading, is_fault, is_verdict
from evals.protocols.base import protocol_hash
from evals.recording.recording import Recording
from streamchar_ref.core.device import CPU, device_name
from streamchar_ref.core.elsewhere import UnfitMachine
from streamchar_ref.core.executor import Executor, WorkerEnded, WorkerProcesses, watch
from streamchar_ref.core.executors import LOCAL, open_executor
from streamchar_ref.core.progress import ProgressFn


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be measured in one recording.

    Attributes:
        recording: Its files.
        keys: Track by track, what the files held when they were listed.
        names: Extractors.
        native: Take the files as they are.
    """

    recording: Recording
    keys: TrackKeys
    names: tuple[str, ...]
    native: bool

    def by_track(self) -> "list[Job]":
        """What reads the picture, and what reads the sound alone."""
        is_sound = {name: EXTRACTORS[name].track in SOUND_TRACKS for name in self.names}
        groups = [tuple(n for n in self.names if is_sound[n] is sound) for sound in (False, True)]
        return [replace(self, names=group) for group in groups if group]

    def by_network(self) -> "list[Job]":
        """One job for each network, with those that read its output frame by frame."""
        groups: list[set[str]] = []
        for name in self.names:
            family = set(with_upstream([name]))
            related = [group for group in groups if group & family]
            groups = [group for group in groups if not group & family]
            groups.append(family.union(*related))
        parts = [tuple(n for n in self.names if n in group) for group in groups]
        return [replace(self, names=names) for names in parts]

    @property
    def tracks(self) -> frozenset[str]:
        """Tracks that are read."""
        return frozenset(EXTRACTORS[name].track for name in self.names)

    @property
    def work(self) -> tuple[str, ...]:
        """What it reads and measures; jobs with the same are the same."""
        return (*sorted({self.keys[track] for track in self.tracks}), *self.names)


@dataclass(frozen=True, kw_only=True)
class Sent:
    """Features from another machine.

    Attributes:
        features: By extractor.
        protocols: Protocol hash of each, as that machine has it.
        machine: Its name.
    """

    features: Mapping[str, Arrays | Missing] = field(default_factory=dict)
    protocols: Mapping[str, str] = field(default_factory=dict)
    machine: str = ""

    @classmethod
    def of(cls, found: Mapping[str, Arrays | Missing], names: Iterable[str]) -> "Sent":
        """What this machine found by some extractors."""
        features = {name: found[name] for name in names if name in found}
        return cls(features=features, protocols=_protocols(features), machine=platform.node())


def _protocols(found: Mapping[str, Arrays | Missing]) -> dict[str, str]:
    """Hashes of what would be kept: weights that are not there give none."""
    return {
        name: protocol_hash(EXTRACTORS[name].protocol())
        for name, one in found.items()
        if is_verdict(one) or not isinstance(one, Missing)
    }


def run_jobs(
    todo: Mapping[int, Job], num_workers: int, progress: ProgressFn, *, executor: str = LOCAL
) -> Iterable[tuple[int, dict[str, Arrays | Missing]]]:
    """Runs what is not cached: first the canonical encodes, then picture and sound apart."""
    same: dict[tuple[str, ...], list[tuple[int, Job]]] = {}
    for index, whole in todo.items():
        for job in whole.by_track() if executor == LOCAL else whole.by_network():
            same.setdefault(job.work, []).append((index, job))
    if not same:
        return
    firsts = [twins[0][1] for twins in same.values()]
    gpus = int(device_name() != CPU)
    with open_executor(executor, min(num_workers, len(firsts)), gpus=gpus) as workers:
        encodes = [workers.submit(_encode, *work) for work in _encodings(todo, same.values())]
        watch(encodes, "encoding", progress)
        futures = [_submit(workers, job) for job in firsts]
        watch(futures, "measuring", progress)
        for twins, future in zip(same.values(), futures, strict=True):
            failed = _result(future, twins[0][1], workers)
            for index, job in twins:
                if _is_other_file(job, twins[0][1]) and any(map(is_fault, failed.values())):
                    again = _result(_submit(workers, job), job, workers)
                    yield index, _features_of(job, again)
                else:
                    yield index, _features_of(job, failed)


def _submit(workers: Executor, job: Job) -> "Future[Sent] | Future[dict[str, Missing]]":
    if workers.is_local:
        return workers.submit(_extract_job, job)
    return workers.submit(_extract_and_send, job)


def _extract_job(job: Job) -> dict[str, Missing]:
    """Fills the cache and returns only what is not cached: the reasons of failures."""
    features = extract(job.recording, job.names, native=job.native, keys=job.keys)
    return {
        name: missing
        for name, missing in features.items()
        if isinstance(missing, Missing) and name in job.names
    }


def _extract_and_send(job: Job) -> Sent:
    """Returns all that the job asks for, to a machine that may have another cache."""
    return Sent.of(extract(job.recording, job.names, native=job.native, keys=job.keys), job.names)


def keep_sent(keys: TrackKeys, sent: Sent) -> dict[str, Arrays | Missing]:
    """Keeps what another machine measured in the cache of this one.

    Args:
        keys: Of the recording.
        sent: By that machine.

    Returns:
        The same features; a failure where one could not be kept.

    Raises:
        UnfitMachine: If they were measured by other protocols than this machine has.
    """
    here = _protocols(sent.features)
    other = sorted(name for name in here if sent.protocols.get(name) != here[name])
    if other:
        raise UnfitMachine(
            f"the worker on {sent.machine} measures {', '.join(other)} by other protocols than "
            "this machine; have the same weights and packages on all machines"
        )
    kept = load_kept(keys, sent.features)
    return {
        name: one if name in kept else keep(keys, EXTRACTORS[name], one)
        for name, one in sent.features.items()
    }


def _failures(found: Mapping[str, Arrays | Missing]) -> dict[str, Missing]:
    return {name: why for name, why in found.items() if isinstance(why, Missing)}


def _result(
    future: "Future[Sent] | Future[dict[str, Missing]]", job: Job, workers: Executor
) -> dict[str, Missing]:
    """What a job failed at; one whose worker was ended runs again."""
    try:
        found = future.result()
        return _failures(keep_sent(job.keys, found) if isinstance(found, Sent) else found)
    except UnfitMachine:
        raise
    except WorkerEnded as error:
        return _run_alone(job) if workers.is_local else _lost(job, str(error))
    except Exception as error:  # not of the measuring, which is guarded: e.g. no memory for it
        return dict.fromkeys(job.names, failed_reading(error))


def _run_alone(job: Job) -> dict[str, Missing]:
    """Tries again in a process of its own: any job may have ended the worker of all."""
    try:
        with WorkerProcesses(1) as executor:
            return executor.submit(_extract_job, job).result()
    except WorkerEnded:
        return _lost(job, "the process that measured it was ended")
    except Exception as error:  # as in `_result`
        return dict.fromkeys(job.names, failed_reading(error))


def _lost(job: Job, what: str) -> dict[str, Missing]:
    reason = f"{what}; did the machine run out of memory?"
    return dict.fromkeys(job.names, Missing(reason=reason, status="evaluator_failure"))


def _features_of(job: Job, failed: Mapping[str, Missing]) -> dict[str, Arrays | Missing]:
    """Features that a job was to measure: from the cache, or why they are not there."""
    gone = Missing(
        reason="what was measured is gone from the cache; score again", status="evaluator_failure"
    )
    try:
        kept = load_kept(job.keys, job.names)
    except OSError as error:
        gone, kept = failed_reading(error), {}
    return {**dict.fromkeys(job.names, gone), **kept, **failed}


def _is_other_file(job: Job, other: Job) -> bool:
    """Whether jobs that measure the same read it from other files."""
    one, two = job.recording, other.recording
    return (one.video_path, one.audio_path) != (two.video_path, two.audio_path)


def _encodings(
    todo: Mapping[int, Job], same: Iterable[Sequence[tuple[int, Job]]]
) -> list[tuple[Recording, frozenset[str]]]:
    """What is to be encoded, with the tracks that are read; a file of both tracks only once."""
    tracks: dict[tuple[int, str], frozenset[str]] = {}
    for (index, job), *_ in same:
        if not job.native:
            is_sound = job.recording.audio_path is not None and job.tracks <= SOUND_TRACKS
            key = (index, "sound" if is_sound else "picture")
            tracks[key] = tracks.get(key, frozenset()) | job.tracks
    return [(todo[index].recording, read) for (index, _), read in tracks.items()]


def _encode(recording: Recording, tracks: frozenset[str]) -> None:
    try:
        if not tracks <= SOUND_TRACKS:
            canonical_picture(recording)
        if tracks != {"frames"}:
            canonical_sound(recording)
    except Exception:  # nothing is decided here: the extraction tries again, and makes rows of it
        return
