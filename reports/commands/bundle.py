"""Pack a run into one zip file: scores, protocols, samples, tables, figures, sha256 of each."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from evals.scoring.bundle import MEDIA, bundle_run
from evals.scoring.results import dump_json
from reports.build import find_recordings, write_figures, write_tables
from reports.gallery import draw
from reports.load import load_runs
from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.errors import InputError

app = Verb(__doc__)


@app.command()
def bundle(
    run: Annotated[Path, typer.Argument(help="Run folder with scores.")],
    out: Annotated[Path, typer.Option(help="The zip file.")],
    media: Annotated[
        bool, typer.Option("--media", help="Include videos, sounds and reference pictures.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print names and sha256.")] = False,
) -> None:
    """Pack a run for a paper's supplement; `streamchar verify` checks it. Equal runs, equal bytes.

    Without --media the sha256 of each medium is in it, so that others can verify with their copy.
    Example: streamchar bundle runs/demo --out demo.zip
    """
    loaded = load_runs(run)
    if list(loaded.paths) != [run]:
        raise InputError(f"{run}: a bundle is made of one run; join several: streamchar merge")
    sources = find_recordings(loaded)
    with TemporaryDirectory(prefix="streamchar-bundle-") as name:
        write_tables(loaded, Path(name) / "tables")
        write_figures(draw(loaded, recordings=sources.recordings), Path(name) / "figures")
        paths = sorted(path for path in Path(name).rglob("*") if path.is_file())
        extra = {path.relative_to(name).as_posix(): path.read_bytes() for path in paths}
    sums = bundle_run(run, sources.recordings, loaded.rows, out, extra=extra, with_media=media)
    for missing in sources.missing:
        typer.echo(missing, err=True)
    if as_json:
        typer.echo(dump_json(sums, indent=1))
        return
    count = sum(one.startswith(f"{MEDIA}/") for one in sums)
    left_out = "" if media else "; media are left out, see --media"
    typer.echo(f"{out}: {len(sums)} files, {count} of them media{left_out}")
