"""The loop around a stage: update, average, log, save, resume, stop in time.

All randomness of step n comes from generators seeded with (seed, n, rank), so a run that is cut
anywhere and resumed gives the same weights as one that is not.
"""

import math
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import torch
from torch import nn

from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.config import OptimConfig
from streamchar_ref.loop.ema import update_mean, use_mean
from streamchar_ref.loop.flops import FlopCounter
from streamchar_ref.loop.log import add_row, keep_rows, means_of
from streamchar_ref.loop.optim import (
    GroupOptimizer,
    averaged_weights,
    group_optimizers,
    trained_alone,
)
from streamchar_ref.loop.parallel import DistContext, gather_full
from streamchar_ref.loop.stage import Draw, Stage
from streamchar_ref.loop.state import Origin, TrainState, load_state, save_state
from streamchar_ref.loop.trackers import LogFn

_PROBE_STEPS = 20
_SPARE = 0.03  # of the time limit, for saving and for steps that take longer


class TrainingDiverged(InputError):
    """Training has gone wrong, by its loss or by another sign; the last good state is on disk."""


@dataclass(kw_only=True)
class _Run:
    """A stage in training."""

    stage: Stage
    wrapped: nn.Module
    settings: OptimConfig
    folder: Path
    processes: DistContext
    groups: list[GroupOptimizer]
    state: TrainState
    origin: Origin
    is_wanted: bool = True
    sign: str = ""
    rows: list[dict[str, float]] = field(default_factory=list)
    step_s: deque[float] = field(default_factory=lambda: deque(maxlen=_PROBE_STEPS))

    def save(self) -> None:
        """Writes the state; all processes must call it."""
        save_state(self.folder, self.state, self.stage, self.groups, origin=self.origin)


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
    on_snapshot: Callable[[TrainState], None] = lambda state: None,
    track: LogFn = lambda row, step: None,
) -> TrainState:
    """Trains a stage until its steps are done or its time is up.

    Under ``torchrun`` every process calls it with the same arguments: each draws a batch of its
    own, all stop at the same step, and the first writes the files, in a folder that all see.

    Args:
        stage: With its networks; they hold the averaged weights afterwards, where a group of
            weights keeps an average.
        settings: How it is optimised.
        folder: For state, log and samples.
        max_minutes: Time limit of this call.
        resume: Continue from the state in the folder, if there is one.
        origin: Kept in the state; a state of another origin is refused.
        clock: Seconds; replaced in tests.
        progress: Called with a line of the log.
        on_snapshot: Called every so many steps, see `OptimConfig`, by all processes.
        track: Called with each row of the log by the first process.

    Returns:
        The state, which says whether all steps are done.

    Raises:
        TrainingDiverged: If a loss is not finite or the stage sees another sign, see
            `Stage.divergence`; names the step.
        InputError: If there is neither a number of steps nor a time limit, the state was begun
            with another number of steps or is refused, see `load_state`, or the groups do not
            fit the stage, see `group_optimizers`.
    """
    if not settings.num_steps and not math.isfinite(max_minutes):
        raise InputError("give a number of steps or a time limit")
    start = clock()
    deadline = start + 60 * max_minutes
    settings = settings.on(next(stage.parameters()).device.type)
    run = _begin(stage, settings, folder, resume, {"stage": stage.name, **(origin or {})})
    state, processes = run.state, run.processes
    saved = start
    with _stopped_gently(run):
        while not state.is_done and processes.all_true(run.is_wanted and clock() < deadline):
            began = clock()
            with _memory_in_words(stage, settings):
                row = _step(run)
            run.step_s.append(clock() - began)
            state.seconds += run.step_s[-1]
            if not settings.num_steps:
                _plan_steps(run, deadline - clock(), max_minutes)
            _log(run, row, progress, track)
            _stop_if_diverged(run)
            if settings.snapshot_every and state.step % settings.snapshot_every == 0:
                on_snapshot(state)
            if processes.broadcast(int(clock() - saved > settings.save_every_s)):
                run.save()
                saved = clock()
        _end(run)
    if processes.is_first:
        stage.log_samples(folder)
    return state


def _begin(stage: Stage, settings: OptimConfig, folder: Path, resume: bool, origin: Origin) -> _Run:
    processes = DistContext.of_this_process()
    wrapped = processes.wrap(stage, is_spreadable=not settings.groups)
    folder.mkdir(parents=True, exist_ok=True)
    groups = group_optimizers(stage, settings)
    mean = {name: weight.detach().clone() for name, weight in averaged_weights(groups).items()}
    state = TrainState(num_steps=settings.num_steps, mean=mean)
    if resume:
        state = load_state(folder, stage, groups, origin=origin) or state
        if settings.num_steps and state.num_steps not in (0, settings.num_steps):
            raise InputError(
                f"{folder} was begun with {state.num_steps} steps and cannot be resumed with "
                f"{settings.num_steps}"
            )
    if processes.is_first:
        keep_rows(folder, state.step)
    return _Run(
        stage=stage,
        wrapped=wrapped,
        settings=settings,
        folder=folder,
        processes=processes,
        groups=groups,
        state=state,
        origin=origin,
    )


def _end(run: _Run) -> None:
    """Gathers a spread stage, saves its state, and leaves it with its averaged weights."""
    run.processes.unwrap(run.stage)
    run.state.mean = gather_full(run.state.mean)
    run.save()
    use_mean(run.state.mean, run.stage)
    run.stage.finish()
    run.processes.all_true(True)  # so that none reads the folder before the first has written


def _step(run: _Run) -> dict[str, float]:
    """Updates the groups that are due, one after the other; returns what the log says of them."""
    row: dict[str, float] = {}
    measured: list[float] = []
    for group in run.groups:
        if group.config.is_due(run.state.step):
            row |= _update(run, group, measured)
    run.state.step += 1
    if run.stage.flops_per_sample:
        run.state.flops_per_sample = run.stage.flops_per_sample
    elif run.state.flops_per_sample is None:  # in the first step, where all groups are due
        run.state.flops_per_sample = sum(measured) / run.settings.batch
    return row


def _update(run: _Run, group: GroupOptimizer, measured: list[float]) -> dict[str, float]:
    """Updates a group's weights and their average."""
    stage, settings, state, rule = run.stage, run.settings, run.state, group.config
    rate = rule.rate(state.step, state.num_steps or 10 * _PROBE_STEPS)
    group.set_rate(rate)
    draw = Draw(
        step=state.step,
        batch=settings.batch,
        seed=settings.seed,
        rank=run.processes.rank,
        group=rule.name,
    )
    device = next(stage.parameters()).device.type
    stage.zero_grad(set_to_none=True)
    with trained_alone(group, run.groups), _counted(run, rule.every, measured):
        with torch.autocast(device, torch.bfloat16, enabled=settings.bfloat16):
            loss, parts = run.wrapped(draw)
        loss.backward()
    norm = gather_full(nn.utils.clip_grad_norm_([*group.weights.values()], rule.clip))
    if not run.processes.all_true(bool(torch.isfinite(loss)) and bool(torch.isfinite(norm))):
        raise TrainingDiverged(
            f"{stage.name}: the loss{f' of {rule.name}' if rule.name else ''} is nan at step "
            f"{state.step}; the last good state is step {_last_good(run.folder)} in {run.folder}"
        )
    group.step()
    update_mean(
        state.mean,
        ((name, weight) for name, weight in stage.named_parameters() if name in group.weights),
        decay=rule.ema_decay,
        num_updates=rule.num_updates(state.step + 1),
    )
    values = {"loss": loss.item(), "gradient_norm": float(norm), "learning_rate": rate}
    values |= {name: part.item() for name, part in parts.items()}
    prefix = f"{rule.name}_" if rule.name else ""
    return {prefix + name: value for name, value in values.items()}


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
def _counted(run: _Run, every: int, measured: list[float]) -> Iterator[None]:
    """Counts the operations of an update in the first step, unless the stage knows them.

    Args:
        run: The stage.
        every: Steps from one such update to the next.
        measured: Operations per step are appended.

    Yields:
        Nothing.
    """
    if run.stage.flops_per_sample or run.state.flops_per_sample is not None:
        yield
        return
    with FlopCounter() as counter:
        yield
    measured.append(counter.total / every)


def _plan_steps(run: _Run, call_s: float, max_minutes: float) -> None:
    """Estimates the number of all steps from the speed of the last few, until the last few.

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
    state.num_steps = run.processes.broadcast(state.num_steps if stays else state.step + steps)


def _log(run: _Run, row: dict[str, float], progress: Callable[[str], None], track: LogFn) -> None:
    """Collects the row of a step, and writes their mean every few steps."""
    run.rows.append(row)
    state, settings = run.state, run.settings
    if state.step % settings.log_every and not state.is_done:
        return
    means = means_of(run.rows, run.processes)
    run.rows.clear()
    if not run.processes.is_first:
        return
    samples = state.step * settings.batch * run.processes.size
    logged = {
        "step": state.step,
        "seconds": round(state.seconds, 2),
        "samples_per_s": round(samples / state.seconds, 2),
        "flop_per_s": round(samples * (state.flops_per_sample or 0) / state.seconds),
        **{name: float(f"{mean:.6g}") for name, mean in means.items()},
    }
    add_row(run.folder, logged)
    track({name: value for name, value in logged.items() if name != "step"}, state.step)
    run.sign = run.stage.divergence(logged)
    names = [f"{group.config.name}_loss".lstrip("_") for group in run.groups]
    losses = " ".join(f"{name} {means[name]:.4f}" for name in names if name in means)
    done = f"{state.step}/{state.num_steps or '?'}"
    progress(f"{run.stage.name} {done} {state.seconds:.0f} s {losses}")


def _stop_if_diverged(run: _Run) -> None:
    if run.processes.all_true(not run.sign):
        return
    raise TrainingDiverged(
        f"{run.stage.name}: stopped at step {run.state.step}, since {run.sign or 'it diverged'}; "
        f"the last good state is step {_last_good(run.folder)} in {run.folder}. Give a lower "
        "learning rate, fewer steps, or another --from"
    )


def _last_good(folder: Path) -> int:
    state = load_state(folder, None, ())
    return state.step if state else 0


@contextmanager
def _stopped_gently(run: _Run) -> Iterator[None]:
    """Lets SIGTERM end the loop after the current step, so that its state is saved."""

    def stop(number: int, frame: FrameType | None) -> None:
        run.is_wanted = False

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
