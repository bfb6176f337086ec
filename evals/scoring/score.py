"""Recordings x metrics -> rows. Decodes and runs networks only for what is not cached."""

import os
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from evals.extractors import EXTRACTORS
from evals.features.cache import feature_protocol
from evals.features.saved import SavedFeatures
from evals.features.store import FeatureStore
from evals.features.view import FeatureView
from evals.metrics.absence import SPEECH, require_speech, speech_ends_early
from evals.protocols.base import Metric, MetricContext, MetricWindow, Score, Unscored, protocol_hash
from evals.protocols.set_metric import SetMetric
from evals.protocols.takes_metric import SeedTake, TakesMetric
from evals.recording.played import POLICY, as_played
from evals.recording.recording import Recording
from evals.scoring import takes
from evals.scoring.protocol_ids import AS_PLAYED, NATIVE
from evals.scoring.reference_set import (
    check_saved,
    named_reference,
    recorded_reference,
    saved_reference,
    several_domains,
)
from evals.scoring.results import EVERY_SEED, SET_ID, ScoreRow, WindowRow, outcome
from streamchar_ref.core.collector import collector_paused
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.executors import LOCAL
from streamchar_ref.core.progress import ProgressFn


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to score.

    Attributes:
        native: Score files as they are, not their canonical encode.
        as_played: Score what a viewer saw and heard, see `evals.recording.played`; metrics of
            arrival times, of sets and of takes have no such value and are left out.
        jobs: Workers; results do not depend on it.
        executor: Where they run, see `streamchar_ref.core.executors`.
        reference_system: System whose recordings are the reference set of Frechet distances, and
            whose takes diversity is compared with.
        saved: Features of a reference set in a file, in place of the recordings of a system.

    Raises:
        InputError: If files are to be taken as they are and as they were played.
    """

    native: bool = False
    as_played: bool = False
    jobs: int = 1
    executor: str = LOCAL
    reference_system: str = ""
    saved: SavedFeatures | None = None

    def __post_init__(self) -> None:
        if self.native and self.as_played:
            raise InputError("--as-played puts pauses into the canonical encode: without --native")

    @property
    def suffix(self) -> str:
        """What a protocol's name gets for another input than the canonical encode."""
        return NATIVE if self.native else AS_PLAYED if self.as_played else ""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What scoring gives.

    Attributes:
        rows: One a recording, metric and protocol; one a system and suite for set metrics; one a
            prompt for metrics of takes.
        windows: Metrics over playing time.
        protocols: Hash to everything that decides the number.
        logs: Tracebacks of evaluator failures.
    """

    rows: list[ScoreRow]
    windows: list[WindowRow]
    protocols: dict[str, Any]
    logs: list[str] = field(default_factory=list)

    def add(
        self, row: ScoreRow, windows: Sequence[MetricWindow], *, unit: str, quantity: str = ""
    ) -> None:
        """Appends a row and its curve.

        Args:
            row: Of a sample.
            windows: Over playing time.
            unit: Of their values.
            quantity: What the values are of, if not of the metric itself.
        """
        keys = ("sample_id", "system", "suite", "seed", "metric", "protocol")
        same = {name: getattr(row, name) for name in keys} | {"quantity": quantity, "unit": unit}
        self.rows.append(row)
        self.windows.extend(
            WindowRow(t0_s=one.t0_s, t1_s=one.t1_s, value=one.value, **same) for one in windows
        )


def score(
    recordings: Sequence[Recording],
    *,
    metrics: Sequence[Metric],
    set_metrics: Sequence[SetMetric | TakesMetric] = (),
    options: Options,
    progress: ProgressFn = lambda what, done, total: None,
    whole: Sequence[Recording] = (),
) -> Scored:
    """Scores recordings; each sample gets a row for each metric, whatever happens to it.

    Args:
        recordings: Of any systems and suites.
        metrics: With a value for every recording.
        set_metrics: With a value for every system and suite, or for all takes of a prompt.
        options: Input, workers, reference set.
        progress: Told what is done.
        whole: All that the run holds if ``recordings`` are one shard of it: whose reference
            pictures a face is looked for among. Sets and takes have no number from a shard.

    Returns:
        Rows, windows, protocols and logs.

    Raises:
        InputError: If nothing is left to be scored as it was played.
    """
    if options.as_played:
        metrics = [metric for metric in metrics if not metric.is_of_arrivals]
        if not metrics:
            raise InputError("none of these metrics has another value as played: choose others")
        set_metrics = ()
        recordings, whole = ([as_played(one) for one in some] for some in (recordings, whole))
    sets = [metric for metric in set_metrics if isinstance(metric, SetMetric)]
    of_takes = [metric for metric in set_metrics if isinstance(metric, TakesMetric)]
    measured_takes = of_takes if takes.has_takes(recordings) else []
    if options.saved and sets:
        check_saved(options.saved, sets, native=options.native)
    names = extractors_of([*metrics, *sets, *measured_takes])
    store = FeatureStore(
        native=options.native, jobs=options.jobs, executor=options.executor, progress=progress
    )
    features = store.views(recordings, names)
    context = store.context(whole or recordings, names)
    scored = _score_samples(recordings, features, metrics, context, options)
    is_shard = len(recordings) < len(whole)
    for set_metric in sets:
        _add_sets(scored, recordings, features, set_metric, options, is_shard)
    for takes_metric in of_takes:
        _add_takes(scored, recordings, features, takes_metric, options, is_shard)
    scored.logs.extend(dict.fromkeys(log for view in features for log in view.logs()))
    return scored


@collector_paused()
def _score_samples(
    recordings: Sequence[Recording],
    features: Sequence[FeatureView],
    metrics: Sequence[Metric],
    context: MetricContext,
    options: Options,
) -> Scored:
    """Measures sample by sample, for metrics share what they make of it; rows by metric."""
    settings = [(metric, params_of(metric, options), dict[str, str]()) for metric in metrics]
    parts = [Scored(rows=[], windows=[], protocols={}) for _ in metrics]
    for recording, view in zip(recordings, features, strict=True):
        for (metric, params, digests), part in zip(settings, parts, strict=True):
            digest = _registered(params, metric.params_for(recording), part.protocols, digests)
            found = score_one(recording, metric, view, context, part.logs)
            if options.as_played and recording.trace and recording.trace.timing_note:
                note = {"timing_note": recording.trace.timing_note}  # its stalls hang on it
                found = replace(found, components={**found.components, **note})
            _add(part, recording, metric, found, digest, options)
        view.forget()
    return Scored(
        rows=[row for part in parts for row in part.rows],
        windows=[window for part in parts for window in part.windows],
        protocols={digest: told for part in parts for digest, told in part.protocols.items()},
        logs=[log for part in parts for log in part.logs],
    )


def _registered(
    params: Mapping[str, Any],
    own: Mapping[str, Any],
    protocols: dict[str, Any],
    digests: dict[str, str],
) -> str:
    """Enters the settings of a row among the protocols; returns their hash, kept for the next."""
    key = protocol_hash(own) if own else ""
    if key not in digests:
        digests[key] = protocol_hash({**params, **own})
        protocols[digests[key]] = {**params, **own}
    return digests[key]


def score_one(
    recording: Recording, metric: Metric, view: FeatureView, context: MetricContext, logs: list[str]
) -> Score:
    """Measures one recording; an exception becomes the reason, its traceback goes to ``logs``."""
    if recording.error:
        return Score.without_value(recording.error_status, recording.error)
    try:
        if metric.is_of_speech:
            metric.check_domain(recording.domain)
            # Missing weights say nothing of the system, so their reason goes first.
            always = [name for name in _read_by(metric) if name not in metric.needs_at_times]
            require_speech(recording, {name: view[name] for name in always})
        found = metric.score(recording, view, context)
        is_unmeasured = metric.is_of_speech and found.status == "not_applicable"
        if is_unmeasured and (too_little := speech_ends_early(recording, view)):
            reason = f"{found.reason}: {too_little}"
            return replace(found, status="generation_failure", reason=reason)
        return found
    except Unscored as why:
        return Score.without_value(why.status, why.reason)
    except Exception as error:  # the other rows are still made; this one says what happened
        return _evaluator_failure(metric, error, logs)


def _evaluator_failure(
    metric: Metric | SetMetric | TakesMetric, error: Exception, logs: list[str]
) -> Score:
    logs.append("".join(traceback.format_exception(error)))
    reason = f"{metric.protocol}: {type(error).__name__}: {error}"
    return Score.without_value("evaluator_failure", reason)


def extractors_of(metrics: Iterable[Metric | SetMetric | TakesMetric]) -> list[str]:
    """Returns the extractors that some metrics need, in the order of the table."""
    wanted = {name for metric in metrics for name in _read_by(metric) if name in EXTRACTORS}
    return [name for name in EXTRACTORS if name in wanted]


def _read_by(metric: Metric | SetMetric | TakesMetric) -> tuple[str, ...]:
    needs = (*metric.needs, SPEECH) if metric.is_of_speech else metric.needs
    return tuple(dict.fromkeys(needs))


def params_of(metric: Metric | SetMetric | TakesMetric, options: Options) -> dict[str, Any]:
    """Everything that decides a number, as JSON values."""
    return {
        "metric": metric.name,
        "protocol": metric.protocol,
        "params": metric.params,
        **feature_protocol(_read_by(metric), native=options.native),
        **({"played": POLICY} if options.as_played else {}),
    }


def _add(
    scored: Scored,
    recording: Recording,
    metric: Metric,
    score: Score,
    digest: str,
    options: Options,
) -> None:
    quantity, unit = metric.curve or (metric.name, metric.unit)
    row = _row(recording, metric, score, digest, options)
    scored.add(row, score.windows, unit=unit, quantity=quantity)


def _row(
    recording: Recording,
    metric: Metric | SetMetric | TakesMetric,
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
        protocol=metric.protocol + options.suffix,
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
        domain = recordings[members[0]].domain
        has_own = not options.saved and system != options.reference_system
        others = groups.get((options.reference_system, suite), []) if has_own else []
        if options.saved:
            reference = saved_reference(options.saved, metric, [recordings[i] for i in members])
        else:
            reference = recorded_reference(recordings, features, others, native=options.native)
        params = params_of(metric, options) | {"reference": reference.name}
        digest = protocol_hash(params)
        scored.protocols[digest] = params
        usable = [features[i] for i in members if not recordings[i].system_failed]
        if is_shard:
            reason = f"one shard of the set; run: streamchar score RUN --metrics {metric.name}"
            value = Score.without_value("unavailable", reason)
        elif mixed := several_domains([recordings[i] for i in [*members, *others]]):
            value = Score.without_value("not_applicable", mixed)
        elif reference.fault:
            value = Score.without_value("evaluator_failure", reference.fault)
        else:
            value = score_set(metric, usable, reference.features, domain, scored.logs)
        value = value.with_failed(len(members) - len(usable))
        scored.rows.append(
            _row(recordings[members[0]], metric, value, digest, options, sample_id=SET_ID)
        )


def _add_takes(
    scored: Scored,
    recordings: Sequence[Recording],
    features: Sequence[FeatureView],
    metric: TakesMetric,
    options: Options,
    is_shard: bool,
) -> None:
    prompts = takes.by_prompt(recordings)
    name = (
        takes.reference_of_takes(recordings, options.reference_system) if metric.is_relative else ""
    )
    references = {
        suite: named_reference(
            recordings, takes.whole_suite(recordings, name, suite), native=options.native
        )
        for suite in {suite for _, suite, _ in prompts}
    }
    for (system, suite, sample_id), members in prompts.items():
        others = [] if system == name else prompts.get((name, suite, sample_id), [])
        named, fault = (None, "") if system == name else references[suite]
        params = params_of(metric, options)
        params |= {"reference": named} if metric.is_relative else {}
        digest = protocol_hash(params)
        scored.protocols[digest] = params
        if is_shard:
            reason = f"one shard of the takes; run: streamchar score RUN --metrics {metric.name}"
            score = Score.without_value("unavailable", reason)
        elif fault:
            score = Score.without_value("evaluator_failure", fault)
        else:
            score = _score_takes(metric, recordings, features, (members, others), scored.logs)
        row = _row(recordings[members[0]], metric, score, digest, options)
        scored.rows.append(replace(row, seed=EVERY_SEED) if len(members) > 1 else row)


def _score_takes(
    metric: TakesMetric,
    recordings: Sequence[Recording],
    features: Sequence[FeatureView],
    members: tuple[Sequence[int], Sequence[int]],
    logs: list[str],
) -> Score:
    """Measures takes against the reference's; exceptions as in `score_one`."""
    own, reference = (
        [SeedTake(recording=recordings[i], features=features[i]) for i in part] for part in members
    )
    try:
        return metric.score_takes(own, reference)
    except Exception as error:  # as for a metric of samples
        return _evaluator_failure(metric, error, logs)


def score_set(
    metric: SetMetric,
    features: Sequence[FeatureView],
    reference: Sequence[FeatureView],
    domain: str,
    logs: list[str],
) -> Score:
    """Measures one set; exceptions as in `score_one`."""
    try:
        return metric.score_set(features, reference, domain=domain)
    except Exception as error:  # as for a metric of samples
        return _evaluator_failure(metric, error, logs)


def default_jobs() -> int:
    """One worker for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
