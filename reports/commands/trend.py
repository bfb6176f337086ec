"""Say whether metrics trend over playing time, and whether the trend lies inside a bound."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from evals.scoring.results import dump_json
from evals.scoring.trend import TrendRow, of_kinds, trends
from reports.axes import names_in, scale_of, systems_in
from reports.commands.options import (
    AsJson,
    EveryMetricOption,
    RunsArgument,
    SystemsOption,
    named_numbers,
)
from reports.load import Runs, load_runs
from reports.trends import trends_csv, trends_markdown
from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import write_atomically

app = Verb(__doc__)
LIST_CURVES = "streamchar trend RUN"
"""What lists the metrics that a run has windows of."""


class Format(StrEnum):
    """How trends are written."""

    MD = "md"
    CSV = "csv"
    JSON = "json"


@app.command()
def trend(
    runs: RunsArgument,
    bound: Annotated[
        str,
        typer.Option(
            help="Slopes that count as none, per minute, in printed units: wer=0.5 is half a "
            "percentage point a minute."
        ),
    ] = "",
    metrics: EveryMetricOption = "",
    systems: SystemsOption = "",
    form: Annotated[
        Format, typer.Option("--format", help="csv and json hold stored units.")
    ] = Format.MD,
    out: Annotated[Path | None, typer.Option(help="A file for the same text.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the slope of each metric over playing time, with an interval, against --bound.

    One recording is enough from 8 windows on; several are averaged, with an interval from 5
    independent ones on. Exit code 1 if no slope can be told. Example:
    streamchar trend runs/hour --metrics wer,id_drift --bound wer=0.1,id_drift=0.002
    """
    loaded = load_runs(runs)
    asked = systems_in(systems, {row.system for row in loaded.rows})
    loaded = loaded if asked is None else loaded.only(asked)
    loaded = _with_metrics(loaded, metrics, runs)
    known = {row.metric for row in loaded.window_rows}
    bounds = named_numbers(bound, known, option="--bound", missing="has no windows here")
    found = [
        row.within(bounds[row.metric] / scale_of(row.quantity)) if row.metric in bounds else row
        for row in trends(
            of_kinds(loaded.windows, loaded.rows),
            identities=loaded.identities,
            systems=asked or loaded.in_print_order,
        )
    ]
    text = _text(found, Format.JSON if as_json else form)
    if out is not None:
        write_atomically(out, text.encode(errors="replace"))
    typer.echo(text, nl=False)
    raise typer.Exit(code=0 if any(row.slope is not None for row in found) else 1)


def _with_metrics(loaded: Runs, metrics: str, runs: list[Path]) -> Runs:
    known = {row.metric for row in loaded.window_rows}
    if not known:
        names = ", ".join(map(str, runs))
        raise InputError(
            f"{names}: no windows over playing time there; score metrics that have a curve, such "
            "as streamchar score RUN --metrics wer,id_drift"
        )
    return loaded.only(metrics=names_in(metrics, known=known, what="windows", command=LIST_CURVES))


def _text(rows: list[TrendRow], form: Format) -> str:
    if form is Format.JSON:
        return dump_json([asdict(row) for row in rows], indent=1) + "\n"
    return trends_csv(rows) if form is Format.CSV else trends_markdown(rows)
