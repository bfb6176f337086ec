import csv
import math
import os
import signal
from itertools import count
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from streamchar_ref.train.loop import Draw, Settings, Stage, TrainingDiverged, fit
from streamchar_ref.train.state import STATE, TrainState, load_state

SETTINGS = Settings(
    learning_rate=0.3, batch=16, num_steps=30, warmup_steps=3, ema_decay=0.9, log_every=5
)


class Line(Stage):
    """Learns y = 3 x + 1; ``broken_at`` makes a step's loss NaN."""

    name = "line"

    def __init__(self, *, broken_at: int = -1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(1, 1)
        self.broken_at = broken_at
        self.finished = 0

    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        x = torch.randn(draw.batch, 1, generator=draw.generator())
        loss = (self.layer(x).float() - 3 * x - 1).square().mean()
        return loss * (math.nan if draw.step == self.broken_at else 1), {"error": loss}

    def finish(self) -> None:
        self.finished += 1


def weights(stage: Stage) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in stage.parameters()]


def test_a_stage_learns_and_ends_with_its_averaged_weights(tmp_path: Path) -> None:
    stage = Line()
    state = fit(stage, SETTINGS, folder=tmp_path, max_minutes=1)
    assert state.is_done
    assert stage.finished == 1
    torch.testing.assert_close(stage.layer.weight.detach(), state.mean["layer.weight"])
    assert abs(stage.layer.weight.item() - 3) < 0.5


@pytest.mark.parametrize("cut", [1, 7, 29])
def test_a_run_that_was_cut_gives_the_same_weights(tmp_path: Path, cut: int) -> None:
    whole, again = Line(), Line()
    fit(whole, SETTINGS, folder=tmp_path / "whole", max_minutes=1)
    ticks = count()  # begin and end of every step, and the look at the deadline, take a second
    fit(
        again,
        SETTINGS,
        folder=tmp_path / "cut",
        max_minutes=(4 * cut) / 60,
        clock=lambda: float(next(ticks)),
    )
    resumed = Line()
    state = fit(resumed, SETTINGS, folder=tmp_path / "cut", max_minutes=1, resume=True)
    assert state.step == SETTINGS.num_steps
    for one, other in zip(weights(whole), weights(resumed), strict=True):
        assert torch.equal(one, other)


def test_a_run_stops_in_time_and_says_that_it_is_not_done(tmp_path: Path) -> None:
    ticks = count()
    state = fit(
        Line(), SETTINGS, folder=tmp_path, max_minutes=0.5, clock=lambda: float(next(ticks))
    )
    assert 0 < state.step < SETTINGS.num_steps
    assert not state.is_done


def test_steps_are_reckoned_from_the_time_limit(tmp_path: Path) -> None:
    ticks = count()
    state = fit(
        Line(),
        Settings(num_steps=0, batch=4, log_every=10),
        folder=tmp_path,
        max_minutes=5,
        clock=lambda: float(next(ticks)),
    )
    assert state.num_steps == pytest.approx(0.97 * 300 / 1, abs=1)


def test_without_steps_or_time_there_is_nothing_to_reckon_from(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="number of steps or a time limit"):
        fit(Line(), Settings(num_steps=0), folder=tmp_path, max_minutes=math.inf)


def test_a_loss_that_is_no_number_stops_with_step_and_last_good_state(tmp_path: Path) -> None:
    fit(Line(), Settings(num_steps=5, batch=4), folder=tmp_path, max_minutes=1)
    with pytest.raises(TrainingDiverged, match=r"nan at step 7; .* step 5 in"):
        fit(
            Line(broken_at=7),
            Settings(num_steps=20, batch=4),
            folder=_grown(tmp_path, 20),
            max_minutes=1,
            resume=True,
        )
    found = load_state(tmp_path, None, None)
    assert found is not None
    assert found.step == 5


def _grown(folder: Path, num_steps: int) -> Path:
    content = torch.load(folder / STATE, weights_only=True)
    content["state"]["num_steps"] = num_steps
    torch.save(content, folder / STATE)
    return folder


def test_a_full_disk_leaves_the_last_state_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(num_steps=4, batch=4)
    fit(Line(), settings, folder=tmp_path, max_minutes=1)
    before = (tmp_path / STATE).read_bytes()

    def full(content: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        fit(Line(), settings, folder=tmp_path, max_minutes=1)
    assert (tmp_path / STATE).read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_a_polite_request_to_end_saves_the_state(tmp_path: Path) -> None:
    class Interrupted(Line):
        def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
            if draw.step == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().forward(draw)

    state = fit(Interrupted(), SETTINGS, folder=tmp_path, max_minutes=1)
    assert state.step == 4
    kept = load_state(tmp_path, None, None)
    assert kept is not None
    assert kept.step == 4


def test_the_log_has_losses_norm_and_speed(tmp_path: Path) -> None:
    fit(Line(), SETTINGS, folder=tmp_path, max_minutes=1)
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == [5, 10, 15, 20, 25, 30]
    assert {"loss", "error", "gradient_norm", "samples_per_s", "flop_per_s"} <= set(rows[0])
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


def test_the_rate_rises_stays_and_falls_to_nothing() -> None:
    settings = Settings(learning_rate=1.0, warmup_steps=10, cooldown=0.4)
    rates = [settings.rate(step, 100) for step in range(101)]
    assert rates[0] == 0.1
    assert rates[10:60] == [1.0] * 50
    assert rates[80] == pytest.approx(0.5)
    assert rates[100] == 0.0


def test_no_state_is_none(tmp_path: Path) -> None:
    assert load_state(tmp_path, None, None) is None
    assert not TrainState().is_done
