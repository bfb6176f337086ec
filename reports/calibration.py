"""From a calibration to its table, figures and page."""

import math
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.layout_engine import PlaceHolderLayoutEngine

from evals.calibration.faults import FAULTS
from evals.calibration.response import FEW_CLIPS, Response
from evals.calibration.results import Calibration, as_json, response_csv
from evals.protocols.info import Axis
from evals.scoring.results import dump_json
from reports.axes import info_of
from reports.figures.response import (
    curve_legend,
    dose_text,
    metric_label,
    ordered_metrics,
    plot_response,
    plot_selectivity,
    response_data,
    short_unit,
)
from reports.figures.save import save_figure
from reports.figures.style import GREY, WIDTHS_IN, styled
from reports.gallery import Drawn
from reports.html import Html, el, join
from reports.page import document, plot
from streamchar_ref.core.files import write_atomically

_ACROSS = 5
_PANEL_IN, _TOP_IN, _LEGEND_IN = 1.32, 0.36, 0.2
_READING = (
    "Change of a metric against the same clips without the fault, with its 95 % bootstrap "
    "interval (with fewer than five clips, the range of their changes). A dose counts as detected "
    "(filled) if the interval leaves out zero and the change is larger than what clean clips show "
    "on their own (band: {floor}). Distances of sets are detected from twice the distance between "
    "clean sets. Pixels (px) are those of a picture 256 high."
)


def write_calibration(calibration: Calibration, out: Path) -> list[Path]:
    """Writes table, JSON, figures and page.

    Args:
        calibration: What was found.
        out: Folder.

    Returns:
        The files, the page last.
    """
    figures = draw_calibration(calibration)
    content = {
        "response.csv": response_csv(calibration),
        "calibration.json": dump_json(as_json(calibration), indent=1) + "\n",
        "calibration.md": calibration_markdown(calibration),
    }
    for name, text in content.items():
        write_atomically(out / name, text.encode())
    paths = [out / name for name in content]
    for drawn in figures:
        paths += save_figure(drawn, out / "figures")
    write_atomically(out / "calibration.html", calibration_page(calibration, figures).encode())
    return [*paths, out / "calibration.html"]


def draw_calibration(calibration: Calibration, *, width: str = "report") -> list[Drawn]:
    """Draws the overview, the matrix, and the curves axis by axis.

    Args:
        calibration: What was found.
        width: A name of `reports.figures.style.WIDTHS_IN`.

    Returns:
        Figures, none of them empty.
    """
    with styled():
        return list(_figures(calibration, WIDTHS_IN[width]))


def _figures(calibration: Calibration, width_in: float) -> Iterator[Drawn]:
    size = sample_text(calibration)
    main = [
        response for fault in calibration.faults if (response := main_response(calibration, fault))
    ]
    if main:
        yield Drawn(
            name="overview",
            title="Each fault, and the metric that is made for it",
            caption=f"{size} {_READING.format(floor=calibration.floor)}",
            figure=_grid(calibration, main, width_in),
            data=response_data(main),
        )
    if calibration.responses:
        yield _matrix(calibration, width_in, size)
    for axis in Axis:
        panels = _axis_panels(calibration, axis)
        if panels:
            yield Drawn(
                name=f"curves_{axis.replace('-', '_')}",
                title=f"Response of {axis} metrics",
                caption=f"{size} Blue: must react; orange: must not, and does. "
                f"{_READING.format(floor=calibration.floor)}",
                figure=_grid(calibration, panels, width_in),
                data=response_data(panels),
            )


def _matrix(calibration: Calibration, width_in: float, size: str) -> Drawn:
    height_in = 2.19 + 0.205 * len(calibration.faults)
    figure = Figure(figsize=(width_in, height_in), layout=_by_hand())
    figure.subplots_adjust(
        left=1.56 / width_in,
        right=1 - 0.06 / width_in,
        top=1 - 1.2 / height_in,
        bottom=0.94 / height_in,
    )
    bar_ax = figure.add_axes((0.66, 0.36 / height_in, 0.32, 0.09 / height_in))
    plot_selectivity(calibration, ax=figure.subplots(), bar_ax=bar_ax)
    figure.text(0.06 / width_in, 0.09 / height_in, size.rstrip("."), fontsize=6.5, color=GREY)
    return Drawn(
        name="selectivity",
        title="Which metric reacts to which fault",
        caption=f"{size} Colour: change at the middle dose in standard deviations of the clean "
        "clips, for distances of sets in clean floors beyond the floor; it ends at 3. Marks: "
        "whether the metric reacts at any dose, as it must or must not.",
        figure=figure,
        data=response_data(calibration.responses),
    )


def sample_text(calibration: Calibration) -> str:
    """How many clips of which length."""
    return (
        f"n = {calibration.num_clips} clips of {calibration.clip_seconds:.1f} s "
        f"on average ({calibration.suite})."
    )


def main_response(calibration: Calibration, fault: str) -> Response | None:
    """The first metric that a fault must move and that was measured."""
    responses = [r for r in calibration.responses if r.fault == fault and r.expectation == "moves"]
    for pattern in FAULTS[fault].moves:
        for response in responses:
            if fnmatch(response.metric, pattern):
                return response
    return None


def _axis_panels(calibration: Calibration, axis: Axis) -> list[Response]:
    """Of the metrics of one axis: what a fault must move, and what it wrongly moves."""
    return [
        response
        for metric, protocol in ordered_metrics(calibration)
        if info_of(metric).axis is axis
        for fault in calibration.faults
        if (response := calibration.of(fault, protocol)) is not None
        and (response.expectation == "moves" or response.verdict == "violation")
    ]


def _by_hand() -> PlaceHolderLayoutEngine:
    """No layout engine; plain "none" is lost when a figure is saved."""
    return PlaceHolderLayoutEngine(adjust_compatible=True, colorbar_gridspec=False)


def _grid(calibration: Calibration, panels: Sequence[Response], width_in: float) -> Figure:
    """Panels in rows, laid out by hand: it is quick however many they are."""
    down = -(-len(panels) // _ACROSS)
    height_in = _TOP_IN + _PANEL_IN * down + _LEGEND_IN
    figure = Figure(figsize=(width_in, height_in), layout=_by_hand())
    figure.subplots_adjust(
        left=0.34 / width_in,
        right=1 - 0.08 / width_in,
        top=1 - _TOP_IN / height_in,
        bottom=(_LEGEND_IN + 0.38) / height_in,
        wspace=0.38,
        hspace=1.0,
    )
    axes = figure.subplots(down, _ACROSS, squeeze=False).ravel()
    for ax, response in zip(axes, panels, strict=False):
        label = metric_label(response.metric, response.protocol, calibration)
        unit = calibration.units[response.metric]
        plot_response(response, metric_unit=unit, label=label, ax=ax)
        ax.xaxis.label.set_size(6)
        ax.tick_params(labelsize=6)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    kinds = {response.expectation for response in panels}
    figure.legend(
        handles=curve_legend("leaves" in kinds), loc="lower left", ncols=5, fontsize=6.5,
        bbox_to_anchor=(0.3 / width_in, 0.0),
    )  # fmt: skip
    figure.text(
        1 - 0.08 / width_in, 0.09 / height_in, sample_text(calibration).rstrip("."),
        ha="right", fontsize=6.5, color=GREY,
    )  # fmt: skip
    return figure


def cell_text(response: Response | None) -> str:
    """What the table prints of one pair."""
    if response is None or response.expectation == "untouched":
        return ""
    dose = "" if response.smallest_dose is None else dose_text(response.smallest_dose)
    wave = "" if response.is_monotone in {True, None} else " ~"
    few = "" if response.few_clips is None else f", n={response.few_clips}"
    return {
        "detected": (f"{dose}{wave}" if dose else "some") + few,
        "missed": "missed",
        "quiet": "ok",
        "violation": f"REACTS {dose}".rstrip() + few,
        "reacts": f"({dose or 'some'}{few})",
        "silent": "-",
        "-": "n/m",
    }[response.verdict]


def calibration_markdown(calibration: Calibration) -> str:
    """Returns one table, a row for each metric and a column for each fault."""
    heads = [f"{FAULTS[f].label} [{short_unit(f)}]" for f in calibration.faults]
    lines = [
        f"# Calibration on {calibration.suite}",
        "",
        f"{sample_text(calibration)} {_READING.format(floor=calibration.floor)}",
        "",
        _LEGEND,
        "",
        "| metric | " + " | ".join(heads) + " |",
        "|---" * (len(heads) + 1) + "|",
    ]
    for metric, protocol in ordered_metrics(calibration):
        cells = [cell_text(calibration.of(fault, protocol)) for fault in calibration.faults]
        name = metric_label(metric, protocol, calibration)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", *_violations(calibration), *_gaps(calibration)]
    return "\n".join(lines) + "\n"


_LEGEND = (
    "A number is the smallest dose that is detected, as it was realised, where the metric must "
    "react (~: not monotone); missed: it must, and does not; ok: it must not, and does not; "
    "REACTS: it must not, and does, from this dose on; in brackets: it may; -: it may, and does "
    "not; n/m: on too few clips for an interval; empty: the fault leaves its track alone. "
    f"With n=: seen on so many clips, and fewer than {FEW_CLIPS} say little."
)


def _violations(calibration: Calibration) -> list[str]:
    unexpected = [r for r in calibration.responses if r.verdict in {"violation", "missed"}]
    doubts = [*_on_few_clips(calibration), *_not_judged(calibration)]
    if not unexpected:
        return [*_all_well(calibration), *doubts]
    lines = ["Against expectation:", ""]
    for response in unexpected:
        word = "reacts to" if response.verdict == "violation" else "does not show"
        middle = response.middle
        effect = f"{middle.effect:+.2f}" if math.isfinite(middle.effect) else "no"
        lines.append(
            f"- {response.protocol} {word} {FAULTS[response.fault].label} (effect at "
            f"{dose_text(middle.realised)} {short_unit(response.fault)}: {effect} clean sd, "
            f"n = {middle.n})"
        )
    return [*lines, *(["", *doubts] if doubts else [])]


def _all_well(calibration: Calibration) -> list[str]:
    """Praise only where something was judged."""
    if any(response.verdict in {"detected", "quiet"} for response in calibration.responses):
        return ["Every metric reacts where it must and nowhere else."]
    return []


def _on_few_clips(calibration: Calibration) -> list[str]:
    """Says how much was seen that a few more clips may undo."""
    reactions = [
        r for r in calibration.responses if r.verdict in {"detected", "violation", "reacts"}
    ]
    few = sum(response.few_clips is not None for response in reactions)
    if not few:
        return []
    return [
        f"On fewer than {FEW_CLIPS} clips: {few} of the {len(reactions)} reactions that were seen, "
        "told with n= in the table. Calibrate on more clips before you rely on them."
    ]


def _not_judged(calibration: Calibration) -> list[str]:
    """Counts what was asked for and cannot be said."""
    required = [r for r in calibration.responses if r.expectation in {"moves", "leaves"}]
    silent = sum(response.verdict == "-" for response in required)
    if not required:
        return ["Nothing was judged: no metric is bound to react or to stay."]
    if not silent:
        return []
    return [
        f"Not judged: {silent} of {len(required)} pairs of a metric and a fault. "
        "An interval takes at least two clips on which the metric has a value."
    ]


def _gaps(calibration: Calibration) -> list[str]:
    lines = [f"- {name}: {why}" for name, why in {
        **calibration.unmeasured, **calibration.skipped
    }.items()]  # fmt: skip
    return ["", "Not measured:", "", *lines] if lines else []


def calibration_page(calibration: Calibration, figures: list[Drawn]) -> str:
    """Builds the page; the same calibration gives the same bytes."""
    shown = {drawn.name: drawn for drawn in figures}
    lede = el("p", sample_text(calibration), class_="lede")
    curves = [plot(d) for name, d in shown.items() if name.startswith("curves_")]
    parts = [
        (anchor, title, body)
        for anchor, title, body in (
            ("table", "Smallest dose detected", _table(calibration)),
            ("overview", "Overview", _one(shown, "overview")),
            ("selectivity", "Selectivity", _one(shown, "selectivity")),
            ("curves", "All curves", el("div", *curves, class_="plots") if curves else None),
            ("faults", "The faults", _faults(calibration)),
            ("against", "Against expectation, and not measured", _remarks(calibration)),
            ("protocols", "Protocols", _protocols(calibration)),
        )
        if body is not None
    ]
    return document(
        f"Calibration: {calibration.suite}",
        lede,
        parts,
        footer="Made by streamchar calibrate; numbers are in response.csv and calibration.json.",
    )


def _one(shown: dict[str, Drawn], name: str) -> Html | None:
    return el("div", plot(shown[name]), class_="plots") if name in shown else None


def _table(calibration: Calibration) -> Html:
    heads = [
        el("th", FAULTS[f].label, " ", el("span", short_unit(f), class_="unit"))
        for f in calibration.faults
    ]
    rows = []
    for metric, protocol in ordered_metrics(calibration):
        cells = [_table_cell(calibration.of(fault, protocol)) for fault in calibration.faults]
        rows.append(el("tr", el("th", metric_label(metric, protocol, calibration)), *cells))
    table = el("table", el("thead", el("tr", el("th", "metric"), *heads)), el("tbody", *rows))
    return join(
        el("p", _READING.format(floor=calibration.floor)),
        el("p", _LEGEND, class_="note"),
        el("div", table, class_="scroll"),
    )


def _table_cell(response: Response | None) -> Html:
    text = cell_text(response)
    badge = {"violation": "badge failed", "missed": "badge gap", "detected": "badge good"}
    kind = badge.get(response.verdict, "na") if response is not None else "na"
    return el("td", el("span", text, class_=kind) if text else None)


def _faults(calibration: Calibration) -> Html:
    heads = ("fault", "doses", "tracks", "what it is", "what it stands for")
    rows = []
    for name in calibration.faults:
        fault = FAULTS[name]
        cells = next(r for r in calibration.responses if r.fault == name).cells
        doses = ", ".join(dose_text(cell.realised) for cell in cells)
        what = (fault.inject.__doc__ or "").split("\n")[0].replace("``", "")
        rows.append(
            el(
                "tr",
                el("th", fault.label),
                el("td", f"{doses} {fault.unit}", class_="left"),
                el("td", ", ".join(sorted(fault.tracks)), class_="left"),
                el("td", what, class_="left wrap"),
                el("td", fault.source, class_="left wrap"),
            )
        )
    head = el("thead", el("tr", *(el("th", h, class_="left") for h in heads)))
    return el("div", el("table", head, el("tbody", *rows)), class_="scroll")


def _remarks(calibration: Calibration) -> Html:
    lines = [*_violations(calibration), *_gaps(calibration)]
    return join(*(el("p", line.removeprefix("- ")) for line in lines if line))


def _protocols(calibration: Calibration) -> Html:
    lines = [f"{name}  {digest}" for name, digest in sorted(calibration.protocols.items())]
    return el("details", el("summary", "Protocol hashes"), el("pre", "\n".join(lines)))
