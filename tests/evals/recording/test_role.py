"""Systems declare what their rows are for, and runs keep it."""

import json
from pathlib import Path

import pytest

from evals.recording.contract import problems_with_system
from evals.recording.make_system import make_system
from evals.recording.record import record
from evals.recording.role import Role
from evals.recording.run_folder import read_recording, read_run
from evals.recording.system import installed_is_still, installed_role, installed_systems
from evals.scoring.merge import merge
from evals.scoring.persist import score_run
from evals.scoring.score import Options
from reports.load import load_runs
from tests.evals.recording.test_record import Scripted, plan, prompt, recorded
from tests.evals.toys import First, toy_extractors  # noqa: F401

CONTROLS = {
    "ground_truth": Role.CEILING,
    "vae_round_trip": Role.CEILING,
    "static_portrait": Role.FLOOR,
    "cascade_oracle": Role.NEGATIVE_CONTROL,
    "frozen_picture": Role.NEGATIVE_CONTROL,
    "one_take": Role.NEGATIVE_CONTROL,
    "shifted_sound": Role.NEGATIVE_CONTROL,
    "shuffled_audio": Role.NEGATIVE_CONTROL,
}


@pytest.mark.parametrize("name", sorted(installed_systems()))
def test_installed_systems_are_models_but_for_the_controls(name: str) -> None:
    assert installed_role(name) is CONTROLS.get(name, Role.MODEL)


def test_what_is_not_installed_is_a_model() -> None:
    assert installed_role("somebody_elses") is Role.MODEL


def test_an_unknown_role_breaks_the_contract() -> None:
    system = make_system("static_portrait", {})
    assert problems_with_system(system) == []
    system.role = "baseline"
    (problem,) = problems_with_system(system)
    assert "role is 'baseline': set it to one of ceiling, floor, negative_control, model" in problem


class Wrong(Scripted):
    """A negative control."""

    role = "negative_control"
    is_still = True


def score(run: Path) -> None:
    recordings = [read_recording(recorded(run, "p"))]
    metrics = [First("brightness", "level")]
    score_run(
        run,
        recordings,
        metrics=metrics,
        set_metrics=[],
        options=Options(jobs=1),
        progress=lambda *_: None,
    )


def test_the_role_goes_from_the_system_to_recording_run_and_table(tmp_path: Path) -> None:
    run = tmp_path / "run"
    record(Wrong([0.1, 0.1]), [prompt()], plan(run))
    assert read_recording(recorded(run, "p")).role is Role.NEGATIVE_CONTROL
    score(run)
    assert read_run(run)["roles"] == {"scripted": "negative_control"}
    assert load_runs(run).roles == {"scripted": Role.NEGATIVE_CONTROL}
    assert read_run(run)["still"] == {"scripted": True}
    merge([run], tmp_path / "joined")
    joined = load_runs(tmp_path / "joined")
    assert joined.roles == {"scripted": Role.NEGATIVE_CONTROL}
    assert joined.still == {"scripted"}


def test_a_system_that_declares_nothing_is_a_model(tmp_path: Path) -> None:
    run = tmp_path / "run"
    record(Scripted([0.1]), [prompt()], plan(run))
    assert read_recording(recorded(run, "p")).role is Role.MODEL


def test_an_older_run_takes_roles_from_the_installed_systems(tmp_path: Path) -> None:
    run = tmp_path / "run"
    record(Wrong([0.1, 0.1]), [prompt()], plan(run))
    score(run)
    entries = json.loads((run / "run.json").read_text())
    del entries["roles"], entries["still"]
    (run / "run.json").write_text(json.dumps(entries))
    older = load_runs(run)
    assert (older.roles, older.still) == ({"scripted": Role.MODEL}, set())
    assert [installed_is_still(name) for name in ("frozen_picture", "ground_truth")] == [
        True,
        False,
    ]
