"""Cost of a training step of every stage, and how much of it is spent on data."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.fit import fit
from streamchar_ref.loop.state import TrainState
from streamchar_ref.model.config import Config
from streamchar_ref.model.rates import synchronize
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.train.bench_stages import bench_stage
from streamchar_ref.train.compiled import compile_blocks
from streamchar_ref.train.stages import STAGES

_SLOW_STEPS = 2
"""Steps at the beginning that are not like the others: operations are counted, kernels chosen."""


@dataclass(frozen=True, kw_only=True)
class TrainingCost:
    """Cost of a stage, trained as `fit` does, on random data.

    Attributes:
        stage: Name.
        batch: Samples of a step.
        steps: That were timed.
        samples_per_s: Of whole steps.
        step_ms: Of a whole step: batch, forward and backward pass, optimisers, averages.
        data_ms: To draw the batches of a step; ``None`` where a stage draws them inside.
        data_share: Share of the step that is spent on data.
        flop_per_s: Achieved; operations are counted in the first step.
        first_s: Of the slow steps at the beginning.
        peak_bytes: Most memory of the device at once; ``None`` on a CPU, where it is not known.
        loss: Of the last step.
    """

    stage: str
    batch: int
    steps: int
    samples_per_s: float
    step_ms: float
    data_ms: float | None
    data_share: float | None
    flop_per_s: float
    first_s: float
    peak_bytes: int | None
    loss: float


class DataClock:
    """Adds up the time that drawing takes, the device synchronised.

    Args:
        device: Where batches are made.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.seconds, self.is_used = 0.0, False

    def around(self, source: Any) -> Any:
        """Returns a source of batches that is timed when it is called, and is else the same."""
        return _TimedSource(source, self)

    def run(self, draw: Callable[[], Any]) -> Any:
        """Draws a batch, timed."""
        synchronize(self._device)
        began = time.perf_counter()
        batch = draw()
        synchronize(self._device)
        self.seconds += time.perf_counter() - began
        self.is_used = True
        return batch


class _TimedSource:
    def __init__(self, source: Any, clock: DataClock) -> None:
        self._source, self._clock = source, clock

    def __call__(self, *args: Any) -> Any:
        return self._clock.run(lambda: self._source(*args))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def stage_names() -> list[str]:
    """Returns the stages in the order of training."""
    return [spec.name for spec in STAGES]


def bench_training(
    config: Config,
    stage: str,
    *,
    device: str,
    batch: int = 0,
    num_steps: int = 0,
    seconds: float = 15.0,
    is_compiled: bool = False,
) -> TrainingCost:
    """Trains a stage for a moment, on random latents and from random weights.

    Args:
        config: Of the model.
        stage: Its name.
        device: Where to train.
        batch: Samples of a step; 0 takes the stage's own.
        num_steps: Steps that are timed; 0 takes as many as the time allows.
        seconds: Time limit where no steps are given.
        is_compiled: Compile the blocks of DiT and language model.

    Returns:
        The cost.

    Raises:
        InputError: If there is no such stage, or the preset is not trained.
    """
    spec = next((spec for spec in STAGES if spec.name == stage), None)
    if spec is None:
        raise InputError(f"unknown stage {stage!r:.60}; known: {', '.join(stage_names())}")
    torch.manual_seed(0)
    place = torch.device(device)
    clock = DataClock(place)
    model = StreamChar(config).to(place)
    if place.type == "cpu":  # as in training
        model.use_plain_attention()
    made = bench_stage(stage, model, clock.around, batch=batch).to(place)
    if is_compiled:
        compile_blocks(made)
    optim = spec.budget(config.preset).optim
    optim = replace(
        optim,
        batch=batch or optim.batch,
        num_steps=num_steps + _SLOW_STEPS if num_steps else 0,
        log_every=1,
        snapshot_every=1,
        save_every_s=math.inf,
    )
    if place.type == "cuda":
        torch.cuda.reset_peak_memory_stats(place)
    marks, data, losses = [time.perf_counter()], [0.0], list[str]()

    def mark(state: TrainState) -> None:
        synchronize(place)
        marks.append(time.perf_counter())
        data.append(clock.seconds)

    with TemporaryDirectory() as folder:
        state = fit(
            made,
            optim,
            folder=Path(folder),
            max_minutes=math.inf if num_steps else seconds / 60,
            progress=losses.append,
            on_snapshot=mark,
        )
    step_s = [after - before for before, after in pairwise(marks)]
    slow, timed = step_s[:_SLOW_STEPS], step_s[_SLOW_STEPS:]
    if not timed:
        raise InputError(
            f"{stage}: {seconds:g} s are too short for {_SLOW_STEPS + 1} steps; give more time"
        )
    spent = data[-1] - data[min(_SLOW_STEPS, len(data) - 1)]
    samples = len(timed) * optim.batch
    return TrainingCost(
        stage=stage,
        batch=optim.batch,
        steps=len(timed),
        samples_per_s=samples / sum(timed),
        step_ms=1000 * median(timed),
        data_ms=1000 * spent / len(timed) if clock.is_used else None,
        data_share=spent / sum(timed) if clock.is_used else None,
        flop_per_s=samples * (state.flops_per_sample or 0) / sum(timed),
        first_s=sum(slow),
        peak_bytes=torch.cuda.max_memory_allocated(place) if place.type == "cuda" else None,
        loss=float(losses[-1].split()[-1]),
    )
