"""Training that is killed at any write, altered on disk, or started twice."""

import csv
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from streamchar_ref.commands.train import app
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.lock import only_writer
from streamchar_ref.core.sealed import index_bytes, seal
from streamchar_ref.loop.config import OptimConfig
from streamchar_ref.loop.stage import Draw, Stage
from streamchar_ref.loop.state import STATE
from streamchar_ref.model.checkpoint import (
    INDEX,
    Checkpoint,
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
)
from streamchar_ref.model.config import override, preset
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.train import run as module
from streamchar_ref.train.data_size import data_size
from streamchar_ref.train.run import TrainRun
from streamchar_ref.train.stages.spec import StageSpec, budgets
from tests.forks import fork
from tests.streamchar_ref.tiny import tiny_model

STEPS = 4
CHANGES = {"num_steps": STEPS, "batch": 2, "log_every": 1}
WRITES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}


class Toy(Stage):
    """Learns y = 3 x + 1; ``stopped_at`` is asked to end politely in a step."""

    name = "prompt"
    flops_per_sample = 1.0
    stopped_at = -1

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(1, 1)

    def forward(self, draw: Draw) -> tuple[Tensor, dict[str, Tensor]]:
        if draw.step == Toy.stopped_at:
            os.kill(os.getpid(), signal.SIGTERM)
        x = torch.randn(draw.batch, 1, generator=draw.generator())
        return (self.layer(x).float() - 3 * x - 1).square().mean(), {}

    def log_samples(self, folder: Path) -> None:
        (folder / "samples.png").write_bytes(b"a picture")


TOY = StageSpec(
    name=Toy.name,
    make=lambda model, data: Toy(),
    hands_over=("",),
    budgets=budgets(
        OptimConfig(learning_rate=2e-3, ema_decay=0.99),
        micro_minutes=1,
        base_minutes=1,
        base_batch=8,
    ),
)


MODEL = tiny_model()  # building one takes longer than the rest of a toy's training


def nothing_before(run: TrainRun, stage: str) -> tuple[StreamChar, Checkpoint]:
    return MODEL, Checkpoint(config=run.config, tensors={}, origin={}, digest="")


@pytest.fixture(autouse=True)
def _toy_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamchar_ref.train.stages.STAGES", (TOY,))
    monkeypatch.setattr("streamchar_ref.train.stages.all_stages", lambda config: (TOY,))
    monkeypatch.setattr(TrainRun, "model_before", nothing_before)


def run_in(folder: Path) -> TrainRun:
    return TrainRun(
        folder=folder, config=preset("tiny"), data_size=data_size("tiny"), stages=(TOY,)
    )


def train(folder: Path, *, stopped_at: int = -1) -> module.TrainState:
    Toy.stopped_at = stopped_at
    run = run_in(folder)
    with run.held():
        return run.train("prompt", minutes=1, resume=True, changes=CHANGES)


def weights(folder: Path) -> dict[str, bytes]:
    shards = (folder / "prompt" / "checkpoint").glob("*.safetensors")
    return {path.name: path.read_bytes() for path in shards}


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def killed_at(number: int, work: Callable[[], Any], below: Path) -> bool:
    """Does work in a copy of this process that is gone at its n-th change of a folder's files."""
    child = fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    numbers = count()

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in WRITES or not str(arguments[0]).startswith(str(below)):
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        if next(numbers) == number:
            os._exit(9)

    sys.addaudithook(look)
    try:
        work()
    finally:
        os._exit(0)


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped after two steps, whose checkpoint is of these."""
    folder = tmp_path_factory.mktemp("cut")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainRun, "model_before", nothing_before)
        assert train(folder, stopped_at=1).step == 2
    return folder


@pytest.mark.parametrize("is_begun", [False, True])
def test_a_run_killed_at_any_write_ends_with_the_same_weights(
    tmp_path: Path, cut: Path, is_begun: bool
) -> None:
    train(tmp_path / "whole")
    for number in count():
        folder = tmp_path / str(number)
        if is_begun:
            shutil.copytree(cut, folder)
        was_killed = killed_at(number, partial(train, folder), folder)
        if not was_killed:
            break
        if is_begun:
            load_checkpoint(folder / "prompt" / "checkpoint")  # a whole one is there at any time
        assert train(folder).step == STEPS
        assert weights(folder) == weights(tmp_path / "whole"), number
        assert tree(folder) == tree(tmp_path / "whole"), number
        with (folder / "prompt" / "log.csv").open() as file:
            assert [int(row["step"]) for row in csv.DictReader(file)] == [1, 2, 3, 4], number
    assert number > 10


def test_a_checkpoint_of_other_steps_is_not_reported_as_done(tmp_path: Path, cut: Path) -> None:
    train(tmp_path)
    whole = weights(tmp_path)
    stale = tmp_path / "prompt" / "checkpoint"
    shutil.rmtree(stale)
    shutil.copytree(cut / "prompt" / "checkpoint", stale)
    with pytest.raises(CheckpointError, match=r"state beside it.*train prompt --resume"):
        run_in(tmp_path).weights_so_far(("prompt",))
    assert train(tmp_path).step == STEPS
    assert weights(tmp_path) == whole
    assert load_checkpoint(stale).origin["prompt"]["steps"] == STEPS


def test_an_altered_byte_anywhere_in_a_run_is_refused_or_mended(tmp_path: Path) -> None:
    train(tmp_path)
    whole, stage = weights(tmp_path), tmp_path / "prompt"
    rng, refused, mended = random.Random(5), 0, 0
    for path in (stage / STATE, *sorted((stage / "checkpoint").iterdir())):
        before = path.read_bytes()
        for _ in range(40):
            content = bytearray(before)
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            if rng.random() < 0.25:
                content = content[: rng.randrange(len(content))]
            path.write_bytes(content)
            if path.name == STATE:
                with pytest.raises(InputError, match=STATE):
                    train(tmp_path)
                path.write_bytes(before)
                refused += 1
            else:
                train(tmp_path)
                mended += 1
            assert weights(tmp_path) == whole
    assert (refused, mended) == (40, 80)


def test_a_state_with_one_altered_moment_is_refused(tmp_path: Path, cut: Path) -> None:
    shutil.copytree(cut, tmp_path / "run")
    path = tmp_path / "run" / "prompt" / STATE
    content = torch.load(path, weights_only=True)
    content["optimizers"][""][0]["state"][0]["exp_avg"] += 1e-3
    torch.save(content, path)
    with pytest.raises(InputError, match=r"state\.pt was altered.*delete it and train"):
        train(tmp_path / "run")


def _resealed(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    seal(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["state"].update(step=float("nan")),
        lambda c: c["state"].update(step=-1),
        lambda c: c["state"].update(num_steps="4"),
        lambda c: c["state"].update(seconds=float("nan")),
        lambda c: c["state"].update(more=1),
        lambda c: c["state"].pop("mean"),
        lambda c: c["state"].update(mean=[1]),
        lambda c: c["state"]["mean"].pop("layer.weight"),
        lambda c: c["stage"].update({"layer.weight": torch.zeros(2)}),
        lambda c: c["stage"].update({"layer.weight": 3}),
        lambda c: c["stage"]["layer.weight"].fill_(float("nan")),
        lambda c: c["origin"].update(stage="teacher"),
        lambda c: c["origin"].update(config=""),
        lambda c: c["origin"].update(seed=9),
        lambda c: c.pop("origin"),
        lambda c: c.update(optimizers={}),
        lambda c: c.update(optimizers=[]),
        lambda c: c.update(optimizers=[1]),
        lambda c: c["optimizers"][""][0]["state"].update({7: {}}),
        lambda c: c["optimizers"][""][0]["state"].update({0: 5}),
        lambda c: c["optimizers"][""][0]["state"][0].update(exp_avg=torch.zeros(3)),
        lambda c: c["optimizers"][""][0]["state"][0].update(exp_avg=1.0),
        lambda c: c["optimizers"][""][0]["state"][0]["exp_avg"].fill_(float("inf")),
        lambda c: c["optimizers"][""][0].pop("param_groups"),
        lambda c: c["optimizers"][""][0].update(param_groups=[{}]),
    ],
)
def test_a_state_with_other_content_is_refused_in_one_line(
    tmp_path: Path, cut: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    shutil.copytree(cut, tmp_path / "run")
    path = tmp_path / "run" / "prompt" / STATE
    _resealed(path, change)
    with pytest.raises(InputError) as refused:
        train(tmp_path / "run")
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"PK", b"\0" * 500, b"{}", b"\x80\x04K\x01."])
def test_a_file_of_another_kind_is_no_state(tmp_path: Path, cut: Path, content: bytes) -> None:
    shutil.copytree(cut, tmp_path / "run")
    path = tmp_path / "run" / "prompt" / STATE
    path.write_bytes(content)
    with pytest.raises(InputError, match="delete it and train the stage again"):
        train(tmp_path / "run")
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match="is not a file"):
        train(tmp_path / "run")


def test_a_finished_stage_of_another_config_or_seed_is_not_taken(tmp_path: Path, cut: Path) -> None:
    shutil.copytree(cut, tmp_path / "run")
    run = run_in(tmp_path / "run")
    for other, name in (
        (replace(run, config=override(run.config, ["dit.expansion=[2, 2]"])), "config"),
        (replace(run, seed=3), "seed"),
    ):
        with pytest.raises(InputError, match=f"trained with another {name}: give the same"):
            other.train("prompt", minutes=1, resume=True, changes=CHANGES)
    sampled = replace(run, config=override(run.config, ["sampler.num_steps=9"]))
    assert sampled.train("prompt", minutes=1, resume=True, changes=CHANGES).is_done


def test_a_second_trainer_in_a_folder_is_refused(tmp_path: Path) -> None:
    arguments = ["prompt", "--preset", "tiny", "--out", str(tmp_path / "run"), "--steps", "2"]
    child = fork()
    if not child:
        with only_writer(tmp_path / "run", verb="train"):
            (tmp_path / "ready").touch()
            signal.pause()
    try:
        while not (tmp_path / "ready").exists():
            pass
        before = tree(tmp_path / "run")
        result = CliRunner().invoke(app, arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"process {child} on" in result.stderr
        assert len(result.stderr.splitlines()) == 1
        assert tree(tmp_path / "run") == before
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    result = CliRunner().invoke(app, arguments)  # a dead one holds nothing
    assert result.exit_code == 0, result.output


def test_what_a_killed_trainer_left_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "prompt"
    folder.mkdir()
    assert killed_at(3, partial(_write_for_ever, folder), folder)
    assert any(path.name.endswith(".part") for path in folder.iterdir())
    train(tmp_path)
    assert not [name for name in tree(tmp_path) if ".part" in name or name.endswith(".lock")]


def _write_for_ever(folder: Path) -> None:
    config = preset("tiny")
    for _ in count():
        save_checkpoint(folder / "checkpoint", {"a": torch.ones(3)}, config, origin={})


@pytest.mark.parametrize("size", [0, 1_000, 3_000, 3_600, 100_000])
def test_a_full_disk_is_one_line_and_the_next_run_goes_on(tmp_path: Path, size: int) -> None:
    child = fork()
    if not child:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        arguments = ["prompt", "--preset", "tiny", "--out", str(tmp_path), "--steps", "4"]
        result = CliRunner().invoke(app, arguments)
        lines = [line for line in result.stderr.splitlines() if line.startswith("error:")]
        os._exit(result.exit_code if size == 100_000 or len(lines) == 1 else 1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == (0 if size == 100_000 else 2)
    assert train(tmp_path).step == STEPS
    assert load_checkpoint(tmp_path / "prompt" / "checkpoint").origin["prompt"]["steps"] == STEPS


def test_an_index_that_names_files_elsewhere_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    save_checkpoint(folder, {"a": torch.ones(3)}, preset("tiny"), origin={})
    index = load_index(folder)
    (known,) = index["shards"].values()
    outside = tmp_path / "weights-00.safetensors"
    shutil.move(folder / "weights-00.safetensors", outside)
    names = (str(outside), "../weights-00.safetensors", "..", "", "a\\b", "a\0b", ".a")
    for name in names:
        (folder / INDEX).write_bytes(index_bytes(index | {"shards": {name: known}}))
        with pytest.raises(CheckpointError, match="no name of a file beside it"):
            load_checkpoint(folder)
    (folder / INDEX).write_bytes(index_bytes(index))
    (folder / "weights-00.safetensors").symlink_to(outside)
    with pytest.raises(CheckpointError, match="link out of its folder"):
        load_checkpoint(folder)


def load_index(folder: Path) -> dict[str, Any]:
    from streamchar_ref.core.sealed import read_index
    from streamchar_ref.model.checkpoint import VERSION

    index = read_index(folder / INDEX, version=VERSION, remedy="")
    del index["digest"]
    return index
