"""Make suites of real faces from published datasets."""

import json
from pathlib import Path
from typing import Annotated

import typer

from evals.commands.terminal import ProgressBar
from evals.datasets.build import ImportPlan, import_clips
from evals.datasets.indexes import READERS, read_index
from evals.extractors import EXTRACTORS
from streamchar_ref.commands.common import AsJson
from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.lock import only_writer

app = Verb(__doc__, no_args_is_help=True)


@app.callback()
def data() -> None:
    """Make suites of real faces from published datasets."""


@app.command("import")
def import_(
    dataset: Annotated[str, typer.Argument(help=f"One of: {', '.join(READERS)}.")],
    root: Annotated[Path, typer.Option(help="Folder of the published index and the videos.")],
    out: Annotated[Path, typer.Option(help="Folder of the suite.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first clips.")] = None,
    recogniser: Annotated[
        str, typer.Option(help="Extractor that transcribes; '' leaves texts to you.")
    ] = "asr_whisper",
    features: Annotated[
        str, typer.Option(help="Comma-separated extractors whose features are saved, e.g. i3d.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Cut the clips of a published index from videos that you have, and write a suite.

    Videos are named by their YouTube id or by the dataset's name. Correct texts in
    OUT/transcripts.tsv and give the command again: they go into the suite. Example:
    streamchar data import hdtf --root hdtf --out suites/hdtf --features i3d
    """
    names = tuple(name for name in features.split(",") if name)
    unknown = [
        name for name in (*names, *([recogniser] if recogniser else [])) if name not in EXTRACTORS
    ]
    if unknown:
        raise InputError(f"unknown extractor {unknown[0]!r:.60}; known: {', '.join(EXTRACTORS)}")
    clips = read_index(dataset, root)[:limit]
    progress = ProgressBar()
    with only_writer(out, verb="import"):
        plan = ImportPlan(
            dataset=dataset, root=root, out=out, recogniser=recogniser, features=names
        )
        found = import_clips(clips, plan, progress)
    progress.close()
    for clip, why in [*found.gone.items(), *found.notes.items()]:
        typer.echo(f"{clip}: {why}", err=True)
    counts = {"clips": len(found.clips), "gone": len(found.gone), "notes": len(found.notes)}
    text = ", ".join(f"{count} {what}" for what, count in counts.items())
    typer.echo(json.dumps(counts) if as_json else f"{text} -> {out / dataset}.jsonl")
    typer.echo(f"read and correct {out / 'transcripts.tsv'}, then give the command again", err=True)
