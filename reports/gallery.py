"""Which figures a run has: chosen, titled and sized, one suite and domain at a time."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evals.metrics import INFOS
from evals.numerics.statistics import MIN_CLUSTERS
from evals.protocols.info import Direction, MetricInfo
from evals.recording.recording import Recording
from evals.recording.role import Role
from evals.scoring.curves import DriftCurve, drift_curves
from evals.scoring.summary import UNKNOWN, SummaryRow
from reports.axes import absolute_label, headline_metrics, in_order, label_of, without_replaced
from reports.figures.bars import plot_bars, plot_pareto, summary_data
from reports.figures.drift import MIN_FOR_BAND, drift_data, plot_drift
from reports.figures.latency import LabelledTrace, latency_data, plot_latency
from reports.figures.save import Drawn
from reports.figures.style import ABOVE, same_look, styled
from reports.figures.survival import (
    FailureRule,
    identity_limit,
    in_words,
    lifetimes,
    plot_survival,
    survival_data,
)
from reports.figures.words import WordStrip, plot_word_strips, word_data, word_strips
from reports.gallery_tests import forest, radar, ranks
from reports.lifetimes import log_rank_in_words
from reports.load import Runs
from reports.part import Part, figure_name, one_axis, parts_of, rows_of

MAX_STRIPS = 36
"""Of words, over all systems; more than these are too fine to be read."""
MAX_TRACES = 8
MIN_POINTS = 5
"""Of a curve that is drawn unasked: the few points of a short clip say little."""
_BARS_ACROSS = 3
NARROW_IN = 5.0
"""Narrower figures have no room for a long legend beside the labels of an axis."""
PARETO = ("rtf", "wer")


def draw(
    runs: Runs,
    *,
    kinds: Sequence[str] | None = None,
    recordings: Sequence[Recording] = (),
    width: str = "report",
    metrics: Sequence[str] | None = None,
    faults: list[str] | None = None,
    rule: FailureRule | None = None,
    systems: Sequence[str] | None = None,
    against: str = "",
) -> list[Drawn]:
    """Draws the figures that the data allows.

    Args:
        runs: What to draw.
        kinds: Of `KINDS`; `USUAL` by default.
        recordings: For arrival traces.
        width: A name of `reports.figures.style.WIDTHS_IN`.
        metrics: Which, two for pareto; the usual ones by default.
        faults: Where to say which figures cannot be drawn, and why; by default that is an error.
        rule: When a stream has failed; the usual one by default.
        systems: Which, in this order; all by default. Each keeps its colour and marker.
        against: What a forest shows differences to; the only ceiling, else the first by default.

    Returns:
        Figures, none of them empty.
    """
    drawn = []
    look = runs.in_print_order
    order = [*(systems or ()), *(name for name in look if name not in (systems or ()))]
    chosen = runs if systems is None else runs.only(systems)
    recordings = [one for one in recordings if systems is None or one.system in systems]
    ceilings = [name for name in look if runs.role_of(name) is Role.CEILING]
    with styled(), same_look(look, ceilings, order):
        for part in parts_of(chosen, recordings, width, rule or FailureRule(), against):
            for kind in kinds or USUAL:
                try:
                    drawn += [part.noted(one) for one in KINDS[kind](part, metrics)]
                except Exception as error:  # one figure must not cost a page
                    if faults is None:
                        raise
                    faults.append(f"no figure {figure_name(kind, '', part)}: {error}")
    return drawn


def _drift(part: Part, metrics: Sequence[str] | None) -> Iterator[Drawn]:
    for metric in in_order(metrics or part.runs.windows["metric"]):
        curves = drift_curves(part.runs.windows, metric)
        if metric == "wer" and metrics is None:
            continue  # has a figure of its own
        if _num_points(curves) >= (2 if metrics else MIN_POINTS):
            figure, ax = one_axis(part, height_in=2.3, share=1 / part.across)
            _plot_metric(part, metric, ax)
            shown = curves[0].quantity
            behind = "" if shown == metric else f"What {label_of(metric)} is made from. "
            yield Drawn(
                name=figure_name("drift", metric, part),
                title=f"{label_of(shown)} over playing time",
                caption=f"{behind}Mean over recordings, window by window, dotted where some are "
                f"missing; {_SPREAD} Protocol: {curves[0].protocol}.",
                figure=figure,
                data=drift_data(curves, _info_of(part, shown).bounds),
            )


_SPREAD = (
    "dark band: 95 % interval of the mean, each window alone; light band: simultaneous 95 % band "
    "(sup-t) of the whole curve; thin lines: single recordings, where there are fewer than "
    f"{MIN_FOR_BAND}."
)
_CURVE_CAPTION = f"Word error rate in windows, mean over recordings; {_SPREAD}"


def _num_points(curves: Sequence[DriftCurve]) -> int:
    return max((len(curve.times_s) for curve in curves), default=0)


def _wer(part: Part, metrics: Sequence[str] | None) -> Iterator[Drawn]:
    curves = drift_curves(part.runs.windows, "wer")
    scored = [row.protocol for row in rows_of(part, "wer")]
    protocol = next(iter([*(one.protocol for one in curves), *scored]), "")
    strips, left_out = _shared_prompts(
        word_strips(row for row in part.runs.rows if row.protocol == protocol)
    )
    curves = curves if _num_points(curves) > 1 else []
    bounds = _info_of(part, "wer").bounds
    if not curves and not strips:
        return
    heights = [2.0] * bool(curves) + [0.55 + 0.17 * len(strips)] * bool(strips)
    figure = Figure(figsize=(part.width_in, sum(heights)))
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    if curves:
        _plot_metric(part, "wer", axes[0])
    if strips:
        plot_word_strips(strips, ax=axes[-1])
    for ax in axes[:-1]:
        ax.set_xlabel("")
    if part.width_in < NARROW_IN:
        for ax in axes:
            _legend_to_the_left(ax)
    yield Drawn(
        name=figure_name("wer", "", part),
        title="Script over playing time",
        caption=" ".join(
            [_CURVE_CAPTION] * bool(curves)
            + [f"What became of each word, and the number of errors: {protocol}."] * bool(strips)
            + [left_out] * bool(left_out)
        ),
        figure=figure,
        data=pd.concat([drift_data(curves, bounds), word_data(strips)], ignore_index=True),
    )


def _legend_to_the_left(ax: Axes) -> None:
    """Lets a legend reach over the labels of a narrow axis rather than press the axis together."""
    legend = ax.get_legend()
    if legend is not None:
        texts = [text.get_text() for text in legend.get_texts()]
        marks = [mark for mark in legend.legend_handles if mark is not None]
        place: dict[str, Any] = {**ABOVE, "loc": "lower right", "bbox_to_anchor": (1, 1.0)}
        ax.legend(marks, texts, ncols=2, **place)


def _shared_prompts(strips: Sequence[WordStrip]) -> tuple[list[WordStrip], str]:
    """The same first prompts of each system, and a sentence about those that have no room."""
    prompts = sorted({(strip.sample_id, strip.seed) for strip in strips})
    room = max(1, MAX_STRIPS // max(1, len({strip.system for strip in strips})))
    kept = [strip for strip in strips if (strip.sample_id, strip.seed) in prompts[:room]]
    if len(prompts) <= room:
        return kept, ""
    return kept, f"Words of the first {room} of {len(prompts)} prompts, by name."


def _survival(part: Part, metrics: Sequence[str] | None) -> Iterator[Drawn]:
    rows, windows = part.runs.rows, part.runs.window_rows
    if _num_points(drift_curves(part.runs.windows, "wer")) < MIN_POINTS:
        return
    ceilings = {r.system for r in rows if part.runs.role_of(r.system) is Role.CEILING}
    found = lifetimes(rows, windows, ceilings=ceilings, rule=part.rule)
    figure, ax = one_axis(part, height_in=2.5)
    plot_survival(found, ax=ax)
    identity, limit = identity_limit(windows, ceilings, part.rule)
    aside = f" Limit of {identity} here: {limit:.3f}." if identity else ""
    yield Drawn(
        name=figure_name("survival", "", part),
        title="Streams without a failure over playing time",
        caption=f"Kaplan-Meier estimate; ticks: streams that ended without a failure. "
        f"{in_words(part.rule, identity)}{aside} Band: pointwise 95 % interval, from "
        f"{MIN_FOR_BAND} streams on.{log_rank_in_words(found)}",
        figure=figure,
        data=survival_data(found),
    )


def _latency(part: Part, metrics: Sequence[str] | None) -> Iterator[Drawn]:
    first = {r.system: r for r in reversed(part.recordings) if r.trace and len(r.trace.media_s)}
    traces = [
        LabelledTrace(system=r.system, label=f"{r.system} / {r.sample_id}", trace=r.trace)
        for _, r in sorted(first.items())
        if r.trace is not None
    ][:MAX_TRACES]
    if traces:
        figure, ax = one_axis(part, height_in=2.6)
        plot_latency(traces, ax=ax)
        yield Drawn(
            name=figure_name("latency", "", part),
            title="Arrival of chunks against their deadline",
            caption="First recording of each system. Playing starts when the first chunk is there; "
            "a chunk below zero comes too late and the viewer waits. Linear within 1 s of the "
            "deadline, logarithmic beyond. Zero-stall start-up: the shortest wait before playing "
            "with which nothing is late.",
            figure=figure,
            data=latency_data(traces),
        )


def _bars(part: Part, metrics: Sequence[str] | None) -> Iterator[Drawn]:
    found = {metric: rows_of(part, metric) for metric in metrics or headline_metrics()}
    drawable = [name for name, rows in found.items() if any(r.value is not None for r in rows)]
    chosen = [found[name] for name in (drawable if metrics else without_replaced(drawable))]
    if not chosen:
        return
    across = min(_BARS_ACROSS, len(chosen))
    down = -(-len(chosen) // across)
    systems = {row.system for rows in chosen for row in rows}
    height_in = down * (0.65 + 0.2 * len(systems))
    figure = Figure(figsize=(part.width_in, height_in))
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for place, ax in enumerate(axes):
        if place < len(chosen):
            rows = chosen[place]
            variant = part.variant_of(rows[0].metric, rows[0].protocol)
            plot_bars(rows, systems=systems, variant=variant, ax=ax)
            ax.tick_params(axis="y", labelleft=place % across == 0)
        else:
            ax.set_axis_off()
    yield Drawn(
        name=figure_name("bars", "", part),
        title="Systems side by side",
        caption="Mean over samples, of absolute values between bars |...|; line: 95 % interval, "
        f"from {MIN_CLUSTERS} independent samples on. Protocols: "
        + ", ".join(rows[0].protocol for rows in chosen)
        + ".",
        figure=figure,
        data=summary_data([row for rows in chosen for row in rows]),
    )


def _pareto(part: Part, metrics: Sequence[str] | None) -> Iterator[Drawn]:
    names = tuple(metrics or PARETO)[:2]
    if len(names) < 2:
        return
    x, y = ({row.system: row for row in rows_of(part, name)} for name in names)
    points = [(x[system], y[system]) for system in sorted(x.keys() & y.keys())]
    if sum(a.value is not None and b.value is not None for a, b in points) < 2:
        return
    figure, ax = one_axis(part, height_in=2.5, share=1 / part.across)
    systems = [row.system for row, _ in points]
    unranked = {name for name in systems if part.runs.role_of(name) is not Role.MODEL}
    across, up = (part.variant_of(row.metric, row.protocol) for row in points[0])
    plot_pareto(points, unranked=unranked, variants=(across, up), ax=ax)
    yield Drawn(
        name=figure_name("pareto", "-".join(names), part),
        title=f"{_ranked_label(part, points[0][1])} against {_ranked_label(part, points[0][0])}",
        caption=f"{_front_in_words(points[0], unranked)} Protocols: "
        f"{points[0][0].protocol}, {points[0][1].protocol}.",
        figure=figure,
        data=summary_data([row for pair in points for row in pair]),
    )


KINDS: dict[str, Callable[[Part, Sequence[str] | None], Iterator[Drawn]]] = {
    "bars": _bars,
    "wer": _wer,
    "drift": _drift,
    "survival": _survival,
    "latency": _latency,
    "pareto": _pareto,
    "forest": forest,
    "ranks": ranks,
    "radar": radar,
}
USUAL = ("bars", "wer", "drift", "survival", "latency", "pareto")
"""What a report shows unasked."""


def _ranked_label(part: Part, row: SummaryRow) -> str:
    if row.zero_is_best:
        return absolute_label(row.metric)
    return part.label_of(row.metric, row.protocol)


def _front_in_words(point: tuple[SummaryRow, SummaryRow], unranked: Collection[str]) -> str:
    for row in point:
        if row.direction is Direction.NONE:
            return f"No value of {label_of(row.metric)} is better: no system is ranked."
    absolute = " Between bars |...|: means of absolute values, zero is best."
    aside = f" Hollow: no models, not ranked ({', '.join(sorted(unranked))})." if unranked else ""
    return f"Grey: another model is at least as good in both, and better in one.{aside}" + (
        absolute if any(row.zero_is_best for row in point) else ""
    )


def _plot_metric(part: Part, metric: str, ax: Axes) -> None:
    curves = drift_curves(part.runs.windows, metric)
    info = _info_of(part, curves[0].quantity)
    plot_drift(
        curves,
        direction=info.direction,
        unit=info.unit,
        bounds=info.bounds,
        variant=part.variant_of(metric, curves[0].protocol),
        ax=ax,
    )


def _info_of(part: Part, quantity: str) -> MetricInfo:
    """What is known of a curve's quantity, which need not be a metric that was scored."""
    return part.runs.infos.get(quantity) or INFOS.get(quantity, UNKNOWN)
