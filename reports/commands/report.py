"""Write one HTML page with tables, figures, film strips, players and protocols."""

import json
from pathlib import Path
from typing import Annotated

import typer

from reports.axes import names_in, systems_in
from reports.build import build_report, write_grids
from reports.commands.options import AsJson, EveryMetricOption, RunsArgument, SystemsOption
from reports.load import load_runs
from streamchar_ref.commands.verb import Verb

app = Verb(__doc__)


@app.command()
def report(
    runs: RunsArgument,
    out: Annotated[
        Path | None, typer.Option(help="The HTML file; report.html of the first run if left out.")
    ] = None,
    metrics: EveryMetricOption = "",
    systems: SystemsOption = "",
    grid: Annotated[
        bool, typer.Option("--grid", help="Also one mp4 a prompt shown, all systems side by side.")
    ] = False,
    title: Annotated[str, typer.Option(help="Of the page.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write a page that holds everything itself and asks nothing of the network.

    Example: streamchar report runs/demo
    """
    out = out or runs[0] / "report.html"
    rows = load_runs(runs).rows if systems or metrics else ()
    page = build_report(
        runs,
        out,
        title=title,
        systems=systems_in(systems, {row.system for row in rows}),
        metrics=names_in(metrics, known={row.metric for row in rows}),
    )
    videos = write_grids(runs, out) if grid else []
    found = {"report": str(page)} | ({"grids": [str(path) for path in videos]} if grid else {})
    lines = [f"report: {page}", *(f"grid: {path}" for path in videos)]
    typer.echo(json.dumps(found) if as_json else "\n".join(lines))
