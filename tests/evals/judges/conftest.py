import csv
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals.judges import training
from evals.judges.training import JudgeSpec, train_judge
from streamchar_ref.loop.log import LOG

Losses = Callable[..., list[float]]


@pytest.fixture
def losses_of_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Losses:
    """Trains a judge on a few examples; returns the loss of each step."""
    monkeypatch.setattr(training, "NUM_STATISTICS_BATCHES", 1)

    def losses(judge: JudgeSpec[Any], examples: Sequence[Any], **optim: int) -> list[float]:
        short = replace(
            judge, examples=lambda: examples, optim=replace(judge.optim, log_every=1, **optim)
        )
        about = train_judge(short, tmp_path / "x", folder=tmp_path / "run", max_minutes=2)
        assert about["is_complete"]
        with (tmp_path / "run" / LOG).open() as file:
            return [float(row["loss"]) for row in csv.DictReader(file)]

    return losses
