"""Say what is installed, what is missing, and how to get it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from evals.extractors import EXTRACTORS
from evals.extractors.by_path import FOLDER
from evals.metrics import EVERY_METRIC
from evals.recording.provenance import provenance
from streamchar_ref.commands.verb import Verb
from streamchar_ref.weights import cache_folder, registry

app = Verb(__doc__)


@app.command()
def doctor(
    published: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="Check the published weights in a folder instead."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what is installed, what is missing, and how to get it.

    With --published FOLDER: which published weights lie there, whether they are the right ones, and
    whether their networks answer as they must. Exits with 1 if a metric of the default suite cannot
    run here, or a published file is altered or fails.
    """
    if published is not None:
        _check_published(published, as_json=as_json)
    needed = {n for m in EVERY_METRIC if m.is_default for n in m.needs}
    extractors = {name: _state(name) for name, spec in EXTRACTORS.items() if spec.implementation}
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
    by_user = {
        name
        for name, spec in EXTRACTORS.items()
        if any(registry()[w].profile == "published" for w in spec.weights)
    }
    broken = [n for n in needed - by_user if extractors.get(n, "ready") != "ready"]
    raise typer.Exit(code=1 if broken else 0)


def _check_published(folder: Path, *, as_json: bool) -> None:
    from evals.extractors.published_check import check_folder

    states = check_folder(folder)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in states], indent=1))
    else:
        for one in states:
            said = one.answer if one.state == "here" else one.origin
            typer.echo(f"{one.file:<38} {one.state:<8} {said}")
        typer.echo(f"\nto use those of this folder: export {FOLDER}={folder}", err=True)
    has_failed = any(one.state == "altered" or one.answer.startswith("fails") for one in states)
    raise typer.Exit(code=1 if has_failed else 0)


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
