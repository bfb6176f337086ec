"""Run a system on one short prompt and say which rules of the contract it breaks."""

import json
from typing import Annotated

import typer

from evals.recording.make_system import make_system, parse_settings
from evals.recording.system import problems_with
from evals.suites import load_suite
from streamchar_ref.commands.verb import Verb

app = Verb(__doc__)


@app.command()
def check(
    system: Annotated[
        str, typer.Argument(help="See: streamchar ls systems; or path/to/file.py:Class")
    ],
    suite: Annotated[str, typer.Option(help="Its first prompt is asked.")] = "smoke",
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="key=value for the system; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the problems as JSON.")] = False,
) -> None:
    """Run a system on one short prompt and say which rules of the contract it breaks."""
    made = make_system(system, parse_settings(setting or []))
    problems = problems_with(made, load_suite(suite)[0])
    if as_json:
        typer.echo(json.dumps(problems))
    else:
        typer.echo("\n".join(problems) or f"{system} keeps the contract")
    raise typer.Exit(code=1 if problems else 0)
