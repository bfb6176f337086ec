"""Measure the checkpoints of a training, step by step."""

from pathlib import Path
from typing import Annotated, Any

import typer

from evals.commands.reasons import why_unscored
from evals.commands.score import share_failed
from evals.commands.terminal import ProgressBar
from evals.recording.make_system import parse_settings
from evals.scoring.choice import choose_metrics, names_of
from evals.scoring.results import dump_json
from evals.scoring.score import Options, default_jobs
from evals.suites import check_suite_folder, load_suite
from reports.sweep.checkpoints import why_none
from reports.sweep.choose import WORDS_THEN_SYNC, StepRule, best_step, parse_rule
from reports.sweep.measure import SYSTEM, SweepPlan
from reports.sweep.results import Sweep
from reports.sweep.run import Source, Watch, run_sweep
from reports.sweep.table import sweep_markdown
from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.errors import InputError

METRICS = "wer,phoneme_error_rate,mesh_sync_at_zero,dynamic_degree,id_world_distance"

app = Verb(__doc__)


@app.command()
def sweep(
    checkpoints: Annotated[
        list[str], typer.Argument(help="Folders of checkpoints, or a quoted 'RUN/STAGE/step-*'.")
    ],
    suite: Annotated[str, typer.Option(help="Name of a suite, or a JSONL file of prompts.")],
    out: Annotated[Path, typer.Option(help="Run folder; what is measured in it is kept.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first prompts.")] = None,
    network: Annotated[
        str, typer.Option(help="Comma-separated: student,raw,plain; the student by default.")
    ] = "",
    metrics: Annotated[str, typer.Option(help="Comma-separated.")] = METRICS,
    seed: Annotated[int, typer.Option(min=0, help="Of the generation, the same for all.")] = 0,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="key=value for the system; may be repeated.")
    ] = None,
    against: Annotated[
        str, typer.Option(help="CHECKPOINT[:NETWORK], drawn as a band, e.g. the teacher.")
    ] = "",
    against_setting: Annotated[
        list[str] | None, typer.Option("--against-set", help="key=value for the baseline alone.")
    ] = None,
    rule: Annotated[
        str, typer.Option(help=f"Which step to name as the best: {WORDS_THEN_SYNC}")
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Wait for more checkpoints.")] = False,
    watch_minutes: Annotated[
        float | None, typer.Option(min=0, help="End of the watch; until Ctrl-C by default.")
    ] = None,
    retry_failed: Annotated[bool, typer.Option(help="Record again what failed.")] = False,
    system: Annotated[
        str, typer.Option(help="What streams them: takes checkpoint, network and label.")
    ] = SYSTEM,
    jobs: Annotated[int | None, typer.Option(min=1, help="Workers; one a core by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Measure the checkpoints of a training on the same prompts and noise.

    The same command again goes on where it stopped. Exit code 1 if something failed, or a step is
    shown to be worse than the best one before. Example:
    streamchar sweep 'runs/micro/dmd_chunk/step-*' --suite short_clip_dev --out runs/sweep
    """
    chosen, chosen_sets = choose_metrics(names_of(metrics), "default")
    asked = _checked_rule(rule, {one.name for one in (*chosen, *chosen_sets)})
    whole = load_suite(suite)
    check_suite_folder(out, Path(suite).stem, whole)
    plan = SweepPlan(
        out=out,
        suite=Path(suite).stem,
        prompts=tuple(whole[:limit]),
        seed=seed,
        settings=parse_settings(setting or []),
        baseline_settings=parse_settings(against_setting or []),
        metrics=tuple(chosen),
        set_metrics=tuple(chosen_sets),
        options=Options(jobs=jobs or default_jobs()),
        system=system,
        retry_failed=retry_failed,
    )
    networks = tuple(dict.fromkeys(name for name in network.split(",") if name))
    source = Source(patterns=tuple(checkpoints), networks=networks, against=against)
    progress = ProgressBar()
    outcome = run_sweep(
        source, plan, watch=_watch(watch, watch_minutes), progress=progress, tell=_tell
    )
    progress.close()
    if outcome.sweep is None:
        raise InputError(why_none(checkpoints))
    taken = _taken(outcome.sweep, asked)
    typer.echo("\n".join([*outcome.failed, *why_unscored(outcome.rows, out)]), err=True)
    if as_json:
        typer.echo(dump_json({**outcome.sweep.as_json(), "taken": taken}, indent=1))
    else:
        typer.echo(sweep_markdown(outcome.sweep), nl=False)
    for one in taken:
        step = one["reason"] or f"step {one['step']}"
        typer.echo(f"{one['network']}, by {one['rule']}: {step}", err=True)
    has_failed = bool(outcome.failed) or share_failed(list(outcome.rows)) > 0
    raise typer.Exit(code=1 if has_failed or outcome.sweep.alarms else 0)


def _checked_rule(text: str, metrics: set[str]) -> StepRule | None:
    """Returns the rule; of none that was asked for, the usual one if its metrics are measured."""
    rule = parse_rule(text) if text else WORDS_THEN_SYNC
    lacking = [name for name in rule.names if name.partition("/")[0] not in metrics]
    if lacking and text:
        raise InputError(f"--rule reads {lacking[0]!r:.60}, which is not among --metrics")
    return None if lacking else rule


def _watch(is_on: bool, minutes: float | None) -> Watch | None:
    if minutes is not None and not is_on:
        raise InputError("--watch-minutes goes with --watch")
    return Watch(minutes=minutes) if is_on else None


def _taken(sweep: Sweep, rule: StepRule | None) -> list[dict[str, Any]]:
    """Says for each network which step the rule takes, or why none."""
    taken: list[dict[str, Any]] = []
    for network in sweep.networks if rule else []:
        one: dict[str, Any] = {"rule": str(rule), "network": network, "step": None}
        try:
            entry = best_step(sweep, rule or WORDS_THEN_SYNC, network=network)
        except InputError as why:  # what was measured is worth printing all the same
            taken.append({**one, "reason": str(why)})
            continue
        taken.append({**one, "step": entry.step, "checkpoint": entry.checkpoint, "reason": ""})
    return taken


def _tell(line: str) -> None:
    typer.echo(line, err=True)
