"""The ablation table, its contrasts, and the command that makes them."""

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from baselines.ablations.rows import ROWS
from baselines.ablations.trainer import Outcome, Status
from evals.recording import workers
from evals.recording.role import Role
from evals.scoring.choice import choose_metrics
from evals.scoring.results import ScoreRow
from reports.ablation import AblationLine, ablation_csv, ablation_grid
from reports.build import build_report
from reports.commands import ablate
from reports.contrasts import compare_rows, compare_trainings, trainings_markdown
from reports.load import Runs
from reports.render import grid_latex, grid_markdown
from reports.tables import Table, wide
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.executor import InProcess
from streamchar_ref.loop import config
from tests.baselines.ablations.fakes import FakeTrainer, make_flicker
from tests.reports.factory import INFOS

LEVELS = {"ground_truth": 0.02, "teacher_4": 0.06, "full": 0.05, "no_sink": 0.2}
LINES = (
    AblationLine(name="ground_truth", group="reference"),
    AblationLine(name="teacher_4", group="teacher", passes=8),
    AblationLine(name="full", group="student", passes=4, num_trainings=3, is_trained=True),
    AblationLine(name="no_sink", group="ablation", passes=4, num_trainings=1, is_trained=True),
    AblationLine(
        name="no_pointer", group="ablation", passes=4, is_trained=True, is_missing=True,
        reason="not trained: the critic's loss tripled",
    ),
)  # fmt: skip


def score(system: str, metric: str, sample: int, seed: int, value: float) -> ScoreRow:
    return ScoreRow(
        sample_id=f"p{sample}", system=system, suite="dev", seed=seed, metric=metric,
        protocol=f"{metric}/default@1", protocol_hash="0" * 12, domain="world", value=value,
        weight=1.0, status="computed", reason="", components={},
    )  # fmt: skip


def scores() -> Runs:
    """Ten prompts, two metrics; ``full`` and its teacher with three seeds."""
    rng = np.random.default_rng(0)
    rows = []
    for system, level in LEVELS.items():
        for seed in range(3 if system in ("full", "teacher_4") else 1):
            shift = {0: 0.0, 1: 0.01, 2: 0.05}[seed] if system == "full" else 0.0
            for sample in range(10):
                wer = level + shift + 0.003 * rng.standard_normal()
                rows += [score(system, "wer", sample, seed, wer)]
                rows += [score(system, "rtf", sample, seed, 10 * level)]
    roles = dict.fromkeys(LEVELS, Role.MODEL) | {"ground_truth": Role.CEILING}
    return Runs(paths=(), rows=tuple(rows), window_rows=(), infos=INFOS, roles=roles)


@pytest.fixture(scope="module")
def runs() -> Runs:
    return scores()


@pytest.fixture(scope="module")
def table(runs: Runs) -> Table:
    names = [line.name for line in LINES]
    (one,) = wide(runs.summaries, metrics=["rtf", "wer"], systems=names, roles=runs.roles)
    return one


def test_rows_stand_in_groups_with_what_they_cost(table: Table) -> None:
    grid = ablation_grid(table, LINES)
    texts = [[cell.text for cell in row] for row in grid.rows]
    assert [row[:4] for row in texts] == [
        ["reference", "ground_truth", "–", "–"],
        ["teacher", "teacher_4", "8", "–"],
        ["student", "full", "4", "3"],
        ["ablation", "no_sink", "4", "1"],
        ["", "no_pointer", "4", "0"],
    ]
    assert grid.rows[3][3].aside == "single"
    assert any("single: one training run" in note for note in grid.notes)
    assert any("draw prompts, not trainings" in note for note in grid.notes)


def test_a_row_that_failed_has_nan_and_the_reason_never_a_number(table: Table) -> None:
    grid = ablation_grid(table, LINES)
    assert [cell.text for cell in grid.rows[-1][4:]] == ["NaN", "NaN", LINES[-1].reason]
    assert "not trained: the critic's loss tripled" in grid_markdown(grid)
    assert grid_latex(grid).count("&") == (len(grid.head) - 1) * (1 + len(grid.rows))
    no_longer = [replace(line, is_missing=True, reason="stopped") for line in LINES]
    texts = {cell.text for row in ablation_grid(table, no_longer).rows for cell in row[4:]}
    assert texts == {"NaN", "stopped"}, "earlier scores of a failed row are not shown"


def test_without_failures_there_is_no_column_of_reasons(table: Table) -> None:
    assert ablation_grid(table, LINES[:-1]).head[-1].text != "reason"


def test_the_csv_has_all_rows_and_full_precision(table: Table) -> None:
    rows = list(csv.DictReader(ablation_csv([table], LINES).splitlines()))
    assert len(rows) == 2 * len(LINES)
    by_name = {(row["system"], row["metric"]): row for row in rows}
    assert float(by_name["no_sink", "rtf"]["value"]) == pytest.approx(2.0)
    failed = by_name["no_pointer", "wer"]
    assert (failed["value"], failed["reason"]) == ("nan", LINES[-1].reason)


def test_each_row_is_compared_with_what_it_declares_alone(runs: Runs) -> None:
    declared = {"full": ("teacher_4", "absent"), "no_sink": ("full",), "no_pointer": ("full",)}
    found = compare_rows(runs, declared, ["wer"])
    pairs = {name: [(one.system, one.against) for one in each] for name, each in found.items()}
    assert pairs == {"full": [("full", "teacher_4")], "no_sink": [("no_sink", "full")]}
    (worse,) = found["no_sink"]
    assert worse.verdict == "worse"
    assert worse.delta == pytest.approx(0.15, abs=0.01)
    assert worse.n_pairs == 10, "on the seed that both have"


def test_several_trainings_widen_the_interval(runs: Runs) -> None:
    declared = {"full": ("teacher_4",), "no_sink": ("full",)}
    (one,) = compare_trainings(runs, declared, ["wer"], "dev")
    assert set(one.by_training) == {0, 1, 2}
    assert one.mean.value == pytest.approx(0.01, abs=0.005)
    assert one.mean.low < 0 < one.mean.high, "three trainings that disagree show nothing"
    assert one.mean.error_of_trainings > 3 * one.mean.error_of_clusters
    assert "by training" in trainings_markdown([one])


def test_trainings_are_compared_by_absolute_values_where_zero_is_best() -> None:
    rows = [
        score(system, "mesh_offset_ms", sample, seed, sign * (40.0 + sample))
        for system, sign in (("full", 1), ("teacher_4", -1))
        for sample in range(5)
        for seed in (0, 1)
    ]
    runs = Runs(paths=(), rows=tuple(rows), window_rows=(), infos=INFOS)
    (one,) = compare_trainings(runs, {"full": ("teacher_4",)}, ["mesh_offset_ms"], "dev")
    assert (one.mean.value, one.by_training) == (0.0, {0: 0.0, 1: 0.0})
    assert "| |mesh offset| ms |" in trainings_markdown([one]).replace("\\", "")


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTrainer:
    """A suite of one prompt, and in the place of networks what takes no time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path / "cache"))
    Image.new("RGB", (32, 32), "teal").save("face.png")
    prompt = {"prompt_id": "p", "transcript": "Oh.", "reference_path": "face.png"}
    Path("own.jsonl").write_text(json.dumps(prompt) + "\n")
    trainer = FakeTrainer()
    monkeypatch.setattr(ablate, "_trainer", lambda *settings: trainer)
    monkeypatch.setattr(
        ablate, "choose_metrics", lambda names, protocol: choose_metrics(["rtf"], protocol)
    )
    monkeypatch.setattr(ablate, "RowRecorder", partial(ablate.RowRecorder, make=make_flicker))
    no_media: dict[str, Any] = {"player": lambda recording: None, "strip": lambda recording: []}
    monkeypatch.setattr(ablate, "build_report", partial(build_report, **no_media))
    return trainer


def given(*arguments: str) -> Result:
    fixed = ("--out", "run", "--suite", "own.jsonl", "--device", "cpu", "--jobs", "1")
    return CliRunner().invoke(ablate.app, [*arguments, *fixed])


def streams(root: Path) -> Mapping[str, Any]:
    return {
        str(path.relative_to(root)): json.loads(path.read_text())
        for path in root.glob("*/*/*/*/meta.json")
    }


def test_one_command_trains_records_scores_and_compares(suite: FakeTrainer) -> None:
    done = given("--only", "full,teacher_2,one_chunk_rollout", "--seeds", "0,1")
    assert done.exit_code == 0, done.output
    assert len(suite.trained) == 8
    metas = streams(Path("run/recordings"))
    assert len(metas) == 8, "four systems, two seeds of training, one prompt"
    assert {meta["prompt_hash"] for meta in metas.values()} == {
        metas["full/own/p/0/meta.json"]["prompt_hash"]
    }
    assert "dmd_rollout-s1" in metas["full/own/p/1/meta.json"]["settings"]["trained"]
    text = Path("run/tables/ablation.md").read_text()
    assert "| student | full | 4 | 2 |" in text
    assert "teacher_2" in Path("run/compared/compare.md").read_text()
    for name in ("report.html", "tables/ablation.tex", "tables/ablation.csv", "scores.jsonl"):
        assert Path("run", name).is_file(), name
    again = given("--only", "full,teacher_2,one_chunk_rollout", "--seeds", "0,1", "--skip-scoring")
    assert again.exit_code == 0
    assert len(suite.trained) == 8, "the same command again trains nothing"


def test_a_diverged_row_is_in_the_table_with_its_reason(suite: FakeTrainer) -> None:
    reason = "dmd_chunk: stopped at step 40, since the picture ratio is .9"
    suite.outcomes["dmd_chunk"] = Outcome(status=Status.DIVERGED, reason=reason)
    done = given("--only", "regress_only,stage1_only", "--json")
    assert done.exit_code == 1, done.output
    rows = {row["name"]: row for row in json.loads(done.stdout)["rows"]}
    assert rows["stage1_only"]["reason"] == f"not trained: {reason}"
    assert not rows["regress_only"]["is_missing"]
    text = Path("run/tables/ablation.md").read_text()
    assert [line.count("NaN") for line in text.splitlines() if "stage1_only" in line] == [1]


def test_a_system_that_cannot_be_made_is_a_row_without_numbers(
    suite: FakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(name: str, settings: Mapping[str, Any]) -> object:
        if settings.get("network") == "student":
            raise InputError("no network 'student'")
        return make_flicker(name, settings)

    monkeypatch.setattr(ablate, "RowRecorder", partial(ablate.RowRecorder, make=make))
    done = given("--only", "full,teacher_2", "--skip-scoring")
    assert done.exit_code == 1
    assert "full: not recorded: no network 'student'" in done.stdout
    assert "teacher_2: recorded" in done.stdout


def test_rows_are_recorded_by_workers(suite: FakeTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablate, "check_workers", lambda executor: None)
    monkeypatch.setattr(ablate, "open_executor", lambda *_, gpus: InProcess())
    monkeypatch.setattr(workers, "make_system", make_flicker)
    done = given("--only", "full,teacher_2", "--executor", "slurm")
    assert done.exit_code == 0, done.output
    notes = {meta["timing_note"] for meta in streams(Path("run/recordings")).values()}
    assert notes == {workers.BESIDE_OTHERS}


def test_a_grid_keeps_the_precision_in_which_its_device_trains(
    suite: FakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for is_half, status in ((True, 0), (False, 2), (True, 0)):
        monkeypatch.setattr(config, "has_bfloat16", lambda device, is_half=is_half: is_half)
        done = given("--preset", "tiny", "--only", "teacher_2", "--skip-scoring")
        assert done.exit_code == status
    assert suite.trained == []


def test_changed_settings_are_refused_before_anything_is_trained(suite: FakeTrainer) -> None:
    assert given("--only", "teacher_2", "--skip-scoring").exit_code == 0
    refused = given("--only", "full", "--minutes-per-stage", "3")
    assert refused.exit_code == 2
    assert "begun with --minutes-per-stage 0" in refused.stderr
    assert suite.trained == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--only", "no_snik"), "did you mean 'no_sink'"),
        (("--seeds", "0,x"), "--seeds is a list such as 0,1,2"),
        (("--seeds", ","), "--seeds is a list"),
        (("--minutes-per-stage", "nan"), "--minutes-per-stage"),
    ],
)
def test_bad_input_is_one_line(suite: FakeTrainer, arguments: tuple[str, ...], words: str) -> None:
    refused = given(*arguments)
    assert refused.exit_code == 2
    assert words in refused.stderr
    assert not Path("run").exists()


def test_the_rows_are_listed_without_a_folder() -> None:
    listed = CliRunner().invoke(ablate.app, ["--list"])
    assert listed.exit_code == 0
    assert all(row.name in listed.stdout for row in ROWS)
    assert "full with visible=no_sink" in listed.stdout
    assert "[Table 2: StreamChar w/o sink chunk]" in listed.stdout
    as_json = json.loads(CliRunner().invoke(ablate.app, ["--list", "--json"]).stdout)
    assert [row["name"] for row in as_json] == [row.name for row in ROWS]
    missing = CliRunner().invoke(ablate.app, [])
    assert missing.exit_code == 2
    assert "--out RUN" in missing.stderr
