"""Join runs that were recorded or scored in parts."""

import json
from pathlib import Path
from typing import Annotated

import typer

from evals.scoring.merge import merge as merge_runs
from streamchar_ref.commands.verb import Verb

app = Verb(__doc__)


@app.command()
def merge(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the joined run; merged/ beside the first run if left out."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print counts as JSON.")] = False,
) -> None:
    """Join runs that were recorded or scored in parts.

    Example: streamchar merge runs/part1 runs/part2 --out runs/all
    """
    if out is None:
        out = runs[0].absolute().parent / "merged"
        typer.echo(f"the joined run goes to {out}; choose another folder with --out", err=True)
    num_rows = merge_runs(runs, out)
    counts = {"runs": len(runs), "rows": num_rows}
    in_words = f"{len(runs)} runs, {num_rows} score rows -> {out}"
    typer.echo(json.dumps(counts) if as_json else in_words)
