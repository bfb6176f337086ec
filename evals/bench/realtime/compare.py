"""Is a system faster than another, or than it was? By the ratio of medians, turn by turn."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from evals.bench.realtime.records import StreamRun
from evals.bench.realtime.row import Row
from evals.numerics.arrivals import chunk_gaps_s, first_chunk_s
from evals.numerics.statistics import MIN_CLUSTERS, paired_difference

LARGEST_LOAD_DIFFERENCE = 0.5
"""Cores used by other processes, between two runs that may be compared."""
Verdict = Literal["faster", "slower", "inconclusive"]


@dataclass(frozen=True, kw_only=True)
class SpeedComparison:
    """One row against another.

    Attributes:
        system: Whose verdict it is.
        against: The other row's label.
        streams: Concurrent streams of both.
        what: ``chunk time`` or ``first chunk``.
        ratio: Of the times, geometric mean over the pairs; below 1 is faster.
        low: Lower end of its 95 % interval; ``None`` with fewer than five pairs.
        high: Upper end.
        num_pairs: Turns that both have with the same prompts.
        verdict: ``faster`` or ``slower`` if the interval excludes 1.
        reason: Why nothing could be decided.
    """

    system: str
    against: str
    streams: int
    what: str
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    num_pairs: int = 0
    verdict: Verdict = "inconclusive"
    reason: str = ""


def compare_rows(
    first: Row, second: Row, *, obstacle: str = "", against: str = ""
) -> list[SpeedComparison]:
    """Compares two rows with equal numbers of streams.

    Each turn of one is paired with the same turn of the other. The value of a turn is the median
    over its chunks, or its streams. The interval is that of the mean logarithm of the ratios.

    Args:
        first: Whose verdict it is.
        second: What it is compared with.
        obstacle: Why no verdict is possible, e.g. as the machine is another.
        against: Label of the second; its system by default.

    Returns:
        Time between chunks, and time to the first.
    """
    obstacle = obstacle or _obstacle(first, second)
    measures = {"chunk time": _chunk_time, "first chunk": _first_chunk}
    return [
        _compare(first, second, what, measure, obstacle, against or second.system)
        for what, measure in measures.items()
    ]


def _compare(
    first: Row,
    second: Row,
    what: str,
    measure: Callable[[Sequence[StreamRun]], float | None],
    obstacle: str,
    against: str,
) -> SpeedComparison:
    values = [_by_turn(row, measure) for row in (first, second)]
    pairs = np.array(
        [(values[0][turn], values[1][turn]) for turn in sorted(values[0].keys() & values[1].keys())]
    ).reshape(-1, 2)
    found = SpeedComparison(
        system=first.system, against=against, streams=first.streams, what=what, num_pairs=len(pairs)
    )
    if not len(pairs):
        return replace(found, reason=obstacle or "no turn that both have with the same prompts")
    if not (pairs > 0).all():
        return replace(found, reason=obstacle or "shorter than the clock can tell")
    logs = np.log(pairs)
    difference = paired_difference(logs[:, 0], logs[:, 1])
    low, high = difference.low, difference.high
    found = replace(
        found,
        ratio=math.exp(difference.delta),
        low=None if math.isnan(low) else math.exp(low),
        high=None if math.isnan(high) else math.exp(high),
    )
    if obstacle:
        return replace(found, reason=obstacle)
    if found.low is None or found.high is None:
        few = f"{len(pairs)} paired turns, an interval needs {MIN_CLUSTERS}"
        return replace(found, reason=few)
    verdict: Verdict = "inconclusive"
    if found.high < 1 or found.low > 1:
        verdict = "faster" if found.high < 1 else "slower"
    return replace(found, verdict=verdict)


def _by_turn(
    row: Row, measure: Callable[[Sequence[StreamRun]], float | None]
) -> dict[tuple[int, tuple[str, ...]], float]:
    """Values by turn and its prompts; turns with a failed stream are left out."""
    values = {}
    for turn in {run.turn for run in row.requests}:
        runs = [run for run in row.requests if run.turn == turn]
        value = None if any(run.error for run in runs) else measure(runs)
        if value is not None:
            values[turn, tuple(run.prompt_id for run in runs)] = value
    return values


def _chunk_time(runs: Sequence[StreamRun]) -> float | None:
    gaps = [chunk_gaps_s(run.trace) for run in runs if len(run.trace.media_s) > 1]
    return float(np.median(np.concatenate(gaps))) if gaps else None


def _first_chunk(runs: Sequence[StreamRun]) -> float | None:
    return float(np.median([first_chunk_s(run.trace).value for run in runs]))


def _obstacle(first: Row, second: Row) -> str:
    """Why two rows of one machine cannot be compared."""
    for row in (first, second):
        if not row.is_valid:
            return f"{row.system} is not valid: {'; '.join(row.reasons)}"
    loads = [row.load.foreign_cores if row.load else None for row in (first, second)]
    if None not in loads:
        difference = abs(float(loads[0]) - float(loads[1]))  # type: ignore[arg-type]
        if difference > LARGEST_LOAD_DIFFERENCE:
            return f"other load: other processes used {loads[0]:.1f} and {loads[1]:.1f} cores"
    return ""
