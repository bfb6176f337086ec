"""Train, record, score and compare the rows of the ablation table: everything in one command."""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from baselines.ablations.grid import GridFolder, Training
from baselines.ablations.record_rows import Recorded, RowRecorder
from baselines.ablations.row import Row
from baselines.ablations.rows import GROUND_TRUTH, change_in_words, choose_rows, contrasts
from baselines.ablations.trainer import Trainer
from evals.commands.reasons import why_unscored
from evals.commands.score import count_statuses, in_words, share_failed
from evals.commands.terminal import ProgressBar
from evals.commands.workers import ExecutorOption, check_workers
from evals.recording.run_folder import recordings_of
from evals.scoring.choice import choose_metrics
from evals.scoring.compare import Pair
from evals.scoring.persist import score_run
from evals.scoring.results import ScoreRow, dump_json
from evals.scoring.score import Options, default_jobs
from evals.suites import check_suite_folder, load_suite
from reports.ablation import COLUMNS, AblationLine, ablation_csv, ablation_grid
from reports.build import build_report
from reports.contrasts import compare_rows, compare_trainings, write_contrasts
from reports.load import load_runs
from reports.render import grid_latex, grid_markdown
from reports.tables import wide
from streamchar_ref.commands.common import Device, num_cores
from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.executors import LOCAL, open_executor
from streamchar_ref.core.files import remove_abandoned, write_atomically
from streamchar_ref.core.lock import only_writer

app = Verb(__doc__)


@app.command()
def ablate(
    out: Annotated[
        Path | None, typer.Option(help="Run folder; all that is trained is kept there.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Of the model; see: streamchar ls presets")] = "micro",
    start: Annotated[
        Path | None, typer.Option("--from", help="Checkpoint of the teacher; the shipped one.")
    ] = None,
    suite: Annotated[str, typer.Option(help="Name of a suite, or a JSONL file of prompts.")] = (
        "short_clip_dev"
    ),
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first prompts.")] = None,
    only: Annotated[str, typer.Option(help="Comma-separated rows; all by default.")] = "",
    seeds: Annotated[str, typer.Option(help="Of training, comma-separated.")] = "0",
    minutes_per_stage: Annotated[
        float, typer.Option(min=0, help="Time limit of each stage; 0 takes its own.")
    ] = 0,
    total_minutes: Annotated[
        float, typer.Option(min=0, help="Of this command's training; 0 is no limit.")
    ] = 0,
    device: Device = "",
    jobs: Annotated[int, typer.Option(min=0, max=1000, help="Workers; 0 is one a core.")] = 0,
    executor: ExecutorOption = LOCAL,
    skip_scoring: Annotated[bool, typer.Option(help="Only train and record.")] = False,
    list_rows: Annotated[bool, typer.Option("--list", help="Print the rows, do nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print rows and scores as JSON.")] = False,
) -> None:
    """Train, record, score and compare the rows of the ablation table.

    Stages that rows share are trained once. The same command again goes on where it stopped; what
    diverged is a row without numbers, and the others go on (exit 1). The executor records and
    scores; training stays on this machine.
    Example: streamchar ablate --preset micro --out runs/ablations --only full,no_sink
    """
    rows = choose_rows([name for name in only.split(",") if name])
    if list_rows:
        typer.echo(_listed(rows, as_json=as_json), nl=False)
        return
    if out is None:
        raise InputError("--out RUN names the folder for all that is trained and recorded")
    check_workers(executor)
    chosen = _seeds(seeds)
    prompts = load_suite(suite)
    place, name = _device(device), Path(suite).stem
    check_suite_folder(out, name, prompts)
    trainer = _trainer(preset, start, minutes_per_stage, place, jobs or num_cores())
    folder, progress = GridFolder(out=out), ProgressBar()
    with only_writer(out, verb="ablate"):
        folder.settle(
            {"preset": preset, "minutes-per-stage": minutes_per_stage, "device": place},
            suite=name,
            num_prompts=len(prompts[:limit]),
            defaults=_defaults(preset, place),
        )
        training = Training(
            folder=folder, trainer=trainer, total_minutes=total_minutes, progress=_say
        )
        outcomes = training.run(rows, chosen)
        with (
            nullcontext()
            if executor == LOCAL
            else open_executor(
                executor, jobs or default_jobs(), gpus=int(place != "cpu")
            ) as workers
        ):
            recorder = RowRecorder(
                folder=folder, suite=name, prompts=prompts[:limit], device=place,
                workers=workers, progress=progress,
            )  # fmt: skip
            lines = _lines(rows, recorder.record(rows, outcomes), chosen)
        scored = [] if skip_scoring else _scored(out, progress, jobs, executor)
        text = _statuses(lines) if skip_scoring else _report(out, name, rows, lines)
    if as_json:
        text = _as_json(out, lines, is_scored=not skip_scoring)
    typer.echo(text, nl=False)
    problems = [f"{line.name}: {line.reason}" for line in lines if line.reason]
    problems += why_unscored(scored, out)
    typer.echo("\n".join([*problems, in_words(count_statuses(scored))]), err=True)
    raise typer.Exit(code=1 if any(line.reason for line in lines) or share_failed(scored) else 0)


def _listed(rows: Sequence[Row], *, as_json: bool) -> str:
    if as_json:
        values = [asdict(row) | {"passes": row.setup.passes} for row in rows]
        return json.dumps(values, indent=1) + "\n"
    texts = []
    for row in rows:
        change = f"; {change_in_words(row)}" if row.parent else ""
        mirrors = f" [{row.mirrors}]" if row.mirrors else ""
        texts.append(f"{row.group:<9}  {row.name:<20}  {row.tests}{change}{mirrors}")
    return "\n".join(texts) + "\n"


def _defaults(preset: str, device: str) -> dict[str, Any]:
    """Returns how a preset is distilled and optimised where no row says otherwise, as JSON.

    In which precision follows from the device.
    """
    from streamchar_ref.train.distill.config import distill_config  # torch, for what trains alone
    from streamchar_ref.train.stages import distillation_stages

    config = distill_config(preset)
    optims = {
        f"{spec.name}.optim": asdict(spec.budget(preset).optim.on(device))
        for spec in distillation_stages(config)
    }
    values: dict[str, Any] = json.loads(json.dumps(config.values | optims))
    return values


def _seeds(text: str) -> list[int]:
    parts = list(dict.fromkeys(part for part in text.split(",") if part))
    if not parts or not all(re.fullmatch("[0-9]{1,9}", part) for part in parts):
        raise InputError(f"--seeds is a list such as 0,1,2, not {text!r:.60}")
    return [int(part) for part in parts]


def _device(name: str) -> str:
    from streamchar_ref.commands.train import find_device  # torch, for what trains alone

    return find_device(name)


def _trainer(preset: str, start: Path | None, minutes: float, device: str, jobs: int) -> Trainer:
    from baselines.ablations.training import StageTrainer

    return StageTrainer(
        preset=preset, start=start, minutes=minutes, device=device, jobs=jobs, progress=_say
    )


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _lines(
    rows: Sequence[Row], recorded: Mapping[tuple[str, int], Recorded], seeds: Sequence[int]
) -> list[AblationLine]:
    lines = []
    for row in rows:
        told = {seed: recorded[row.name, seed] for seed in seeds}
        streamed = [seed for seed, one in told.items() if one.has_streams]
        reasons = {seed: one.reason for seed, one in told.items() if one.reason}
        prefixes = {seed: f"seed {seed}: " if len(seeds) > 1 else "" for seed in seeds}
        lines.append(
            AblationLine(
                name=row.name,
                group=str(row.group),
                passes=row.setup.passes,
                num_trainings=len(streamed) if row.setup.is_trained else 0,
                is_trained=row.setup.is_trained,
                reason="; ".join(f"{prefixes[seed]}{why}" for seed, why in reasons.items()),
                is_missing=not streamed,
            )
        )
    return lines


def _scored(out: Path, progress: ProgressBar, jobs: int, executor: str) -> list[ScoreRow]:
    metrics, set_metrics = choose_metrics([], "default")
    rows = score_run(
        out,
        recordings_of(out),
        metrics=metrics,
        set_metrics=set_metrics,
        options=Options(
            jobs=jobs or default_jobs(), executor=executor, reference_system=GROUND_TRUTH.name
        ),
        progress=progress,
    )
    progress.close()
    return rows


def _report(out: Path, suite: str, rows: Sequence[Row], lines: Sequence[AblationLine]) -> str:
    """Writes tables, contrasts and the page; returns the table as Markdown."""
    loaded, declared = load_runs([out]), contrasts(rows)
    names = [row.name for row in rows]
    every = wide(loaded.summaries, metrics=COLUMNS, systems=names, roles=loaded.roles)
    tables = [table for table in every if table.suite == suite]
    grids = [ablation_grid(table, lines) for table in tables]
    content = {
        "ablation.md": "\n".join(map(grid_markdown, grids)),
        "ablation.tex": "\n".join(map(grid_latex, grids)),
        "ablation.csv": ablation_csv(tables, lines),
    }
    remove_abandoned(out / "tables", deep=False)
    for name, text in content.items():
        write_atomically(out / "tables" / name, text.encode(errors="replace"))
    write_contrasts(
        out / "compared",
        compare_rows(loaded, declared, COLUMNS),
        compare_trainings(loaded, declared, COLUMNS, suite),
        {row.name: row.tests for row in rows},
    )
    pairs = [Pair(name, other) for name, others in declared.items() for other in others]
    page = build_report([out], out / "report.html", title=f"Ablations: {out.name}", pairs=pairs)
    _say(f"report: {page}; contrasts: {out / 'compared' / 'compare.md'}")
    return content["ablation.md"]


def _statuses(lines: Sequence[AblationLine]) -> str:
    return "".join(f"{line.name}: {line.reason or 'recorded'}\n" for line in lines)


def _as_json(out: Path, lines: Sequence[AblationLine], *, is_scored: bool) -> str:
    values = {
        "rows": [asdict(line) for line in lines],
        "summary": json.loads((out / "summary.json").read_text())["rows"] if is_scored else [],
    }
    return dump_json(values, indent=1) + "\n"
