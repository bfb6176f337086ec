"""Whether scores are of each other, and of the media that they name: some are measured again."""

import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from evals.metrics import METRICS
from evals.protocols.base import Metric, protocol_hash
from evals.protocols.tool import is_import
from evals.recording.recording import Recording
from evals.scoring.persist import summaries_of
from evals.scoring.protocol_ids import split_protocol
from evals.scoring.results import EVERY_SEED, SET_ID, ScoreRow
from evals.scoring.score import Options, params_of, score
from evals.scoring.summary import SummaryRow
from streamchar_ref.core.progress import ProgressFn
from streamchar_ref.weights import weights_folder

TOLERANCE = 1e-6
"""Largest deviation, absolute and relative, of numbers measured twice on one kind of processor."""
_OUR_FAULT = {"evaluator_failure", "unavailable"}


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """How far numbers measured again are from the stored ones.

    Attributes:
        protocol: Of the numbers.
        largest: Largest absolute difference, in the metric's unit.
        where: Sample of the largest difference.
        n: Numbers compared.
    """

    protocol: str
    largest: float
    where: str
    n: int


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was found.

    Attributes:
        samples: Measured again.
        deviations: One a protocol.
        mismatches: What is wrong, in words; empty if all is well.
        skipped: Why rows of these samples were not measured again -> how many.
    """

    samples: Sequence[str] = ()
    deviations: Sequence[Deviation] = ()
    mismatches: Sequence[str] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)


def check_results(
    rows: Sequence[ScoreRow], summaries: Sequence[SummaryRow] | None, entries: Mapping[str, Any]
) -> list[str]:
    """Compares rows with their summary, and hashes with the settings that they stand for.

    Args:
        rows: Of ``scores.jsonl``.
        summaries: Of ``summary.json``.
        entries: Of ``run.json``.

    Returns:
        What is wrong, in words.
    """
    protocols = entries.get("protocols", {})
    wrong = [
        f"run.json holds no settings of {protocol} #{digest}"
        for protocol, digest in sorted({(row.protocol, row.protocol_hash) for row in rows})
        if digest not in protocols
    ]
    wrong += [
        f"run.json: the settings under #{digest} have the hash #{protocol_hash(params)}"
        for digest, params in sorted(protocols.items())
        if protocol_hash(params) != digest
    ]
    if summaries is None:
        return [*wrong, "there is no summary.json"]
    stored = {_key(one): one for one in summaries}
    ours = {_key(one): one for one in summaries_of(rows, entries.get("identities", {}))}
    for key in sorted(stored.keys() | ours.keys()):
        told, counted = stored.get(key), ours.get(key)
        if told is None or counted is None or not _alike(told, counted):
            wrong.append(
                f"{' '.join(key)}: summary.json says {_said(told)}, the rows {_said(counted)}"
            )
    return wrong


def recompute(
    recordings: Sequence[Recording],
    rows: Sequence[ScoreRow],
    *,
    samples: int,
    seed: int = 0,
    tolerance: float = TOLERANCE,
    fresh: bool = True,
    jobs: int = 1,
    progress: ProgressFn = lambda what, done, total: None,
) -> Verification:
    """Measures samples drawn at random again and compares.

    Args:
        recordings: All of the run, with media where they are there.
        rows: Stored scores.
        samples: How many.
        seed: Of the draw.
        tolerance: Absolute, and relative to values beyond 1.
        fresh: Extract features anew rather than take them from the cache.
        jobs: Worker processes.
        progress: Told what is done.

    Returns:
        Deviations, mismatches and what was skipped.
    """
    scored = {(row.system, row.suite, row.sample_id, row.seed) for row in rows}
    usable = [one for one in recordings if not one.error and _sample(one) in scored]
    usable.sort(key=lambda one: one.recording_id)
    drawn = np.random.default_rng(seed).permutation(len(usable))[:samples]
    chosen = [usable[at] for at in sorted(drawn.tolist())]
    wanted = {_sample(one) for one in chosen}
    stored = [row for row in rows if (row.system, row.suite, row.sample_id, row.seed) in wanted]
    installed = {metric.protocol: metric for metric in METRICS}
    skipped = Counter(
        "of all seeds or samples together"
        for row in rows
        if row.sample_id == SET_ID or row.seed == EVERY_SEED
    )
    again: dict[tuple[str, ...], ScoreRow] = {}
    with fresh_cache() if fresh else _same_cache():
        for native, as_played in ((False, False), (True, False), (False, True)):
            options = Options(native=native, as_played=as_played, jobs=jobs)
            metrics = _comparable(stored, chosen, installed, options, skipped)
            if metrics and chosen:
                found = score(
                    chosen, metrics=metrics, options=options, progress=progress, whole=recordings
                )
                again |= {_row_key(row): row for row in found.rows}
    return _compared(stored, again, [one.recording_id for one in chosen], skipped, tolerance)


@contextmanager
def fresh_cache() -> Iterator[None]:
    """An empty cache for features, so that everything is extracted anew; weights stay."""
    before = {name: os.environ.get(name) for name in ("STREAMCHAR_CACHE", "STREAMCHAR_WEIGHTS")}
    weights = str(weights_folder())
    with TemporaryDirectory(prefix="streamchar-verify-") as folder:
        os.environ |= {"STREAMCHAR_CACHE": folder, "STREAMCHAR_WEIGHTS": weights}
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                os.environ |= {} if value is None else {name: value}


@contextmanager
def _same_cache() -> Iterator[None]:
    yield


def _comparable(
    stored: Sequence[ScoreRow],
    chosen: Sequence[Recording],
    installed: Mapping[str, Metric],
    options: Options,
    skipped: Counter[str],
) -> list[Metric]:
    """Metrics that this installation measures with the stored settings; counts the other rows."""
    of_sample = {_sample(one): one for one in chosen}
    settings: dict[str, dict[str, Any]] = {}
    comparable: dict[str, Metric] = {}
    for row in stored:
        bare, native, as_played = split_protocol(row.protocol)
        if (native, as_played) != (options.native, options.as_played) or row.seed == EVERY_SEED:
            continue
        metric = installed.get(bare)
        if metric is None:
            why = "was imported" if is_import(bare) else "is not installed"
            skipped[f"{row.protocol} {why}"] += 1
            continue
        if bare not in settings:
            settings[bare] = params_of(metric, options)
        recording = of_sample[row.system, row.suite, row.sample_id, row.seed]
        own = metric.params_for(recording)
        if protocol_hash({**settings[bare], **own}) == row.protocol_hash:
            comparable[bare] = metric
        else:
            other = "other settings or versions are installed"
            skipped[f"{row.protocol} #{row.protocol_hash}: {other}"] += 1
    return [comparable[bare] for bare in sorted(comparable)]


def _compared(
    stored: Sequence[ScoreRow],
    again: Mapping[tuple[str, ...], ScoreRow],
    samples: Sequence[str],
    skipped: Counter[str],
    tolerance: float,
) -> Verification:
    largest: dict[str, list[tuple[float, str]]] = defaultdict(list)
    mismatches = []
    for row in stored:
        other = again.get(_row_key(row))
        if other is None:
            continue
        if row.status in _OUR_FAULT or other.status in _OUR_FAULT:
            skipped[f"{row.protocol}: {other.reason or row.reason}"] += 1
        elif row.value is None or other.value is None:
            if row.status != other.status:
                mismatches.append(f"{row.where} was {row.status}, is {other.status}")
        else:
            difference = abs(other.value - row.value)
            largest[row.protocol].append((difference, row.where.removesuffix(f" {row.protocol}")))
            if difference > tolerance * max(1.0, abs(row.value)):
                mismatches.append(f"{row.where} was {row.value!r}, is {other.value!r}")
    deviations = [
        Deviation(protocol=protocol, largest=max(found)[0], where=max(found)[1], n=len(found))
        for protocol, found in sorted(largest.items())
    ]
    return Verification(
        samples=samples, deviations=deviations, mismatches=mismatches, skipped=dict(skipped)
    )


def _alike(one: SummaryRow, other: SummaryRow) -> bool:
    if one.value is None or other.value is None or one.n != other.n:
        return (one.value, one.n) == (other.value, other.n)
    return math.isclose(one.value, other.value, rel_tol=1e-9, abs_tol=1e-12)


def _said(one: SummaryRow | None) -> str:
    return "nothing" if one is None else f"{one.value} (n = {one.n})"


def _key(one: SummaryRow) -> tuple[str, ...]:
    return (one.system, one.suite, one.protocol, f"#{one.protocol_hash}", one.domain)


def _sample(one: Recording) -> tuple[str, str, str, int]:
    return (one.system, one.suite, one.sample_id, one.seed)


def _row_key(row: ScoreRow) -> tuple[str, ...]:
    return (row.system, row.suite, row.sample_id, str(row.seed), row.protocol, row.protocol_hash)
