"""From score rows to one line a system and metric: mean, interval, coverage and counts."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from jaxtyping import Int

from evals.metrics import INFOS
from evals.numerics.statistics import ConfidenceInterval, bootstrap_mean
from evals.protocols.info import NON_NEGATIVE, Axis, Direction, MetricInfo, direction_of
from evals.scoring.results import MEND, SET_ID, STATUSES, ScoreRow, dump_json
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import write_atomically
from streamchar_ref.core.shape import Count, NonNegative, fault_in, read_shaped

SCHEMA_VERSION = 1


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
        zero_is_best: Whether values are signed and best at zero.
        value: Weighted mean of the computed rows; ``None`` if there are none.
        ci_low: Lower end of the 95 % interval; ``None`` with fewer than five that are independent,
            or with values that are all alike.
        ci_high: Upper end.
        n: Computed rows.
        n_independent: Computed rows that are drawn apart, see `bootstrap_clusters`; ``None`` for a
            metric on a set, and in files that do not say.
        abs_value: Mean of the absolute values where zero is best; else ``None``.
        abs_ci_low: Lower end of its interval.
        abs_ci_high: Upper end.
        n_videos: Videos in the set of a metric on a set, which is one computed row; else ``None``.
        macro_value: Mean that counts each sample once, for error rates whose ``value`` counts each
            word; else ``None``.
        if_best: Where coverage is below 1: the mean, as it is ranked, if all that is missing had
            the best possible value; ``None`` without a bound on that side, or a direction.
        if_worst: Likewise with the worst possible value.
        coverage: Computed rows / rows that apply, where all rows apply but those that are
            ``not_applicable``: failures and what was unavailable lower it. Of a set the share of
            its videos that are in it. ``None`` if no row applies.
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
    n: Count
    coverage: NonNegative | None
    counts: Mapping[str, Count]
    reasons: Mapping[str, Count]
    zero_is_best: bool = False
    n_independent: int | None = None
    abs_value: float | None = None
    abs_ci_low: float | None = None
    abs_ci_high: float | None = None
    n_videos: int | None = None
    macro_value: float | None = None
    if_best: float | None = None
    if_worst: float | None = None

    @property
    def direction(self) -> Direction:
        """Which values are better."""
        return direction_of(self.higher_is_better, self.zero_is_best)

    @property
    def ranked(self) -> "SummaryRow":
        """The summary that systems are ranked by.

        That is itself but where zero is best: there it holds the mean of the absolute values, for
        offsets of +200 and -200 ms have a mean of 0 and are not good.
        """
        if not self.zero_is_best:
            return self
        return replace(
            self, value=self.abs_value, ci_low=self.abs_ci_low, ci_high=self.abs_ci_high,
            zero_is_best=False, higher_is_better=False,
        )  # fmt: skip

    @property
    def size(self) -> int:
        """Samples behind the value: videos of a set, else computed rows."""
        return self.n if self.n_videos is None else self.n_videos

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
    own. What `bootstrap_clusters` says is drawn together. A metric on a whole set has one row,
    ``sample_id`` ``*``, and brings ``ci_low`` and ``ci_high`` in its components if it knows them.

    Args:
        rows: In any order.
        infos: Metric name -> unit and direction; a metric that is missing here has neither.
        identities: See `bootstrap_clusters`.
        draws: Resamples of the bootstrap.
        seed: Of the bootstrap.

    Returns:
        Sorted by suite, system, metric, protocol, hash and domain.
    """
    ordered = sorted(rows, key=lambda row: (_group(row), row.key))
    return [
        _summary(list(group), infos, identities or {}, draws=draws, seed=seed)
        for _, group in groupby(ordered, key=_group)
    ]


def bootstrap_clusters(
    rows: Sequence[ScoreRow], identities: Mapping[str, str]
) -> Int[np.ndarray, " N"]:
    """Numbers what a resampling draws as one: all samples and seeds of an identity or a voice.

    Two prompts spoken by one face are no two independent witnesses. With one identity alone, all
    that can be said is about it, and its samples are drawn; so are samples of nobody known.

    Args:
        rows: N, of one system and metric.
        identities: ``suite/sample_id`` -> who is shown, as far as that is known.

    Returns:
        The same number for rows that are drawn together.
    """
    return clusters_of([f"{row.suite}/{row.sample_id}" for row in rows], identities)


def clusters_of(samples: Sequence[str], identities: Mapping[str, str]) -> Int[np.ndarray, " N"]:
    """Numbers what is drawn as one, see `bootstrap_clusters`, of samples ``suite/sample_id``."""
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
        InputError: If the file is damaged, or of a version that this code does not know.
    """
    content = read_shaped(path, _Summary, remedy=MEND)
    if content["schema_version"] != SCHEMA_VERSION:
        raise InputError(f"{path}: schema version {content['schema_version']} is not known here")
    rows = [_with_direction(row) for row in content["rows"]]
    for number, row in enumerate(rows):
        fault = fault_in(row, SummaryRow)
        if fault or set(row["counts"]) != set(STATUSES):
            fault = fault or "counts are not those of the statuses"
            raise InputError(f"{path}: damaged, rows[{number}]: {fault}; {MEND}")
    return [SummaryRow(**row) for row in rows]


class _Summary(TypedDict):
    schema_version: int
    rows: list[dict[str, Any]]


def _with_direction(row: dict[str, Any]) -> dict[str, Any]:
    """Adds what older files do not say: whether zero is best."""
    return {"zero_is_best": INFOS.get(str(row.get("metric")), UNKNOWN).zero_is_best} | row


def infos_of(summaries: Iterable[SummaryRow]) -> dict[str, MetricInfo]:
    """Returns what readers must know of each metric; unit and direction as the summary has them."""
    return {
        row.metric: INFOS.get(row.metric, UNKNOWN)._replace(
            unit=row.unit,
            higher_is_better=row.higher_is_better,
            zero_is_best=row.zero_is_best,
        )
        for row in summaries
    }


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
    computed = [row for row in rows if row.status == "computed"]
    mean = _estimate(computed, info, identities, draws=draws, seed=seed)
    absolute: dict[str, float | None] = {}
    if info.zero_is_best:
        sizes = [replace(row, value=abs(row.value or 0.0)) for row in computed]
        absolute_mean = _estimate(
            sizes, info._replace(bounds=NON_NEGATIVE), identities, draws=draws, seed=seed
        )
        ends = (_known(absolute_mean.value), _known(absolute_mean.low), _known(absolute_mean.high))
        absolute = dict(zip(("abs_value", "abs_ci_low", "abs_ci_high"), ends, strict=True))
    coverage = counts["computed"] / applicable if applicable else None
    if coverage == 1 and first.sample_id == SET_ID:
        coverage = _share_in_set(first)
    ranked = absolute.get("abs_value") if info.zero_is_best else _known(mean.value)
    is_mean = first.sample_id != SET_ID  # a distance of a set is none
    if_best, if_worst = _if_complete(ranked if is_mean else None, coverage, info)
    return SummaryRow(
        system=first.system,
        suite=first.suite,
        metric=first.metric,
        protocol=first.protocol,
        protocol_hash=first.protocol_hash,
        domain=first.domain,
        unit=info.unit,
        higher_is_better=info.higher_is_better,
        zero_is_best=info.zero_is_best,
        value=_known(mean.value),
        ci_low=_known(mean.low),
        ci_high=_known(mean.high),
        **absolute,
        n_videos=_num_videos(computed),
        macro_value=_macro(computed, info),
        n_independent=mean.num_clusters if first.sample_id != SET_ID else None,
        n=counts["computed"],
        if_best=if_best,
        if_worst=if_worst,
        coverage=coverage,
        counts={status: counts[status] for status in STATUSES},
        reasons=dict(Counter(row.reason for row in rows if row.status != "computed")),
    )


def _if_complete(
    ranked: float | None, coverage: float | None, info: MetricInfo
) -> tuple[float | None, float | None]:
    """Mean over all samples if those that are missing were as good, or as bad, as there can be.

    Each missing sample has the mean weight of the others: it has none of its own.
    """
    if ranked is None or coverage is None or coverage >= 1 or info.direction is Direction.NONE:
        return None, None
    low, high = NON_NEGATIVE if info.zero_is_best else info.bounds
    ends = (high, low) if info.direction is Direction.HIGHER else (low, high)
    best, worst = (coverage * ranked + (1 - coverage) * end for end in ends)
    return (best if np.isfinite(best) else None), (worst if np.isfinite(worst) else None)


def _estimate(
    computed: list[ScoreRow],
    info: MetricInfo,
    identities: Mapping[str, str],
    *,
    draws: int,
    seed: int,
) -> ConfidenceInterval:
    if not computed:
        return ConfidenceInterval(value=np.nan, low=np.nan, high=np.nan)
    if len(computed) == 1 and computed[0].sample_id == SET_ID:
        ends = [computed[0].components.get(name) for name in ("ci_low", "ci_high")]
        low, high = (np.nan if end is None else float(np.clip(end, *info.bounds)) for end in ends)
        return ConfidenceInterval(value=float(computed[0].value or 0.0), low=low, high=high)
    interval = bootstrap_mean(
        np.array([row.value for row in computed], dtype=np.float64),
        weights=np.array([row.weight for row in computed]),
        clusters=bootstrap_clusters(computed, identities),
        bounds=info.bounds,
        draws=draws,
        seed=seed,
    )
    if interval.low == interval.high:  # samples that are all alike tell nothing of the spread
        return replace(interval, low=np.nan, high=np.nan)
    return interval


def _macro(computed: list[ScoreRow], info: MetricInfo) -> float | None:
    """Mean over samples of an error rate whose samples weigh by their words."""
    values = [row.value for row in computed if row.value is not None]
    is_micro = info.axis is Axis.TEXT and info.is_percent and len({r.weight for r in computed}) > 1
    return float(np.mean(values)) if is_micro else None


def _num_videos(computed: list[ScoreRow]) -> int | None:
    """Videos of the set behind the one row of a metric on a set, where the row says."""
    if len(computed) != 1 or computed[0].sample_id != SET_ID:
        return None
    count = computed[0].components.get("n_fake_videos")
    return None if count is None else int(count)


def _share_in_set(row: ScoreRow) -> float:
    """Share of a system's videos in its set: streams that failed and unusable ones are not.

    Rows made before they said how many had failed count as whole.
    """
    told = row.components
    if "n_failed" not in told or not told.get("n_fake_videos"):
        return 1.0
    out = int(told["n_failed"]) + int(told.get("n_fake_unusable", 0))
    return int(told["n_fake_videos"]) / (int(told["n_fake_videos"]) + out)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
