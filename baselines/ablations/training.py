"""Trains the pieces of a grid with the stages of the reference model."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from baselines.ablations.plan import Piece, Teacher
from baselines.ablations.trainer import WEIGHTS, Outcome, Placed, Status
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import has_file, read_json, write_atomically
from streamchar_ref.loop.fit import TrainingDiverged
from streamchar_ref.loop.stage import Stage
from streamchar_ref.loop.state import TrainState, load_state
from streamchar_ref.model.checkpoint import (
    PLAIN,
    Checkpoint,
    has_checkpoint,
    load_checkpoint,
    part_of,
    save_checkpoint,
)
from streamchar_ref.model.config import Config, override, without_orchestrator
from streamchar_ref.model.config import preset as preset_of
from streamchar_ref.model.shipped import shipped_checkpoint
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.data_size import data_size
from streamchar_ref.train.distill.config import distill_config
from streamchar_ref.train.run import TrainRun
from streamchar_ref.train.stages import STAGES, StageSpec, distillation_stages

NO_ORCHESTRATOR = "orchestrator.mode=none"
_TEACHER = "teacher.json"
CACHED_TIME = 2.1
"""Time limit of a stage whose DiT keeps keys and values, over that of others: it is to make as many
steps, and of each sample it encodes whole past chunks anew (`baselines/README.md` has the counts).
"""
_ANEW = {"speech", "teacher"}
"""Stages whose networks a bare teacher does not have."""


@dataclass(frozen=True, kw_only=True)
class StageTrainer:
    """Trains each piece as a run of one stage that starts from the piece before.

    Attributes:
        preset: Of the model.
        start: Checkpoint of the teacher; by default the shipped one.
        minutes: Time limit of a stage; 0 takes its budget. It decides the number of steps; a stage
            that is slower than it seemed, or than the same stage of another row, may take twice as
            long. With a DiT that keeps keys and values all limits are `CACHED_TIME` times that.
        device: As torch names it.
        jobs: Processes that make data.
        progress: Called with lines of the log.
        clock: Seconds; replaced in tests.
    """

    preset: str
    start: Path | None = None
    minutes: float = 0
    device: str = "cpu"
    jobs: int = 1
    progress: Callable[[str], None] = lambda line: None
    clock: Callable[[], float] = time.monotonic

    def place_teacher(self, teacher: Teacher, folder: Path) -> Placed:
        """Writes the plain weights of a checkpoint, without any student that it may hold.

        Of a bare teacher only those of prompt encoder and VAEs.
        """
        preset = teacher.preset or self.preset
        is_new = teacher.is_bare and preset != self.preset and not teacher.start
        if is_new:  # prompt encoder and VAEs of the grid's teacher serve it
            preset = self.preset
        is_named = teacher.preset and teacher.preset != self.preset and not is_new
        source = Path(teacher.start) if teacher.start else None if is_named else self.start
        found = load_checkpoint(source or shipped_checkpoint(preset), preset=preset)
        _check_same(folder, found)
        own = preset_of(teacher.preset) if is_new else found.config
        if other := _other_part(own, found.config):
            return Placed(
                problem=f"preset {own.preset} has another {other} than the grid's teacher, "
                f"{preset}: give --preset {own.preset}, or leave the row out"
            )
        config = _changed(own, teacher.config)
        if not has_checkpoint(folder / WEIGHTS):
            found.model(PLAIN)  # refuses what is no whole model
            left, tensors = _distillation(preset), found.plain()
            if teacher.is_bare:
                left |= _ANEW
                tensors = part_of(tensors, "prompt.", "video_vae.", "audio_vae.")
            origin = {name: each for name, each in found.origin.items() if name not in left}
            save_checkpoint(folder / WEIGHTS, tensors, config, origin=origin, storage="float32")
            told = {"from": found.digest, "weights": load_checkpoint(folder / WEIGHTS).digest}
            write_atomically(folder / _TEACHER, (json.dumps(told, indent=1) + "\n").encode())
        scales = (config.sampler.guidance, config.sampler.picture_guidance)
        problem = _why_unusable(config, is_bare=teacher.is_bare)
        return Placed(problem=problem, is_guided=any(one != 1 for one in scales))

    def minutes_of(self, piece: Piece) -> float:
        """Returns the time limit of a piece."""
        preset = piece.teacher.preset or self.preset
        spec = next((one for one in _specs(piece, preset) if one.name == piece.stage), None)
        if spec is None:
            raise InputError(f"there is no stage {piece.stage!r:.60}")
        minutes = self.minutes or spec.budget(preset).minutes
        is_cached = any(change.startswith("dit.cached_chunks=") for change in piece.teacher.config)
        return minutes * (CACHED_TIME if is_cached else 1)

    def planned_steps(self, piece: Piece, folder: Path) -> int:
        """Returns the steps of the last state of a piece, which a run that goes on must keep."""
        try:
            state = load_state(folder / piece.stage, None, ())
        except InputError:  # damaged; whoever goes on with it says so
            return 0
        return state.num_steps if state else 0

    def train(self, piece: Piece, folder: Path, *, start: Path, data: Path, steps: int) -> Outcome:
        """Trains a piece, or goes on with it."""
        config = load_checkpoint(start).config
        run = TrainRun(
            folder=folder,
            config=config,
            data_size=data_size(config.preset),
            data_folder=data,
            seed=piece.seed,
            jobs=self.jobs,
            device=self.device,
            start=start,
            stages=_specs(piece, config.preset),
            progress=self.progress,
        )
        try:
            with run.held():
                state, is_stopped = self._train(run, piece, steps)
                if state.is_done:
                    _write(run, folder / WEIGHTS)
        except TrainingDiverged as error:
            return Outcome(status=Status.DIVERGED, reason=str(error))
        if state.is_done:
            return Outcome(status=Status.DONE, steps=state.num_steps)
        return Outcome(
            status=Status.UNFINISHED,
            steps=state.num_steps,
            reason=f"{piece.stage} is at step {state.step} of {state.num_steps or '?'}; the same "
            "command goes on",
            is_stopped=is_stopped,
        )

    def _train(self, run: TrainRun, piece: Piece, steps: int) -> tuple[TrainState, bool]:
        """Trains for the limit, then as long again; tells whether a signal ended it before."""
        minutes = self.minutes_of(piece)
        begun: list[float] = []  # the limit is for steps, not for the data that are drawn before
        run = replace(
            run,
            stages=tuple(
                _with_call(spec, lambda: begun.append(self.clock())) for spec in run.stages
            ),
        )
        for limit in (2 * minutes,) if steps else (minutes, minutes):
            begun.append(self.clock())
            state = run.train(
                piece.stage,
                minutes=limit,
                resume=True,
                changes={"num_steps": steps} if steps else None,
            )
            if state.is_done or self.clock() - begun[-1] < 60 * limit:
                break
            steps = state.num_steps
        return state, not state.is_done and self.clock() - begun[-1] < 60 * limit


def _write(run: TrainRun, folder: Path) -> None:
    """Writes all networks, also the scores, which an exported checkpoint has not."""
    joined = run.weights_so_far()
    save_checkpoint(
        folder,
        joined.tensors,
        run.config,
        origin=joined.origin,
        samplers=joined.samplers,
        storage="float32",
    )


def _specs(piece: Piece, preset: str) -> tuple[StageSpec, ...]:
    """Returns all stages, those of distillation with the settings of a piece."""
    own = distillation_stages(replace(distill_config(preset), **dict(piece.settings)))
    names = {spec.name for spec in own}
    return (*(spec for spec in STAGES if spec.name not in names), *own)


def _with_call(spec: StageSpec, call: Callable[[], None]) -> StageSpec:
    """Returns a stage that calls something once its data are drawn."""

    def make(model: StreamChar, data: TrainingData) -> Stage:
        made = spec.make(model, data)
        call()
        return made

    return replace(spec, make=make)


def _distillation(preset: str) -> set[str]:
    return {spec.name for spec in distillation_stages(distill_config(preset))}


def _check_same(folder: Path, found: Checkpoint) -> None:
    path = folder / _TEACHER
    if has_file(path) and found.digest not in read_json(path).values():
        raise InputError(
            f"{folder} was made from another checkpoint than {found.digest[:12]}: give the same "
            f"--from, or --from {folder / WEIGHTS}, or another --out"
        )


def _changed(config: Config, changes: Sequence[str]) -> Config:
    """Applies the changes of a row; without an orchestrator the DiT takes over its work."""
    if NO_ORCHESTRATOR not in changes:
        return override(config, changes)
    rest = [change for change in changes if change != NO_ORCHESTRATOR]
    return override(without_orchestrator(config), rest)


def _other_part(config: Config, trained: Config) -> str:
    """Names what a bare teacher has that does not fit a config; empty if all does."""
    parts = ("prompt", "video_vae", "audio_vae")
    return next((name for name in parts if getattr(config, name) != getattr(trained, name)), "")


def _why_unusable(config: Config, *, is_bare: bool) -> str:
    """Says why weights cannot be used under a config; empty if they can.

    Weights that were trained in the loop can run once a chunk, since a share of their training
    samples hid the noisy sound; without predicted durations nothing would then time the words.
    """
    orchestrator = config.orchestrator
    if not (config.has_orchestrator or is_bare):
        return (
            "orchestrator.mode=none is another network than the teacher's, which begins anew: the "
            "stages of the row are speech and teacher"
        )
    if orchestrator.mode == "once" and orchestrator.timing == "emergent":
        return (
            "orchestrator.mode=once needs timing=predicted: with emergent timing the orchestrator "
            "must see the noisy sound"
        )
    return ""
