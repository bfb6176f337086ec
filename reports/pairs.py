"""Paired comparisons as Markdown and CSV."""

from collections.abc import Sequence
from dataclasses import fields

from evals.numerics.statistics import MIN_CLUSTERS
from evals.scoring.compare import Comparison, families_in_words
from evals.scoring.results import csv_text
from reports.axes import absolute_label, in_order, label_of, scale_of, unit_of
from reports.numbers import MINUS, NOT_APPLICABLE, number, rounded, rounded_with_ends
from reports.render import escape_markdown
from reports.table_csv import csv_cell

_HEADS = (
    "suite", "metric", "protocol", "system", "against", "difference", "95 % interval", "effect",
    "better in", "p", "p (Holm)", "pairs", "verdict",
)  # fmt: skip


def pairs_markdown(comparisons: Sequence[Comparison]) -> str:
    """Prints a line for each comparison; differences are system minus against."""
    lines = [" | ".join(_HEADS), " | ".join(["---"] * 5 + ["---:"] * 7 + ["---"])]
    lines += [" | ".join(map(escape_markdown, _cells(one))) for one in in_print_order(comparisons)]
    notes = [
        "Difference: system minus against, weighted mean over pairs, of absolute values where it "
        "says |...|; interval: paired bootstrap-t over independent pairs, from "
        f"{MIN_CLUSTERS} on; effect: mean over standard deviation of the differences; better in: "
        "share of pairs in which system is better, ties as half; p: sign-flip test; Holm over all "
        f"lines{families_in_words(comparisons)}. "
        "Inconclusive: no difference is shown, which is not to say that there is none."
    ]
    return "\n".join([*(f"| {line} |" for line in lines), "", *notes]) + "\n"


def in_print_order(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Sorts by suite and pair, decided ones first, then by axis."""
    places = {metric: place for place, metric in enumerate(in_order(c.metric for c in comparisons))}
    order = {"better": 0, "worse": 0, "inconclusive": 1, "not comparable": 2}
    return sorted(
        comparisons,
        key=lambda c: (c.suite, c.against, c.system, order[c.verdict], places[c.metric]),
    )


def pairs_csv(comparisons: Sequence[Comparison]) -> str:
    """Prints all fields in full precision; text cells are guarded against formulas."""
    names = [column.name for column in fields(Comparison)]
    cells = [[csv_cell(getattr(one, name)) for name in names] for one in comparisons]
    return csv_text([names, *cells])


def difference_text(one: Comparison) -> tuple[str, str]:
    """Returns the difference and its interval, scaled as tables print the metric."""
    scale = scale_of(one.metric)
    if one.delta is None:
        return NOT_APPLICABLE, NOT_APPLICABLE
    if one.ci_low is None or one.ci_high is None:
        return rounded(one.delta * scale), NOT_APPLICABLE
    return rounded_with_ends(one.delta * scale, one.ci_low * scale, one.ci_high * scale)


def effect_text(one: Comparison) -> str:
    """Returns the paired standardised difference with its interval."""
    return _with_ends((one.effect, one.effect_low, one.effect_high), "{:+.2f}", 1)


def superiority_text(one: Comparison) -> str:
    """Returns the share of pairs in which the system is better, in per cent, with its interval."""
    ends = (one.superiority, one.superiority_low, one.superiority_high)
    return _with_ends(ends, "{:.0f}", 100, " %")


def _with_ends(
    ends: tuple[float | None, float | None, float | None], form: str, scale: float, unit: str = ""
) -> str:
    if ends[0] is None:
        return NOT_APPLICABLE
    value, low, high = (
        "" if end is None else form.format(scale * end).replace("-", MINUS) for end in ends
    )
    return f"{value}{unit}" + (f" [{low}, {high}]" if low and high else "")


def compared_label(one: Comparison) -> str:
    """Returns what was compared: the metric, between bars if its absolute values were."""
    return absolute_label(one.metric) if one.is_absolute else label_of(one.metric)


def pair_counts(one: Comparison) -> str:
    """Returns the number of pairs, and how many samples were left without a partner."""
    return f"{one.n_pairs}" + (f" (+{one.n_unpaired} alone)" if one.n_unpaired else "")


def p_text(p: float | None) -> str:
    """Returns a p-value with three decimals, never as zero."""
    if p is None:
        return NOT_APPLICABLE
    return "< 0.001" if p < 0.001 else number(p, 3)


def _cells(one: Comparison) -> list[str]:
    unit = unit_of(one.metric, one.unit)
    verdict = f"{one.verdict}: {one.reason}" if one.reason else one.verdict
    return [
        one.suite,
        f"{compared_label(one)}{one.mark} {unit}".strip(),
        one.protocol,
        one.system,
        one.against,
        *difference_text(one),
        effect_text(one),
        superiority_text(one),
        p_text(one.p),
        p_text(one.p_holm),
        pair_counts(one),
        verdict,
    ]
