"""Training of judges: a run that is cut goes on to the same weights; statistics of the average."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from evals.commands.judges import app
from evals.extractors.networks import judge_path
from evals.extractors.networks.weights_file import about_weights
from evals.judges import training
from evals.judges.identity_data import Person
from evals.judges.identity_train import IDENTITY_WORLD
from evals.judges.table import JUDGES, Judge
from evals.judges.training import JudgeSpec, JudgeStage, train_judge
from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.fit import Draw, OptimConfig

NUM_STEPS = 6


def toy_person(identity: int) -> Person:
    """Four heads of one colour each, and what that was."""
    rng = np.random.default_rng(identity)
    colour = rng.integers(40, 210, 3)
    heads = (colour + rng.integers(-30, 30, (4, 80, 80, 1))).astype(np.uint8)
    return Person(identity=identity, heads=heads, numbers=colour.astype(np.float32))


def toy_judge() -> JudgeSpec[Person]:
    return replace(
        IDENTITY_WORLD,
        examples=lambda: map(toy_person, range(9)),
        optim=replace(
            IDENTITY_WORLD.optim, num_steps=NUM_STEPS, batch=4, warmup_steps=2, log_every=1
        ),
    )


class Clock:
    """Ticks a little at each look, until a line of the log says that time is up."""

    def __init__(self, *, ends_with: str = "") -> None:
        self.now_s = 0.0
        self._ends_with = ends_with

    def __call__(self) -> float:
        self.now_s += 1e-3
        return self.now_s

    def log(self, line: str) -> None:
        if self._ends_with and self._ends_with in line:
            self.now_s = 1e6


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    monkeypatch.setattr(training, "NUM_STATISTICS_BATCHES", 2)

    def train(path: Path, *, ends_with: str = "", **options: Any) -> dict[str, Any]:
        clock = Clock(ends_with=ends_with)
        folder = path.with_suffix(".run")
        return train_judge(
            options.pop("judge", toy_judge()),
            path,
            folder=folder,
            max_minutes=5,
            clock=clock,
            log=clock.log,
            **options,
        )

    return train


def test_a_training_that_is_cut_and_resumed_gives_the_same_file(
    tmp_path: Path, trained: Callable[..., dict[str, Any]]
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert trained(whole)["is_complete"]
    about = trained(cut, ends_with=f"identity_world 3/{NUM_STEPS} ")
    assert (about["steps"], about["is_complete"]) == (3, False)
    assert cut.read_bytes() != whole.read_bytes()
    trained(cut, resume=True)
    assert cut.read_bytes() == whole.read_bytes()
    assert about_weights(whole)["people"] == 9


def test_a_training_goes_on_with_the_examples_it_began_with(
    tmp_path: Path, trained: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = replace(toy_judge(), preparation_share=-1.0)  # late from the start: one example
    few = replace(few, optim=replace(few.optim, batch=1))
    path = tmp_path / "few"
    assert trained(path, judge=few, ends_with=f" 2/{NUM_STEPS} ")["people"] == 1
    ample = replace(few, preparation_share=1.0)
    about = trained(path, judge=ample, resume=True)
    assert (about["people"], about["steps"], about["is_complete"]) == (1, NUM_STEPS, False)


def test_a_training_of_another_recipe_is_not_gone_on_with(
    tmp_path: Path, trained: Callable[..., dict[str, Any]]
) -> None:
    trained(tmp_path / "a", ends_with=f" 1/{NUM_STEPS} ")
    judge = toy_judge()
    other = replace(judge, optim=replace(judge.optim, learning_rate=1e-3))
    with pytest.raises(InputError, match="another config"):
        trained(tmp_path / "a", judge=other, resume=True)


def test_weights_without_a_step_have_no_loss(
    tmp_path: Path, trained: Callable[..., dict[str, Any]]
) -> None:
    many = replace(toy_judge(), examples=lambda: map(toy_person, range(60)))
    about = trained(tmp_path / "a", ends_with="examples", judge=many)
    assert (about["steps"], about["loss"], about["is_complete"]) == (0, None, False)


TOY = toy_judge()


def test_the_command_writes_where_it_is_told_and_leaves_the_packaged_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "NUM_STATISTICS_BATCHES", 2)
    monkeypatch.setitem(JUDGES, TOY.name, Judge(spec=f"{__name__}:TOY", test=""))
    packaged = judge_path(TOY.name).read_bytes()
    out, folder = tmp_path / "toy.safetensors", tmp_path / "run"
    command = ["train", TOY.name, "--max-minutes", "1", "--out", str(out), "--folder", str(folder)]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    written = out.read_bytes()
    again = CliRunner().invoke(app, [*command, "--resume"])  # nothing is left to do
    assert again.exit_code == 0, again.output
    assert out.read_bytes() == written
    assert json.loads(again.stderr.splitlines()[-1])["steps"] == NUM_STEPS
    assert judge_path(TOY.name).read_bytes() == packaged


class Normed(JudgeStage):
    """A batch norm and numbers that depend on the step."""

    network: nn.BatchNorm1d

    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        return self.network(self.numbers(draw)).square().mean(), {}

    def numbers(self, draw: Draw) -> Tensor:
        return torch.randn(draw.batch, 2, generator=draw.generator()) + draw.step


def test_statistics_are_measured_on_batches_that_were_not_trained_on() -> None:
    stage = Normed("toy", nn.BatchNorm1d(2), OptimConfig(num_steps=10, batch=5))
    stage(Draw(step=0, batch=5, seed=0))
    stage.finish()
    unseen = range(training.NUM_STATISTICS_BATCHES)
    numbers = torch.stack([stage.numbers(stage.unseen_draw(n)) for n in unseen])
    torch.testing.assert_close(stage.network.running_mean, numbers.mean(dim=(0, 1)))
    assert stage.unseen_draw(0).step == 10
    assert not stage.training
