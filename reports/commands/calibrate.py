"""Inject known faults into clips and print how each metric answers."""

from pathlib import Path
from typing import Annotated

import typer

from evals.calibration.calibrate import CalibrationPlan, measure
from evals.calibration.faults import chosen_faults
from evals.calibration.results import as_json, responses_of
from evals.commands.terminal import ProgressBar
from evals.commands.workers import DeviceOption, ExecutorOption, check_workers
from evals.protocols.set_metric import SetMetric
from evals.protocols.takes_metric import TakesMetric
from evals.recording.manifest import load_manifest
from evals.recording.recording import Recording
from evals.recording.system import Prompt
from evals.scoring.choice import choose_metrics, names_of
from evals.scoring.results import dump_json
from evals.scoring.score import default_jobs
from evals.suites import load_suite
from reports.calibration import calibration_markdown, write_calibration
from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.executors import LOCAL
from streamchar_ref.core.files import remove_abandoned
from streamchar_ref.core.lock import only_writer

app = Verb(__doc__)


@app.command()
def calibrate(
    out: Annotated[
        Path, typer.Option(help="Folder of the calibration; runs/calibration if left out.")
    ] = Path("runs/calibration"),
    suite: Annotated[str, typer.Option(help="Suite of the world, or a JSONL file.")] = "",
    manifest: Annotated[Path | None, typer.Option(help="JSONL file of your own videos.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first clips.")] = None,
    faults: Annotated[str, typer.Option(help="Comma-separated; all by default.")] = "",
    doses: Annotated[str, typer.Option(help="few or all.")] = "few",
    metrics: Annotated[str, typer.Option(help="Comma-separated; all by default.")] = "",
    seconds: Annotated[float | None, typer.Option(min=1, help="Longest clip.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Workers; one a core by default.")] = None,
    executor: ExecutorOption = LOCAL,
    device: DeviceOption = "",
    as_json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Inject known faults at several doses; print the smallest dose that each metric detects.

    The same command again goes on where it stopped. Example:
    streamchar calibrate --suite smoke --out runs/calibration
    """
    progress = ProgressBar()
    check_workers(executor, device)
    if doses not in {"few", "all"}:
        raise InputError(f"--doses {doses!r} is neither few nor all")
    wanted = chosen_faults([f for f in faults.split(",") if f], every_dose=doses == "all")
    chosen, chosen_sets = choose_metrics(names_of(metrics), "default")
    clips, name = _clips(suite, manifest)
    plan = CalibrationPlan(
        out=out,
        clips=dict(list(clips.items())[:limit]),
        suite=name,
        faults=wanted,
        metrics=chosen,
        set_metrics=[metric for metric in chosen_sets if isinstance(metric, SetMetric)],
        takes_metrics=[metric for metric in chosen_sets if isinstance(metric, TakesMetric)],
        seconds=seconds,
        jobs=jobs or default_jobs(),
        executor=executor,
    )
    with only_writer(out, verb="calibrate"):
        remove_abandoned(out)
        calibration = responses_of(plan, measure(plan, progress))
        progress.close()
        paths = write_calibration(calibration, out)
    if as_json_:
        typer.echo(dump_json(as_json(calibration), indent=1))
    else:
        typer.echo(calibration_markdown(calibration), nl=False)
    typer.echo(f"page: {paths[-1]}", err=True)
    raise typer.Exit(code=0 if calibration.responses else 1)


def _clips(suite: str, manifest: Path | None) -> tuple[dict[str, Prompt | Recording], str]:
    if bool(suite) == (manifest is not None):
        raise InputError("give either --suite NAME or --manifest FILE")
    if manifest is None:
        return {prompt.prompt_id: prompt for prompt in load_suite(suite)}, Path(suite).stem
    recordings = load_manifest(manifest)
    for recording in recordings:
        if recording.error:
            raise InputError(f"{manifest}: {recording.sample_id}: {recording.error}")
    systems = {recording.system for recording in recordings}
    alone = len(systems) == 1 and len({r.sample_id for r in recordings}) == len(recordings)
    return {
        r.sample_id if alone else f"{r.system}-{r.sample_id}-{r.seed}": r for r in recordings
    }, manifest.stem
