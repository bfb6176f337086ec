"""Trains stages one after the other and keeps what each has learned."""

import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from streamchar_ref import __version__
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import real, remove_abandoned
from streamchar_ref.core.lock import only_writer
from streamchar_ref.loop.fit import OptimConfig, fit
from streamchar_ref.loop.parallel import DistContext
from streamchar_ref.loop.state import STATE, TrainState, load_state, state_digest
from streamchar_ref.model.checkpoint import (
    Checkpoint,
    CheckpointError,
    Storage,
    has_checkpoint,
    load_checkpoint,
    save_checkpoint,
    tidy_checkpoint,
)
from streamchar_ref.model.config import Config, to_json
from streamchar_ref.model.streamchar import StreamChar, shapes_of
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.recipe import STAGES, Recipe
from streamchar_ref.train.stages import make_stage

WEIGHTS = "checkpoint"
NEEDS = {
    "speech": ("prompt", "audio_vae"),
    "teacher": ("prompt", "video_vae", "audio_vae", "speech"),
    "video_decoder": ("video_vae",),
    "audio_decoder": ("audio_vae",),
}
"""Stages that a stage builds on."""


class StageMissing(InputError):
    """A stage cannot begin, since one before it has not been trained; says which."""


@dataclass(frozen=True, kw_only=True)
class TrainRun:
    """A folder in which a model is trained.

    Attributes:
        folder: One subfolder a stage: state, log, samples, checkpoint of what it trained.
        config: Of the model.
        recipe: Data and settings.
        seed: Of weights, data and noise.
        jobs: Processes that make data.
        device: Where networks are trained.
        start: Checkpoint whose weights are there before any stage; ``None`` begins at random.
        progress: Told lines of the log.
    """

    folder: Path
    config: Config
    recipe: Recipe
    seed: int = 0
    jobs: int = 1
    device: str = "cpu"
    start: Path | None = None
    progress: Callable[[str], None] = lambda line: None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other trainers out of the folder, and removes what killed ones left half-written.

        Of several processes under ``torchrun`` the first holds it, for all.

        Yields:
            Nothing.

        Raises:
            InputError: If another trainer is in it; names its process.
        """
        team = DistContext.of_this_process(self.device)
        refusal: Exception | None = None
        with ExitStack() as stack:
            try:
                if team.is_first:
                    stack.enter_context(only_writer(self.folder, verb="train"))
            except (InputError, OSError) as error:
                refusal = error
            if not team.all_true(refusal is None):
                raise refusal or InputError(f"{self.folder}: the first process could not begin")
            if team.is_first:
                remove_abandoned(self.folder)
                for stage in STAGES:
                    tidy_checkpoint(self.folder / stage / WEIGHTS)
            yield

    def train(
        self, stage: str, *, minutes: float, resume: bool, changes: Mapping[str, Any] | None = None
    ) -> TrainState:
        """Trains a stage and writes its weights.

        Args:
            stage: One of `recipe.STAGES`.
            minutes: Time limit, drawing of data not counted.
            resume: Go on where it stopped; without it the stage must not have begun.
            changes: Settings in the place of the recipe's.

        Returns:
            Its state, which says whether all steps are done.

        Raises:
            StageMissing: If a stage before it has not been trained.
            FileExistsError: If it has begun and is not to be resumed.
            CheckpointError: If a stage before it was trained with another config.
            InputError: If the state or the settings do not allow it, see `loop.fit`.
        """
        folder = self.folder / stage
        if not resume and (folder / STATE).exists():
            raise FileExistsError(f"{folder} has a stage in it; give --resume or another folder")
        team = DistContext.of_this_process(self.device)
        state_of: dict[str, str | int] = {"stage": stage, "config": self._config_digest()}
        before = load_state(folder, None, (), origin=state_of)
        steps = (changes or {}).get("num_steps")
        is_done = before and before.is_done and steps in (None, before.num_steps)
        if before and is_done and self._is_written(stage):
            return before
        model, known = self.model_before(stage)
        data = TrainingData(
            folder=self.folder,
            config=self.config,
            recipe=self.recipe,
            seed=self.seed,
            jobs=self.jobs,
            progress=self.progress,
        )
        if not team.is_first:
            team.all_true(True)  # waits until the first process has made the data
        made = make_stage(stage, model, data).to(self.device)
        if team.is_first:
            team.all_true(True)
        earlier = _earlier(known.get(stage, {}))
        settings = replace(
            self.recipe.settings[stage], seed=self.seed + earlier["steps"], **changes or {}
        )  # what was seen before, with the weights it begins with, is not drawn again
        state = fit(
            made,
            settings,
            folder=folder,
            max_minutes=minutes,
            resume=resume,
            origin={**state_of, "seed": settings.seed},
            progress=self.progress,
        )
        if team.is_first:
            own = {"earlier": earlier, "speech_hours": data.speech_hours}
            origin = known | {stage: self._origin(folder, state, settings) | own}
            save_checkpoint(
                folder / WEIGHTS,
                made.checkpoint_state(),
                self.config,
                origin=origin,
                storage="float32",
            )
        team.all_true(True)  # the next stage reads what the first process has written
        return state

    def model_before(self, stage: str) -> tuple[StreamChar, dict[str, Any]]:
        """Returns a model with the weights of all stages before one, and where they come from."""
        wanted = shapes_of(self.config)
        torch.manual_seed(self.seed)
        model = StreamChar(self.config)
        found = self.weights_so_far(STAGES[: STAGES.index(stage)])
        others = [name for name, each in found.tensors.items() if wanted.get(name) != each.shape]
        if others:
            raise CheckpointError(
                f"the weights to begin with do not fit this config, e.g. {others[0]!r:.80}: give "
                "the same --preset and --set values, or another --from"
            )
        missing = [name for name in NEEDS.get(stage, ()) if name not in found.origin]
        if missing:
            raise StageMissing(
                f"{stage} needs {', '.join(missing)}, which {self.folder} does not have: train "
                "that first, or give a checkpoint to start from"
            )
        model.load_state_dict(model.state_dict() | found.tensors)
        if self.device == "cpu":  # where the fused kernel is slow backwards, see `layers.attention`
            model.orchestrator.backbone.set_attn_implementation("eager")
        return model.to(self.device), found.origin

    def weights_so_far(self, stages: Sequence[str] = STAGES) -> Checkpoint:
        """Joins the weights of stages; a later one replaces those of an earlier one.

        Args:
            stages: Which.

        Returns:
            The weights under this run's config.

        Raises:
            CheckpointError: If a stage was trained with another config (how a stream is sampled
                may differ), or its weights are not those of the state beside them.
        """
        tensors: dict[str, Tensor] = {}
        origin: dict[str, Any] = {}
        if self.start:
            begun = load_checkpoint(self.start, preset=self.config.preset)
            tensors, origin = dict(begun.tensors), dict(begun.origin)
        for stage in stages:
            folder = self.folder / stage / WEIGHTS
            if has_checkpoint(folder):
                found = load_checkpoint(folder, preset=self.config.preset)
                self._check_config(folder, found.config)
                self._check_written(stage, found)
                tensors |= found.tensors
                origin[stage] = found.origin[stage]  # not what it had known of the others
        return Checkpoint(config=self.config, tensors=tensors, origin=origin, digest="")

    def _is_written(self, stage: str) -> bool:
        """Whether the weights of a stage are whole and are those of its state."""
        try:
            found = load_checkpoint(self.folder / stage / WEIGHTS, preset=self.config.preset)
            self._check_written(stage, found)
        except CheckpointError:
            return False  # they are written anew
        return True

    def _check_written(self, stage: str, found: Checkpoint) -> None:
        folder, told = self.folder / stage, found.origin.get(stage)
        remedy = f"give: streamchar train {stage} --resume, which writes them anew"
        if not isinstance(told, dict):
            raise CheckpointError(f"{folder / WEIGHTS} holds no weights of this stage; {remedy}")
        if (folder / STATE).exists() and told.get("state") != state_digest(folder):
            raise CheckpointError(
                f"{folder / WEIGHTS} is not of the state beside it, since a run was stopped in "
                f"between; {remedy}"
            )

    def _config_digest(self) -> str:
        """Stands for everything in the config that training looks at."""
        sampler = SamplerConfig(shift=self.config.sampler.shift)
        values = to_json(replace(self.config, sampler=sampler))
        return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def _check_config(self, folder: Path, config: Config) -> None:
        sampler = replace(self.config.sampler, shift=config.sampler.shift)
        if replace(config, sampler=sampler) != self.config:
            raise CheckpointError(
                f"{folder} was trained with another config: give the same --set values, or another "
                "--out folder"
            )

    def _origin(self, folder: Path, state: TrainState, settings: OptimConfig) -> dict[str, Any]:
        return {
            "state": state_digest(folder),
            "steps": state.step,
            "of_steps": state.num_steps,
            "minutes": round(state.seconds / 60, 2),
            "settings": asdict(settings),
            "processes": DistContext.of_this_process().size,
            "threads": torch.get_num_threads(),
            "device": self.device if self.device == "cpu" else torch.cuda.get_device_name(),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "streamchar": __version__,
        }


def _earlier(origin: Any) -> dict[str, Any]:
    """Sums up what a stage had been trained before, by what its weights say of themselves."""
    try:
        before = origin.get("earlier", {})
        return {
            "steps": int(origin.get("steps", 0)) + int(before.get("steps", 0)),
            "minutes": round(origin.get("minutes", 0) + before.get("minutes", 0), 2),
        }
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(
            f"the weights to begin with say {origin!r:.100} of how they were trained; copy them "
            "again"
        ) from error


def export(run: TrainRun, folder: Path, *, storage: Storage) -> None:
    """Writes one whole checkpoint out of what the stages have learned.

    Args:
        run: With all stages trained.
        folder: Where to.
        storage: Of the weights, see `save_checkpoint`.

    Raises:
        StageMissing: If a stage has not been trained; says which.
        CheckpointError: If a stage was trained with another config.
    """
    team = DistContext.of_this_process(run.device)
    found = run.weights_so_far()
    missing = [name for name in (*NEEDS["teacher"], "teacher") if name not in found.origin]
    if missing:
        raise StageMissing(f"no weights in {run.folder} of: {', '.join(missing)}")
    if team.is_first:
        with only_writer(real(folder).parent, verb="export"):
            save_checkpoint(folder, found.tensors, run.config, origin=found.origin, storage=storage)
    team.all_true(True)
