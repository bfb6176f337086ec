"""Trends over playing time as Markdown and CSV."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields

from evals.numerics.statistics import MIN_CLUSTERS
from evals.numerics.trend import MIN_POINTS
from evals.scoring.results import csv_text
from evals.scoring.trend import MIN_WINDOWS, TrendRow
from reports.axes import label_of, scale_of, unit_of
from reports.numbers import MAX_DECIMALS, NOT_APPLICABLE, decimals_of_half, number, rounded
from reports.render import escape_markdown
from reports.table_csv import csv_cell

_HEADS = (
    "suite", "metric", "protocol", "system", "recordings", "windows", "minutes", "slope per min",
    "95 % interval", "change", "verdict",
)  # fmt: skip
_NOTE = (
    "Slope: least squares, of one recording or the mean over several, each counted once; linear, "
    "so it does not see what comes and goes. Interval: of one recording by Student's t with a "
    f"long-run variance, as its windows depend on each other, from {MIN_POINTS} windows on, and "
    "about this recording alone; of several, bootstrap-t over independent recordings, from "
    f"{MIN_CLUSTERS} on. Change: the slope over the minutes, which are those of the shortest "
    f"recording. Left out: recordings with fewer than {MIN_WINDOWS} measured windows. Each line "
    "stands alone: intervals are not widened for the number of lines."
)
_VERDICTS = (
    " Inside: the whole 95 % interval lies within the bound, per minute; outside: it lies beyond. "
    "Not shown to be inside does not mean that there is a trend."
)


def trends_markdown(rows: Sequence[TrendRow]) -> str:
    """Prints a line for each trend, scaled as tables print the metric, and what it rests on."""
    lines = [" | ".join(_HEADS), " | ".join(["---"] * 4 + ["---:"] * 6 + ["---"])]
    domains, hashes = _several(rows)
    for row in rows:
        suite = f"{row.suite} ({row.domain})" if row.suite in domains else row.suite
        own = f"{row.protocol} #{row.protocol_hash}"
        protocol = own if row.protocol in hashes else row.protocol
        lines.append(" | ".join(map(escape_markdown, (suite, *_cells(row, protocol)))))
    note = _NOTE + (_VERDICTS if any(row.verdict for row in rows) else "")
    return "\n".join([*(f"| {line} |" for line in lines), "", note]) + "\n"


def trends_csv(rows: Sequence[TrendRow]) -> str:
    """Prints all fields in full precision and stored units; text cells are guarded."""
    names = [column.name for column in fields(TrendRow)]
    return csv_text([names, *([csv_cell(getattr(row, name)) for name in names] for row in rows)])


def _several(rows: Sequence[TrendRow]) -> tuple[set[str], set[str]]:
    """Suites of several domains, and protocols of several hashes: each has lines of its own."""
    domains, hashes = defaultdict(set), defaultdict(set)
    for row in rows:
        domains[row.suite].add(row.domain)
        hashes[row.protocol].add(row.protocol_hash)
    suites, protocols = (
        {name for name, found in kinds.items() if len(found) > 1} for kinds in (domains, hashes)
    )
    return suites, protocols


def _cells(row: TrendRow, protocol: str) -> list[str]:
    scale = scale_of(row.quantity)
    decimals = _decimals(row, scale)
    of_change = _decimals(row, scale * (row.minutes or 1.0))

    def shown(value: float | None, decimals: int = decimals) -> str:
        return NOT_APPLICABLE if value is None else number(value * scale, decimals)

    has_ends = row.ci_low is not None
    return [
        _quantity_text(row),
        protocol,
        row.system,
        _recordings_text(row),
        f"{row.n_windows}" + (f" (+{row.n_missing} missing)" if row.n_missing else ""),
        _minutes_text(row),
        shown(row.slope),
        f"[{shown(row.ci_low)}, {shown(row.ci_high)}]" if has_ends else NOT_APPLICABLE,
        shown(row.change, of_change),
        _verdict_text(row),
    ]


def _decimals(row: TrendRow, factor: float) -> int:
    """One decimal more than the interval supports, to compare its ends with a bound.

    Without an interval the slope keeps three digits.
    """
    if row.ci_low is not None and row.ci_high is not None and row.ci_high > row.ci_low:
        decimals = 1 + decimals_of_half(factor * (row.ci_high - row.ci_low) / 2)
    else:
        decimals = 2 - math.floor(math.log10(factor * abs(row.slope))) if row.slope else 3
    return max(0, min(MAX_DECIMALS, decimals))


def _quantity_text(row: TrendRow) -> str:
    of = "" if row.quantity == row.metric else f": {label_of(row.quantity)}"
    return f"{label_of(row.metric)}{of} {unit_of(row.quantity, row.unit)}".strip()


def _recordings_text(row: TrendRow) -> str:
    apart = "" if row.n_independent == row.n else f" ({row.n_independent} independent)"
    return f"{row.n}{apart}" + (f" (+{row.n_left_out} left out)" if row.n_left_out else "")


def _minutes_text(row: TrendRow) -> str:
    if row.minutes is None or row.longest_minutes is None:
        return NOT_APPLICABLE
    ends = dict.fromkeys((rounded(row.minutes), rounded(row.longest_minutes)))
    return " to ".join(ends)


def _verdict_text(row: TrendRow) -> str:
    bound = "" if row.bound is None else f"±{row.bound * scale_of(row.quantity):g}"
    verdict = f"{row.verdict} {bound}".strip()
    return ": ".join(filter(None, (verdict, row.reason))) or NOT_APPLICABLE
