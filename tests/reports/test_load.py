from pathlib import Path

import pytest

import reports
from evals.scoring.results import ScoreRow, write_scores
from reports.load import load_runs
from tests.reports.factory import make_run, score_rows, window_rows


def test_a_run_becomes_tidy_frames(tmp_path: Path) -> None:
    runs = reports.load_runs(make_run(tmp_path / "one"))
    assert len(runs.long) == len(score_rows())
    assert len(runs.windows) == len(window_rows())
    assert runs.long["value"].isna().sum() == (runs.long["status"] != "computed").sum()
    assert set(runs.summary["metric"]) == set(runs.long["metric"])
    wer = runs.summary.query("metric == 'wer' and system == 'streamchar_base'").iloc[0]
    rows = runs.long.query("metric == 'wer' and system == 'streamchar_base'")
    assert wer["value"] == pytest.approx(
        (rows["value"] * rows["weight"]).sum() / rows["weight"].sum(), abs=1e-12
    )
    assert (wer["unit"], wer["higher_is_better"]) == ("1", False)


def test_one_run_named_twice_counts_once(tmp_path: Path) -> None:
    run = make_run(tmp_path / "one")
    assert len(load_runs([run, str(tmp_path / "*")]).rows) == len(score_rows())


def test_a_system_in_two_runs_keeps_both_results_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_run(tmp_path / name)
    runs = load_runs(str(tmp_path / "*"))
    assert len(runs.rows) == 2 * len(score_rows())
    assert {row.system for row in runs.rows if "streamchar" in row.system} == {
        "streamchar_base (one)",
        "streamchar_base (two)",
    }
    assert {row.system for row in runs.window_rows} == {row.system for row in runs.rows}


def test_parts_of_one_system_are_joined(tmp_path: Path) -> None:
    rows = score_rows()
    for name in ("dev_001", "dev_002"):
        (tmp_path / name).mkdir()
        part = [row for row in rows if row.sample_id == name]
        write_scores(tmp_path / name / "scores.jsonl", part)
    runs = load_runs([tmp_path / "dev_001", tmp_path / "dev_002"])
    assert {row.system for row in runs.rows} == {row.system for row in rows}


def test_a_folder_without_scores_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="streamchar score"):
        load_runs(tmp_path)


def test_a_notebook_shows_the_means_and_escapes_names(tmp_path: Path) -> None:
    (tmp_path / "<b>run").mkdir()
    rows = [ScoreRow(**(vars(row) | {"system": "<script>"})) for row in score_rows()[:3]]
    write_scores(tmp_path / "<b>run" / "scores.jsonl", rows)
    shown = load_runs(tmp_path / "<b>run")._repr_html_()
    assert "<script>" not in shown
    assert "<b>run" not in shown
    assert "wer" in shown
