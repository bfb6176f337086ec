"""Say what is installed, what is missing, and how to get it."""

import json
from typing import Annotated, Any

import typer

from evals.extractors import EXTRACTORS
from evals.metrics import EVERY_METRIC
from evals.recording.provenance import provenance
from streamchar_ref.commands.verb import Verb
from streamchar_ref.weights import cache_folder, registry

app = Verb(__doc__)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what is installed, what is missing, and how to get it.

    Exits with 1 if a metric of the default suite cannot run here.
    """
    needed = {n for m in EVERY_METRIC if m.is_default for n in m.needs}
    extractors = {name: _state(name) for name in EXTRACTORS}
    report: dict[str, Any] = {
        **provenance(),
        "cache": str(cache_folder()),
        "weights": {
            name: state if state == "here" else f"{state}: streamchar weights pull {name}"
            for name, state in ((name, w.state()) for name, w in registry().items())
        },
        "extractors": extractors,
    }
    if as_json:
        typer.echo(json.dumps(report, indent=1))
    else:
        _print(report)
    published = {
        name
        for name, spec in EXTRACTORS.items()
        if any(registry()[w].profile == "published" for w in spec.weights)
    }
    broken = [n for n in needed - published if extractors.get(n, "ready") != "ready"]
    raise typer.Exit(code=1 if broken else 0)


def _state(name: str) -> str:
    """Tries to make one extractor, which imports its packages and loads its weights."""
    try:
        EXTRACTORS[name].make()
    except (ImportError, FileNotFoundError) as error:
        return str(error)
    return "ready"


def _print(report: dict[str, Any]) -> None:
    typer.echo(f"{report['device']}; git {report['git'][:12] or '-'}; cache {report['cache']}")
    for title in ("versions", "weights", "extractors"):
        typer.echo(f"\n{title}")
        for name, state in report[title].items():
            typer.echo(f"  {name:<24} {state}")
