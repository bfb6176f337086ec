"""Score the recordings of a run, the videos of a manifest, or any videos."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from evals.commands.reasons import notes_in_words, why_cut_off, why_passed_over, why_unscored
from evals.commands.terminal import ProgressBar
from evals.commands.workers import DeviceOption, ExecutorOption, check_workers
from evals.recording.manifest import load_manifest
from evals.recording.media_files import check_names_of_folders, is_run, recordings_of_files
from evals.recording.recording import Recording
from evals.recording.run_folder import (
    cut_off,
    read_run,
    recordings_of,
    relative_to_run,
    unknown_folders,
)
from evals.recording.transaction import missing_from
from evals.scoring.choice import names_of, take_shard
from evals.scoring.persist import check_sources, score_run
from evals.scoring.reference_set import chosen_reference
from evals.scoring.results import ScoreRow
from evals.scoring.score import Options, default_jobs
from evals.scoring.speech_protocols import ASR_HELP, choose_for
from streamchar_ref.commands.verb import Verb, run_verb
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.executors import LOCAL

app = Verb(__doc__)


@app.command()
def score(
    sources: Annotated[
        list[Path] | None, typer.Argument(help="A run folder; or videos, and folders of videos.")
    ] = None,
    manifest: Annotated[Path | None, typer.Option(help="JSONL file of videos.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder for scores; of videos: runs/SYSTEM.")
    ] = None,
    system: Annotated[
        str, typer.Option(help="What made the videos; the name of their folder by default.")
    ] = "",
    language: Annotated[
        str, typer.Option(help="Of the transcripts of videos, e.g. pt; lines of a manifest say.")
    ] = "",
    asr: Annotated[str, typer.Option(help=ASR_HELP)] = "",
    metrics: Annotated[str, typer.Option(help="Comma-separated; all by default.")] = "",
    protocol: Annotated[str, typer.Option(help="default, all, or a protocol id.")] = "default",
    profile: Annotated[
        str, typer.Option(help="Set of protocols in place of one; see: streamchar ls profiles.")
    ] = "",
    native: Annotated[bool, typer.Option(help="Score files as they are, too.")] = False,
    as_played: Annotated[
        bool, typer.Option(help="Score what a viewer saw and heard, stalls included, too.")
    ] = False,
    shard: Annotated[str, typer.Option(help="i/n: part i of n, counted from 1.")] = "",
    reference: Annotated[
        str,
        typer.Option(
            help="System that Frechet distances and diversity refer to, or a file by data features."
        ),
    ] = "",
    jobs: Annotated[int | None, typer.Option(min=1, help="Workers; one a core by default.")] = None,
    executor: ExecutorOption = LOCAL,
    device: DeviceOption = "",
    max_failures: Annotated[
        float, typer.Option(min=0, max=1, help="Share of failed rows that is still success.")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print counts as JSON.")] = False,
) -> None:
    """Score the recordings of a run, the videos of a manifest, or any videos.

    The transcript of a video is the .txt of the same name beside it; without one, text metrics do
    not apply. Nothing is measured twice; rows of other metrics in the run stay. The end is what
    `streamchar table RUN` prints. Examples:
    streamchar score --manifest videos.jsonl --out runs/mine; streamchar score videos/
    """
    progress = ProgressBar()
    check_workers(executor, device)
    folder, recordings, config = _input(sources or [], manifest, out, system, language)
    if missing := missing_from(folder):
        typer.echo(
            f"{folder}: {' and '.join(missing)} missing, made anew; rows of other metrics stay, "
            "their curves come back when these metrics are scored again",
            err=True,
        )
    chosen, chosen_sets = choose_for(recordings, names_of(metrics), protocol, asr, profile=profile)
    systems = sorted({recording.system for recording in recordings})
    referred = chosen_reference(reference, systems, option="--reference")
    rows = score_run(
        folder,
        take_shard(recordings, shard),
        metrics=chosen,
        set_metrics=chosen_sets,
        options=Options(
            native=native,
            as_played=as_played,
            jobs=jobs or default_jobs(),
            executor=executor,
            **referred,
        ),
        progress=progress,
        config=config,
        whole=recordings,
    )
    progress.close()
    for line in notes_in_words(read_run(folder).get("notes", {})):
        typer.echo(line, err=True)
    left_out = [*why_cut_off(cut_off(folder)), *why_passed_over(unknown_folders(folder))]
    for line in [*left_out, *why_unscored(rows, folder)]:
        typer.echo(line, err=True)
    counts = count_statuses(rows)
    if as_json:
        typer.echo(json.dumps(counts))
    else:
        run_verb("table", str(folder))
        typer.echo(f"\n{in_words(counts)} -> {folder / 'scores.jsonl'}")
    raise typer.Exit(code=1 if share_failed(rows) > max_failures else 0)


def _input(
    sources: list[Path], manifest: Path | None, out: Path | None, system: str, language: str
) -> tuple[Path, list[Recording], dict[str, Any]]:
    if bool(sources) == (manifest is not None):
        raise InputError(
            "give a run folder, videos or folders of videos, or --manifest FILE with --out RUN"
        )
    runs = [source for source in sources if is_run(source)]
    if system and (manifest is not None or runs):
        raise InputError("--system goes with videos; a manifest and a run say what made theirs")
    if language and (manifest is not None or runs):
        raise InputError("--language goes with videos; a manifest and a suite have a field for it")
    if manifest is not None:
        if out is None:
            raise InputError("--manifest needs --out RUN")
        recordings = load_manifest(manifest)
        return out, recordings, _checked(out, {"manifest": relative_to_run(manifest, out)})
    if runs:
        if len(sources) > 1:
            raise InputError(f"{runs[0]} is a run folder; score it alone")
        if out is not None and out != runs[0]:
            raise InputError("--out goes with videos; scores of a run are written into it")
        return runs[0], recordings_of(runs[0]), {}
    return _videos(sources, out, system, language)


def _videos(
    sources: list[Path], out: Path | None, system: str, language: str
) -> tuple[Path, list[Recording], dict[str, Any]]:
    recordings = recordings_of_files(sources, system, language)
    if not system:
        check_names_of_folders(sources)
    systems = sorted({recording.system for recording in recordings})
    if out is None:
        out = Path("runs") / "-".join(systems[:3])
        typer.echo(f"scores go to {out}; choose another folder with --out", err=True)
    paths = [relative_to_run(source, out) for source in sources]
    texts = sum(bool(recording.transcript) for recording in recordings)
    counts = f"{len(recordings)}; with a transcript (NAME.txt beside it): {texts}"
    typer.echo(f"videos of {', '.join(systems)}: {counts}", err=True)
    told = {"language": language} if language else {}  # scoring the run again must know it
    files = {"files": {"sources": paths, "system": system, **told}}
    return out, recordings, _checked(out, files)


def _checked(out: Path, made_from: dict[str, Any]) -> dict[str, Any]:
    check_sources(out, made_from)
    return made_from


def count_statuses(rows: list[ScoreRow]) -> dict[str, int]:
    """Returns how many rows have each status."""
    statuses = [row.status for row in rows]
    return {status: statuses.count(status) for status in sorted(set(statuses))}


def share_failed(rows: list[ScoreRow]) -> float:
    """Share of rows whose generation or evaluation failed."""
    failed = [row for row in rows if row.status in {"generation_failure", "evaluator_failure"}]
    return len(failed) / len(rows) if rows else 0.0


def in_words(counts: dict[str, int]) -> str:
    """Returns counts of statuses as a line."""
    return ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in counts.items())
