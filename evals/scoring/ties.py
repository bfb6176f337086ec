"""Tie groups of systems, from comparisons of every pair of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from evals.numerics.letters import compact_letters
from evals.protocols.info import Direction, MetricInfo
from evals.scoring.compare import ALPHA, Comparison
from evals.scoring.summary import UNKNOWN


@dataclass(frozen=True, kw_only=True)
class TieGroups:
    """Which systems are not told apart in one metric.

    Attributes:
        suite: Which prompts.
        metric: Name of the metric.
        protocol: Name and version of its parameters.
        letters: System -> letters, best system first; two share a letter unless one was shown to be
            better than the other.
    """

    suite: str
    metric: str
    protocol: str
    letters: Mapping[str, str]


def tie_groups(
    comparisons: Sequence[Comparison], infos: Mapping[str, MetricInfo]
) -> list[TieGroups]:
    """Groups the systems of each suite, metric and protocol of which every pair was tested.

    Args:
        comparisons: Of one call of `evals.scoring.compare.compare`.
        infos: Metric name -> unit and direction.

    Returns:
        In the order of the comparisons; metrics of which a pair was not tested, or too few prompts
        were, are left out: a shared letter would say that no difference was found.
    """
    places: dict[tuple[str, str, str], list[Comparison]] = defaultdict(list)
    for one in comparisons:
        places[one.suite, one.metric, one.protocol].append(one)
    found = []
    for (suite, metric, protocol), tested in places.items():
        letters = tie_letters(tested, infos.get(metric, UNKNOWN).direction)
        if letters:
            found.append(TieGroups(suite=suite, metric=metric, protocol=protocol, letters=letters))
    return found


def tie_letters(comparisons: Sequence[Comparison], direction: Direction) -> dict[str, str]:
    """Returns letters of the systems, best first by their mean difference to the others.

    Args:
        comparisons: Of one suite, metric and protocol.
        direction: Which values are better.

    Returns:
        System -> letters; empty if some pair of the systems was not tested, or `too_few_to_tell`.
    """
    if too_few_to_tell(comparisons):
        return {}
    tested = _tested(comparisons)
    pairs = {frozenset((one.system, one.against)) for one in tested}
    systems = sorted({name for pair in pairs for name in pair})
    if not pairs or {frozenset(pair) for pair in combinations(systems, 2)} - pairs:
        return {}
    leads = dict.fromkeys(systems, 0.0)
    for one in tested:
        lead = (one.delta or 0.0) * (1.0 if direction is Direction.HIGHER else -1.0)
        leads[one.system] += lead
        leads[one.against] -= lead
    return compact_letters(
        sorted(systems, key=lambda name: (-leads[name], name)),
        [(one.system, one.against) for one in tested if one.verdict in {"better", "worse"}],
    )


def too_few_to_tell(comparisons: Sequence[Comparison]) -> int:
    """Returns the independent pairs of a metric where no test could show any difference.

    Args:
        comparisons: Of one suite, metric and protocol.

    Returns:
        Their largest number; 0 if some test could show a difference, or there is none.
    """
    tested = _tested(comparisons)
    if any((one.smallest_p or 0.0) < ALPHA for one in tested):
        return 0
    return max((one.n_independent for one in tested), default=0)


def _tested(comparisons: Sequence[Comparison]) -> list[Comparison]:
    return [one for one in comparisons if one.p_holm is not None and one.delta is not None]
