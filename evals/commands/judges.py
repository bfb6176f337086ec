"""Train the judges of the drawn world anew, or measure them on what they never saw."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from evals.extractors.networks import WEIGHTS, pin_judge
from evals.judges.table import JUDGES, Judge
from streamchar_ref.commands.verb import Verb

FULL_MINUTES = 20.0
app = Verb(__doc__, no_args_is_help=True)


@app.command()
def train(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(JUDGES)}")],
    max_minutes: Annotated[
        float, typer.Option(min=1, help="Of processor time; a judge that was cut short says so.")
    ] = FULL_MINUTES,
    out: Annotated[
        Path | None, typer.Option(help="File to write; by default the judge's own.")
    ] = None,
) -> None:
    """Train one judge, on one core.

    There is nothing to resume: a new run starts from the beginning. Seeds are fixed.
    """
    judge = _chosen(name)
    if out is None and max_minutes < FULL_MINUTES:
        raise typer.BadParameter(
            f"less than {FULL_MINUTES:g} minutes may cut it short; name a file with --out, so that "
            "the packaged judge stays"
        )
    target = out or WEIGHTS / f"{name}.safetensors"
    about = judge.trainer()(target, max_minutes=max_minutes, say=_say)
    if out is None:
        pin_judge(name)
    _say(f"{target}: {target.stat().st_size} bytes")
    _say(json.dumps(about))


@app.command("test")
def measure(
    name: Annotated[str, typer.Argument(help="All of them by default.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure judges on people, texts and a style that they never saw; minutes for each."""
    figures_of: dict[str, Any] = {}
    for each in [name] if name else JUDGES:
        figures_of[each] = _chosen(each).tester()(say=_say)
    if as_json:
        typer.echo(json.dumps(figures_of, indent=1))
        return
    for judge, figures in figures_of.items():
        typer.echo(f"\n{judge}")
        for figure, value in figures.items():
            typer.echo(f"  {figure:<44} {value:.4g}" if isinstance(value, float) else
                       f"  {figure:<44} {value}")  # fmt: skip


def _chosen(name: str) -> Judge:
    if name not in JUDGES:
        raise typer.BadParameter(f"unknown judge {name!r}; known: {', '.join(JUDGES)}")
    return JUDGES[name]


def _say(line: str) -> None:
    typer.echo(line, err=True)
