"""Why there is nothing to draw, and what would help."""

from collections import Counter
from collections.abc import Callable, Sequence

from reports.axes import headline_metrics
from reports.gallery import MIN_POINTS, PARETO
from reports.load import Runs

MAX_NAMES = 8


def why_nothing(runs: Runs, kind: str, metrics: Sequence[str] | None) -> str:
    """Says why no figure could be drawn.

    Args:
        runs: What was to be drawn.
        kind: A key of `reports.gallery.KINDS`, or ``all``.
        metrics: Those that were asked for; ``None`` for the usual ones.

    Returns:
        Cause and next step, as one line.
    """
    if not any(row.value is not None for row in runs.rows):
        return f"no score has a value{_commonest_reason(runs, None)}"
    return _WHY.get(kind, _no_kind)(runs, metrics)


def _no_kind(runs: Runs, metrics: Sequence[str] | None) -> str:
    return f"no figure fits these scores; name metrics to see them as bars: {_with_value(runs)}"


def _drift(runs: Runs, metrics: Sequence[str] | None) -> str:
    counts = Counter(
        (row.metric, row.system, row.sample_id, row.seed, row.protocol)
        for row in runs.window_rows
        if row.value is not None
    )
    with_curve = sorted({key[0] for key, count in counts.items() if count > 1})
    if not with_curve:
        return "no score has a curve over playing time: the recordings are too short for windows"
    names = ", ".join(with_curve[:MAX_NAMES])
    if metrics:
        return f"{', '.join(metrics)}: no curve over playing time; these have one: {names}"
    return f"no curve has {MIN_POINTS} points; shorter ones are drawn if named: --metrics {names}"


def _wer(runs: Runs, metrics: Sequence[str] | None) -> str:
    if any(row.metric == "wer" for row in runs.rows):
        return f"wer has no value{_commonest_reason(runs, 'wer')}"
    return f"wer was not scored; run: streamchar score {runs.paths[0]} --metrics wer"


def _survival(runs: Runs, metrics: Sequence[str] | None) -> str:
    if any(row.metric == "wer" for row in runs.window_rows):
        return f"no curve of wer has {MIN_POINTS} windows: survival is of streams over minutes"
    return f"no curve of wer over playing time; run: streamchar score {runs.paths[0]} --metrics wer"


def _latency(runs: Runs, metrics: Sequence[str] | None) -> str:
    return "no arrival times: streamchar record notes them, and a manifest names them in trace_path"


def _bars(runs: Runs, metrics: Sequence[str] | None) -> str:
    wanted = ", ".join(metrics or headline_metrics())
    return (
        f"none of {wanted} has a value; these have, name them with --metrics: {_with_value(runs)}"
    )


def _pareto(runs: Runs, metrics: Sequence[str] | None) -> str:
    names = list(metrics or PARETO)
    if len(names) < 2:
        return f"pareto takes two metrics, x and y, e.g. --metrics {','.join(PARETO)}"
    systems = [
        sorted({row.system for row in runs.rows if row.metric == name and row.value is not None})
        for name in names[:2]
    ]
    have = "; ".join(
        f"{name}: {', '.join(names_of) or 'none'}"
        for name, names_of in zip(names[:2], systems, strict=True)
    )
    return f"pareto needs two systems of one suite with values of both metrics; values of {have}"


def _decided(runs: Runs, metrics: Sequence[str] | None) -> str:
    wanted = ", ".join(metrics or headline_metrics())
    return (
        "these take two systems of one suite that have values of one metric on the same prompts, "
        f"in metrics with a better direction; of {wanted} there are none"
    )


def _radar(runs: Runs, metrics: Sequence[str] | None) -> str:
    return (
        "a radar takes three metrics with a better direction, each with values of two systems; "
        f"metrics with a value: {_with_value(runs)}"
    )


_WHY: dict[str, Callable[[Runs, Sequence[str] | None], str]] = {
    "drift": _drift,
    "wer": _wer,
    "survival": _survival,
    "latency": _latency,
    "bars": _bars,
    "pareto": _pareto,
    "forest": _decided,
    "ranks": _decided,
    "radar": _radar,
}


def _with_value(runs: Runs) -> str:
    names = sorted({row.metric for row in runs.rows if row.value is not None})
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more


def _commonest_reason(runs: Runs, metric: str | None) -> str:
    reasons = Counter(
        row.reason for row in runs.rows if row.reason and metric in {None, row.metric}
    )
    return f": {reasons.most_common(1)[0][0]}" if reasons else ""
