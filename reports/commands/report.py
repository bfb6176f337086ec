"""Write one HTML page with tables, figures, film strips, players and protocols."""

import json
from pathlib import Path
from typing import Annotated

import typer

from reports.build import build_report
from streamchar_ref.commands.verb import Verb

app = Verb(__doc__)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    out: Annotated[Path, typer.Option(help="The HTML file.")],
    title: Annotated[str, typer.Option(help="Of the page.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print its place as JSON.")] = False,
) -> None:
    """Write a page that holds everything itself and asks nothing of the network.

    Example: streamchar report runs/demo --out runs/demo/report.html
    """
    page = build_report(runs, out, title=title)
    typer.echo(json.dumps({"report": str(page)}) if as_json else f"report: {page}")
