"""Record systems on a suite, score them, and write the report: everything in one command."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from evals.commands.reasons import why_cut_off, why_failed, why_passed_over, why_unscored
from evals.commands.score import count_statuses, in_words, share_failed
from evals.commands.terminal import ProgressBar
from evals.protocols.base import Metric
from evals.recording.contract import problems_with_system
from evals.recording.make_system import make_system
from evals.recording.record import RecordPlan, failures, record
from evals.recording.run_folder import cut_off, recordings_of, unknown_folders
from evals.scoring.persist import score_run
from evals.scoring.results import ScoreRow
from evals.scoring.score import Options, default_jobs
from evals.scoring.speech_protocols import ASR_HELP, choose_for, own_metrics_of
from evals.suites import check_suite_folder, load_suite
from reports.build import build_report, printed
from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.lock import only_writer

app = Verb(__doc__)


@app.command()
def run(
    suite: Annotated[str, typer.Argument(help="Name of a suite, or a JSONL file of prompts.")],
    systems: Annotated[
        str, typer.Option(help="Comma-separated names (streamchar ls systems) or file.py:Class")
    ],
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/SUITE if left out.")] = None,
    reference: Annotated[
        str, typer.Option(help="System that Frechet distances and diversity refer to.")
    ] = "",
    asr: Annotated[str, typer.Option(help=ASR_HELP)] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first prompts.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the generation.")] = 0,
    jobs: Annotated[int | None, typer.Option(min=1, help="Workers; one a core by default.")] = None,
    max_failures: Annotated[
        float, typer.Option(min=0, max=1, help="Share of failed rows that is still success.")
    ] = 0.0,
    every_metric: Annotated[
        bool, typer.Option("--all", help="Print all metrics, not only the headline.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Record systems on a suite, score them, and write the report.

    The same command again goes on where it stopped. Example:
    streamchar run smoke --systems ground_truth,static_portrait --out runs/first
    """
    progress = ProgressBar()
    out = out or Path("runs", Path(suite).stem)
    names = [name for name in systems.split(",") if name]
    made = _made(names)  # all, before the first hour is spent
    if reference and reference not in {*names, *(one.name for one in made)}:
        raise InputError(f"--reference {reference!r} is not among --systems")
    whole = load_suite(suite)
    check_suite_folder(out, Path(suite).stem, whole)
    prompts = whole[:limit]
    plan = RecordPlan(out=out, suite=Path(suite).stem, seed=seed)
    own = own_metrics_of(asr)  # a name that is not here, before the first hour is spent
    options = Options(jobs=jobs or default_jobs(), reference_system=reference)
    with only_writer(out, verb="run"):
        for one in made:
            record(one, prompts, plan, progress=progress)
        failed = [line for one in made for line in why_failed(failures(one.name, prompts, plan))]
        rows = _scored(out, options, own, progress)
        left_out = [*why_cut_off(cut_off(out)), *why_passed_over(unknown_folders(out))]
        unscored = [*left_out, *why_unscored(rows, out)]
        page = build_report([out], out / "report.html")
    summary = (out / "summary.json").read_text() if as_json else ""
    typer.echo(summary or printed([out], every_metric=every_metric), nl=not as_json)
    typer.echo("\n".join([*failed, *unscored, in_words(count_statuses(rows))]), err=True)
    typer.echo(f"report: {page}", err=True)
    raise typer.Exit(code=1 if failed or share_failed(rows) > max_failures else 0)


def _scored(
    out: Path, options: Options, own: Sequence[Metric], progress: ProgressBar
) -> list[ScoreRow]:
    recordings = recordings_of(out)
    metrics, set_metrics = choose_for(recordings, [], "default", own)
    rows = score_run(
        out,
        recordings,
        metrics=metrics,
        set_metrics=set_metrics,
        options=options,
        progress=progress,
    )
    progress.close()
    return rows


def _made(names: Sequence[str]) -> list[Any]:
    """Makes all systems; refuses what `record` would refuse, and two of one name."""
    made = [make_system(name, {}) for name in names]
    for name, one in zip(names, made, strict=True):
        problems = problems_with_system(one)
        if problems:
            raise InputError(f"{name}: {'; '.join(problems)}")
    labels = [one.name for one in made]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise InputError(f"two of --systems are called {twice!r}: give each a name of its own")
    if not made:
        raise InputError("--systems names none; see: streamchar ls systems")
    return made
