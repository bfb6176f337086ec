"""What each of two processes does for test_parallel.py; started by torchrun with a folder."""

import math
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from streamchar_ref.core.errors import InputError
from streamchar_ref.loop import parallel
from streamchar_ref.loop.config import OptimConfig
from streamchar_ref.loop.fit import TrainingDiverged, fit
from streamchar_ref.loop.parallel import DistContext
from streamchar_ref.loop.stage import Draw, Stage
from streamchar_ref.model.config import preset
from tests.streamchar_ref.loop import test_groups
from tests.streamchar_ref.train.test_windows import stages

SETTINGS = OptimConfig(
    learning_rate=0.01, batch=8, num_steps=12, warmup_steps=3, ema_decay=0.9, log_every=4,
    bfloat16=False, save_every_s=5, muon=True,
)  # fmt: skip


class Net(Stage):
    """A small network with weights that get a gradient never, and on the second process only.

    Args:
        ranks: Whose batches are drawn; by default those of this process.
        is_uneven: Whether processes use different weights.
        in_step: Called with the draw.
    """

    name = "net"

    def __init__(
        self,
        *,
        ranks: tuple[int, ...] = (),
        is_uneven: bool = False,
        in_step: Callable[[Draw], float] = lambda draw: 0.0,
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.enter = nn.Linear(3, 5)
        self.blocks = nn.ModuleList(nn.Linear(5, 5) for _ in range(3))
        self.leave = nn.Linear(5, 1)
        self.unused, self.logged, self.second = (nn.Parameter(torch.ones(5)) for _ in range(3))
        self.register_buffer("center", torch.zeros(3))
        self.was_spread = False
        self._ranks, self._is_uneven, self._in_step = ranks, is_uneven, in_step

    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        self.was_spread = isinstance(self, FSDPModule)
        ranks = self._ranks or (draw.rank,)
        losses = torch.stack([self._loss(replace(draw, rank=rank)) for rank in ranks])
        first = losses[0].detach() if 0 in ranks else torch.tensor(math.nan)
        logged = (self.logged * losses.detach().mean()).mean()
        return losses.mean() + self._in_step(draw), {"first": first, "logged": logged}

    def finish(self) -> None:
        x = torch.ones(4, 3)
        self.center.copy_(self.enter(x).detach().mean(0)[:3])

    def log_samples(self, folder: Path) -> None:
        (folder / "picture").write_text(str(self._loss(Draw(step=0, batch=2, seed=1)).item()))

    def _loss(self, draw: Draw) -> Tensor:
        true = torch.randn(draw.batch, 3, generator=draw.generator())
        x = self.enter(true)
        if draw.rank == 1 and self._is_uneven:
            x = x + self.second
        for block in self.blocks:
            x = x + block(x.tanh())
        return (self.leave(x)[:, 0] - true.prod(dim=1)).square().mean()


def ticks(length_s: float = 1.0) -> Callable[[], float]:
    """Returns a clock that goes on by a fixed time whenever it is looked at."""
    numbers = count()
    return lambda: length_s * next(numbers)


def fitted(
    stage: Stage, folder: Path, settings: OptimConfig = SETTINGS, **how: Any
) -> dict[str, Any]:
    """Trains without half precision, whose rounding would hide whether shards are joined."""
    how = {"max_minutes": math.inf} | how
    state = fit(stage, settings, folder=folder, **how)
    return {
        "step": state.step,
        "num_steps": state.num_steps,
        "mean": state.mean,
        "weights": stage.state_dict(),
        "class": type(stage).__name__,
    }


SHORT = replace(SETTINGS, num_steps=2, batch=2, learning_rate=1e-3)


def teacher() -> Stage:
    return stages(preset("tiny"))[3]


def main(out: Path) -> None:
    """Runs all cases and writes what this process found.

    Args:
        out: Folder of both processes.
    """
    rank = DistContext.of_this_process().rank
    found = {"copied": fitted(Net(is_uneven=True), out / f"copied-{rank}")}

    def interrupt(draw: Draw) -> float:
        if draw.step == 3 and draw.rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return 0.0

    found["interrupted"] = fitted(Net(in_step=interrupt), out / "interrupted")

    def break_one(draw: Draw) -> float:
        return math.nan if draw.step == 2 and draw.rank == 1 else 0.0

    try:
        fitted(Net(in_step=break_one), out / "broken")
    except TrainingDiverged as error:
        found["broken"] = {"message": str(error)}
    unplanned = replace(SETTINGS, num_steps=0)
    clock = ticks(1.0 if rank == 0 else 0.1)
    found["planned"] = fitted(Net(), out / "planned", unplanned, max_minutes=10, clock=clock)
    found["pair"] = fitted(test_groups.Pair(), out / "pair", test_groups.SETTINGS)
    found["teacher_copied"] = fitted(teacher(), out / "teacher_copied", SHORT)

    parallel.SHARDED_ABOVE = 10
    stage = Net()
    found["spread"] = fitted(stage, out / "spread", clock=ticks())
    found["spread"]["was_spread"] = stage.was_spread
    clock = ticks(1.0 if rank == 1 else 0.1)
    found["cut"] = fitted(Net(), out / "cut", max_minutes=0.4, clock=clock)
    if rank == 0:
        shutil.copytree(out / "cut", out / "cut_copy")
    found["resumed"] = fitted(Net(), out / "cut", resume=True)
    found["teacher_spread"] = fitted(teacher(), out / "teacher_spread", SHORT)
    try:
        fitted(test_groups.Pair(), out / "pair_spread", test_groups.SETTINGS)
    except InputError as error:
        found["pair_spread"] = {"message": str(error)}
    torch.save(found, out / f"found-{rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
