"""Systems compared on the samples that both have: differences, intervals, and what they decide."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal, NamedTuple

import numpy as np

from evals.numerics.statistics import PairedDifference, holm, paired_difference
from evals.protocols.info import Direction, MetricInfo
from evals.protocols.tool import is_import
from evals.scoring.paired import PairedValues
from evals.scoring.results import SET_ID, ScoreRow, people_of
from evals.scoring.summary import UNKNOWN
from streamchar_ref.core.errors import InputError

ALPHA = 0.05
DAGGER = "\N{DAGGER}"
Verdict = Literal["better", "worse", "inconclusive", "not comparable"]
_Sample = tuple[str, int]  # sample_id and seed, inside one suite
_Place = tuple[str, str, str]  # suite, metric and protocol


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
        n_independent: Pairs that are drawn apart, see `evals.scoring.summary.bootstrap_clusters`.
        n_prompts: Prompts of the pairs, whatever their number of seeds.
        unit: Of the difference.
        delta: Weighted mean of system minus against, in the metric's unit; where zero is best, of
            their absolute values.
        is_absolute: Whether absolute values were compared.
        ci_low: Lower end of its 95 % bootstrap interval; ``None`` with fewer than five
            independent pairs.
        ci_high: Upper end.
        spread: Standard deviation of what one independent pair adds to ``delta``, see
            `evals.numerics.power.PairedSpread`; ``None`` likewise.
        effect: Paired standardised mean difference of system minus against, see
            `evals.numerics.effects`; ``None`` where it is not defined.
        effect_low: Lower end of its 95 % interval.
        effect_high: Upper end.
        superiority: Share of pairs in which the system is better, ties as half; ``None`` where
            neither direction is better.
        superiority_low: Lower end of its 95 % interval.
        superiority_high: Upper end.
        p: Two-sided, of the sign-flip test.
        smallest_p: What ``p`` is at least with so many independent pairs.
        p_holm: ``p``, times the candidates of its `Pair`, after Holm over all comparisons of one
            call; those of imported metrics are a family of their own.
        verdict: ``better`` or ``worse`` if ``p_holm`` is below 0.05; else ``inconclusive``: no
            difference is shown, which is not to say that there is none.
        reason: Why not comparable, or why nothing could be shown; else empty.
        mark: A dagger where the two numbers must not stand side by side: other protocol or domain.
    """

    suite: str
    metric: str
    protocol: str
    system: str
    against: str
    n_pairs: int = 0
    n_unpaired: int = 0
    n_independent: int = 0
    n_prompts: int = 0
    unit: str = ""
    delta: float | None = None
    is_absolute: bool = False
    ci_low: float | None = None
    ci_high: float | None = None
    spread: float | None = None
    effect: float | None = None
    effect_low: float | None = None
    effect_high: float | None = None
    superiority: float | None = None
    superiority_low: float | None = None
    superiority_high: float | None = None
    p: float | None = None
    smallest_p: float | None = None
    p_holm: float | None = None
    verdict: Verdict = "not comparable"
    reason: str = ""
    mark: str = ""


class Pair(NamedTuple):
    """Two systems to compare.

    Attributes:
        system: Whose verdict it is.
        against: The other.
        num_candidates: Of how many systems ``against`` was picked by the very values that are
            compared, as the best one is; p is multiplied by it, since the luckiest of many looks
            better than it is.
    """

    system: str
    against: str
    num_candidates: int = 1


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
    pairs: Sequence[Pair] | Mapping[str, Sequence[Pair]] | None = None,
    metrics: Collection[str] | None = None,
    identities: Mapping[str, str] | None = None,
    draws: int = 10_000,
    seed: int = 0,
) -> list[Comparison]:
    """Compares systems pair by pair, suite by suite, metric by metric, identities drawn whole.

    Args:
        rows: Scores of all systems.
        infos: Metric name -> unit and direction.
        against: Compare each other system with this one; all pairs by default.
        pairs: Which to compare, instead of ``against``: the same in all protocols, or by
            protocol; those that are missing are left out.
        metrics: Which; all by default. Holm's adjustment is over these alone. Imported ones
            are a family of their own, so that an import changes no verdict on measured ones.
        identities: See `evals.scoring.summary.bootstrap_clusters`.
        draws: Resamples of the bootstrap.
        seed: Of the resampling.

    Returns:
        Sorted by suite, metric, protocol and systems.

    Raises:
        InputError: If no row is of the system ``against``.
    """
    groups = _by_metric(row for row in rows if metrics is None or row.metric in metrics)
    systems = sorted({system for by_system in groups.values() for system in by_system})
    if not isinstance(pairs, Mapping):
        everywhere = _pairs(systems, against) if pairs is None else pairs
        pairs = {protocol: everywhere for _, _, protocol in groups}
    tasks = [
        (place, pair)
        for place, by_system in sorted(groups.items())
        for pair in pairs.get(place[2], ())
        if {pair.system, pair.against} <= by_system.keys()
    ]
    found: dict[tuple[_Place, Pair], Comparison] = {}
    for kind in (False, True):
        family = [task for task in tasks if is_import(task[0][2]) is kind]
        tries = [pair.num_candidates for _, pair in family]
        # Enough sign patterns that the smallest p there can be survives Holm.
        flips = max(draws, 40 * len(family) * max(tries, default=1))
        resampling = _Resampling(draws=draws, flips=flips, seed=seed)
        comparisons = [
            _compare(place, pair, groups[place], infos, identities or {}, resampling)
            for place, pair in family
        ]
        found |= zip(family, _judged(comparisons, tries, infos), strict=True)
    return [found[task] for task in tasks]


def families_in_words(comparisons: Iterable[Comparison]) -> str:
    """Returns what follows "Holm over all lines" where some of them are imported; else nothing."""
    return ", imported ones apart" if any(is_import(one.protocol) for one in comparisons) else ""


def _by_metric(
    rows: Iterable[ScoreRow],
) -> dict[_Place, dict[str, list[ScoreRow]]]:
    groups: dict[_Place, dict[str, list[ScoreRow]]] = defaultdict(lambda: defaultdict(list))
    for row in sorted(rows, key=lambda row: row.key):
        groups[row.suite, row.metric, row.protocol][row.system].append(row)
    return groups


def why_nothing(rows: Iterable[ScoreRow]) -> str:
    """Says why `compare` finds nothing to compare in these rows."""
    systems = sorted({row.system for row in rows})
    if len(systems) > 1:
        return f"no metric was measured for two of {', '.join(systems)} in one suite and protocol"
    of = f"only {systems[0]!r} has scores" if systems else "there are no scores"
    return f"{of}: a comparison needs two systems, in one run or in several that are named together"


def _pairs(systems: Sequence[str], against: str | None) -> list[Pair]:
    if against is None:
        return [Pair(*both) for both in combinations(systems, 2)]
    if against not in systems:
        raise InputError(f"no scores of system {against!r}; there are: {', '.join(systems)}")
    return [Pair(system, against) for system in systems if system != against]


def _compare(
    place: _Place,
    pair: Pair,
    by_system: Mapping[str, list[ScoreRow]],
    infos: Mapping[str, MetricInfo],
    identities: Mapping[str, str],
    resampling: _Resampling,
) -> Comparison:
    suite, metric, protocol = place
    result = Comparison(
        suite=suite, metric=metric, protocol=protocol, system=pair.system, against=pair.against
    )
    first, second = by_system[pair.system], by_system[pair.against]
    if obstacle := _obstacle(first, second):
        return replace(result, reason=obstacle, mark=DAGGER)
    ours, theirs = _computed(first), _computed(second)
    shared = sorted(ours.keys() & theirs.keys())
    result = replace(result, n_pairs=len(shared), n_unpaired=len(ours.keys() ^ theirs.keys()))
    if not shared:
        return replace(result, reason="no sample has a score of both")
    info = infos.get(metric, UNKNOWN)
    pairs = PairedValues.of(
        [(ours[key], theirs[key]) for key in shared], identities, direction=info.direction
    )
    difference = paired_difference(
        pairs.first, pairs.second, weights=pairs.weights, clusters=pairs.clusters,
        draws=resampling.draws, flips=resampling.flips, seed=resampling.seed,
    )  # fmt: skip
    sizes: dict[str, Any] = {name: _known(value) for name, value in pairs.sizes().items()}
    return replace(
        result,
        n_independent=difference.num_clusters,
        n_prompts=pairs.num_prompts,
        unit=info.unit,
        delta=_known(difference.delta),
        is_absolute=info.direction is Direction.ZERO,
        ci_low=_known(difference.low),
        ci_high=_known(difference.high),
        p=_known(difference.p),
        smallest_p=_known(difference.smallest_p),
        reason=_doubt(difference, shared, info),
        **sizes,
    )


def _obstacle(first: list[ScoreRow], second: list[ScoreRow]) -> str:
    """Why two lists of rows must not be compared at all; empty if they may."""
    sides = [[row for row in rows if row.value is not None] for rows in (first, second)]
    one, other = ({row.domain for row in rows} for rows in sides)
    if len(one | other) > 1:
        return f"different domains: {_listed(one)} and {_listed(other)}"
    if _differ_in_hash(*sides):
        one, other = ({row.protocol_hash for row in rows} for rows in sides)
        return f"different protocol hashes: {_listed(one)} and {_listed(other)}"
    one, other = ({row.components["n"] for row in rows if _is_of_set(row)} for rows in sides)
    if len(one | other) > 1:  # a Frechet distance falls with the number of features alone
        return (
            f"sets of {_listed(set(map(str, one)))} and {_listed(set(map(str, other)))} features: "
            "score equally many videos of both"
        )
    people = {people_of(row) for rows in sides for row in rows}
    if len(people) > 1:  # so does chance with the number of people
        sizes = " and ".join(str(size) for size in sorted(map(len, people)))
        return f"ranked among other people ({sizes}): score both in one run"
    return ""


def _differ_in_hash(first: list[ScoreRow], second: list[ScoreRow]) -> bool:
    """Whether a shared sample was measured by two protocols, or no two samples by the same.

    Each language has a hash of its own, so one system may have several.
    """
    ours, theirs = (
        {(row.sample_id, row.seed): row.protocol_hash for row in rows} for rows in (first, second)
    )
    if not ours or not theirs:
        return False
    if any(ours[key] != theirs[key] for key in ours.keys() & theirs.keys()):
        return True
    return set(ours.values()).isdisjoint(theirs.values())


def _is_of_set(row: ScoreRow) -> bool:
    return row.sample_id == SET_ID and "n" in row.components


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _doubt(difference: PairedDifference, shared: Sequence[_Sample], info: MetricInfo) -> str:
    """Why a difference has no verdict; empty if it has one."""
    if shared[0][0] == SET_ID:
        return "one value for the whole set: there are no pairs"
    if np.isnan(difference.p):
        return "fewer than two independent pairs"
    if info.direction is Direction.NONE:
        return "neither direction is better"
    return ""


def _computed(rows: list[ScoreRow]) -> dict[_Sample, ScoreRow]:
    return {(row.sample_id, row.seed): row for row in rows if row.value is not None}


def _judged(
    comparisons: list[Comparison], tries: Sequence[int], infos: Mapping[str, MetricInfo]
) -> list[Comparison]:
    judgeable = [index for index, one in enumerate(comparisons) if not one.reason]
    p_values = np.array([comparisons[index].p for index in judgeable], dtype=np.float64)
    p_values = np.minimum(1.0, p_values * np.array([tries[index] for index in judgeable]))
    judged = list(comparisons)
    for index, p_holm in zip(judgeable, holm(p_values), strict=True):
        one = replace(comparisons[index], p_holm=float(p_holm))
        verdict = _verdict(one, infos[one.metric].direction)
        num_tests = len(judgeable) * tries[index]
        reason = _why_nothing_shows(one, num_tests) if verdict == "inconclusive" else ""
        judged[index] = replace(one, verdict=verdict, reason=reason)
    return judged


def _verdict(one: Comparison, direction: Direction) -> Verdict:
    if one.p_holm is None or one.delta is None or one.p_holm >= ALPHA or one.delta == 0:
        return "inconclusive"
    higher_wins = direction is Direction.HIGHER
    return "better" if (one.delta > 0) == higher_wins else "worse"


def _why_nothing_shows(one: Comparison, num_tests: int) -> str:
    """Says it where so few pairs could not have shown any difference; empty where they could."""
    if one.smallest_p is None or one.smallest_p * num_tests < ALPHA:
        return ""
    limit = f"with {one.n_independent} independent pairs p is at least {one.smallest_p:.2g}"
    if one.smallest_p >= ALPHA:
        return limit
    return f"{limit}, and there are {num_tests} tests; choose fewer with --metrics"


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
