"""Stream a suite through a system and keep picture, sound and arrival times."""

import json
from pathlib import Path
from typing import Annotated

import typer

from evals.commands.reasons import why_failed
from evals.commands.terminal import ProgressBar
from evals.commands.workers import ExecutorOption, check_workers
from evals.recording.make_system import make_system, parse_settings
from evals.recording.record import RecordPlan, failures
from evals.recording.record import record as record_prompts
from evals.recording.workers import Maker, record_by_workers
from evals.scoring.choice import take_shard
from evals.scoring.score import default_jobs
from evals.suites import check_suite_folder, load_suite
from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.executors import LOCAL, open_executor

app = Verb(__doc__)


@app.command()
def record(
    system: Annotated[
        str, typer.Argument(help="See: streamchar ls systems; or path/to/file.py:Class")
    ],
    suite: Annotated[str, typer.Option(help="Name of a suite, or a JSONL file of prompts.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Run folder, runs/SUITE if left out; finished recordings in it stay."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first prompts.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the generation.")] = 0,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="key=value for the system; may be repeated.")
    ] = None,
    shard: Annotated[str, typer.Option(help="i/n: part i of n, counted from 1.")] = "",
    warm_up: Annotated[bool, typer.Option(help="One short untimed request first.")] = True,
    retry_failed: Annotated[bool, typer.Option(help="Record again what failed.")] = False,
    executor: ExecutorOption = LOCAL,
    as_json: Annotated[bool, typer.Option("--json", help="Print counts as JSON.")] = False,
) -> None:
    """Stream a suite through a system and keep picture, sound and arrival times.

    The same command again goes on where it stopped. Example:
    streamchar record static_portrait --suite smoke --out runs/first
    """
    progress = ProgressBar()
    check_workers(executor)
    whole = load_suite(suite)
    if out is None:
        out = Path("runs") / Path(suite).stem
        typer.echo(f"recordings go to {out}; choose another folder with --out", err=True)
    check_suite_folder(out, Path(suite).stem, whole)
    prompts = take_shard(whole[:limit], shard)
    settings = parse_settings(setting or [])
    plan = RecordPlan(
        out=out,
        suite=Path(suite).stem,
        seed=seed,
        settings=settings,
        warm_up=warm_up,
        retry_failed=retry_failed,
    )
    if executor == LOCAL:
        made = make_system(system, settings)
        counts = record_prompts(made, prompts, plan, progress=progress)
        name = made.name  # checked by now: a system's name may be anything, or raise
    else:
        maker = Maker(name=system, settings=settings)
        with open_executor(executor, default_jobs()) as workers:
            recorded = record_by_workers(maker, prompts, plan, workers, progress=progress)
        name, counts = recorded.name, recorded.counts
    progress.close()
    failed = failures(name, prompts, plan)
    for line in why_failed(failed):
        typer.echo(line, err=True)
    failed_before = sum(map(len, failed.values())) - counts["failed"]
    if failed_before:
        typer.echo("what failed before is kept; record it again with --retry-failed", err=True)
        counts["failed"] += failed_before
        counts["kept"] -= failed_before
    text = json.dumps(counts) if as_json else ", ".join(f"{n} {what}" for what, n in counts.items())
    typer.echo(text if as_json else f"{text} -> {out}")
    raise typer.Exit(code=1 if counts["failed"] else 0)
