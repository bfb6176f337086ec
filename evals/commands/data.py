"""Make suites of real faces from published datasets, and reference sets of Frechet distances."""

import json
from pathlib import Path
from typing import Annotated

import typer

from evals.commands.terminal import ProgressBar
from evals.datasets.build import SAVED, ImportPlan, import_clips
from evals.datasets.indexes import READERS, read_index
from evals.extractors import EXTRACTORS
from evals.features.saved import save_features
from evals.features.store import FeatureStore
from evals.protocols.set_metric import SetMetric
from evals.recording.manifest import load_manifest
from evals.recording.media_files import is_run, recordings_of_files
from evals.recording.recording import Recording
from evals.recording.run_folder import recordings_of
from evals.scoring.choice import choose_metrics, names_of
from evals.scoring.score import default_jobs, extractors_of
from streamchar_ref.commands.common import AsJson
from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.lock import only_writer

app = Verb(__doc__, no_args_is_help=True)


@app.callback()
def data() -> None:
    """Make suites of real faces from published datasets, and reference sets of distances."""


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
    if names:
        typer.echo(f"reference set: streamchar score RUN --reference {out / SAVED}", err=True)
    typer.echo(f"read and correct {out / 'transcripts.tsv'}, then give the command again", err=True)


@app.command()
def features(
    out: Annotated[Path, typer.Option(help="File to write, e.g. real.npz.")],
    metrics: Annotated[
        str, typer.Option(help="Comma-separated: whose features, e.g. fvd,kvd,fid.")
    ],
    sources: Annotated[
        list[Path] | None, typer.Argument(help="A run folder; or videos, and folders of videos.")
    ] = None,
    manifest: Annotated[Path | None, typer.Option(help="JSONL file of videos.")] = None,
    system: Annotated[
        str, typer.Option(help="Whose clips, of a run or manifest; name of the set for videos.")
    ] = "",
    protocol: Annotated[str, typer.Option(help="default, all, or a protocol id.")] = "default",
    jobs: Annotated[int | None, typer.Option(min=1, help="Workers; one a core by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print counts as JSON.")] = False,
) -> None:
    """Save the features of a reference set, so that distances to it need no video later.

    The file holds the settings of the networks and the SHA-256 of each clip. Example:
    streamchar data features real/ --metrics fvd,kvd --out real.npz; then
    streamchar score runs/mine --metrics fvd,kvd --reference real.npz
    """
    _, chosen = choose_metrics(names_of(metrics), protocol)
    sets = [metric for metric in chosen if isinstance(metric, SetMetric)]
    if not sets:
        raise InputError(f"--metrics {metrics}: no distance between sets, as fvd, kvd or fid")
    progress = ProgressBar()
    clips = _clips(sources or [], manifest, system)
    names = extractors_of(sets)
    store = FeatureStore(jobs=jobs or default_jobs(), progress=progress)
    saved = save_features(out, clips, names, store=store)
    progress.close()
    if failed := len(clips) - len(saved.clips):
        typer.echo(f"left out: {failed} clips in which the system failed", err=True)
    counts = {"clips": len(saved.clips), "extractors": len(names)}
    text = f"features of {saved.system}: {len(saved.clips)} clips by {', '.join(names)} -> {out}"
    typer.echo(json.dumps(counts) if as_json else text)


def _clips(sources: list[Path], manifest: Path | None, system: str) -> list[Recording]:
    """Clips of the reference set; those of one system where there are several."""
    if bool(sources) == (manifest is not None):
        raise InputError("give a run folder, videos or folders of videos, or --manifest FILE")
    if manifest is None and not any(map(is_run, sources)):
        return recordings_of_files(sources, system)
    if len(sources) > 1:
        run = next(filter(is_run, sources))
        raise InputError(
            f"{run} is a run, and is read alone: leave out the other sources, or join runs with: "
            "streamchar merge"
        )
    found = load_manifest(manifest) if manifest is not None else recordings_of(sources[0])
    systems = sorted({one.system for one in found})
    if len(systems) > 1 and system not in systems:
        raise InputError(f"name the reference set with --system: one of {', '.join(systems)}")
    return [one for one in found if not system or one.system == system]
