"""How many prompts a comparison needs, from the spread of the one that was made."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evals.numerics.power import POWER, clusters_needed, detectable_gap, power_of
from evals.protocols.tool import is_import
from evals.scoring.compare import ALPHA, Comparison


@dataclass(frozen=True, kw_only=True)
class PowerRow:
    """What a paired comparison could show, and what it would take.

    Attributes:
        suite: Which prompts.
        metric: Name of the metric.
        protocol: Name and version of its parameters.
        system: One system.
        against: The other.
        unit: Of the gaps.
        gap: Difference to be shown, in the metric's unit.
        is_observed: Whether it is the difference that was found rather than one that was asked for.
        spread: Standard deviation of an independent pair, in the metric's unit.
        alpha: Of one test, after division by the number of tests of its family.
        power: Probability that is asked for.
        n_independent: Independent pairs that there are.
        n_prompts: Prompts that there are.
        power_now: Probability that these show the gap.
        detectable: Smallest gap that these show with probability ``power``; ``None`` if none.
        independent_needed: Independent pairs that show the gap with probability ``power``; ``None``
            if that is beyond any number.
        prompts_needed: Prompts, at as many for an independent pair as now.
    """

    suite: str
    metric: str
    protocol: str
    system: str
    against: str
    unit: str
    gap: float
    is_observed: bool
    spread: float
    alpha: float
    power: float
    n_independent: int
    n_prompts: int
    power_now: float
    detectable: float | None
    independent_needed: int | None
    prompts_needed: int | None


def plan_prompts(
    comparisons: Sequence[Comparison],
    *,
    gaps: Mapping[str, float] | None = None,
    power: float = POWER,
) -> list[PowerRow]:
    """Says for each comparison how many prompts show its gap.

    The test is taken at 0.05 over the number of tests of its family, which is Holm's first and
    hardest step, so that the numbers are never too small for the correction that `compare` makes.

    Args:
        comparisons: Of one call of `evals.scoring.compare.compare`.
        gaps: Metric -> difference that matters; the one that was found by default.
        power: Probability of showing it.

    Returns:
        A row for each tested comparison with a spread, in their order.
    """
    tested = [one for one in comparisons if one.p_holm is not None and not math.isnan(one.p_holm)]
    tests = Counter(is_import(one.protocol) for one in tested)
    with_spread = [one for one in tested if one.spread is not None]
    return [
        _planned(one, gaps or {}, ALPHA / tests[is_import(one.protocol)], power)
        for one in with_spread
    ]


def _planned(one: Comparison, gaps: Mapping[str, float], alpha: float, power: float) -> PowerRow:
    gap = gaps.get(one.metric, one.delta or 0.0)
    spread = one.spread or 0.0
    needed = clusters_needed(gap, spread, alpha=alpha, power=power)
    rate = one.n_prompts / one.n_independent
    return PowerRow(
        suite=one.suite,
        metric=one.metric,
        protocol=one.protocol,
        system=one.system,
        against=one.against,
        unit=one.unit,
        gap=gap,
        is_observed=one.metric not in gaps,
        spread=spread,
        alpha=alpha,
        power=power,
        n_independent=one.n_independent,
        n_prompts=one.n_prompts,
        power_now=power_of(gap, spread, one.n_independent, alpha=alpha),
        detectable=detectable_gap(spread, one.n_independent, alpha=alpha, power=power),
        independent_needed=needed,
        prompts_needed=None if needed is None else math.ceil(needed * rate),
    )
