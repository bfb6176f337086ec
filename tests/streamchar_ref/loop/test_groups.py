"""Stages with several groups of weights: a loss, an optimiser, a ratio and an average for each."""

import csv
import math
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.sealed import seal
from streamchar_ref.loop.config import OptimConfig, OptimGroup
from streamchar_ref.loop.fit import TrainingDiverged, fit
from streamchar_ref.loop.stage import Draw, Stage
from streamchar_ref.loop.state import STATE, load_state

STUDENT = OptimGroup(
    name="student", parts=("student.",), every=3, learning_rate=0.02, betas=(0.0, 0.9),
    warmup_steps=0, ema_decay=0.9, weight_decay=0.0,
)  # fmt: skip
CRITIC = OptimGroup(
    name="critic", parts=("critic.",), learning_rate=0.05, muon=True, warmup_steps=2, ema_decay=0.0
)
NUM_STEPS = 8
SETTINGS = OptimConfig(
    batch=16, num_steps=NUM_STEPS, log_every=1, bfloat16=False, groups=(STUDENT, CRITIC)
)


class Pair(Stage):
    """A student makes numbers that a critic cannot tell from true ones; the teacher is frozen.

    Args:
        ranks: Whose batches are drawn; by default those of this process.
        broken: Group whose loss is NaN in the fifth step.
    """

    name = "pair"

    def __init__(self, *, ranks: tuple[int, ...] = (), broken: str | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.teacher = nn.Linear(2, 3).requires_grad_(False)
        self.student = nn.Linear(2, 3)
        self.critic = nn.ModuleDict(
            {"enter": nn.Linear(3, 4), "blocks": nn.ModuleList([nn.Linear(4, 4)]),
             "leave": nn.Linear(4, 1)}
        )  # fmt: skip
        self._ranks, self._broken = ranks, broken
        self.calls: list[tuple[int, str]] = []
        self.students: list[Tensor] = []

    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        self.calls.append((draw.step, draw.group))
        if draw.group == "student":
            self.students.append(self.student.weight.detach().clone())
        ranks = self._ranks or (draw.rank,)
        losses = torch.stack([self._loss(replace(draw, rank=rank)) for rank in ranks])
        nan = math.nan if (draw.step, draw.group) == (4, self._broken) else 1.0
        return losses.mean() * nan, {"score": losses.detach().max()}

    def _loss(self, draw: Draw) -> Tensor:
        x = torch.randn(draw.batch, 2, generator=draw.generator())
        made = self.student(x)
        if draw.group == "student":
            return -self._judged(made).mean()
        wrong, right = self._judged(made), self._judged(self.teacher(x))
        return (1 + wrong).square().mean() + (1 - right).square().mean()

    def _judged(self, x: Tensor) -> Tensor:
        hidden = self.critic["enter"](x).tanh()
        for block in self.critic["blocks"]:
            hidden = hidden + block(hidden)
        return self.critic["leave"](hidden)[:, 0]


def trained(folder: Path, settings: OptimConfig = SETTINGS) -> Pair:
    stage = Pair()
    fit(stage, settings, folder=folder, max_minutes=1)
    return stage


def with_groups(*groups: OptimGroup) -> OptimConfig:
    return replace(SETTINGS, groups=groups)


@pytest.mark.parametrize("cut", range(1, NUM_STEPS))
def test_a_run_that_was_cut_at_any_step_gives_the_same_weights(tmp_path: Path, cut: int) -> None:
    whole = trained(tmp_path / "whole")
    ticks = count()  # begin and end of every step, and the look at the deadline, take a second
    begun = fit(
        Pair(),
        SETTINGS,
        folder=tmp_path / "cut",
        max_minutes=(4 * cut) / 60,
        clock=lambda: float(next(ticks)),
    )
    assert 0 < begun.step < NUM_STEPS
    resumed = Pair()
    state = fit(resumed, SETTINGS, folder=tmp_path / "cut", max_minutes=1, resume=True)
    assert state.is_done
    for (name, one), other in zip(whole.named_parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other), name
    columns = ("student_loss", "critic_loss", "student_learning_rate", "critic_score")
    for one, other in zip(rows(tmp_path / "whole"), rows(tmp_path / "cut"), strict=True):
        assert [one[name] for name in columns] == [other[name] for name in columns]


def test_each_group_is_updated_in_its_own_ratio(tmp_path: Path) -> None:
    calls = trained(tmp_path).calls
    assert [step for step, group in calls if group == "student"] == [0, 3, 6]
    assert [step for step, group in calls if group == "critic"] == list(range(NUM_STEPS))
    assert calls[:2] == [(0, "student"), (0, "critic")]


@pytest.mark.parametrize("frozen", ["student", "critic"])
def test_the_loss_of_one_group_moves_no_weight_of_another(tmp_path: Path, frozen: str) -> None:
    groups = [
        replace(group, learning_rate=0.0, weight_decay=0.0) if group.name == frozen else group
        for group in (STUDENT, CRITIC)
    ]
    before = {name: p.detach().clone() for name, p in Pair().named_parameters()}
    after = dict(trained(tmp_path, with_groups(*groups)).named_parameters())
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"student", "critic"} - {frozen}
    assert {name for name, p in after.items() if not p.requires_grad} == {
        "teacher.weight", "teacher.bias",
    }  # fmt: skip


def test_only_a_group_with_a_decay_is_averaged_and_its_updates_count(tmp_path: Path) -> None:
    settings = with_groups(STUDENT, replace(CRITIC, learning_rate=0.0))
    stage = Pair()
    state = fit(stage, settings, folder=tmp_path, max_minutes=1)
    assert set(state.mean) == {"student.weight", "student.bias"}
    last = torch.load(tmp_path / STATE, weights_only=True)["stage"]["student.weight"]
    weights = [*stage.students, last]
    mean = weights[0]
    for number, weight in enumerate(weights[1:], 1):
        mean = mean.lerp(weight, 1 - min(0.9, number / (number + 10)))
    torch.testing.assert_close(stage.student.weight.detach(), mean)
    assert not torch.equal(stage.student.weight, last)


def rows(folder: Path) -> list[dict[str, str]]:
    return [*csv.DictReader((folder / "log.csv").read_text().splitlines())]


def test_the_log_tells_the_groups_apart_and_has_gaps_where_one_is_not_due(tmp_path: Path) -> None:
    trained(tmp_path)
    found = rows(tmp_path)
    assert [row["step"] for row in found] == [str(step) for step in range(1, NUM_STEPS + 1)]
    for name in ("loss", "gradient_norm", "learning_rate", "score"):
        student = [not math.isnan(float(row[f"student_{name}"])) for row in found]
        assert [step for step, is_logged in enumerate(student) if is_logged] == [0, 3, 6]
        assert not any(math.isnan(float(row[f"critic_{name}"])) for row in found)
    assert float(found[3]["student_learning_rate"]) == pytest.approx(0.02)
    assert float(found[3]["critic_learning_rate"]) == pytest.approx(0.05)


def test_a_line_of_progress_names_the_loss_of_each_group(tmp_path: Path) -> None:
    lines: list[str] = []
    fit(Pair(), SETTINGS, folder=tmp_path, max_minutes=1, progress=lines.append)
    assert "student_loss" in lines[0]
    assert "critic_loss" in lines[0]
    assert "student_loss" not in lines[1]


def test_each_group_has_its_own_random_numbers() -> None:
    draws = [Draw(step=3, batch=4, seed=1, group=group) for group in ("", "student", "critic")]
    numbers = [torch.randn(3, generator=draw.generator()).tolist() for draw in draws]
    assert len(set(map(tuple, numbers))) == 3
    assert numbers[1] == torch.randn(3, generator=draws[1].generator()).tolist()


def test_operations_count_as_often_as_their_group_is_updated(tmp_path: Path) -> None:
    every = [
        fit(
            Pair(),
            with_groups(replace(STUDENT, every=number), CRITIC),
            folder=tmp_path / str(number),
            max_minutes=1,
        ).flops_per_sample
        for number in (1, 2, 4)
    ]
    assert every[0] - every[1] == 2 * (every[1] - every[2]) > 0


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ((STUDENT,), r"'critic\.enter\.weight' is in 0 groups"),
        ((STUDENT, replace(CRITIC, parts=("",))), r"'student\.weight' is in 2 groups"),
        ((STUDENT, CRITIC, replace(CRITIC, name="judge", parts=("judge.",))), "'judge' has no w"),
        ((STUDENT, replace(CRITIC, name="student")), "several groups have the same name"),
    ],
)
def test_groups_that_do_not_share_out_the_weights_are_refused(
    tmp_path: Path, groups: tuple[OptimGroup, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        fit(Pair(), with_groups(*groups), folder=tmp_path, max_minutes=1)


def test_a_group_that_is_never_due_is_refused() -> None:
    with pytest.raises(InputError, match="every 0 steps"):
        replace(STUDENT, every=0)


def test_a_state_of_other_groups_is_not_taken(tmp_path: Path) -> None:
    trained(tmp_path)
    other = with_groups(replace(STUDENT, name="pupil"), CRITIC)
    with pytest.raises(InputError, match="with other optimisers; start from the weights"):
        fit(Pair(), other, folder=tmp_path, max_minutes=1, resume=True)


def test_a_loss_that_is_no_number_names_its_group(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match="pair: the loss of critic is nan at step 4; the"):
        fit(Pair(broken="critic"), SETTINGS, folder=tmp_path, max_minutes=1)


class Alone(Pair):
    """The student alone, taught directly: one loss, so no groups."""

    def _loss(self, draw: Draw) -> Tensor:
        x = torch.randn(draw.batch, 2, generator=draw.generator())
        return (self.student(x) - self.teacher(x)).square().mean()


def test_a_state_from_before_there_were_groups_goes_on(tmp_path: Path) -> None:
    settings = OptimConfig(batch=4, num_steps=6, warmup_steps=0)
    whole, resumed = Alone(), Alone()
    fit(whole, settings, folder=tmp_path / "whole", max_minutes=1)
    ticks = count()
    fit(Alone(), settings, folder=tmp_path, max_minutes=12 / 60, clock=lambda: float(next(ticks)))
    content = torch.load(tmp_path / STATE, weights_only=True)
    content["optimizers"] = content["optimizers"][""]
    torch.save(content, tmp_path / STATE)
    seal(tmp_path / STATE)
    begun = load_state(tmp_path, None, ())
    assert begun is not None
    assert 0 < begun.step < 6
    fit(resumed, settings, folder=tmp_path, max_minutes=1, resume=True)
    assert torch.equal(whole.student.weight, resumed.student.weight)
