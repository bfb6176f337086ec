"""What a sweep found: each metric against the step, with paired differences and alarms."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from evals.protocols.info import Direction, MetricInfo
from evals.scoring.compare import Comparison, Pair, compare
from evals.scoring.results import ScoreRow
from evals.scoring.summary import UNKNOWN, SummaryRow, summarise
from reports.axes import in_order
from reports.sweep.checkpoints import SweepEntry

_Place = tuple[str, str]  # protocol and domain
_Valued = tuple[SweepEntry, SummaryRow]
_Partner = tuple[SweepEntry, int]  # and of how many steps it is the best
_PickFn = Callable[[int, Sequence[_Valued]], _Partner | None]


@dataclass(frozen=True, kw_only=True)
class SweepPoint:
    """One metric of one network at one step.

    Attributes:
        entry: Whose.
        summary: Mean and interval as systems are ranked by: of absolute values where zero is best.
        to_previous: Difference to the step before; ``None`` for the first one.
        to_best: To the best step of the network; ``None`` for that one, and where no value is
            better than another.
        to_best_so_far: To the best of the steps before; ``None`` as in the two before.
        to_baseline: To the baseline, if there is one.
    """

    entry: SweepEntry
    summary: SummaryRow
    to_previous: Comparison | None = None
    to_best: Comparison | None = None
    to_best_so_far: Comparison | None = None
    to_baseline: Comparison | None = None

    @property
    def is_alarm(self) -> bool:
        """Whether it is shown to be worse than the best of the steps before."""
        return self.to_best_so_far is not None and self.to_best_so_far.verdict == "worse"


@dataclass(frozen=True, kw_only=True)
class SweepMetric:
    """One metric under one protocol over all steps.

    Attributes:
        metric: Name of the metric.
        protocol: Name and version of its parameters.
        domain: ``real`` or ``world``.
        unit: Of the values.
        direction: Which values are better.
        points: By step, then by network.
        baseline: Of the baseline, if there is one with rows.
    """

    metric: str
    protocol: str
    domain: str
    unit: str
    direction: Direction
    points: tuple[SweepPoint, ...]
    baseline: SummaryRow | None = None

    def best(self, network: str) -> SweepPoint | None:
        """Returns the best step of a network; ``None`` if no value is better than another."""
        places = [point.entry for point in self.points if point.entry.network == network]
        values = {point.entry.system: point.summary for point in self.points}
        entry = _best([(entry, values[entry.system]) for entry in places], self.direction)
        return next((p for p in self.points if entry and p.entry.system == entry.system), None)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Checkpoints measured on the same prompts and noise.

    Attributes:
        suite: Which prompts.
        seed: Of the generation.
        num_prompts: How many.
        entries: Networks of checkpoints, by step.
        metrics: In the order of the axes.
        baseline: What the steps are held against, if anything.
    """

    suite: str
    seed: int
    num_prompts: int
    entries: tuple[SweepEntry, ...]
    metrics: tuple[SweepMetric, ...] = field(default=())
    baseline: SweepEntry | None = None

    @property
    def networks(self) -> list[str]:
        """Names of the networks, each once."""
        return list(dict.fromkeys(entry.network for entry in self.entries))

    @property
    def alarms(self) -> list[tuple[SweepMetric, SweepPoint]]:
        """What is shown to be worse than the best of the steps before."""
        return [(one, point) for one in self.metrics for point in one.points if point.is_alarm]

    def as_json(self) -> dict[str, Any]:
        """Returns everything as JSON values; of folders the names alone."""
        return {
            "suite": self.suite,
            "seed": self.seed,
            "num_prompts": self.num_prompts,
            "entries": [_entry_json(entry) for entry in self.entries],
            "baseline": _entry_json(self.baseline) if self.baseline else None,
            "metrics": [_metric_json(one, self.networks) for one in self.metrics],
        }


def sweep_of(
    rows: Iterable[ScoreRow],
    entries: Sequence[SweepEntry],
    *,
    infos: Mapping[str, MetricInfo],
    identities: Mapping[str, str],
    baseline: SweepEntry | None = None,
    suite: str = "",
    seed: int = 0,
    num_prompts: int = 0,
) -> Sweep:
    """Arranges scores by step and compares steps of one network, pair by pair.

    There are four questions, each a family of its own for Holm's adjustment, over all steps,
    networks and metrics: is a step another than the one before, the best one, the best of those
    before, the baseline. A best step is chosen by the values it is then compared by, and the
    luckiest of many looks better than it is: p is multiplied by the number of candidates. Without
    that, ten equal checkpoints and one metric raised an alarm in 10 % of 300 simulated sweeps,
    with it in 3 %.

    Args:
        rows: Of these entries, of one suite and seed.
        entries: Networks of checkpoints.
        infos: Metric name -> unit and direction.
        identities: See `evals.scoring.summary.bootstrap_clusters`.
        baseline: What the steps are held against.
        suite: Which prompts.
        seed: Of the generation.
        num_prompts: How many.

    Returns:
        The sweep; metrics without any value are left out.
    """
    ordered = sorted(entries, key=lambda entry: entry.step or 0)
    found = list(rows)
    values: dict[_Place, dict[str, SummaryRow]] = {}
    for one in summarise(found, infos, identities=identities):
        values.setdefault((one.protocol, one.domain), {})[one.system] = one.ranked
    values = {
        place: by_system
        for place, by_system in values.items()
        if any(one.value is not None for one in by_system.values())
    }
    compared = {
        name: _family(found, values, ordered, pick, infos, identities)
        for name, pick in _questions(baseline, infos).items()
    }
    metrics = [
        _metric(place, by_system, ordered, compared, baseline, infos)
        for place, by_system in values.items()
    ]
    order = {metric: place for place, metric in enumerate(in_order(one.metric for one in metrics))}
    return Sweep(
        suite=suite,
        seed=seed,
        num_prompts=num_prompts,
        entries=tuple(ordered),
        metrics=tuple(sorted(metrics, key=lambda m: (order[m.metric], m.protocol, m.domain))),
        baseline=baseline,
    )


def _questions(baseline: SweepEntry | None, infos: Mapping[str, MetricInfo]) -> dict[str, _PickFn]:
    """Names the partner of the step at a place of its series, for each of the questions."""

    def best_of(series: Sequence[_Valued], num_candidates: int) -> _Partner | None:
        metric = series[0][1].metric if series else ""
        best = _best(series, infos.get(metric, UNKNOWN).direction)
        return (best, num_candidates) if best else None

    return {
        "to_previous": lambda place, series: (series[place - 1][0], 1) if place else None,
        "to_best": lambda place, series: best_of(series, len(series) - 1),
        "to_best_so_far": lambda place, series: best_of(series[:place], place),
        "to_baseline": lambda place, series: (baseline, 1) if baseline else None,
    }


def _best(series: Sequence[_Valued], direction: Direction) -> SweepEntry | None:
    """Returns the first of the best."""
    known = [(one.value, entry) for entry, one in series if one.value is not None]
    if not known or direction is Direction.NONE:
        return None
    return min(known, key=lambda pair: direction.cost(pair[0]))[1]


def _family(
    rows: Sequence[ScoreRow],
    values: Mapping[_Place, Mapping[str, SummaryRow]],
    entries: Sequence[SweepEntry],
    pick: _PickFn,
    infos: Mapping[str, MetricInfo],
    identities: Mapping[str, str],
) -> dict[tuple[str, str], Comparison]:
    """Compares each step with the partner picked for it; by protocol and system of the step."""
    pairs: dict[str, dict[Pair, None]] = {}
    for (protocol, _), by_system in values.items():
        for network in dict.fromkeys(entry.network for entry in entries):
            series = [
                (entry, by_system[entry.system])
                for entry in entries
                if entry.network == network and entry.system in by_system
            ]
            for place, (entry, _one) in enumerate(series):
                partner = pick(place, series)
                if partner is not None and partner[0].system != entry.system:
                    pair = Pair(entry.system, partner[0].system, partner[1])
                    pairs.setdefault(protocol, {})[pair] = None
    listed = {protocol: list(each) for protocol, each in pairs.items()}
    comparisons = compare(rows, infos, pairs=listed, identities=identities)
    return {(one.protocol, one.system): one for one in comparisons}


def _metric(
    place: _Place,
    by_system: Mapping[str, SummaryRow],
    entries: Sequence[SweepEntry],
    compared: Mapping[str, Mapping[tuple[str, str], Comparison]],
    baseline: SweepEntry | None,
    infos: Mapping[str, MetricInfo],
) -> SweepMetric:
    protocol, domain = place
    first = next(iter(by_system.values()))
    return SweepMetric(
        metric=first.metric,
        protocol=protocol,
        domain=domain,
        unit=first.unit,
        direction=infos.get(first.metric, UNKNOWN).direction,
        points=tuple(
            SweepPoint(
                entry=entry,
                summary=by_system[entry.system],
                **{name: family.get((protocol, entry.system)) for name, family in compared.items()},
            )
            for entry in entries
            if entry.system in by_system
        ),
        baseline=by_system.get(baseline.system) if baseline else None,
    )


def _entry_json(entry: SweepEntry) -> dict[str, Any]:
    return {**asdict(entry), "folder": entry.folder.name}


def _metric_json(one: SweepMetric, networks: Sequence[str]) -> dict[str, Any]:
    best = {network: one.best(network) for network in networks}
    return {
        "metric": one.metric,
        "protocol": one.protocol,
        "domain": one.domain,
        "unit": one.unit,
        "direction": str(one.direction),
        "best_step": {name: point.entry.step if point else None for name, point in best.items()},
        "points": [_point_json(point) for point in one.points],
        "baseline": asdict(one.baseline) if one.baseline else None,
    }


def _point_json(point: SweepPoint) -> dict[str, Any]:
    questions = ("to_previous", "to_best", "to_best_so_far", "to_baseline")
    told = {name: getattr(point, name) for name in questions}
    return {
        "step": point.entry.step,
        "network": point.entry.network,
        "system": point.entry.system,
        "is_alarm": point.is_alarm,
        "summary": asdict(point.summary),
        **{name: asdict(one) if one else None for name, one in told.items()},
    }
