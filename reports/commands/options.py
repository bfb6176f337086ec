"""Arguments and options that tables, figures, comparisons and the page have in common."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from streamchar_ref.commands.common import AsJson as AsJson
from streamchar_ref.core.errors import InputError

RunsArgument = Annotated[list[Path], typer.Argument(help="Run folders.")]
MetricsOption = Annotated[
    str,
    typer.Option(
        "--metrics", help="Comma-separated metrics or axes, in order; the usual by default."
    ),
]
EveryMetricOption = Annotated[
    str, typer.Option("--metrics", help="Comma-separated metrics or axes; all by default.")
]
SystemsOption = Annotated[
    str, typer.Option("--systems", help="Comma-separated, in order; all by default.")
]
ProfileOption = Annotated[
    str,
    typer.Option("--profile", help="Scores under its protocols only; see: streamchar ls profiles."),
]


def named_numbers(
    text: str, known: Collection[str], *, option: str, missing: str
) -> dict[str, float]:
    """Reads positive numbers of metrics, e.g. ``wer=0.01,mesh_sync=0.05``.

    Args:
        text: Comma-separated; empty for none.
        known: Metrics that may be named.
        option: For messages.
        missing: What is said of any other metric.

    Returns:
        Metric -> its number.

    Raises:
        InputError: If a metric is not known, or a number is none or not positive.
    """
    numbers: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        try:
            numbers[name] = float(value)
        except ValueError:
            raise InputError(f"{option} is metric=number, e.g. wer=0.01, not {part!r}") from None
        if name not in known:
            there = ", ".join(sorted(known))
            raise InputError(f"{option}: {name!r} {missing}; there are: {there}")
        if not 0 < numbers[name] < float("inf"):
            raise InputError(f"{option} {part}: give a number larger than zero")
    return numbers
