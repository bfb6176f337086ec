"""How a metric's name and numbers are printed, as the metric says of itself."""

from collections.abc import Collection, Iterable

from evals.metrics import INFOS
from evals.protocols.info import Direction, Level, MetricInfo, spaced
from evals.scoring.names import in_order as in_order
from evals.scoring.names import listing, resolve_names
from evals.scoring.summary import UNKNOWN
from streamchar_ref.core.errors import InputError

LIST_SCORED = "streamchar table RUN --all"
"""What lists the metrics that a run has scores of."""


def info_of(metric: str) -> MetricInfo:
    """Returns how a metric is shown; one that is not installed is a detail of axis ``other``."""
    return INFOS.get(metric) or UNKNOWN._replace(label=spaced(metric))


def headline_metrics() -> list[str]:
    """Returns the metrics that are shown by default, in print order."""
    return in_order(metric for metric, info in INFOS.items() if info.level is Level.HEADLINE)


def without_replaced(metrics: Iterable[str]) -> list[str]:
    """Leaves out the metrics whose place another one of the list takes.

    Args:
        metrics: Those with a value in one domain.

    Returns:
        The others, in their order.
    """
    names = list(metrics)
    replaced = {info_of(metric).replaces for metric in names}
    return [metric for metric in names if metric not in replaced]


def names_in(
    text: str, *, known: Collection[str], what: str = "scores", command: str = LIST_SCORED
) -> list[str] | None:
    """Reads a comma-separated list of metrics and axes.

    Args:
        text: E.g. ``wer,identity``; an axis stands for its metrics, and usual aliases are
            accepted, see `evals.scoring.names`.
        known: Metrics that there are scores of.
        what: What there is of them, for messages.
        command: What lists them, for messages.

    Returns:
        Metrics in the order given, without those of an axis that are not known; ``None`` for an
        empty text, which asks for all.

    Raises:
        InputError: If a name is neither an axis nor a known metric, the message names the nearest;
            or if there are scores of nothing that was asked for.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        return None
    found = resolve_names(names, known, f"no {what} of", command=command)
    if not found:
        raise InputError(f"no {what} of {', '.join(names)}; {listing(known, command)}")
    return found


def systems_in(text: str, scored: Collection[str]) -> list[str] | None:
    """Reads a comma-separated list of systems.

    Args:
        text: E.g. ``ours,theirs``.
        scored: Systems that there are scores of.

    Returns:
        Systems in the order given; ``None`` for an empty text, which asks for all.

    Raises:
        InputError: If one has no scores; the message names those that have.
    """
    names = list(dict.fromkeys(name for name in text.split(",") if name))
    for name in names:
        if name not in scored:
            raise InputError(
                f"no scores of system {name!r}; there are: {', '.join(sorted(scored))}"
            )
    return names or None


def label_of(metric: str) -> str:
    """Returns the name that a table prints."""
    return info_of(metric).label


def absolute_label(metric: str) -> str:
    """Returns the name of a metric's absolute value."""
    return f"|{label_of(metric)}|"


def axis_label(
    metric: str,
    unit: str,
    direction: Direction,
    *,
    is_absolute: bool = False,
    variant: str = "",
) -> str:
    """Name, unit and direction of a metric as axes print them; below, which protocol it is."""
    shown = unit_of(metric, unit)
    name = absolute_label(metric) if is_absolute else label_of(metric)
    arrow = Direction.LOWER.arrow if is_absolute else direction.arrow
    text = f"{name} {arrow}".strip() + (f" [{shown}]" if shown else "")
    return f"{text}\n{variant}" if variant else text


def variant_of(protocol: str) -> str:
    """Returns what tells a protocol from others of its metric, e.g. ``whisper-base, as played``."""
    name, _, rest = protocol.partition("/")[2].partition("@")
    input_of = rest.partition("+")[2].replace("-", " ")
    return ", ".join(filter(None, (name, input_of)))


def unit_of(metric: str, unit: str) -> str:
    """Returns the unit that a table prints: nothing for plain ratios, ``%`` for familiar ones."""
    if info_of(metric).is_percent:
        return "%"
    return "" if unit in {"", "1"} else unit


def scale_of(metric: str) -> float:
    """Returns what a value is multiplied with before it is printed."""
    return 100.0 if info_of(metric).is_percent else 1.0
