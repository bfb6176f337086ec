"""Numbers as readers see them: no more decimals than the interval supports."""

import math
from collections.abc import Iterable, Sequence

from evals.protocols.info import Direction
from evals.scoring.summary import SummaryRow
from reports.axes import info_of, scale_of

MINUS = "\N{MINUS SIGN}"
NOT_APPLICABLE = "\N{EN DASH}"
MAX_DECIMALS = 8


def decimals_for(rows: Iterable[SummaryRow]) -> int:
    """Chooses decimals for one metric, the same for all systems.

    The middle interval decides: its half-width keeps one digit, or two if the first is 1 or 2.
    Without any interval the largest value keeps three digits.

    Args:
        rows: Summaries of one metric.

    Returns:
        0 to what the metric allows.
    """
    scored = [(row, scale_of(row.metric)) for row in rows if row.value is not None]
    if not scored:
        return 0
    return max(0, min(info_of(scored[0][0].metric).decimals, _supported_decimals(scored)))


def _supported_decimals(scored: Sequence[tuple[SummaryRow, float]]) -> int:
    halves = sorted(
        scale * (row.ci_high - row.ci_low) / 2
        for row, scale in scored
        if row.ci_low is not None and row.ci_high is not None and row.ci_high > row.ci_low
    )
    if halves:
        return decimals_of_half(halves[len(halves) // 2])
    largest = max(abs(row.value or 0.0) * scale for row, scale in scored)
    return 2 - math.floor(math.log10(largest)) if largest > 0 else 0


def decimals_of_half(half: float) -> int:
    """Returns the decimals that keep one digit of a half-width, or two if the first is 1 or 2."""
    place = math.floor(math.log10(half))
    return -place + (half < 3 * 10.0**place)


def number(value: float, decimals: int) -> str:
    """Prints a number with a true minus sign and no negative zero."""
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", MINUS)


def rounded(value: float) -> str:
    """Prints a single number, three to four digits of it; two of one below 0.01."""
    size = abs(value)
    is_small = 0 < size < 0.01
    decimals = 1 - math.floor(math.log10(size)) if is_small else _decimals_of(size)
    return number(value, min(MAX_DECIMALS, decimals))


def rounded_with_ends(value: float, low: float, high: float) -> tuple[str, str]:
    """Prints a single number and its interval with so many decimals that the ends differ.

    Args:
        value: In the unit that is shown.
        low: Lower end of its interval.
        high: Upper end.

    Returns:
        The number, and the interval in brackets.
    """
    decimals = _decimals_of(max(abs(value), abs(low), abs(high)))
    if high > low:
        decimals = max(decimals, min(MAX_DECIMALS, decimals_of_half((high - low) / 2)))
    shown, first, last = (number(one, decimals) for one in (value, low, high))
    return shown, f"[{first}, {last}]"


def _decimals_of(size: float) -> int:
    return 1 if size >= 10 else 2 if size >= 1 else 3


def value_text(row: SummaryRow, decimals: int) -> str:
    """Prints the mean, or why there is none: a dash, ``n/s (k)`` or ``failed (k)``."""
    if row.value is not None:
        return number(row.value * scale_of(row.metric), decimals)
    if row.num_failed:
        return f"failed ({row.num_failed})"
    if row.counts["unavailable"]:
        return f"n/s ({row.counts['unavailable']})"
    return f"n/s ({row.n})" if row.n else NOT_APPLICABLE


def interval_text(row: SummaryRow, decimals: int) -> str:
    """Prints the 95 % interval in brackets; nothing if it is not known."""
    if row.value is None or row.ci_low is None or row.ci_high is None:
        return ""
    scale = scale_of(row.metric)
    return f"[{number(row.ci_low * scale, decimals)}, {number(row.ci_high * scale, decimals)}]"


def aside_text(row: SummaryRow, decimals: int) -> str:
    """Prints what stands small beside a number.

    That is its interval, and the samples behind it where they are too few for one or the metric
    does not apply to all.
    """
    texts = (interval_text(row, decimals), samples_text(row) if is_few(row) else "")
    return " ".join(filter(None, texts))


def missing_bounds_text(row: SummaryRow, decimals: int) -> str:
    """Prints ``[worst, excluded, best]`` of a mean that rests on fewer samples than apply.

    Args:
        row: With a coverage below 1.
        decimals: Of the numbers.

    Returns:
        The mean as it is ranked between both bounds; empty where neither direction is better.
    """
    mean = row.ranked.value
    if mean is None or row.direction is Direction.NONE:
        return ""
    scale = scale_of(row.metric)
    worst, best = (
        "unbounded" if end is None else number(end * scale, decimals)
        for end in (row.if_worst, row.if_best)
    )
    return f"[{worst}, {number(mean * scale, decimals)}, {best}]"


def is_few(row: SummaryRow) -> bool:
    """Whether a number must not stand without its n: too few samples for an interval, or some."""
    if row.value is None:
        return False
    too_few = not row.has_interval and row.n_independent is not None
    return too_few or row.counts["not_applicable"] > 0


def samples_text(row: SummaryRow) -> str:
    """Prints the samples behind a number, and how many are independent if not all are."""
    apart = row.n_independent
    return f"n = {row.size}" + ("" if apart in {None, row.n} else f" ({apart} independent)")


def coverage_text(row: SummaryRow) -> str:
    """Prints the coverage in whole per cent, never rounded up to 100."""
    if row.coverage is None:
        return NOT_APPLICABLE
    return "100 %" if row.coverage == 1 else f"{min(99, round(100 * row.coverage))} %"
