"""Figures of what is decided, and of several metrics at once: forest, ranks and radar."""

from collections.abc import Iterator, Sequence
from typing import cast

from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes

from evals.metrics import INFOS
from evals.numerics.statistics import MIN_CLUSTERS
from evals.protocols.info import Direction
from evals.recording.role import Role
from evals.scoring.compare import Comparison, families_in_words
from evals.scoring.summary import UNKNOWN
from reports.axes import headline_metrics, without_replaced
from reports.figures.forest import forest_data, plot_forest
from reports.figures.radar import HIDES, MIN_AXES, plot_radar, radar_data
from reports.figures.ranks import plot_ranks, rank_data, rank_systems
from reports.figures.save import Drawn
from reports.part import Part, figure_name, one_axis, rows_of

_ACROSS = 2
_RADAR_IN = (6.2, 3.3)


def forest(part: Part, metrics: Sequence[str] | None) -> Iterator[Drawn]:
    """Yields one figure with a panel for each metric."""
    others = part.runs.in_print_order
    against = baseline_of(part)
    if len(others) < 2 or against not in others:
        return
    chosen = _ranked(part, metrics)
    found = part.runs.compared(against=against, metrics=chosen)
    panels = [panel for panel in (_panel(found, metric) for metric in chosen) if panel]
    if not panels:
        return
    across = min(1 if part.width_in < 4 else _ACROSS, len(panels))
    down = -(-len(panels) // across)
    height_in = down * (0.9 + 0.19 * (len(others) - 1))
    figure = Figure(figsize=(part.width_in, height_in))
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for place, ax in enumerate(axes):
        if place < len(panels):
            info = part.runs.infos.get(panels[place][0].metric, UNKNOWN)
            first = panels[place][0]
            variant = part.variant_of(first.metric, first.protocol)
            plot_forest(panels[place], direction=info.direction, variant=variant, ax=ax)
            ax.tick_params(axis="y", labelleft=place % across == 0)
        else:
            ax.set_axis_off()
    apart = families_in_words(one for panel in panels for one in panel)
    yield Drawn(
        name=figure_name("forest", "", part),
        title=f"Paired differences to {against}",
        caption=f"System minus {against}, on the samples that both have; line: 95 % paired "
        f"bootstrap-t interval, from {MIN_CLUSTERS} independent pairs on. Filled: decided by the "
        f"sign-flip test, Holm-adjusted over all rows here{apart}; hollow: inconclusive. "
        "Protocols: " + ", ".join(panel[0].protocol for panel in panels) + ".",
        figure=figure,
        data=forest_data([one for panel in panels for one in panel]),
    )


def baseline_of(part: Part) -> str:
    """Returns the system that differences are to: as asked, the only ceiling, or the first."""
    ordered = part.runs.in_print_order
    ceilings = [name for name in ordered if part.runs.role_of(name) is Role.CEILING]
    return part.against or (ceilings[0] if len(ceilings) == 1 else ordered[0])


def _panel(found: Sequence[Comparison], metric: str) -> list[Comparison]:
    """Comparisons of the protocol that most systems have; none without any difference."""
    by_protocol: dict[str, list[Comparison]] = {}
    for one in found:
        if one.metric == metric:
            by_protocol.setdefault(one.protocol, []).append(one)
    panel = min(by_protocol.values(), key=lambda own: (-_decided(own), own[0].protocol), default=[])
    return panel if _decided(panel) else []


def _decided(panel: Sequence[Comparison]) -> int:
    return sum(one.delta is not None for one in panel)


def _ranked(part: Part, metrics: Sequence[str] | None) -> list[str]:
    """Metrics with a better direction and values of two systems."""
    names = metrics or without_replaced(headline_metrics())
    return [
        name
        for name in names
        if (part.runs.infos.get(name) or INFOS.get(name, UNKNOWN)).direction is not Direction.NONE
        and sum(row.value is not None for row in rows_of(part, name)) > 1
    ]


def ranks(part: Part, metrics: Sequence[str] | None) -> Iterator[Drawn]:
    """Yields a critical-difference diagram for each metric."""
    for metric in _ranked(part, metrics):
        chosen = rows_of(part, metric)[0]
        own = [
            row
            for row in part.runs.rows
            if (row.metric, row.protocol_hash) == (metric, chosen.protocol_hash)
        ]
        found = rank_systems(own, chosen.direction)
        if found is None:
            continue
        height_in = 0.9 + 0.15 * (len(found.groups) + len(found.systems))
        figure, ax = one_axis(part, height_in=height_in)
        plot_ranks(found, ax=ax)
        aside = (
            f" {found.num_left_out} prompts without a value of each system are left out."
            if found.num_left_out
            else ""
        )
        p = "" if found.p != found.p else f" Friedman: p = {found.p:.2g}."
        yield Drawn(
            name=figure_name("ranks", metric, part),
            title=f"Ranks by {part.label_of(metric, chosen.protocol)}",
            caption=f"Mean rank over {found.num_prompts} prompts, 1 is best.{p} Bars join systems "
            "whose mean ranks differ by less than the critical difference (Nemenyi, 5 %), which "
            f"takes prompts as independent.{aside} Protocol: {chosen.protocol}.",
            figure=figure,
            data=rank_data(found, metric),
        )


def radar(part: Part, metrics: Sequence[str] | None) -> Iterator[Drawn]:
    """Yields one radar over all metrics that rank."""
    by_metric = {metric: rows_of(part, metric) for metric in _ranked(part, metrics)}
    if len(by_metric) < MIN_AXES:
        return
    share = min(1.0, part.width_in / _RADAR_IN[0])
    figure = Figure(figsize=(_RADAR_IN[0] * share, _RADAR_IN[1] * (1.2 if share < 0.8 else 1)))
    ax = cast(PolarAxes, figure.subplots(subplot_kw={"projection": "polar"}))
    plot_radar(by_metric, ax=ax)
    yield Drawn(
        name=figure_name("radar", "", part),
        title="Several metrics at once",
        caption=f"{HIDES} Protocols: "
        + ", ".join(rows[0].protocol for rows in by_metric.values())
        + ".",
        figure=figure,
        data=radar_data(by_metric),
    )
