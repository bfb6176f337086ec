"""Tie groups and numbers of prompts as Markdown and CSV."""

from collections.abc import Sequence
from dataclasses import fields

from evals.scoring.power import PowerRow
from evals.scoring.results import csv_text
from evals.scoring.ties import TieGroups
from reports.axes import in_order, label_of, scale_of, unit_of
from reports.numbers import NOT_APPLICABLE, rounded
from reports.render import escape_markdown
from reports.table_csv import csv_cell

MIN_SYSTEMS = 3
"""Of two systems the verdict says the same."""


def ties_markdown(groups: Sequence[TieGroups]) -> str:
    """Prints a line for each metric with three systems or more, best system first.

    Args:
        groups: From `evals.scoring.ties.tie_groups`.

    Returns:
        A section; empty if there is nothing to print.
    """
    places = {name: place for place, name in enumerate(in_order(one.metric for one in groups))}
    shown = [one for one in groups if len(one.letters) >= MIN_SYSTEMS]
    if not shown:
        return ""
    shown.sort(key=lambda one: (one.suite, places[one.metric], one.protocol))
    rows = [
        (one.suite, label_of(one.metric), one.protocol,
         ", ".join(f"{system} {letters}" for system, letters in one.letters.items()))
        for one in shown
    ]  # fmt: skip
    note = (
        "Systems share a letter unless their difference is significant after Holm, best first by "
        "the mean difference to the others. A shared letter does not mean equal."
    )
    head = ("suite", "metric", "protocol", "systems and letters")
    return _section("Tie groups", [head, *rows], 0, note)


def power_markdown(rows: Sequence[PowerRow]) -> str:
    """Prints how many prompts each comparison needs.

    Args:
        rows: From `evals.scoring.power.plan_prompts`.

    Returns:
        A section.
    """
    if not rows:
        return "No comparison has a spread: five independent pairs are needed.\n"
    head = (
        "suite", "metric", "protocol", "system", "against", "gap", "spread of pairs",
        "detectable now", "power now", "prompts", "prompts needed",
    )  # fmt: skip
    first = rows[0]
    asked = "" if all(one.is_observed for one in rows) else ", or as asked for with --gap"
    alphas = dict.fromkeys(one.alpha for one in rows)
    note = (
        f"Gap: as observed{asked}. Needed: for a paired, two-sided test at "
        f"{' or '.join(f'{alpha:.2g}' for alpha in alphas)} (0.05 "
        f"over {' or '.join(f'{0.05 / alpha:.0f}' for alpha in alphas)} tests"
        f"{', imported metrics apart' if len(alphas) > 1 else ''}, Holm's first step) "
        "to show it with a probability "
        f"of {100 * first.power:g} %, with as many prompts for an independent one (identity or "
        "voice) as now: more prompts of the same people do not help. Detectable now: the smallest "
        "gap that the present prompts show so often. An observed gap is itself uncertain; better "
        "give the gap that matters: --gap wer=0.01."
    )
    return _section("Prompts needed", [head, *map(_power_cells, rows)], 6, note)


def power_csv(rows: Sequence[PowerRow]) -> str:
    """Prints all fields in full precision; text cells are guarded against formulas."""
    names = [column.name for column in fields(PowerRow)]
    return csv_text([names, *([csv_cell(getattr(one, name)) for name in names] for one in rows)])


def _power_cells(one: PowerRow) -> tuple[str, ...]:
    scale = scale_of(one.metric)

    def shown(value: float | None) -> str:
        return NOT_APPLICABLE if value is None else rounded(value * scale)

    needed = "more than can be had" if one.prompts_needed is None else f"{one.prompts_needed}"
    return (
        one.suite,
        f"{label_of(one.metric)} {unit_of(one.metric, one.unit)}".strip(),
        one.protocol,
        one.system,
        one.against,
        shown(one.gap),
        shown(one.spread),
        shown(one.detectable),
        f"{100 * one.power_now:.0f} %",
        f"{one.n_prompts} ({one.n_independent} independent)",
        needed,
    )


def _section(title: str, rows: Sequence[Sequence[str]], numbers: int, note: str) -> str:
    head, *body = (" | ".join(map(escape_markdown, row)) for row in rows)
    words = len(rows[0]) - numbers
    sides = " | ".join(["---"] * words + ["---:"] * numbers)
    lines = [f"| {line} |" for line in (head, sides, *body)]
    return "\n".join([f"## {title}", "", *lines, "", note]) + "\n"
