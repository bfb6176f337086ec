"""The loop around a stage: schedule, averages, log, save, resume, stop in time.

Everything random in step n is drawn from generators seeded with (seed, n, rank), so a run that
is cut anywhere and resumed gives the same weights as one that is not.
"""

import math
import re
import signal
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.flops import FlopCounter
from streamchar_ref.loop.log import add_row, keep_rows, means_of
from streamchar_ref.loop.parallel import DistContext, gather_full
from streamchar_ref.loop.state import Origin, TrainState, load_state, save_state

_PROBE_STEPS = 20
_SPARE = 0.03  # of the time limit, for saving and for steps that take longer
_BLOCKS = re.compile(r"(^|\.)(blocks|backbone\.layers)\.\d")


class TrainingDiverged(InputError):
    """The loss is no number any more; the last good state is on disk."""


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """How a stage is optimised.

    Attributes:
        learning_rate: Peak.
        muon: Move the matrices inside transformer blocks by Muon, all else by AdamW.
        betas: Of AdamW.
        weight_decay: On matrices.
        warmup_steps: Linear rise to the peak.
        cooldown: Share of all steps in which it falls linearly to 0, at the end.
        clip: Largest norm of the gradient.
        ema_decay: Of the running mean of the weights, once it is warm.
        batch: Samples a step and process.
        num_steps: All steps; 0 reckons them from the time limit and the first steps' speed.
        seed: Of data and noise.
        save_every_s: Seconds between saves.
        log_every: Steps between lines of the log.
        bfloat16: Whether products are computed in bfloat16.
    """

    learning_rate: float = 5e-4
    muon: bool = False
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.01
    warmup_steps: int = 100
    cooldown: float = 0.4
    clip: float = 1.0
    ema_decay: float = 0.999
    batch: int = 32
    num_steps: int = 0
    seed: int = 0
    save_every_s: float = 120.0
    log_every: int = 20
    bfloat16: bool = True

    def rate(self, step: int, num_steps: int) -> float:
        """Returns the learning rate of a step: rise, plateau, fall."""
        rise = min(1.0, (step + 1) / max(1, self.warmup_steps))
        fall = (num_steps - step) / max(1.0, self.cooldown * num_steps)
        return self.learning_rate * min(rise, max(0.0, min(1.0, fall)))


class Stage(nn.Module):
    """What is trained in one go.

    Attributes:
        name: Of the stage, as on the command line.
        flops_per_sample: Of a forward and a backward pass, for the log; 0 counts them in the first
            step.
    """

    name: str
    flops_per_sample: float = 0.0

    @abstractmethod
    def forward(self, draw: "Draw") -> tuple[Tensor, dict[str, Tensor]]:
        """Draws a batch and returns its loss, and parts of it for the log.

        Args:
            draw: Randomness of the step.

        Returns:
            The loss, and parts by name, the same names in every step. A part is NaN where the
            batch says nothing about it, e.g. has no sample of that noise level; the log averages
            the others.
        """

    def finish(self) -> None:
        """Runs on the averaged weights when a run ends, e.g. to measure statistics."""

    def checkpoint_state(self) -> Mapping[str, Tensor]:
        """Returns what of the state goes into a checkpoint, by name in `StreamChar`."""
        return self.state_dict()

    def log_samples(self, folder: Path) -> None:
        """Writes samples that a person can look at."""


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Randomness of one step.

    Attributes:
        step: Its number.
        batch: Samples to draw.
        seed: Of data and noise.
        rank: Of this process.
    """

    step: int
    batch: int
    seed: int
    rank: int = 0

    def generator(self, device: str | torch.device = "cpu") -> torch.Generator:
        """Returns a fresh torch generator."""
        number = (self.seed * 1_000_003 + self.step) * 1_009 + self.rank
        return torch.Generator(device).manual_seed(number % 2**63)


@dataclass(kw_only=True)
class _Run:
    """What changes while a stage is trained."""

    state: TrainState
    optimizers: list[torch.optim.Optimizer]
    origin: Origin
    wanted: bool = True
    rows: list[dict[str, float]] = field(default_factory=list)
    step_s: deque[float] = field(default_factory=lambda: deque(maxlen=_PROBE_STEPS))


def fit(
    stage: Stage,
    settings: OptimConfig,
    *,
    folder: Path,
    max_minutes: float,
    resume: bool = False,
    origin: Origin | None = None,
    clock: Callable[[], float] = time.monotonic,
    progress: Callable[[str], None] = lambda line: None,
) -> TrainState:
    """Trains a stage until its steps are done or its time is up.

    Under ``torchrun`` every process calls it with the same arguments: each draws a batch of its
    own, all stop at the same step, and the first writes the files, in a folder that all see.

    Args:
        stage: With its networks; they hold the averaged weights afterwards.
        settings: How.
        folder: For state, log and samples.
        max_minutes: Time limit of this call.
        resume: Go on from the state in the folder, if there is one.
        origin: Kept in the state; that of another origin is not gone on from.
        clock: Seconds; replaced in tests.
        progress: Told a line of the log.

    Returns:
        The state, which says whether all steps are done.

    Raises:
        TrainingDiverged: If the loss is not finite; says at which step.
        InputError: If there is neither a number of steps nor a time limit to reckon it from, or
            the state was begun with another number or is not to be used, see `load_state`.
    """
    if not settings.num_steps and not math.isfinite(max_minutes):
        raise InputError("give a number of steps or a time limit")
    team = DistContext.of_this_process()
    start = clock()
    deadline = start + 60 * max_minutes
    wrapped = team.wrap(stage)
    run = _begin(stage, settings, folder, resume, {"stage": stage.name, **(origin or {})})
    saved = start
    with _stopped_gently(run):
        while not run.state.is_done and team.all_true(run.wanted and clock() < deadline):
            began = clock()
            with _memory_in_words(stage, settings):
                logs = _step(wrapped, stage, settings, run, team)
            if not math.isfinite(logs["loss"]):
                raise TrainingDiverged(
                    f"{stage.name}: the loss is {logs['loss']} at step {run.state.step}; the last "
                    f"good state is step {_last_good(folder)} in {folder}"
                )
            run.step_s.append(clock() - began)
            run.state.seconds += run.step_s[-1]
            if not settings.num_steps:
                _plan_steps(run, team, deadline - clock(), max_minutes)
            _log(run, stage, settings, team, logs, folder, progress)
            if team.broadcast(int(clock() - saved > settings.save_every_s)):
                save_state(folder, run.state, stage, run.optimizers, origin=run.origin)
                saved = clock()
        _end(run, stage, team, folder)
    if team.is_first:
        stage.log_samples(folder)
    return run.state


def _begin(stage: Stage, settings: OptimConfig, folder: Path, resume: bool, origin: Origin) -> _Run:
    folder.mkdir(parents=True, exist_ok=True)
    optimizers = _optimizers(stage, settings)
    state = TrainState.fresh(stage, num_steps=settings.num_steps)
    if resume:
        state = load_state(folder, stage, optimizers, origin=origin) or state
        if settings.num_steps and state.num_steps not in (0, settings.num_steps):
            raise InputError(
                f"{folder} was begun with {state.num_steps} steps, so {settings.num_steps} do not "
                "go on from it"
            )
    if DistContext.of_this_process().is_first:
        keep_rows(folder, state.step)
    return _Run(state=state, optimizers=optimizers, origin=origin)


def _end(run: _Run, stage: Stage, team: DistContext, folder: Path) -> None:
    """Makes the stage whole, its state safe, and leaves it with its averaged weights."""
    team.unwrap(stage)
    run.state.mean = gather_full(run.state.mean)
    save_state(folder, run.state, stage, run.optimizers, origin=run.origin)
    run.state.use_average(stage)
    stage.finish()
    team.all_true(True)  # so that none reads the folder before the first has written


def _optimizers(stage: Stage, settings: OptimConfig) -> list[torch.optim.Optimizer]:
    """Makes Muon, if it is wanted, for matrices inside blocks, and AdamW for the rest.

    Source:
        Jordan et al., Muon, https://kellerjordan.github.io/posts/muon/; steps as large as AdamW's
        by Liu et al., Muon is Scalable for LLM Training, arXiv:2502.16982.
    """
    trained = [(name, p) for name, p in stage.named_parameters() if p.requires_grad]
    inside = [p for name, p in trained if settings.muon and p.ndim == 2 and _BLOCKS.search(name)]
    chosen = set(map(id, inside))
    rest = [p for _, p in trained if id(p) not in chosen]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in rest if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
    ]
    rate, decay = settings.learning_rate, settings.weight_decay
    adamw = torch.optim.AdamW(groups, lr=rate, betas=settings.betas, fused=True)
    if not inside:
        return [adamw]
    return [
        torch.optim.Muon(inside, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
        adamw,
    ]


def _step(
    wrapped: nn.Module, stage: Stage, settings: OptimConfig, run: _Run, team: DistContext
) -> dict[str, float]:
    state = run.state
    rate = settings.rate(state.step, state.num_steps or 10 * _PROBE_STEPS)
    for group in (group for each in run.optimizers for group in each.param_groups):
        group["lr"] = rate
    draw = Draw(step=state.step, batch=settings.batch, seed=settings.seed, rank=team.rank)
    device = next(stage.parameters()).device.type
    stage.zero_grad(set_to_none=True)
    with _counted(state, stage, settings):
        with torch.autocast(device, torch.bfloat16, enabled=settings.bfloat16):
            loss, parts = wrapped(draw)
        loss.backward()
    norm = gather_full(nn.utils.clip_grad_norm_(stage.parameters(), settings.clip))
    if team.all_true(bool(torch.isfinite(loss)) and bool(torch.isfinite(norm))):
        for each in run.optimizers:
            each.step()
        state.step += 1
        state.average(stage, settings.ema_decay)
    else:
        loss = loss * math.nan
    logs = {"loss": loss.item(), "gradient_norm": float(norm), "learning_rate": rate}
    return logs | {name: part.item() for name, part in parts.items()}


@contextmanager
def _memory_in_words(stage: Stage, settings: OptimConfig) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # torch has a class of its own for this on the GPU alone
        if not isinstance(error, torch.OutOfMemoryError) and "memory" not in str(error):
            raise
        raise InputError(
            f"{stage.name}: no memory for a step of {settings.batch} samples; give a smaller "
            "--batch, or --set smaller sizes"
        ) from error


@contextmanager
def _counted(state: TrainState, stage: Stage, settings: OptimConfig) -> Iterator[None]:
    """Counts the operations of the first step, unless the stage knows them."""
    if stage.flops_per_sample:
        state.flops_per_sample = stage.flops_per_sample
    if state.flops_per_sample is not None:
        yield
        return
    with FlopCounter() as counter:
        yield
    state.flops_per_sample = counter.total / settings.batch


def _plan_steps(run: _Run, team: DistContext, call_s: float, max_minutes: float) -> None:
    """Reckons all steps from the speed of the last few, again and again until the last few.

    So a machine that gets slower or faster still ends in time, with the rate at 0; the first
    step, which is slow, is not counted.
    """
    state = run.state
    if state.step % _PROBE_STEPS != 1 or state.step == 1:
        return
    left_s = min(call_s, 60 * max_minutes - state.seconds) - _SPARE * 60 * max_minutes
    steps = max(_PROBE_STEPS, int(left_s / (sum(run.step_s) / len(run.step_s))))
    is_last = state.num_steps <= state.step + _PROBE_STEPS
    stays = state.num_steps > 0 and (is_last or left_s <= 0)
    state.num_steps = team.broadcast(state.num_steps if stays else state.step + steps)


def _log(
    run: _Run,
    stage: Stage,
    settings: OptimConfig,
    team: DistContext,
    logs: dict[str, float],
    folder: Path,
    progress: Callable[[str], None],
) -> None:
    run.rows.append(logs)
    step = run.state.step
    if step % settings.log_every and not run.state.is_done:
        return
    means = means_of(run.rows, team)
    run.rows.clear()
    if not team.is_first:
        return
    seconds = run.state.seconds
    samples = step * settings.batch * team.size
    row = {
        "step": step,
        "seconds": round(seconds, 2),
        "samples_per_s": round(samples / seconds, 2),
        "flop_per_s": round(samples * (run.state.flops_per_sample or 0) / seconds),
        **{name: float(f"{mean:.6g}") for name, mean in means.items()},
    }
    add_row(folder, row)
    done = f"{step}/{run.state.num_steps or '?'}"
    progress(f"{stage.name} {done} {seconds:.0f} s loss {means['loss']:.4f}")


def _last_good(folder: Path) -> int:
    found = load_state(folder, None, ())
    return found.step if found else 0


@contextmanager
def _stopped_gently(run: _Run) -> Iterator[None]:
    """Lets SIGTERM end the loop after the step in hand, so that its state is saved."""

    def stop(number: int, frame: FrameType | None) -> None:
        run.wanted = False

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
