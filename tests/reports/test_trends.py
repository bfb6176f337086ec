"""``streamchar trend``: what is printed, in which scale, and what is refused."""

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evals.scoring.results import read_scores, read_windows, write_scores, write_windows
from reports.commands.trend import app
from tests.reports.factory import SYSTEMS, make_run

BY_TWO = ("--metrics", "wer,id_distance", "--systems", "streamchar_base,cascade_a")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_run(tmp_path_factory.mktemp("trend") / "run", num_samples=6)
    told = {"roles": dict.fromkeys(SYSTEMS, "model"), "still": dict.fromkeys(SYSTEMS, False)}
    (made / "run.json").write_text(json.dumps(told))  # else systems are imported to ask them
    return made


def run(*arguments: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return done.exit_code, done.stdout, done.stderr


def test_percentages_are_printed_and_bounded_as_in_tables_and_stored_as_ratios(
    folder: Path, tmp_path: Path
) -> None:
    bound = ("--bound", "wer=1,id_distance=0.03")
    code, printed, _ = run(folder, *BY_TWO, *bound)
    assert code == 0
    ours, theirs, *identity = [line for line in printed.splitlines() if "long_horizon" in line]
    assert "| WER % | wer/default@1 | streamchar_base | 6 | 120 | 5.00 | 0.5" in ours
    assert ours.endswith("| inside ±1 |")
    assert "| 114 (+6 missing) |" in theirs
    assert theirs.endswith("| outside ±1 |")
    assert [line.split(" | ")[-1] for line in identity] == ["inside ±0.03 |", "outside ±0.03 |"]

    out = tmp_path / "trend.json"
    code, printed, _ = run(folder, *BY_TWO, *bound, "--format", "json", "--out", out)
    assert (code, out.read_text()) == (0, printed)
    rows = json.loads(printed)
    assert rows[0]["bound"] == 0.01
    assert rows[0]["slope"] == pytest.approx(0.006, abs=0.0005)
    assert run(folder, *BY_TWO, *bound, "--json")[1] == printed
    csv_rows = list(csv.DictReader(io.StringIO(run(folder, *BY_TWO, "--format", "csv")[1])))
    assert [float(row["slope"]) for row in csv_rows] == [row["slope"] for row in rows]
    assert {row["verdict"] for row in csv_rows} == {""}


def test_every_metric_with_windows_is_printed_by_default(folder: Path) -> None:
    code, printed, _ = run(folder, "--format", "json")
    assert code == 0
    assert {row["metric"] for row in json.loads(printed)} == {"wer", "id_distance", "mesh_sync"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--metrics", "rtf"), "no windows of 'rtf'; "),
        (("--metrics", "latency"), "no windows of latency; there are: wer, mesh_sync"),
        (("--systems", "ourz"), "no scores of system 'ourz'"),
        (("--bound", "rtf=1"), "--bound: 'rtf' has no windows here; there are: id_distance, "),
        (("--metrics", "wer", "--bound", "mesh_sync=1"), "'mesh_sync' has no windows here"),
        (("--bound", "wer=0"), "--bound wer=0: give a number larger than zero"),
        (("--bound", "wer=nan"), "give a number larger than zero"),
        (("--bound", "wer"), "--bound is metric=number, e.g. wer=0.01, not 'wer'"),
    ],
)
def test_what_cannot_be_told_is_refused(
    folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    code, printed, told = run(folder, *arguments)
    assert (code, printed) == (2, "")
    assert said in told


def test_a_run_without_windows_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    run_folder = Path(shutil.copytree(folder, tmp_path / "run"))
    write_windows(run_folder / "windows.csv", [])
    code, _, told = run(run_folder)
    assert code == 2
    assert "no windows over playing time there; score metrics that have a curve" in told


def test_a_run_in_which_no_slope_can_be_told_ends_with_1(folder: Path, tmp_path: Path) -> None:
    run_folder = Path(shutil.copytree(folder, tmp_path / "run"))
    windows = [row for row in read_windows(run_folder / "windows.csv") if row.t0_s < 30]
    write_windows(run_folder / "windows.csv", windows)
    code, printed, _ = run(run_folder, *BY_TWO)
    assert code == 1
    assert (
        "| 0 (+6 left out) | 0 | – | – | – | – | no recording has 3 measured windows |" in printed
    )


def test_curves_of_two_protocol_hashes_have_lines_of_their_own(
    folder: Path, tmp_path: Path
) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(folder, mixed)
    (mixed / "summary.json").unlink()
    rows = [
        replace(row, protocol_hash="f" * 12) if row.sample_id == "dev_001" else row
        for row in read_scores(mixed / "scores.jsonl")
    ]
    write_scores(mixed / "scores.jsonl", rows)
    _, one, _ = run(folder, "--metrics", "wer", "--format", "json")
    _, two, _ = run(mixed, "--metrics", "wer", "--format", "json")
    assert len(json.loads(two)) == 2 * len(json.loads(one))
    assert {line["n"] for line in json.loads(two)} == {1, 5}
    assert "#ffffffffffff" in run(mixed, "--metrics", "wer")[1]
