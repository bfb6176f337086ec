"""Trackers get the numbers of the log, step by step, and are optional."""

import csv
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.fit import fit
from streamchar_ref.loop.log import LOG
from streamchar_ref.loop.trackers import check_tracker, tracking
from tests.streamchar_ref.loop.test_loop import SETTINGS, Line


def test_tensorboard_reads_the_rows_of_the_log(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with tracking("tensorboard", tmp_path, "line") as track:
        fit(Line(), SETTINGS, folder=tmp_path / "stage", max_minutes=1, track=track)
    events = EventAccumulator(str(tmp_path / "tensorboard" / "line")).Reload()
    with (tmp_path / "stage" / LOG).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [5, 10, 15, 20, 25, 30]
    for name in ("loss", "error"):
        scalars = events.Scalars(name)
        assert [event.step for event in scalars] == [5, 10, 15, 20, 25, 30]
        logged = [float(row[name]) for row in rows]
        assert [event.value for event in scalars] == pytest.approx(logged, rel=1e-6)


class Fake(ModuleType):
    """Notes what is asked of it, as W&B and trackio are asked."""

    def __init__(self) -> None:
        super().__init__("fake")
        self.calls: list[tuple[Any, ...]] = []

    def init(self, **options: Any) -> None:
        self.calls.append(("init", options))

    def log(self, numbers: dict[str, float], *, step: int) -> None:
        self.calls.append(("log", step, numbers))

    def finish(self) -> None:
        self.calls.append(("finish",))


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_tracker_is_ended_even_if_training_fails(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Fake()
    monkeypatch.setitem(sys.modules, name, fake)

    def broken() -> None:
        with tracking(name, tmp_path, "run") as track:
            track({"loss": 0.5, "gap": math.nan}, 3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    asked = {"project": "streamchar", "name": "run"}
    asked |= {"dir": str(tmp_path)} if name == "wandb" else {}
    assert fake.calls == [("init", asked), ("log", 3, {"loss": 0.5}), ("finish",)]


def test_a_tracker_that_cannot_be_had_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(InputError, match=r"pip install 'streamchar\[track-wandb\]'"):
        check_tracker("wandb")
    with pytest.raises(InputError, match="none of tensorboard, wandb, trackio"):
        check_tracker("mlflow")
    with tracking("", tmp_path, "run") as track:
        track({"loss": 1.0}, 1)
    assert not list(tmp_path.iterdir())
