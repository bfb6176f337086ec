"""Train the reference model, stage by stage or all of it in one go."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamchar_ref.commands.common import Device, Preset, num_cores
from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.trackers import check_tracker

if TYPE_CHECKING:
    from streamchar_ref.train.run import TrainRun

app = Verb(__doc__)
DISTILL = "distill."


class StorageKind(Enum):
    """How weights are kept in a checkpoint."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    INT8 = "int8"


@app.command()
def train(
    stage: Annotated[str, typer.Argument(help="A stage, such as teacher; all of them; export")],
    out: Annotated[Path, typer.Option(help="Folder of the run; data and stages are kept there.")],
    preset: Preset = "micro",
    max_minutes: Annotated[
        float, typer.Option(min=0, help="Time limit of training; 0 takes the default.")
    ] = 0,
    steps: Annotated[
        int, typer.Option(min=0, max=10**9, help="0 estimates them from time and speed.")
    ] = 0,
    batch: Annotated[
        int, typer.Option(min=0, max=10**6, help="Per process; 0 takes the default.")
    ] = 0,
    resume: Annotated[bool, typer.Option(help="Go on where the run stopped.")] = False,
    start: Annotated[
        Path | None, typer.Option("--from", help="Checkpoint with weights to begin from.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="export: folder to write.")] = None,
    storage: Annotated[StorageKind, typer.Option(help="export: of the weights.")] = (
        StorageKind.BFLOAT16
    ),
    student_steps: Annotated[
        int, typer.Option(min=0, max=1000, help="export: of the student's sampler by default.")
    ] = 0,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Part of the config, such as dit.width=192, or of distillation, such as "
            "distill.max_chunks=1; may be repeated.",
        ),
    ] = None,
    snapshots: Annotated[
        int, typer.Option(min=0, max=10**6, help="Steps between snapshots of a student.")
    ] = 0,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Of weights, data and noise.")
    ] = 0,
    jobs: Annotated[
        int, typer.Option(min=0, max=1000, help="Processes for data; 0 is one a core.")
    ] = 0,
    device: Device = "",
    compiled: Annotated[
        bool,
        typer.Option("--compile", help="Compile blocks; minutes at the start, no gain on a CPU."),
    ] = False,
    track: Annotated[str, typer.Option(help="tensorboard, wandb or trackio, too.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the states as JSON.")] = False,
) -> None:
    """Train the reference model, stage by stage or all of it in one go.

    The same command with --resume goes on where a run stopped. With torchrun, several processes
    share the work. The stages prompt, video_vae, audio_vae, speech and teacher make a model;
    others refine it, such as video_decoder; distill_regress, dmd_chunk and dmd_rollout make a
    few-step student of it; export writes one checkpoint.
    Example: streamchar train all --preset micro --out runs/micro
    """
    from streamchar_ref.train.export import export
    from streamchar_ref.train.stages import STAGES

    known = [spec.name for spec in STAGES]
    if stage not in (*known, "all", "export"):
        raise InputError(f"unknown stage {stage!r:.60}; known: {', '.join(known)}, all, export")
    if math.isnan(max_minutes):
        raise InputError("--max-minutes is not a number")
    check_tracker(track)
    run = _run(out, preset, setting or [], seed, jobs, device, start, compiled)
    run = replace(run, tracker=track)
    names = known if stage == "all" else [stage] if stage in known else []
    if stage == "all" and not run.config.can_be_distilled:
        names = [name for name in known if run.spec(name).options is None]
    changes = {name: n for name, n in (("num_steps", steps), ("batch", batch)) if n}
    with run.held() if names or os.access(out, os.W_OK) else nullcontext():
        states = _train(run, names, max_minutes, changes, resume, snapshots)
        if stage in ("all", "export") and all(each["done"] for each in states.values()):
            target = to or out / "checkpoint"
            export(run, target, storage=storage.value, student_steps=student_steps)
            typer.echo(f"wrote {target}", err=True)
    unfinished = _unfinished(names, states)
    if unfinished:
        typer.echo(unfinished, err=True)
    lines = [f"{name}: step {each['step']} of {each['of']}" for name, each in states.items()]
    typer.echo(json.dumps(states) if as_json else "\n".join(lines))


def _unfinished(names: Sequence[str], states: Mapping[str, Mapping[str, Any]]) -> str:
    """Says which stages are missing and how to go on; empty if all are done."""
    cut = [name for name, each in states.items() if not each["done"]]
    if not cut:
        return ""
    state, later = states[cut[0]], [name for name in names if name not in states]
    begun = f"; not begun: {', '.join(later)}" if later else ""
    whole = "; no whole checkpoint was written" if len(names) > 1 else ""
    place = f"{cut[0]} is at step {state['step']} of {state['of'] or '?'}"
    return (
        f"out of time or stopped: {place}{begun}{whole}. "
        "The same command with --resume goes on there; --max-minutes gives it more time"
    )


def _train(
    run: "TrainRun",
    names: Sequence[str],
    max_minutes: float,
    changes: Mapping[str, int],
    resume: bool,
    snapshots: int,
) -> dict[str, dict[str, Any]]:
    """Trains stages in order until one is cut; the time limit is shared as in their budgets."""
    budgets = {name: run.spec(name).budget(run.config.preset).minutes for name in names}
    students = [name for name in names if "student" in run.spec(name).samplers]
    if snapshots and not students:
        raise InputError(f"--snapshots is for stages that train a student, not {names[0]}")
    states: dict[str, dict[str, Any]] = {}
    for name in names:
        minutes = budgets[name] * (max_minutes / sum(budgets.values()) if max_minutes else 1)
        own = {"snapshot_every": snapshots} if name in students else {}
        state = run.train(name, minutes=minutes, resume=resume, changes={**changes, **own})
        states[name] = {"step": state.step, "of": state.num_steps, "done": state.is_done}
        if not state.is_done:
            break
    return states


def _run(
    out: Path,
    preset: str,
    settings: list[str],
    seed: int,
    jobs: int,
    device: str,
    start: Path | None,
    compiled: bool,
) -> "TrainRun":
    from streamchar_ref.model import config
    from streamchar_ref.train.data_size import data_size
    from streamchar_ref.train.distill.config import distill_config
    from streamchar_ref.train.run import TrainRun
    from streamchar_ref.train.stages import all_stages

    own = [each for each in settings if each.startswith(DISTILL)]
    distill = config.override(distill_config(preset), [e.removeprefix(DISTILL) for e in own])
    settings = [each for each in settings if each not in own]
    return TrainRun(
        folder=out,
        config=config.override(config.preset(preset), settings),
        data_size=data_size(preset),
        seed=seed,
        jobs=jobs or num_cores(),
        device=find_device(device),
        start=start,
        is_compiled=compiled,
        stages=all_stages(distill),
        progress=lambda line: typer.echo(line, err=True),
    )


def find_device(name: str) -> str:
    """Returns a device that this machine has; by default a GPU, if there is one."""
    import torch

    has_cuda = torch.cuda.is_available()
    known = ["cpu", *(["cuda"] if has_cuda else [])]
    known += [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    if name and name not in known:
        raise InputError(f"--device {name!r:.60}: there is {', '.join(known)}")
    return name or ("cuda" if has_cuda else "cpu")


if __name__ == "__main__":  # where nothing can be installed, see `make bundle`
    app()
