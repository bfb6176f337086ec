"""Which step to keep, by a rule that is declared before the numbers are seen."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from evals.protocols.info import Direction
from reports.sweep.checkpoints import SweepEntry
from reports.sweep.results import Sweep, SweepMetric
from streamchar_ref.core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class StepRule:
    """Keep the steps that are not worse than the best by more than a margin, then take the best.

    The means decide, not what is shown: a rule must name a step also where nothing is shown.

    Attributes:
        guards: Metric or protocol -> margin in its unit, by which a step may be worse than the
            best one of its network.
        rank_by: Metric or protocol of which the best value is taken among the steps that are
            left; the earlier step where two are equal.
    """

    guards: tuple[tuple[str, float], ...]
    rank_by: str

    def __str__(self) -> str:
        return ",".join([*(f"{name}:{margin:g}" for name, margin in self.guards), self.rank_by])

    @property
    def names(self) -> list[str]:
        """Metrics and protocols that it reads."""
        return [*(name for name, _ in self.guards), self.rank_by]


WORDS_THEN_SYNC = StepRule(guards=(("wer", 0.02),), rank_by="mesh_sync_at_zero")
"""WER at most two points above the best, then the best lip-sync."""


def parse_rule(text: str) -> StepRule:
    """Reads a rule.

    Args:
        text: Guards as ``NAME:MARGIN`` and last the metric that ranks, separated by commas, e.g.
            ``wer:0.02,mesh_sync_at_zero``.

    Returns:
        The rule.

    Raises:
        InputError: If it is none.
    """
    *guards, rank_by = text.split(",")
    pairs = []
    for guard in guards:
        name, _, margin = guard.rpartition(":")
        try:
            number = float(margin)
        except ValueError:
            number = math.nan
        if not name or not 0 <= number < math.inf:
            raise InputError(f"a guard is NAME:MARGIN, e.g. wer:0.02, not {guard!r:.60}")
        pairs.append((name, number))
    if not rank_by or ":" in rank_by:
        raise InputError(
            f"a rule ends with the metric that ranks, e.g. wer:0.02,mesh_sync_at_zero, not "
            f"{text!r:.60}"
        )
    return StepRule(guards=tuple(pairs), rank_by=rank_by)


def best_step(sweep: Sweep, rule: StepRule = WORDS_THEN_SYNC, *, network: str = "") -> SweepEntry:
    """Chooses one step of a network.

    A step that lacks a value of any metric of the rule is not chosen. A guard that names a metric
    with several protocols holds for each of them.

    Args:
        sweep: Measured steps.
        rule: See `StepRule`.
        network: Which; may be left out if there is one alone.

    Returns:
        The entry, which says step, network and checkpoint.

    Raises:
        InputError: If the sweep has no such network, a metric of the rule was not measured, ranks
            nothing, or has several protocols to rank by, or no step is left.
    """
    networks = sweep.networks
    if network not in networks and (network or len(networks) != 1):
        raise InputError(f"network is one of {', '.join(networks) or 'none'}, not {network!r:.60}")
    ranks = _metrics(sweep, rule.rank_by)
    if len(ranks) > 1:
        protocols = ", ".join(one.protocol for one in ranks)
        raise InputError(f"{rule.rank_by!r} is measured by {protocols}: name the one that ranks")
    own = {one.system: one for one in sweep.entries if one.network == (network or networks[0])}
    left = set(own)
    for name, margin in rule.guards:
        for one in _metrics(sweep, name):
            left &= _near_best({system: _costs(one).get(system) for system in own}, margin)
    ranked = [(cost, own[system].step, system) for system, cost in _costs(ranks[0]).items()
              if system in left]  # fmt: skip
    if not ranked:
        raise InputError(f"no step has all of {', '.join(rule.names)} and passes {rule}")
    return own[min(ranked)[2]]


def _near_best(costs: Mapping[str, float | None], margin: float) -> set[str]:
    """Returns the systems whose cost is known and at most a margin above the least."""
    known = {system: cost for system, cost in costs.items() if cost is not None}
    limit = min(known.values(), default=math.inf) + margin
    return {system for system, cost in known.items() if cost <= limit or math.isclose(cost, limit)}


def _metrics(sweep: Sweep, name: str) -> list[SweepMetric]:
    found = [one for one in sweep.metrics if name in {one.metric, one.protocol}]
    if not found:
        measured = ", ".join(dict.fromkeys(one.metric for one in sweep.metrics)) or "nothing"
        raise InputError(f"{name!r:.60} was not measured; there is: {measured}")
    for one in found:
        if one.direction is Direction.NONE:
            raise InputError(f"no value of {one.metric!r} is better than another: it cannot choose")
    return found


def _costs(one: SweepMetric) -> dict[str, float]:
    """Returns system -> a number that is smaller the better, without those that have no value."""
    values = {point.entry.system: point.summary.value for point in one.points}
    known = {system: value for system, value in values.items() if value is not None}
    return {system: one.direction.cost(value) for system, value in known.items()}
