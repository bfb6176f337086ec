"""List the models that metrics and the world use, and fetch them."""

import json
from typing import Annotated

import typer

from streamchar_ref.weights import pull as pull_weights
from streamchar_ref.weights import registry

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


@app.command("list")
def list_weights(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what there is, what of it is here, how large it is and under which licence."""
    rows = [
        {
            "name": weights.name,
            "profile": weights.profile,
            "present": weights.is_present(),
            "mb": round(weights.size / 1e6, 1),
            "licence": weights.licence,
            "note": weights.note,
            "folder": str(weights.folder),
        }
        for weights in registry().values()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        state = "here" if row["present"] else "missing"
        typer.echo(
            f"{row['name']:<18} {row['profile']:<10} {state:<8} {row['mb']:>6} MB  "
            f"{row['note']} [{row['licence']}]"
        )


@app.command()
def pull(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which; all of a profile if left out.")
    ] = None,
    profile: Annotated[str, typer.Option(help="default, published or all.")] = "default",
) -> None:
    """Fetch weights: each archive and each file is checked against its pinned sha256.

    Example: streamchar weights pull --profile default
    """
    known = registry()
    unknown = [name for name in names or [] if name not in known]
    if unknown:
        raise typer.BadParameter(f"unknown weights {unknown[0]!r}; known: {', '.join(known)}")
    if profile not in {"default", "published", "all"}:
        raise typer.BadParameter(f"profile is default, published or all, not {profile!r}")
    chosen = [known[name] for name in names] if names else list(known.values())
    failures = 0
    for weights in chosen:
        if not names and profile not in {weights.profile, "all"}:
            continue
        try:
            pull_weights(weights, progress=lambda line: typer.echo(line, err=True))
        except (OSError, ValueError) as error:
            failures += 1
            addresses = " ".join(file.url for file in weights.files)
            typer.echo(f"{weights.name}: {error}", err=True)
            typer.echo(f"  fetch it by hand {addresses} and put it into {weights.folder}", err=True)
    raise typer.Exit(code=1 if failures else 0)
