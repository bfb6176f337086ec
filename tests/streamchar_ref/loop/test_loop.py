import csv
import math
import os
import signal
from contextlib import nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import BinaryIO

import pytest
import torch
from torch import Tensor, nn

from streamchar_ref.core.sealed import seal
from streamchar_ref.loop.config import OptimConfig
from streamchar_ref.loop.fit import TrainingDiverged, fit
from streamchar_ref.loop.flops import FlopCounter
from streamchar_ref.loop.log import add_row, keep_rows
from streamchar_ref.loop.stage import Draw, Stage
from streamchar_ref.loop.state import STATE, TrainState, load_state
from streamchar_ref.model.config import preset
from tests.streamchar_ref.train.test_windows import stages

SETTINGS = OptimConfig(
    learning_rate=0.3, batch=16, num_steps=30, warmup_steps=3, ema_decay=0.9, log_every=5
)

MUON = replace(SETTINGS, learning_rate=0.03, muon=True)


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


class Deep(Line):
    """Learns the same through a matrix in a block."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(4, 4, bias=False)])
        self.enter, self.leave = nn.Linear(1, 4), nn.Linear(4, 1)

    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        x = torch.randn(draw.batch, 1, generator=draw.generator())
        found = self.leave(self.blocks[0](self.enter(x))).float()
        loss = (found - 3 * x - 1).square().mean()
        return loss, {"error": loss}


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
@pytest.mark.parametrize(("kind", "settings"), [(Line, SETTINGS), (Deep, MUON)])
def test_a_run_that_was_cut_gives_the_same_weights(
    tmp_path: Path, kind: type[Line], settings: OptimConfig, cut: int
) -> None:
    whole, again = kind(), kind()
    fit(whole, settings, folder=tmp_path / "whole", max_minutes=1)
    ticks = count()  # begin and end of every step, and the look at the deadline, take a second
    fit(
        again,
        settings,
        folder=tmp_path / "cut",
        max_minutes=(4 * cut) / 60,
        clock=lambda: float(next(ticks)),
    )
    resumed = kind()
    state = fit(resumed, settings, folder=tmp_path / "cut", max_minutes=1, resume=True)
    assert state.step == SETTINGS.num_steps
    for one, other in zip(weights(whole), weights(resumed), strict=True):
        assert torch.equal(one, other)


def test_muon_moves_the_matrices_in_blocks_as_far_as_adamw_would(tmp_path: Path) -> None:
    settings = replace(MUON, num_steps=1, warmup_steps=0, cooldown=0.0, weight_decay=0.0)
    moved = {}
    for muon in (False, True):
        stage = Deep()
        before = {name: p.detach().clone() for name, p in stage.named_parameters()}
        fit(stage, replace(settings, muon=muon), folder=tmp_path / str(muon), max_minutes=1)
        state = load_state(tmp_path / str(muon), stage, ())
        assert state is not None
        moved[muon] = {name: p.detach() - before[name] for name, p in stage.named_parameters()}
    plain, turned = moved[False].pop("blocks.0.weight"), moved[True].pop("blocks.0.weight")
    torch.testing.assert_close(moved[True], moved[False])
    assert not torch.allclose(turned, plain)
    assert 0.05 < turned.norm() / plain.norm() < 1.5


def test_a_state_of_other_optimisers_is_not_taken(tmp_path: Path) -> None:
    fit(Deep(), replace(MUON, muon=False), folder=tmp_path, max_minutes=1)
    with pytest.raises(ValueError, match="with other optimisers; start from the weights"):
        fit(Deep(), MUON, folder=tmp_path, max_minutes=1, resume=True)


def test_a_run_stops_in_time_and_says_that_it_is_not_done(tmp_path: Path) -> None:
    ticks = count()
    state = fit(
        Line(), SETTINGS, folder=tmp_path, max_minutes=0.5, clock=lambda: float(next(ticks))
    )
    assert 0 < state.step < SETTINGS.num_steps
    assert not state.is_done


@pytest.mark.parametrize("later_s", [1.0, 0.5, 1.5])
def test_steps_are_reckoned_from_the_time_limit_on_machines_that_change_their_speed(
    tmp_path: Path, later_s: float
) -> None:
    now_s = [0.0]

    class Timed(Line):
        def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
            now_s[0] += 1.0 if draw.step < 60 else later_s
            return super().forward(draw)

    settings = OptimConfig(num_steps=0, batch=4, log_every=10)
    state = fit(Timed(), settings, folder=tmp_path, max_minutes=5, clock=lambda: now_s[0])
    assert state.is_done
    assert 270 < now_s[0] <= 300
    assert state.num_steps == pytest.approx({1.0: 291, 0.5: 520, 1.5: 213}[later_s], rel=0.02)


def test_without_steps_or_time_there_is_nothing_to_reckon_from(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="number of steps or a time limit"):
        fit(Line(), OptimConfig(num_steps=0), folder=tmp_path, max_minutes=math.inf)


def test_a_loss_that_is_no_number_stops_with_step_and_last_good_state(tmp_path: Path) -> None:
    fit(Line(), OptimConfig(num_steps=5, batch=4), folder=tmp_path, max_minutes=1)
    with pytest.raises(TrainingDiverged, match=r"nan at step 7; .* step 5 in"):
        fit(
            Line(broken_at=7),
            OptimConfig(num_steps=20, batch=4),
            folder=_grown(tmp_path, 20),
            max_minutes=1,
            resume=True,
        )
    found = load_state(tmp_path, None, ())
    assert found is not None
    assert found.step == 5


def _grown(folder: Path, num_steps: int) -> Path:
    content = torch.load(folder / STATE, weights_only=True)
    content["state"]["num_steps"] = num_steps
    torch.save(content, folder / STATE)
    seal(folder / STATE)
    return folder


def test_a_full_disk_leaves_the_last_state_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = OptimConfig(num_steps=4, batch=4)
    fit(Line(), settings, folder=tmp_path, max_minutes=1)
    before = (tmp_path / STATE).read_bytes()

    save = torch.save

    def full(content: object, file: BinaryIO) -> None:
        file.write(b"half")
        with Path("/dev/full").open("wb") as disk:
            save(content, disk)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        fit(Line(), settings, folder=tmp_path, max_minutes=1)
    assert (tmp_path / STATE).read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {STATE, "log.csv"}


def test_a_polite_request_to_end_saves_the_state(tmp_path: Path) -> None:
    class Interrupted(Line):
        def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
            if draw.step == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().forward(draw)

    state = fit(Interrupted(), SETTINGS, folder=tmp_path, max_minutes=1)
    assert state.step == 4
    kept = load_state(tmp_path, None, ())
    assert kept is not None
    assert kept.step == 4


def test_the_log_has_losses_norm_and_speed(tmp_path: Path) -> None:
    fit(Line(), SETTINGS, folder=tmp_path, max_minutes=1)
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == [5, 10, 15, 20, 25, 30]
    assert {"loss", "error", "gradient_norm", "samples_per_s", "flop_per_s"} <= set(rows[0])
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


def test_the_log_leaves_out_a_part_where_a_batch_says_nothing_about_it(tmp_path: Path) -> None:
    class Sparse(Line):
        def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
            loss, _ = super().forward(draw)
            even = draw.step if draw.step % 2 == 0 else math.nan
            return loss, {"even": torch.tensor(float(even)), "never": torch.tensor(math.nan)}

    fit(Sparse(), SETTINGS, folder=tmp_path, max_minutes=1)
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [float(row["even"]) for row in rows[:2]] == [2.0, 7.0]
    assert all(math.isnan(float(row["never"])) for row in rows)


class Attending(Line):
    """A line behind attention, whose operations are known: 2 heads, 4 tokens of width 8."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(2, 4, 8))

    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        loss, _ = super().forward(draw)
        query = self.query.expand(draw.batch, 2, 4, 8)
        seen = nn.functional.scaled_dot_product_attention(query, query, query)
        return loss + 1e-3 * seen.square().mean(), {}


def test_operations_are_counted_in_the_first_step(tmp_path: Path) -> None:
    state = fit(Attending(), SETTINGS, folder=tmp_path, max_minutes=1)
    product = 2 * 2 * 4 * 4 * 8  # multiply and add, heads, tokens by tokens, width
    line = 2 + 2  # forward, and the gradient of the weight
    assert state.flops_per_sample == line + (2 + 5) * product  # backward redoes one product
    kept = load_state(tmp_path, None, ())
    assert kept is not None
    assert kept.flops_per_sample == state.flops_per_sample
    row = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))[-1]
    speed = float(row["samples_per_s"]) * state.flops_per_sample
    assert float(row["flop_per_s"]) == pytest.approx(speed, rel=0.01)


@pytest.mark.parametrize("number", [1, 3], ids=["video_vae", "teacher"])
def test_counting_operations_changes_no_bit(number: int) -> None:
    losses, gradients = [], []
    for counter in (nullcontext(), FlopCounter()):
        torch.manual_seed(0)
        stage = stages(preset("tiny"))[number]
        with counter:
            with torch.autocast("cpu", torch.bfloat16):
                loss, _ = stage(Draw(step=0, batch=2, seed=0))
            loss.backward()
        losses.append(loss.item())
        gradients.append([p.grad for p in stage.parameters() if p.grad is not None])
    assert losses[0] == losses[1]
    assert len(gradients[0]) > 10
    for one, other in zip(*gradients, strict=True):
        assert torch.equal(one, other)


def test_a_stage_that_knows_its_operations_is_not_counted(tmp_path: Path) -> None:
    stage = Line()
    stage.flops_per_sample = 5.0
    assert fit(stage, SETTINGS, folder=tmp_path, max_minutes=1).flops_per_sample == 5.0


def test_the_rate_rises_stays_and_falls_to_nothing() -> None:
    settings = OptimConfig(learning_rate=1.0, warmup_steps=10, cooldown=0.4)
    rates = [settings.rate(step, 100) for step in range(101)]
    assert rates[0] == 0.1
    assert rates[10:60] == [1.0] * 50
    assert rates[80] == pytest.approx(0.5)
    assert rates[100] == 0.0


def test_no_state_is_none(tmp_path: Path) -> None:
    assert load_state(tmp_path, None, ()) is None
    assert not TrainState().is_done


class Watched(Line):
    """Keeps in which precision its products are computed."""

    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        self.dtype = self.layer(torch.ones(1, 1)).dtype
        return super().forward(draw)


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        ({"avx2": True, "avx512_bf16": False}, torch.float32),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"neon": True, "bf16": True}, torch.bfloat16),
    ],
)
def test_a_processor_without_instructions_for_bfloat16_computes_in_float32(
    instructions: dict[str, bool],
    expected: torch.dtype,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions, raising=False)
    stage = Watched()
    fit(stage, replace(SETTINGS, num_steps=1), folder=tmp_path, max_minutes=1)
    assert stage.dtype == expected
    fit(stage, replace(SETTINGS, bfloat16=False), folder=tmp_path / "exact", max_minutes=1)
    assert stage.dtype == torch.float32


def test_a_log_whose_columns_were_cut_by_a_kill_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("step,seco")
    keep_rows(tmp_path, 10)
    add_row(tmp_path, {"step": 20, "seconds": 1.5})
    assert (tmp_path / "log.csv").read_text().split() == ["step,seconds", "20,1.5"]
