"""Systems compared on the samples that both have: differences, intervals, and ties said as ties."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np

from evals.jsonl import InputError
from evals.results import SET_ID, ScoreRow
from evals.statistics import PairedDifference, holm, paired_difference
from evals.summary import UNKNOWN, MetricInfo, drawn_together

ALPHA = 0.05
DAGGER = "\N{DAGGER}"
Verdict = Literal["better", "worse", "tied", "not comparable"]
_Sample = tuple[str, int]  # sample_id and seed, inside one suite


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One system against another in one metric.

    Attributes:
        suite: Which prompts.
        metric: Name of the metric.
        protocol: Name and version of its parameters.
        system: Whose verdict it is.
        against: The other.
        n_pairs: Samples that both have scored; differences rest on these alone.
        n_unpaired: Samples that only one of the two has scored.
        delta: Weighted mean of system minus against, in the metric's unit.
        ci_low: Lower end of its 95 % bootstrap interval.
        ci_high: Upper end.
        p: Two-sided, of the sign-flip test.
        p_holm: The same after Holm, over all comparisons of one call.
        verdict: ``better`` or ``worse`` if ``p_holm`` is below 0.05, else ``tied``.
        reason: Why not comparable; else empty.
        mark: A dagger where the two numbers must not stand side by side: other protocol or domain.
    """

    suite: str
    metric: str
    protocol: str
    system: str
    against: str
    n_pairs: int = 0
    n_unpaired: int = 0
    delta: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    verdict: Verdict = "not comparable"
    reason: str = ""
    mark: str = ""


@dataclass(frozen=True, kw_only=True)
class _Resampling:
    draws: int
    flips: int
    seed: int


def compare(
    rows: Iterable[ScoreRow],
    infos: Mapping[str, MetricInfo],
    *,
    against: str | None = None,
    identities: Mapping[str, str] | None = None,
    draws: int = 10_000,
    seed: int = 0,
) -> list[Comparison]:
    """Compares systems pair by pair, suite by suite, metric by metric, identities drawn whole.

    Args:
        rows: Scores of all systems.
        infos: Metric name -> unit and direction.
        against: Compare each other system with this one; all pairs by default.
        identities: See `evals.summary.drawn_together`.
        draws: Resamples of the bootstrap.
        seed: Of the resampling.

    Returns:
        Sorted by suite, metric, protocol and systems.

    Raises:
        InputError: If no row is of the system ``against``.
    """
    groups = _by_metric(rows)
    systems = sorted({system for by_system in groups.values() for system in by_system})
    pairs = _pairs(systems, against)
    tasks = [
        (place, pair)
        for place, by_system in sorted(groups.items())
        for pair in pairs
        if set(pair) <= by_system.keys()
    ]
    # Enough sign patterns that the smallest p there can be survives Holm.
    resampling = _Resampling(draws=draws, flips=max(draws, 40 * len(tasks)), seed=seed)
    found = [
        _compare(place, pair, groups[place], infos, identities or {}, resampling)
        for place, pair in tasks
    ]
    return _judged(found, infos)


def _by_metric(
    rows: Iterable[ScoreRow],
) -> dict[tuple[str, str, str], dict[str, list[ScoreRow]]]:
    groups: dict[tuple[str, str, str], dict[str, list[ScoreRow]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in sorted(rows, key=lambda row: row.key):
        groups[row.suite, row.metric, row.protocol][row.system].append(row)
    return groups


def _pairs(systems: Sequence[str], against: str | None) -> list[tuple[str, str]]:
    if against is None:
        return list(combinations(systems, 2))
    if against not in systems:
        raise InputError(f"no scores of system {against!r}; there are: {', '.join(systems)}")
    return [(system, against) for system in systems if system != against]


def _compare(
    place: tuple[str, str, str],
    pair: tuple[str, str],
    by_system: Mapping[str, list[ScoreRow]],
    infos: Mapping[str, MetricInfo],
    identities: Mapping[str, str],
    resampling: _Resampling,
) -> Comparison:
    suite, metric, protocol = place
    result = Comparison(
        suite=suite, metric=metric, protocol=protocol, system=pair[0], against=pair[1]
    )
    first, second = (by_system[system] for system in pair)
    if obstacle := _obstacle(first, second):
        return replace(result, reason=obstacle, mark=DAGGER)
    ours, theirs = _computed(first), _computed(second)
    shared = sorted(ours.keys() & theirs.keys())
    result = replace(result, n_pairs=len(shared), n_unpaired=len(ours.keys() ^ theirs.keys()))
    if not shared:
        return replace(result, reason="no sample has a score of both")
    difference = _difference(ours, theirs, shared, identities, resampling)
    result = replace(
        result,
        delta=_known(difference.delta),
        ci_low=_known(difference.low),
        ci_high=_known(difference.high),
        p=_known(difference.p),
    )
    return replace(result, reason=_doubt(result, shared, infos.get(metric, UNKNOWN)))


def _obstacle(first: list[ScoreRow], second: list[ScoreRow]) -> str:
    """Why two lists of rows must not be compared at all; empty if they may."""
    sides = [[row for row in rows if row.value is not None] for rows in (first, second)]
    for name, what in (("domain", "domains"), ("protocol_hash", "protocol hashes")):
        one, other = ({getattr(row, name) for row in rows} for rows in sides)
        if len(one | other) > 1:
            return f"different {what}: {_listed(one)} and {_listed(other)}"
    return ""


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _doubt(result: Comparison, shared: Sequence[_Sample], info: MetricInfo) -> str:
    """Why a difference has no verdict; empty if it has one."""
    if shared[0][0] == SET_ID:
        return "one value for the whole set: there are no pairs"
    if result.p is None:
        return "fewer than two independent pairs"
    if info.higher_is_better is None:
        return "neither direction is better"
    return ""


def _computed(rows: list[ScoreRow]) -> dict[_Sample, ScoreRow]:
    return {(row.sample_id, row.seed): row for row in rows if row.value is not None}


def _difference(
    ours: Mapping[_Sample, ScoreRow],
    theirs: Mapping[_Sample, ScoreRow],
    shared: Sequence[_Sample],
    identities: Mapping[str, str],
    resampling: _Resampling,
) -> PairedDifference:
    return paired_difference(
        _values(ours, shared),
        _values(theirs, shared),
        weights=np.array([(ours[key].weight + theirs[key].weight) / 2 for key in shared]),
        clusters=drawn_together([ours[sample] for sample in shared], identities),
        draws=resampling.draws,
        flips=resampling.flips,
        seed=resampling.seed,
    )


def _values(rows: Mapping[_Sample, ScoreRow], samples: Sequence[_Sample]) -> np.ndarray:
    return np.array([rows[sample].value for sample in samples], dtype=np.float64)


def _judged(found: list[Comparison], infos: Mapping[str, MetricInfo]) -> list[Comparison]:
    judgeable = [index for index, one in enumerate(found) if not one.reason]
    p_values = np.array([found[index].p for index in judgeable], dtype=np.float64)
    judged = list(found)
    for index, p_holm in zip(judgeable, holm(p_values), strict=True):
        one = replace(found[index], p_holm=float(p_holm))
        judged[index] = replace(one, verdict=_verdict(one, infos[one.metric]))
    return judged


def _verdict(one: Comparison, info: MetricInfo) -> Verdict:
    if one.p_holm is None or one.delta is None or one.p_holm >= ALPHA or one.delta == 0:
        return "tied"
    return "better" if (one.delta > 0) == info.higher_is_better else "worse"


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
