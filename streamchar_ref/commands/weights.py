"""List the models that metrics and the world use, and fetch them."""

import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer

from streamchar_ref.commands.common import AsJson
from streamchar_ref.commands.verb import Verb
from streamchar_ref.weights import WeightSet, registry, weights_folder
from streamchar_ref.weights import pull as pull_weights

app = Verb(__doc__, no_args_is_help=True)


@app.command("list")
def list_weights(
    as_json: AsJson = False,
) -> None:
    """Say what there is, what of it is here, how large it is and under which licence.

    Weights of which a file is not the pinned one are altered; nothing is measured with them.
    """
    rows = [
        {
            "name": weights.name,
            "profile": weights.profile,
            "present": (state := weights.state()) == "here",
            "state": state,
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
        typer.echo(
            f"{row['name']:<18} {row['profile']:<10} {row['state']:<8} {row['mb']:>6} MB  "
            f"{row['note']} [{row['licence']}]"
        )


@app.command()
def pull(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which; all of a profile if left out.")
    ] = None,
    profile: Annotated[str, typer.Option(help="default, published or all.")] = "default",
    mirror: Annotated[
        Path | None,
        typer.Option(
            envvar="STREAMCHAR_MIRROR",
            exists=True,
            file_okay=False,
            help="Folder to look in first: archives or files, by name or by sha256.",
        ),
    ] = None,
) -> None:
    """Fetch weights: each archive and each file is checked against its pinned sha256.

    A stopped download goes on where it stopped. What cannot be had is named, the rest is fetched;
    exits with 1 then. Files that nobody may pass on are listed with the place where they are had.

    Example: streamchar weights pull --profile default
    """
    known = registry()
    unknown = [name for name in names or [] if name not in known]
    if unknown:
        raise typer.BadParameter(f"unknown weights {unknown[0]!r}; known: {', '.join(known)}")
    if profile not in {"default", "published", "all"}:
        raise typer.BadParameter(f"profile is default, published or all, not {profile!r}")
    chosen = [
        weights
        for weights in known.values()
        if (weights.name in names if names else profile in {weights.profile, "all"})
    ]
    missing = []
    for weights in chosen:
        try:
            pull_weights(weights, mirror=mirror, progress=_say)
        except (OSError, ValueError) as error:
            missing.append(weights.name)
            _say(f"{weights.name}: {error}")
            _say(_way_out(weights))
    if not names and profile != "default":
        _say_by_path()
    if missing:
        _say(f"{len(missing)} of {len(chosen)} weights are missing: {', '.join(missing)}")
        raise typer.Exit(code=1)
    _say(f"{len(chosen)} of {len(chosen)} weights are here: {weights_folder()}")


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _say_by_path() -> None:
    """Says where the files are had that nobody may pass on, and who reads them."""
    for entry in entry_points(group="streamchar.by_path"):
        for line in entry.load()():
            _say(line)


def _way_out(weights: WeightSet) -> str:
    """Says what needs the weights, and how they come here by hand."""
    users = [weights.used_for] if weights.used_for else []
    for entry in entry_points(group="streamchar.readers"):
        users += entry.load()(weights.name)
    archives = sorted({file.archive for file in weights.files if file.archive})
    choices = [
        " and ".join(names) for names in (archives, [f.name for f in weights.files]) if names
    ]
    return (
        f"  not possible without it: {', '.join(dict.fromkeys(users)) or 'nothing here'}\n"
        f"  published at: {weights.origin}\n"
        f"  put {' or '.join(choices)} into a folder, then: "
        f"streamchar weights pull {weights.name} --mirror FOLDER"
    )
