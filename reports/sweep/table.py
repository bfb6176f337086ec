"""A sweep as Markdown: a table for each metric, a line for each step."""

from evals.protocols.info import Direction
from evals.scoring.compare import Comparison
from evals.scoring.summary import SummaryRow
from reports.axes import absolute_label, label_of, unit_of
from reports.numbers import NOT_APPLICABLE, aside_text, decimals_for, value_text
from reports.pairs import difference_text, p_text
from reports.render import escape_markdown
from reports.sweep.results import Sweep, SweepMetric, SweepPoint

_NOTE = (
    "Value: mean [95 % interval]. Differences are paired, step minus the other, with 95 % "
    "interval; Holm over all steps, networks and metrics of a column. ALARM: shown to be worse "
    "than the best step before it."
)


def sweep_markdown(sweep: Sweep) -> str:
    """Prints value, differences to the step before, the best step and the baseline, and alarms."""
    tables = [_table(one, sweep) for one in sweep.metrics]
    return "\n".join([*tables, _NOTE]) + "\n"


def alarm_line(one: SweepMetric, point: SweepPoint) -> str:
    """Says of an alarm what fell behind what, and by how much."""
    found = point.to_best_so_far
    assert found is not None, "an alarm is a comparison"
    delta, interval = difference_text(found)
    unit = unit_of(one.metric, one.unit)
    return (
        f"ALARM: {_label(one)} ({one.protocol}) of {found.system} is worse than of "
        f"{found.against} by {delta} {interval} {unit}".rstrip()
        + f", p (Holm) {p_text(found.p_holm)}"
    )


def _table(one: SweepMetric, sweep: Sweep) -> str:
    unit = unit_of(one.metric, one.unit)
    arrow = one.direction.arrow if one.direction is not Direction.ZERO else "\N{DOWNWARDS ARROW}"
    name = " ".join(filter(None, [_label(one), arrow, f"[{unit}]" if unit else ""]))
    heads = ["step", "network", name, "n", "to previous", "to best"]
    heads += ["to baseline"] if sweep.baseline else []
    rules = ["---:", "---", "---:", "---:", "---:", "---:"] + ["---:"] * bool(sweep.baseline)
    rows = [_line(point, one, sweep) for point in one.points]
    if one.baseline is not None and sweep.baseline is not None:
        shown = ["baseline", sweep.baseline.network, _value(one, one.baseline), f"{one.baseline.n}"]
        rows.append([*shown, *[NOT_APPLICABLE] * (len(heads) + 1 - len(shown))])
    lines = [[*heads, ""], [*rules, "---"], *rows]
    head = f"**{escape_markdown(one.protocol)}** on {escape_markdown(sweep.suite)}, {one.domain}"
    return "\n".join([head, "", *(f"| {' | '.join(cells)} |" for cells in lines), ""])


def _line(point: SweepPoint, one: SweepMetric, sweep: Sweep) -> list[str]:
    best = one.best(point.entry.network)
    is_best = best is not None and best.entry == point.entry
    cells = [
        f"{point.entry.step}",
        point.entry.network,
        _value(one, point.summary),
        f"{point.summary.n}",
        _difference(point.to_previous),
        "best" if is_best else _difference(point.to_best),
    ]
    cells += [_difference(point.to_baseline)] if sweep.baseline else []
    return [*map(escape_markdown, cells), "ALARM" if point.is_alarm else ""]


def _value(one: SweepMetric, row: SummaryRow) -> str:
    decimals = decimals_for(point.summary for point in one.points)
    return f"{value_text(row, decimals)} {aside_text(row, decimals)}".strip()


def _difference(found: Comparison | None) -> str:
    if found is None or found.delta is None:
        return NOT_APPLICABLE
    delta, interval = difference_text(found)
    verdict = f" {found.verdict}" if found.verdict in {"better", "worse"} else ""
    return f"{delta} {interval}{verdict}"


def _label(one: SweepMetric) -> str:
    return absolute_label(one.metric) if one.direction is Direction.ZERO else label_of(one.metric)
