"""Score the recordings of a run, or the videos of a manifest."""

import json
from pathlib import Path
from typing import Annotated

import typer

from evals.choice import choose_metrics, take_shard
from evals.commands.reasons import why_unscored
from evals.commands.terminal import ProgressBar, usage_errors
from evals.jsonl import InputError
from evals.manifest import load_manifest
from evals.recording import Recording
from evals.results import ScoreRow
from evals.run_folder import read_run, recordings_of, relative_to_run
from evals.run_scores import score_run
from evals.score import Options, default_jobs

app = typer.Typer(add_completion=False, help=__doc__)


@app.command()
def score(
    run: Annotated[Path | None, typer.Argument(help="A run folder.")] = None,
    manifest: Annotated[Path | None, typer.Option(help="JSONL file of videos.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder for the manifest's scores.")] = None,
    metrics: Annotated[str, typer.Option(help="Comma-separated; all by default.")] = "",
    protocol: Annotated[str, typer.Option(help="default, all, or a protocol id.")] = "default",
    native: Annotated[bool, typer.Option(help="Score files as they are, too.")] = False,
    shard: Annotated[str, typer.Option(help="i/n: part i of n, counted from 1.")] = "",
    reference: Annotated[
        str, typer.Option(help="System that is the reference set of Frechet distances.")
    ] = "",
    jobs: Annotated[int | None, typer.Option(min=1, help="Workers; one a core by default.")] = None,
    max_failures: Annotated[
        float, typer.Option(min=0, max=1, help="Share of failed rows that is still success.")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print counts as JSON.")] = False,
) -> None:
    """Score the recordings of a run, or the videos of a manifest.

    Nothing is measured twice; rows of other metrics in the run stay. Example:
    streamchar score --manifest videos.jsonl --out runs/mine
    """
    progress = ProgressBar()
    with usage_errors():
        folder, recordings, config = _input(run, manifest, out)
        chosen, chosen_sets = choose_metrics([m for m in metrics.split(",") if m], protocol)
        known = sorted({recording.system for recording in recordings})
        if reference and reference not in known:
            raise InputError(f"--reference {reference!r} is none of: {', '.join(known)}")
        rows = score_run(
            folder,
            take_shard(recordings, shard),
            metrics=chosen,
            set_metrics=chosen_sets,
            options=Options(native=native, jobs=jobs or default_jobs(), reference_system=reference),
            progress=progress,
            config=config,
            whole=recordings,
        )
    progress.close()
    for name, notes in read_run(folder).get("notes", {}).items():
        typer.echo(f"{name}: {'; '.join(notes)}", err=True)
    for line in why_unscored(rows, folder):
        typer.echo(line, err=True)
    counts = count_statuses(rows)
    words = f"{in_words(counts)} -> {folder / 'scores.jsonl'}"
    typer.echo(json.dumps(counts) if as_json else words)
    raise typer.Exit(code=1 if share_failed(rows) > max_failures else 0)


def _input(
    run: Path | None, manifest: Path | None, out: Path | None
) -> tuple[Path, list[Recording], dict[str, str]]:
    if (run is None) == (manifest is None):
        raise InputError("give either a run folder or --manifest FILE with --out RUN")
    if manifest is None:
        assert run is not None, "checked above"
        if out is not None and out != run:
            raise InputError("--out goes with --manifest; scores of a run are written into it")
        return run, recordings_of(run), {}
    if out is None:
        raise InputError("--manifest needs --out RUN")
    recordings = load_manifest(manifest)
    earlier = read_run(out).get("manifest")
    relative = relative_to_run(manifest, out)
    if earlier is not None and earlier != relative:
        raise InputError(f"{out} holds scores of another manifest, {earlier}; choose another --out")
    return out, recordings, {"manifest": relative}


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
