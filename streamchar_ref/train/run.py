"""Trains stages one after the other and keeps what each has learned."""

import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from streamchar_ref import __version__
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import remove_abandoned
from streamchar_ref.core.lock import only_writer
from streamchar_ref.loop.config import OptimConfig
from streamchar_ref.loop.fit import fit
from streamchar_ref.loop.parallel import DistContext
from streamchar_ref.loop.stage import Stage
from streamchar_ref.loop.state import STATE, TrainState, load_state, state_digest
from streamchar_ref.loop.trackers import tracking
from streamchar_ref.model.checkpoint import (
    STUDENT,
    Checkpoint,
    CheckpointError,
    has_checkpoint,
    load_checkpoint,
    part_of,
    save_checkpoint,
    tidy_checkpoint,
)
from streamchar_ref.model.config import Config
from streamchar_ref.model.config_json import to_json
from streamchar_ref.model.streamchar import StreamChar, shapes_of
from streamchar_ref.train.compiled import compile_blocks
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.data_size import DataSize
from streamchar_ref.train.stages import STAGES, StageSpec

WEIGHTS = "checkpoint"
_TAUGHT = ("shift", "guidance", "picture_guidance", "temperature", "picture_temperature")
"""Of the teacher's sampler: what its samples, and so a student, depend on."""
RAW = "raw"
"""Network of a snapshot whose weights are not averaged."""
_SAMPLED = ("num_steps", "guidance", "picture_guidance", "temperature", "picture_temperature")


class StageMissing(InputError):
    """A stage cannot begin, since one before it has not been trained; says which."""


@dataclass(frozen=True, kw_only=True)
class TrainRun:
    """A folder in which a model is trained.

    Attributes:
        folder: One subfolder a stage: state, log, samples, checkpoint of what it trained.
        config: Of the model.
        data_size: How much it is trained on.
        seed: Of weights, data and noise.
        jobs: Processes that make data.
        device: Where networks are trained.
        is_compiled: Compile the blocks of DiT and language model; losses differ in the last digits.
        start: Checkpoint whose weights are there before any stage; ``None`` begins at random.
        stages: In the order of training.
        data_folder: Where corpus and latents are kept, for several runs on the same data; by
            default the run's own folder.
        progress: Called with lines of the log.
        tracker: Of experiments, see `streamchar_ref.loop.trackers`; empty for none.
    """

    folder: Path
    config: Config
    data_size: DataSize
    seed: int = 0
    jobs: int = 1
    device: str = "cpu"
    is_compiled: bool = False
    start: Path | None = None
    stages: tuple[StageSpec, ...] = STAGES
    data_folder: Path | None = None
    progress: Callable[[str], None] = lambda line: None
    tracker: str = ""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other trainers out of the folder, and removes what killed ones left half-written.

        Of several processes under ``torchrun`` the first holds it, for all.

        Yields:
            Nothing.

        Raises:
            InputError: If another trainer is in it; names its process.
        """
        processes = DistContext.of_this_process(self.device)
        refusal: Exception | None = None
        with ExitStack() as stack:
            try:
                if processes.is_first:
                    stack.enter_context(only_writer(self.folder, verb="train"))
            except (InputError, OSError) as error:
                refusal = error
            if not processes.all_true(refusal is None):
                raise refusal or InputError(f"{self.folder}: the first process could not begin")
            if processes.is_first:
                remove_abandoned(self.folder)
                for spec in self.stages:
                    tidy_checkpoint(self.folder / spec.name / WEIGHTS)
            yield

    def spec(self, stage: str) -> StageSpec:
        """Returns the spec of a stage by its name."""
        return next(spec for spec in self.stages if spec.name == stage)

    def train(
        self, stage: str, *, minutes: float, resume: bool, changes: Mapping[str, Any] | None = None
    ) -> TrainState:
        """Trains a stage and writes its weights.

        Args:
            stage: Name of one of the stages.
            minutes: Time limit, drawing of data not counted.
            resume: Continue where it stopped; without it the stage must not have begun.
            changes: Settings instead of those of the stage's budget.

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
        processes = DistContext.of_this_process(self.device)
        spec = self.spec(stage)
        state_of: dict[str, str | int] = {"stage": stage, "config": self._config_digest()}
        if spec.options is not None:
            taught = {name: getattr(self.config.sampler, name) for name in _TAUGHT}
            state_of["options"] = json.dumps(spec.options.values | taught, sort_keys=True)
        before = load_state(folder, None, (), origin=state_of)
        steps = (changes or {}).get("num_steps")
        is_done = before and before.is_done and steps in (None, before.num_steps)
        if before and is_done and self._is_written(stage):
            return before
        model, begun = self.model_before(stage)
        data = self._data()
        if not processes.is_first:
            processes.all_true(True)  # waits until the first process has made the data
        made = self._made(spec, model, data, begun)
        if processes.is_first:
            processes.all_true(True)
        earlier = _earlier(begun.origin.get(stage, {}))
        settings = replace(
            spec.budget(self.config.preset).optim,
            seed=self.seed + earlier["steps"],  # so that data and noise of before are not repeated
            **changes or {},
        )
        tracker = self.tracker if processes.is_first else ""
        with tracking(tracker, self.folder, f"{self.folder.name}-{stage}") as track:
            state = fit(
                made, settings, folder=folder, max_minutes=minutes, resume=resume,
                origin={**state_of, "seed": settings.seed}, progress=self.progress,
                on_snapshot=partial(self._snapshot, spec, made, begun), track=track,
            )  # fmt: skip
        if processes.is_first:
            own = {"earlier": earlier, "speech_hours": data.speech_hours}
            own = self._origin(folder, state, settings) | own
            if spec.options is not None:
                own["options"] = spec.options.values
            self._write(spec, made, begun.origin | {stage: own})
        processes.all_true(True)  # the next stage reads what the first process has written
        return state

    def _data(self) -> TrainingData:
        return TrainingData(
            folder=self.data_folder or self.folder,
            config=self.config,
            data_size=self.data_size,
            seed=self.seed,
            jobs=self.jobs,
            progress=self.progress,
        )

    def _made(
        self, spec: StageSpec, model: StreamChar, data: TrainingData, begun: Checkpoint
    ) -> Stage:
        """Makes a stage; networks with a name begin with the weights that they have already."""
        networks = part_of(begun.tensors, *(f"{name}." for name in begun.samplers))
        for prefix, other in spec.begins_as.items():
            if not part_of(networks, prefix):
                taken = part_of(networks, other, strip=True)
                networks |= {f"{prefix}{name}": weight for name, weight in taken.items()}
        _check_networks(spec, networks, self.folder)
        self._check_samplers(spec, begun)
        stage = spec.make(model, data)
        state = stage.state_dict()
        weights = {name: weight for name, weight in networks.items() if name in state}
        _check_shapes(weights, {name: each.shape for name, each in state.items()})
        stage.load_state_dict(state | weights)
        stage = stage.to(self.device)
        return compile_blocks(stage) if self.is_compiled else stage

    def _check_samplers(self, spec: StageSpec, begun: Checkpoint) -> None:
        """Refuses networks that were trained on noise of another kind."""
        for network in spec.needs_networks:
            for name in ("shift", "temperature", "picture_temperature"):
                was, value = (
                    getattr(each, name) for each in (begun.samplers[network], self.config.sampler)
                )
                if was != value:
                    raise CheckpointError(
                        f"{network} was trained with sampler.{name}={was}, not {value}: give the "
                        "same --set, or train distill_regress in another --out"
                    )

    def _snapshot(
        self, spec: StageSpec, stage: Stage, begun: Checkpoint, state: TrainState
    ) -> None:
        """Writes a whole checkpoint of a student in training, averaged and not."""
        if not DistContext.of_this_process().is_first:
            return
        prefix = f"{STUDENT}."
        raw = part_of(stage.state_dict(), prefix)
        mean = {name: state.mean.get(name, weight) for name, weight in raw.items()}
        raw = {f"{RAW}.{name.removeprefix(prefix)}": weight for name, weight in raw.items()}
        save_checkpoint(
            self.folder / spec.name / f"step-{state.step:06d}",
            begun.plain() | mean | raw,
            self.config,
            origin={**begun.origin, spec.name: {"steps": state.step, "seconds": state.seconds}},
            samplers=dict.fromkeys((STUDENT, RAW), spec.samplers[STUDENT]),
            storage="float32",  # rounding to half would hide what few updates change
        )

    def _write(self, spec: StageSpec, stage: Stage, origin: Mapping[str, Any]) -> None:
        """Writes the checkpoint of what a stage has trained."""
        save_checkpoint(
            self.folder / spec.name / WEIGHTS,
            part_of(stage.state_dict(), *spec.hands_over),
            self.config,
            origin=origin,
            samplers=spec.samplers,
            storage="float32",
        )

    def model_before(self, stage: str) -> tuple[StreamChar, Checkpoint]:
        """Builds the model that a stage begins with.

        Args:
            stage: Name of the stage.

        Returns:
            A model with the plain weights of all stages before it, and these stages' checkpoints
            joined, see `weights_so_far`.

        Raises:
            StageMissing: If a stage that it needs has not been trained.
            CheckpointError: If weights do not fit the config.
        """
        wanted = shapes_of(self.config)
        torch.manual_seed(self.seed)
        model = StreamChar(self.config)
        names = [spec.name for spec in self.stages]
        begun = self.weights_so_far(names[: names.index(stage)])
        plain = begun.plain()
        _check_shapes(plain, wanted)
        missing = [name for name in self.spec(stage).needs if name not in begun.origin]
        if missing:
            raise StageMissing(
                f"{stage} needs {', '.join(missing)}, which {self.folder} does not have: train "
                "that first, or give a checkpoint to start from"
            )
        model.load_state_dict(model.state_dict() | plain)
        if self.device == "cpu":
            model.use_plain_attention()
        return model.to(self.device), begun

    def weights_so_far(self, stages: Sequence[str] | None = None) -> Checkpoint:
        """Joins the weights of stages; a later one replaces those of an earlier one.

        Args:
            stages: Their names; by default all.

        Returns:
            The weights under this run's config.

        Raises:
            CheckpointError: If a stage was trained with another config (how a stream is sampled
                may differ), or its weights are not those of the state beside them.
        """
        joined = Checkpoint(config=self.config, tensors={}, origin={}, digest="")
        if self.start:
            joined = joined.joined(load_checkpoint(self.start, preset=self.config.preset))
        for stage in [spec.name for spec in self.stages] if stages is None else stages:
            folder = self.folder / stage / WEIGHTS
            if has_checkpoint(folder):
                trained = load_checkpoint(folder, preset=self.config.preset)
                self._check_config(folder, trained.config)
                self._check_written(stage, trained)
                own = {stage: trained.origin[stage]}  # not what it had known of the others
                joined = joined.joined(replace(trained, origin=own))
        return joined

    def _is_written(self, stage: str) -> bool:
        """Whether the weights of a stage are whole and are those of its state."""
        try:
            written = load_checkpoint(self.folder / stage / WEIGHTS, preset=self.config.preset)
            self._check_written(stage, written)
        except CheckpointError:
            return False  # they are written anew
        return True

    def _check_written(self, stage: str, checkpoint: Checkpoint) -> None:
        folder, origin = self.folder / stage, checkpoint.origin.get(stage)
        remedy = f"give: streamchar train {stage} --resume, which writes them anew"
        if not isinstance(origin, dict):
            raise CheckpointError(f"{folder / WEIGHTS} holds no weights of this stage; {remedy}")
        if (folder / STATE).exists() and origin.get("state") != state_digest(folder):
            raise CheckpointError(
                f"{folder / WEIGHTS} is not of the state beside it, since a run was stopped in "
                f"between; {remedy}"
            )

    def _config_digest(self) -> str:
        """Identifies everything in the config that training depends on.

        It is written as the first runs wrote it, so that their states can still be resumed.
        """
        values = to_json(self.config)
        shift = values.pop("sampler")["shift"]
        values["stream"] |= dict.fromkeys(_SAMPLED, 1) | {"sigma_shift": shift}
        if values["orchestrator"]["timing"] == "predicted":
            values["orchestrator"]["timing"] = "foretold"
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
            "settings": asdict(settings.on(self.device)),
            "processes": DistContext.of_this_process().size,
            "threads": torch.get_num_threads(),
            "device": self.device if self.device == "cpu" else torch.cuda.get_device_name(),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "streamchar": __version__,
        }


def _check_networks(spec: StageSpec, weights: Mapping[str, Tensor], folder: Path) -> None:
    missing = [name for name in spec.needs_networks if not part_of(weights, f"{name}.")]
    if missing:
        raise StageMissing(
            f"{spec.name} needs the weights of {' and '.join(missing)}, which neither {folder} nor "
            "--from has: train distill_regress first (an exported checkpoint holds no scores)"
        )


def _check_shapes(weights: Mapping[str, Tensor], wanted: Mapping[str, torch.Size]) -> None:
    misfits = [name for name, each in weights.items() if wanted.get(name) != each.shape]
    if misfits:
        raise CheckpointError(
            f"the weights to begin with do not fit this config, e.g. {misfits[0]!r:.80}: give "
            "the same --preset and --set values, or another --from"
        )


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
