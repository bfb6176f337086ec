import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from streamchar_ref.loop.parallel import DistContext, gather_full
from streamchar_ref.loop.state import STATE, load_state
from tests.streamchar_ref.loop.team_of_two import SETTINGS, Net, fitted
from tests.streamchar_ref.loop.test_groups import SETTINGS as GROUPED
from tests.streamchar_ref.loop.test_groups import Pair

ROOT = Path(__file__).parents[3]
BOTH = (0, 1)
Found = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes under torchrun have trained, all cases in one go."""
    out = tmp_path_factory.mktemp("two")
    command = ["--standalone", "--nproc-per-node=2", "-m", "tests.streamchar_ref.loop.team_of_two"]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *command, str(out)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def found(folder: Path) -> tuple[Found, Found]:
    """What each of the two processes reports."""
    first, second = (torch.load(folder / f"found-{rank}.pt", weights_only=True) for rank in BOTH)
    return first, second


def alone(folder: Path, **kind: Any) -> Found:
    """One process that draws the batches of both."""
    return fitted(Net(ranks=BOTH, **kind), folder)


def assert_near(ones: dict[str, Tensor], others: dict[str, Tensor]) -> None:
    assert ones.keys() == others.keys()
    for name, one in ones.items():
        torch.testing.assert_close(one, others[name], rtol=1e-4, atol=2e-5, msg=name)


def assert_equal(ones: dict[str, Tensor], others: dict[str, Tensor]) -> None:
    assert ones.keys() == others.keys()
    assert [name for name, one in ones.items() if not torch.equal(one, others[name])] == []


@pytest.mark.parametrize("case", ["copied", "spread", "teacher_copied", "teacher_spread", "pair"])
def test_both_processes_end_with_the_same_weights(found: tuple[Found, Found], case: str) -> None:
    assert_equal(found[0][case]["weights"], found[1][case]["weights"])
    assert_equal(found[0][case]["mean"], found[1][case]["mean"])


def test_copies_learn_what_one_process_learns_from_the_batches_of_both(
    found: tuple[Found, Found], tmp_path: Path
) -> None:
    assert_near(found[0]["copied"]["weights"], alone(tmp_path, is_uneven=True)["weights"])


def test_a_spread_stage_learns_what_one_process_learns_from_the_batches_of_both(
    found: tuple[Found, Found], tmp_path: Path
) -> None:
    assert found[0]["spread"]["was_spread"]
    assert_near(found[0]["spread"]["weights"], alone(tmp_path)["weights"])


def test_the_teacher_learns_the_same_copied_and_spread(found: tuple[Found, Found]) -> None:
    copied, spread = found[0]["teacher_copied"], found[0]["teacher_spread"]
    assert_near(copied["weights"], spread["weights"])


def test_groups_of_weights_learn_what_one_process_learns_from_the_batches_of_both(
    found: tuple[Found, Found], tmp_path: Path
) -> None:
    single = fitted(Pair(ranks=BOTH), tmp_path, GROUPED)
    assert_near(found[0]["pair"]["weights"], single["weights"])
    assert_near(found[0]["pair"]["mean"], single["mean"])


def test_a_stage_with_several_groups_is_not_spread(found: tuple[Found, Found]) -> None:
    for each in found:
        assert "several groups of weights cannot be spread" in each["pair_spread"]["message"]


def test_a_spread_stage_is_an_ordinary_one_afterwards(found: tuple[Found, Found]) -> None:
    for each in found:
        assert each["spread"]["class"] == "Net"
        assert all(type(t) is Tensor for t in each["spread"]["weights"].values())


def test_a_weight_without_gradient_stays(found: tuple[Found, Found]) -> None:
    for case in ("copied", "spread"):
        weights = found[0][case]["weights"]
        assert torch.equal(weights["unused"], torch.ones(5))
        assert torch.equal(weights["logged"], torch.ones(5))
    assert not torch.equal(found[0]["copied"]["weights"]["second"], torch.ones(5))


def test_only_the_first_process_writes(folder: Path) -> None:
    assert {path.name for path in (folder / "copied-0").iterdir()} == {STATE, "log.csv", "picture"}
    assert list((folder / "copied-1").iterdir()) == []


def test_the_log_averages_over_processes_without_those_that_say_nothing(
    folder: Path, tmp_path: Path
) -> None:
    alone(tmp_path)
    together, single = rows(folder / "spread"), rows(tmp_path)
    assert [row["step"] for row in together] == [4, 8, 12]
    for one, other in zip(together, single, strict=True):
        for name in ("loss", "first", "gradient_norm", "learning_rate"):
            assert one[name] == pytest.approx(other[name], rel=1e-3)


def rows(folder: Path) -> list[dict[str, float]]:
    lines = (folder / "log.csv").read_text().splitlines()
    return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(lines)]


def test_a_request_to_end_to_one_process_ends_both_at_the_same_step(
    found: tuple[Found, Found], folder: Path
) -> None:
    assert [each["interrupted"]["step"] for each in found] == [4, 4]
    state = load_state(folder / "interrupted", None, ())
    assert state is not None
    assert state.step == 4


def test_the_time_limit_of_one_process_ends_both_at_the_same_step(
    found: tuple[Found, Found],
) -> None:
    first, second = (each["cut"]["step"] for each in found)
    assert 0 < first == second < SETTINGS.num_steps


def test_the_first_process_reckons_the_steps_of_both(found: tuple[Found, Found]) -> None:
    first, second = (each["planned"]["num_steps"] for each in found)
    assert first == second
    assert 100 < first < 600, "the clock of the second process would give ten times as many"


def test_a_broken_loss_in_one_process_stops_both(found: tuple[Found, Found]) -> None:
    for each in found:
        assert (
            "the loss is nan at step 2; the last good state is step 0" in each["broken"]["message"]
        )


def test_a_spread_stage_that_was_cut_goes_on_as_if_it_had_not(found: tuple[Found, Found]) -> None:
    for each in found:
        assert each["resumed"]["step"] == SETTINGS.num_steps
        assert_equal(each["resumed"]["weights"], each["spread"]["weights"])
        assert_equal(each["resumed"]["mean"], each["spread"]["mean"])


def test_one_process_goes_on_from_the_spread_state_of_two(
    found: tuple[Found, Found], folder: Path, tmp_path: Path
) -> None:
    shutil.copy(folder / "cut_copy" / STATE, tmp_path / STATE)
    resumed = fitted(Net(ranks=BOTH), tmp_path, resume=True)
    assert found[0]["cut"]["step"] < resumed["step"] == SETTINGS.num_steps
    assert_near(resumed["weights"], found[0]["spread"]["weights"])
    assert_near(resumed["mean"], found[0]["spread"]["mean"])


def test_a_process_alone_is_a_team_of_one() -> None:
    team, stage = DistContext.of_this_process(), Net()
    assert (team.rank, team.size, team.is_first) == (0, 1, True)
    assert team.all_true(True)
    assert not team.all_true(False)
    assert team.broadcast(3) == 3
    assert team.total([1.0, 2.0]) == [1.0, 2.0]
    assert team.wrap(stage) is stage
    assert gather_full({"a": [torch.ones(1), 2]}) == {"a": [torch.ones(1), 2]}
