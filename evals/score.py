"""Recordings x metrics -> rows. Decodes and runs networks only for what is not cached."""

import math
import os
import traceback
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evals.canonical import canonical_picture, canonical_sound, recording_hash
from evals.extractors import EXTRACTORS
from evals.features import (
    REFERENCE_EXTRACTORS,
    Arrays,
    FeatureView,
    Missing,
    extract,
    feature_protocol,
    load,
    reference_features,
    track_keys,
    unavailable,
)  # fmt: skip
from evals.metrics.base import Context, Metric, Score, protocol_hash
from evals.recording import Recording
from evals.results import SET_ID, ScoreRow, WindowRow, outcome
from evals.set_metric import SetMetric
from evals.workers import Progress, executor, submit, watch, workers

_OTHER_DOMAIN = Missing(reason="its network is for another domain", status="not_applicable")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to score.

    Attributes:
        native: Score files as they are, not their canonical encode.
        jobs: Worker processes; results do not depend on it.
        reference_system: System whose recordings are the reference set of Frechet distances.
    """

    native: bool = False
    jobs: int = 1
    reference_system: str = ""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What scoring gives.

    Attributes:
        rows: One a recording, metric and protocol; one a system and suite for set metrics.
        windows: Metrics over playing time.
        protocols: Hash to everything that decides the number.
        logs: Tracebacks of evaluator failures.
    """

    rows: list[ScoreRow]
    windows: list[WindowRow]
    protocols: dict[str, Any]
    logs: list[str] = field(default_factory=list)


def score(
    recordings: Sequence[Recording],
    *,
    metrics: Sequence[Metric],
    set_metrics: Sequence[SetMetric] = (),
    options: Options,
    progress: Progress = lambda what, done, total: None,
    whole: Sequence[Recording] = (),
) -> Scored:
    """Scores recordings; each sample gets a row for each metric, whatever happens to it.

    Args:
        recordings: Of any systems and suites.
        metrics: With a value for every recording.
        set_metrics: With a value for every system and suite.
        options: Input, workers, reference set.
        progress: Told what is done.
        whole: All that the run holds if ``recordings`` are one shard of it: whose reference
            pictures a face is looked for among. Sets have no number from a shard.

    Returns:
        Rows, windows, protocols and logs.
    """
    names = extractors_of([*metrics, *set_metrics])
    features = _all_features(recordings, names, options, progress)
    context = Context(references=references_of(whole or recordings, names))
    scored = Scored(rows=[], windows=[], protocols={})
    for metric in metrics:
        params = params_of(metric, options)
        digest = protocol_hash(params)
        scored.protocols[digest] = params
        for recording, view in zip(recordings, features, strict=True):
            found = score_one(recording, metric, view, context, scored.logs)
            _add(scored, recording, metric, found, digest, options)
    is_shard = len(recordings) < len(whole)
    for set_metric in set_metrics:
        _add_sets(scored, recordings, features, set_metric, options, is_shard)
    scored.logs.extend(dict.fromkeys(log for view in features for log in view.logs()))
    return scored


def score_one(
    recording: Recording, metric: Metric, view: FeatureView, context: Context, logs: list[str]
) -> Score:
    if recording.error:
        return Score(
            value=math.nan, weight=0.0, status="generation_failure", reason=recording.error
        )
    try:
        return metric.score(recording, view, context)
    except Exception as error:  # the other rows are still made; this one says what happened
        return _evaluator_failure(metric, error, logs)


def _evaluator_failure(metric: Metric | SetMetric, error: Exception, logs: list[str]) -> Score:
    logs.append("".join(traceback.format_exception(error)))
    reason = f"{metric.protocol}: {type(error).__name__}: {error}"
    return Score(value=math.nan, weight=0.0, status="evaluator_failure", reason=reason)


def extractors_of(metrics: Iterable[Metric | SetMetric]) -> list[str]:
    wanted = {name for metric in metrics for name in metric.needs if name in EXTRACTORS}
    return [name for name in EXTRACTORS if name in wanted]


def readable(names: Iterable[str], domain: str) -> list[str]:
    """Leaves out the judges of the drawn world for recordings of another domain."""
    return [name for name in names if domain == "world" or not EXTRACTORS[name].judge]


def _all_features(
    recordings: Sequence[Recording], names: Sequence[str], options: Options, progress: Progress
) -> list[FeatureView]:
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
        known[index] |= load(recording, wanted, native=options.native)
        todo[index] = [name for name in wanted if known[index][name] is _OTHER_DOMAIN]
    todo = {index: missing for index, missing in todo.items() if missing}
    for index, found in _run_jobs(recordings, todo, options, progress):
        known[index] |= found
    return [
        FeatureView(known[index] | absent | reference_of(recording, names))
        for index, recording in enumerate(recordings)
    ]


def _run_jobs(
    recordings: Sequence[Recording],
    todo: Mapping[int, Sequence[str]],
    options: Options,
    progress: Progress,
) -> Iterable[tuple[int, dict[str, Arrays | Missing]]]:
    """Runs what is not cached: first the canonical encodes, then picture and sound apart."""
    if not todo:
        return
    jobs = [(index, group) for index, names in todo.items() for group in _by_track(names)]
    jobs, same = _once_each(recordings, jobs, options.native)
    with executor(min(options.jobs, len(jobs))) as pool:
        if not options.native:
            encodes = [submit(pool, _encode, *work) for work in _encodings(recordings, jobs)]
            watch(encodes, "encoding", progress)
        futures = [
            submit(pool, _extract_job, recordings[index], group, options.native)
            for index, group in jobs
        ]
        watch(futures, "measuring", progress)
        for (index, group), future in zip(jobs, futures, strict=True):
            try:
                failed = future.result()
            except BrokenProcessPool:
                failed = _extract_alone(recordings[index], group, options.native)
            for twin in (index, *same.get((index, group[0]), ())):
                found = load(recordings[twin], group, native=options.native)
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


def params_of(metric: Metric | SetMetric, options: Options) -> dict[str, Any]:
    """Everything that decides a number, as JSON values."""
    return {
        "metric": metric.name,
        "protocol": metric.protocol,
        "params": metric.params,
        **feature_protocol(metric.needs, native=options.native),
    }


def _add(
    scored: Scored,
    recording: Recording,
    metric: Metric,
    score: Score,
    digest: str,
    options: Options,
) -> None:
    row = _row(recording, metric, score, digest, options)
    scored.rows.append(row)
    for window in score.windows:
        scored.windows.append(
            WindowRow(
                sample_id=row.sample_id,
                system=row.system,
                suite=row.suite,
                seed=row.seed,
                metric=row.metric,
                protocol=row.protocol,
                t0_s=window.t0_s,
                t1_s=window.t1_s,
                value=window.value,
            )
        )


def _row(
    recording: Recording,
    metric: Metric | SetMetric,
    score: Score,
    digest: str,
    options: Options,
    sample_id: str = "",
) -> ScoreRow:
    return ScoreRow(
        sample_id=sample_id or recording.sample_id,
        system=recording.system,
        suite=recording.suite,
        seed=0 if sample_id else recording.seed,
        metric=metric.name,
        protocol=metric.protocol + ("+native" if options.native else ""),
        protocol_hash=digest,
        domain=recording.domain,
        **outcome(score),
    )


def _add_sets(
    scored: Scored,
    recordings: Sequence[Recording],
    features: Sequence[FeatureView],
    metric: SetMetric,
    options: Options,
    is_shard: bool,
) -> None:
    groups: dict[tuple[str, str], list[int]] = {}
    for index in sorted(range(len(recordings)), key=lambda i: recordings[i].recording_id):
        group = (recordings[index].system, recordings[index].suite)
        groups.setdefault(group, []).append(index)
    for (system, suite), members in groups.items():
        possible = groups.get((options.reference_system, suite), [])
        if system == options.reference_system:
            possible = []
        reference = [i for i in possible if not recordings[i].error]
        params = params_of(metric, options) | {
            "reference": _reference_name(recordings, reference, options)
        }
        digest = protocol_hash(params)
        scored.protocols[digest] = params
        usable = [features[i] for i in members if not recordings[i].error]
        if is_shard:
            reason = f"one shard of the set; run: streamchar score RUN --metrics {metric.name}"
            value = Score(value=math.nan, weight=0.0, status="unavailable", reason=reason)
        else:
            others = [features[i] for i in reference]
            domain = recordings[members[0]].domain
            value = _score_set(metric, usable, others, domain, scored.logs)
        scored.rows.append(
            _row(recordings[members[0]], metric, value, digest, options, sample_id=SET_ID)
        )


def _score_set(
    metric: SetMetric,
    features: Sequence[FeatureView],
    reference: Sequence[FeatureView],
    domain: str,
    logs: list[str],
) -> Score:
    try:
        return metric.score_set(features, reference, domain=domain)
    except Exception as error:  # as for a metric of samples
        return _evaluator_failure(metric, error, logs)


def _reference_name(
    recordings: Sequence[Recording], reference: Sequence[int], options: Options
) -> dict[str, Any] | None:
    """Names the reference set, so that distances to other sets have another protocol hash."""
    if not reference:
        return None
    digests = sorted(recording_hash(recordings[i], native=options.native) for i in reference)
    return {"system": options.reference_system, "content": protocol_hash({"of": digests})}


def default_jobs() -> int:
    """One worker for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
