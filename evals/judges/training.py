"""Trains any judge: prepares its examples, runs the training loop, writes and pins the weights."""

import csv
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from evals.extractors.networks import WEIGHTS, pin_judge
from evals.extractors.networks.weights_file import save_weights
from evals.judges.progress import LogFn, counted
from streamchar_ref.core.files import read_json, write_atomically
from streamchar_ref.core.lock import only_writer
from streamchar_ref.core.one_thread import one_thread
from streamchar_ref.loop.fit import Draw, OptimConfig, Stage, fit
from streamchar_ref.loop.log import LOG
from streamchar_ref.loop.state import TrainState

Example = TypeVar("Example")

EXAMPLES = "examples.json"
"""Of a training folder: how many examples were prepared, and whether those are all."""
NUM_STATISTICS_BATCHES = 24


class JudgeStage(Stage):
    """A judge's network with its loss; examples are kept in memory.

    Args:
        name: Of the judge.
        network: What is kept; other modules of a subclass serve training alone.
        settings: Batch and seed of the batches that statistics are measured on.
    """

    def __init__(self, name: str, network: nn.Module, settings: OptimConfig) -> None:
        super().__init__()
        self.name = name
        self.network = network
        self._settings = settings

    def finish(self) -> None:
        """Measures batch-norm statistics of the averaged weights, on batches not trained on."""
        update_bn(map(self.unseen_draw, range(NUM_STATISTICS_BATCHES)), self)
        self.eval()

    def unseen_draw(self, number: int) -> Draw:
        """Returns the randomness of a batch after the last one that is trained on."""
        settings = self._settings
        return Draw(step=settings.num_steps + number, batch=settings.batch, seed=settings.seed)


@dataclass(frozen=True, kw_only=True)
class JudgeSpec(Generic[Example]):
    """How a judge is trained.

    Attributes:
        name: As on the command line and of the file of its weights.
        style: Of the drawn world that it learns from.
        date: When this was last changed; not the day of a run, which would change the bytes.
        examples: Makes the examples, the same ones each time.
        preparation_share: Of the minutes, after which no more examples are made.
        stage: Makes the network and its loss from examples.
        optim: With a fixed number of steps: then runs with one seed give the same weights.
        amounts: Says how much there was to learn from, e.g. ``{"clips": 240}``.
        write_figures: Measures the packaged weights for metrics that keep their errors.
    """

    name: str
    style: str
    date: str
    examples: Callable[[], Iterable[Example]]
    preparation_share: float
    stage: Callable[[Sequence[Example], OptimConfig], JudgeStage]
    optim: OptimConfig
    amounts: Callable[[Sequence[Example]], dict[str, int]]
    write_figures: Callable[[LogFn], None] | None = None


@one_thread()
def train_judge(
    judge: JudgeSpec[Example],
    out: Path,
    *,
    folder: Path,
    max_minutes: float,
    resume: bool = False,
    clock: Callable[[], float] = time.process_time,
    log: LogFn = lambda line: None,
) -> dict[str, Any]:
    """Prepares examples, trains on them and writes the averaged weights.

    Time is that of this process on a processor, so a busy machine does not make a weaker judge. A
    run that is cut says so in its weights, and goes on from its state to the same weights as one
    that was not; the examples are made again, as many as before.

    Args:
        judge: What to train.
        out: File for the weights; the packaged one is pinned and measured.
        folder: For the state and the log of the training.
        max_minutes: Of processor time, preparation included.
        resume: Go on from the state in the folder, if there is one.
        clock: Seconds; replaced in tests.
        log: Takes lines of progress.

    Returns:
        How the weights were made, as kept in the file.

    Raises:
        InputError: If another process trains in the folder, or the state there does not fit.
        TrainingDiverged: If the loss is not finite.
    """
    start_s = clock()

    def elapsed_minutes() -> float:
        return (clock() - start_s) / 60

    with only_writer(folder, verb="train"):
        examples, is_prepared = _prepare(
            judge,
            folder,
            is_late=lambda: elapsed_minutes() > judge.preparation_share * max_minutes,
            resume=resume,
            log=log,
        )
        stage = _make_stage(judge, examples)
        state = fit(
            stage,
            judge.optim,
            folder=folder,
            max_minutes=max(0.0, max_minutes - elapsed_minutes()),
            resume=resume,
            origin={"config": repr(judge.optim), "seed": judge.optim.seed},
            clock=clock,
            progress=log,
        )
    about = {
        **_account(judge, state, _last_loss(folder), is_prepared=is_prepared),
        **judge.amounts(examples),
        "max_minutes": max_minutes,
    }
    save_weights(out, stage.network, about)
    if out == WEIGHTS / f"{judge.name}.safetensors":
        pin_judge(judge.name)
        if judge.write_figures is not None:
            judge.write_figures(log)
    return about


def _make_stage(judge: JudgeSpec[Example], examples: Sequence[Example]) -> JudgeStage:
    """Makes the stage with the weights that its seed says."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(judge.optim.seed)
        return judge.stage(examples, judge.optim)


def _prepare(
    judge: JudgeSpec[Example],
    folder: Path,
    *,
    is_late: Callable[[], bool],
    resume: bool,
    log: LogFn,
) -> tuple[list[Example], bool]:
    """Makes the examples until they are all there or it is late; a resumed run, as many as then."""
    path = folder / EXAMPLES
    source = counted(judge.examples(), 50, "examples", log)
    if resume and path.is_file():
        kept = read_json(path)
        return list(islice(source, kept["count"])), kept["is_complete"]
    examples: list[Example] = []
    is_complete = True
    for example in source:
        examples.append(example)
        if is_late():
            is_complete = False
            break
    kept = {"count": len(examples), "is_complete": is_complete}
    write_atomically(path, json.dumps(kept).encode())
    return examples, is_complete


def _last_loss(folder: Path) -> float | None:
    """Returns the loss of the last row of a log; ``None`` if there is none."""
    path = folder / LOG
    rows = list(csv.DictReader(path.read_text("utf-8").splitlines())) if path.is_file() else []
    return round(float(rows[-1]["loss"]), 3) if rows else None


def _account(
    judge: JudgeSpec[Example], state: TrainState, loss: float | None, *, is_prepared: bool
) -> dict[str, Any]:
    return {
        "judge": judge.name,
        "command": f"streamchar judges train {judge.name}",
        "style": judge.style,
        "seed": judge.optim.seed,
        "date": judge.date,
        "steps": state.step,
        "is_complete": state.is_done and is_prepared,
        "loss": loss,
    }
