"""The fake score on a fixed grid: what moves it, what it is beside the true score, and the stop."""

import math
from dataclasses import asdict, replace

import pytest
import torch

from streamchar_ref.core.config_values import override
from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.stage import Draw
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.sampling.flow import add_noise
from streamchar_ref.train.distill.config import DistillConfig
from streamchar_ref.train.distill.critic_grid import EVERY, LEVELS
from streamchar_ref.train.distill.dmd import DmdStage
from streamchar_ref.train.distill.regression import TrajectoryRegression
from tests.streamchar_ref.train.distill.test_stages import chunks, regression, rollouts, teacher

__all__ = ["regression", "teacher"]
DUE = EVERY - 1


@pytest.fixture
def stage(teacher: StreamChar, regression: TrajectoryRegression) -> DmdStage:
    made = chunks(teacher, regression)
    assert isinstance(made, DmdStage)
    return made


def logged(stage: DmdStage, step: int) -> dict[str, float]:
    _, parts = stage(Draw(step=step, batch=3, seed=0, group="fake_score"))
    return {f"fake_score_{name}": float(part) for name, part in parts.items() if "grid" in name}


def test_the_grid_is_measured_every_tenth_step_and_depends_on_the_fake_score_alone(
    stage: DmdStage,
) -> None:
    first, between, later = (logged(stage, step) for step in (DUE, DUE + 1, DUE + EVERY))
    assert first.keys() == between.keys()
    assert len(first) == 2 * (len(LEVELS) + 1)
    assert all(math.isnan(value) for value in between.values())
    assert first == later, "whatever was drawn in these steps"
    with torch.no_grad():
        stage.student.dit.video_out.bias.add_(1)
    assert logged(stage, DUE) == first
    with torch.no_grad():
        stage.fake_score.dit.video_out.bias.add_(1)
    moved = logged(stage, DUE)
    assert moved["fake_score_grid_video_50"] > first["fake_score_grid_video_50"]
    assert moved["fake_score_grid_audio_50"] == first["fake_score_grid_audio_50"]


def test_a_fake_score_that_is_the_true_one_has_a_ratio_of_one(stage: DmdStage) -> None:
    found = logged(stage, DUE)
    for name in ("video", "audio"):
        assert found[f"fake_score_grid_ratio_{name}"] == pytest.approx(1)
    assert stage.divergence(found) == ""


def test_a_loss_of_the_grid_is_the_error_of_the_velocity(
    stage: DmdStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a score that predicts nothing it is the power of noise minus data."""
    module = "streamchar_ref.train.distill.critic_grid"
    monkeypatch.setattr(
        f"{module}.velocity", lambda condition, x, sigma: tuple(map(torch.zeros_like, x))
    )
    added: list[torch.Tensor] = []

    def kept(x: torch.Tensor, noise: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        added.append(noise - x)
        return add_noise(x, noise, sigma)

    monkeypatch.setattr(f"{module}.flow.add_noise", kept)
    losses = stage._grid._losses(stage._scores[1])
    video, audio = (each.square().unflatten(0, (len(LEVELS), -1)) for each in added[-2:])
    assert float(losses["grid_video_30"]) == pytest.approx(float(video[1].mean()), rel=1e-4)
    assert float(losses["grid_audio_90"]) == pytest.approx(float(audio[4].mean()), rel=1e-4)


def test_a_run_whose_fake_score_forgets_the_teacher_is_stopped_if_a_limit_is_set(
    teacher: StreamChar, regression: TrajectoryRegression
) -> None:
    made = rollouts(teacher, regression)
    assert isinstance(made, DmdStage)
    with torch.no_grad():
        made.fake_score.dit.audio_out.bias.add_(9)
    found = logged(made, DUE)
    assert found["fake_score_grid_ratio_audio"] > 3
    assert made.divergence(found) == "", "it is logged, and limits nothing by default"
    made.config = replace(made.config, max_grid_ratio=3.0)
    assert "no longer knows the teacher's audio" in made.divergence(found)
    assert made.divergence({"fake_score_grid_ratio_audio": math.nan}) == "", "not due"
    with torch.no_grad():
        made.fake_score.dit.audio_out.bias.fill_(math.nan)
    assert "its loss is inf times that" in made.divergence(logged(made, DUE))


def test_without_a_limit_settings_are_written_as_by_earlier_versions() -> None:
    assert asdict(DistillConfig()).keys() - DistillConfig().values.keys() == {"max_grid_ratio"}
    limited = override(DistillConfig(), ["max_grid_ratio=2.5"])
    assert limited.values["max_grid_ratio"] == 2.5
    assert override(DistillConfig(), ["anchor=0.5"]).max_grid_ratio is None
    with pytest.raises(InputError, match="max_grid_ratio is above 1"):
        override(DistillConfig(), ["max_grid_ratio=1"])
