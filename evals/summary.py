"""From score rows to one line a system and metric: mean, interval, coverage and counts."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from evals.content import write_atomically
from evals.jsonl import InputError
from evals.results import SET_ID, STATUSES, ScoreRow, dump_json
from evals.statistics import bootstrap_mean

SCHEMA_VERSION = 1


class MetricInfo(NamedTuple):
    """What a reader must know of a metric.

    Attributes:
        unit: ``1`` for ratios.
        higher_is_better: ``None`` where neither is.
    """

    unit: str
    higher_is_better: bool | None


UNKNOWN = MetricInfo(unit="", higher_is_better=None)


@dataclass(frozen=True, kw_only=True)
class SummaryRow:
    """One metric under one protocol hash, over the samples of one system and suite.

    Attributes:
        system: What made the samples.
        suite: Which prompts.
        metric: Name of the metric.
        protocol: Name and version of its parameters.
        protocol_hash: Of all its parameters.
        domain: ``real`` or ``world``.
        unit: Of the value.
        higher_is_better: ``None`` where neither is.
        value: Weighted mean of the computed rows; ``None`` if there are none.
        ci_low: Lower end of the 95 % interval; ``None`` with fewer than two samples.
        ci_high: Upper end.
        n: Computed rows.
        coverage: Computed rows / rows that apply, where all rows apply but those that are
            ``not_applicable``: failures and what was unavailable lower it. ``None`` if no row
            applies.
        counts: Rows of each status; all five are there, and they add up to all rows.
        reasons: Why rows are unscored, each with its count.
    """

    system: str
    suite: str
    metric: str
    protocol: str
    protocol_hash: str
    domain: str
    unit: str
    higher_is_better: bool | None
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    coverage: float | None
    counts: Mapping[str, int]
    reasons: Mapping[str, int]

    @property
    def num_failed(self) -> int:
        """Rows whose generation or evaluation failed."""
        return self.counts["generation_failure"] + self.counts["evaluator_failure"]

    @property
    def has_interval(self) -> bool:
        """Whether both ends of the interval are known."""
        return self.ci_low is not None and self.ci_high is not None


def summarise(
    rows: Iterable[ScoreRow],
    infos: Mapping[str, MetricInfo],
    *,
    identities: Mapping[str, str] | None = None,
    draws: int = 2_000,
    seed: int = 0,
) -> list[SummaryRow]:
    """Averages rows over samples, system by system.

    Rows of different protocol hashes or domains are never averaged: each hash has a line of its
    own. What `drawn_together` says is drawn together. A metric on a whole set has one row,
    ``sample_id`` ``*``, and brings ``ci_low`` and ``ci_high`` in its components if it knows them.

    Args:
        rows: In any order.
        infos: Metric name -> unit and direction; a metric that is missing here has neither.
        identities: See `drawn_together`.
        draws: Resamples of the percentile bootstrap.
        seed: Of the bootstrap.

    Returns:
        Sorted by suite, system, metric, protocol, hash and domain.
    """
    ordered = sorted(rows, key=lambda row: (_group(row), row.key))
    return [
        _summary(list(group), infos, identities or {}, draws=draws, seed=seed)
        for _, group in groupby(ordered, key=_group)
    ]


def drawn_together(
    rows: Sequence[ScoreRow], identities: Mapping[str, str]
) -> Int[np.ndarray, " N"]:
    """Numbers what a resampling draws as one: all samples and seeds of an identity.

    Two prompts spoken by one face are no two independent witnesses. With one identity alone, all
    that can be said is about it, and its samples are drawn; so are samples of nobody known.

    Args:
        rows: N, of one system and metric.
        identities: ``suite/sample_id`` -> who is shown, as far as that is known.

    Returns:
        The same number for rows that are drawn together.
    """
    samples = [f"{row.suite}/{row.sample_id}" for row in rows]
    people = [identities.get(sample, f"\0{sample}") for sample in samples]
    _, numbers = np.unique(people if len(set(people)) > 1 else samples, return_inverse=True)
    return numbers


def write_summary(path: Path, summaries: Sequence[SummaryRow]) -> None:
    """Writes ``summary.json``; the same summaries give the same bytes."""
    content = {"schema_version": SCHEMA_VERSION, "rows": [asdict(row) for row in summaries]}
    write_atomically(path, (dump_json(content, indent=1) + "\n").encode())


def read_summary(path: Path) -> list[SummaryRow]:
    """Reads what `write_summary` wrote.

    Args:
        path: A ``summary.json``.

    Returns:
        Rows in the order of the file.

    Raises:
        InputError: If the file is of a version that this code does not know.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if content["schema_version"] != SCHEMA_VERSION:
        raise InputError(f"{path}: schema version {content['schema_version']} is not known here")
    return [SummaryRow(**row) for row in content["rows"]]


def infos_of(summaries: Iterable[SummaryRow]) -> dict[str, MetricInfo]:
    """Returns unit and direction of each metric that a summary knows."""
    return {row.metric: MetricInfo(row.unit, row.higher_is_better) for row in summaries}


def _group(row: ScoreRow) -> tuple[str, str, str, str, str, str]:
    return (row.suite, row.system, row.metric, row.protocol, row.protocol_hash, row.domain)


def _summary(
    rows: list[ScoreRow],
    infos: Mapping[str, MetricInfo],
    identities: Mapping[str, str],
    *,
    draws: int,
    seed: int,
) -> SummaryRow:
    first = rows[0]
    counts: Counter[str] = Counter(row.status for row in rows)
    applicable = len(rows) - counts["not_applicable"]
    info = infos.get(first.metric, UNKNOWN)
    value, low, high = _estimate(
        [row for row in rows if row.status == "computed"], identities, draws=draws, seed=seed
    )
    return SummaryRow(
        system=first.system,
        suite=first.suite,
        metric=first.metric,
        protocol=first.protocol,
        protocol_hash=first.protocol_hash,
        domain=first.domain,
        unit=info.unit,
        higher_is_better=info.higher_is_better,
        value=value,
        ci_low=low,
        ci_high=high,
        n=counts["computed"],
        coverage=counts["computed"] / applicable if applicable else None,
        counts={status: counts[status] for status in STATUSES},
        reasons=dict(Counter(row.reason for row in rows if row.status != "computed")),
    )


def _estimate(
    computed: list[ScoreRow], identities: Mapping[str, str], *, draws: int, seed: int
) -> tuple[float | None, float | None, float | None]:
    if not computed:
        return None, None, None
    if len(computed) == 1 and computed[0].sample_id == SET_ID:
        made_of = computed[0].components
        return computed[0].value, made_of.get("ci_low"), made_of.get("ci_high")
    estimate = bootstrap_mean(
        np.array([row.value for row in computed], dtype=np.float64),
        weights=np.array([row.weight for row in computed]),
        clusters=drawn_together(computed, identities),
        draws=draws,
        seed=seed,
    )
    return _known(estimate.value), _known(estimate.low), _known(estimate.high)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
