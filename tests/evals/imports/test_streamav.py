"""The three kinds of results of StreamAV-Bench."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evals.commands.import_results import app
from evals.imports.streamav import PUBLIC, REPORT, read_streamav
from evals.scoring.results import read_scores
from reports.load import load_runs
from streamchar_ref.core.errors import InputError
from tests.evals.imports.files import by_sample, invoke, versa_file


def case(metric: str, value: float | None, status: str = "computed", **more: Any) -> dict[str, Any]:
    record = {"model_id": "m", "track": "progressive", "case_id": "P-1", "metric": metric}
    return record | {"value": value, "status": status} | more


def test_the_report_of_streamav_bench_has_cases_and_drifts(tmp_path: Path) -> None:
    report = {
        "schema_version": REPORT,
        "cases": [case("VQ", 3.5), case("AVSync", None, "generation_failure"), case("VQ.x", 1)],
        "instruction_drift_cases": [case("VID", 0.5)],
        "quality_drift": [
            {"model_id": "m", "track": "progressive", "metric": "VQ", "quality_drift": 0.25,
             "ci_low": 0.2, "ci_high": 0.3, "n_cases": 160},
        ],
    }  # fmt: skip
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report))
    assert list(read_streamav(path).left_out) == ["VQ.x"]
    invoke("streamav", path, "--run", tmp_path / "run")
    rows = {row.metric: row for row in read_scores(tmp_path / "run" / "scores.jsonl")}
    assert (rows["streamav_vq"].value, rows["streamav_vq"].system) == (3.5, "m")
    assert rows["streamav_vq"].suite == "streamav-progressive"
    assert rows["streamav_avsync"].status == "generation_failure"
    assert rows["streamav_vid"].value == 0.5
    drift = {one.metric: one for one in load_runs(tmp_path / "run").summaries}["streamav_vq_d"]
    assert (drift.value, drift.ci_low, drift.ci_high) == (0.25, 0.2, 0.3)


def test_tracks_of_a_report_stay_apart_whatever_the_suite(tmp_path: Path) -> None:
    tracks = ("progressive", "interactive")
    cases = [case("VQ", 3.0 + at, track=track) for at, track in enumerate(tracks)]
    cases.append(case("VQ", 1.0, track="interactive", case_id="I-1"))
    path, run = tmp_path / "report.json", tmp_path / "run"
    path.write_text(json.dumps({"schema_version": REPORT, "cases": cases}))
    invoke("streamav", path, "--run", run, "--suite", "s")
    summaries = load_runs(run).summaries
    assert {(one.suite, one.value) for one in summaries} == {
        ("s-progressive", 3.0), ("s-interactive", 2.5),
    }  # fmt: skip
    path.write_text(json.dumps({"schema_version": REPORT, "cases": cases[1:]}))
    invoke("streamav", path, "--run", tmp_path / "one", "--suite", "s")
    assert [one.suite for one in load_runs(tmp_path / "one").summaries] == ["s"]


def test_raw_intervals_of_streamav_bench_are_curves_values_and_drifts(tmp_path: Path) -> None:
    def record(interval: int, value: float | None, **more: Any) -> dict[str, Any]:
        one = case("", value, **more)
        del one["metric"]
        name = f"{one['case_id']}-{interval}"
        return {
            "schema_version": "streamavbench.raw-result.v2", "job_id": name, "metric_id": "VA",
            "interval": interval, "attempts": 1, **one,
        }  # fmt: skip

    lines = [record(k, float(k)) for k in range(1, 7)]
    lines.insert(0, record(1, None, status="evaluator_failure") | {"attempts": 0})
    lines += [record(k, 1.0, case_id="P-2") for k in range(1, 6)]
    updates = [("VUF", 2), ("VUF", 3), ("HDF-Adjacent", 4), ("HDF-3", 5), ("SC", None)]
    for metric, interval in updates:  # jobs of one update, or of the whole video
        name = f"{metric}-{interval}"
        lines.append(
            record(interval or 0, 1.0, metric_id=metric, job_id=name, track="interactive")
            | {"interval": interval}
        )
    path = versa_file(tmp_path / "raw.jsonl", "\n".join(map(json.dumps, lines)))
    found = read_streamav(path)
    assert found.left_out == {
        "VUF": "2 records; see report.json",
        **dict.fromkeys(("HDF-Adjacent", "HDF-3", "SC"), "1 records; see report.json"),
    }
    assert {one.metric.key for one in found.values} == {"VA", "VA-D"}
    values = by_sample(found, "streamav_va")
    assert values["P-1"].value == 3.5
    assert [w.value for w in values["P-1"].windows] == [1, 2, 3, 4, 5, 6]
    assert values["P-1"].windows[-1].t1_s == 180
    assert (values["P-2"].status, values["P-2"].value) == ("evaluator_failure", None)
    assert {n: v.value for n, v in by_sample(found, "streamav_va_d").items()} == {"P-1": 5.0}


def test_public_results_of_streamav_bench_are_one_number_a_model(tmp_path: Path) -> None:
    content = {
        "schema_version": PUBLIC,
        "models": [{"model_id": "a", "VQ": 3.0, "HDF": None}, {"model_id": "b", "VQ": 4.0}],
    }
    path = tmp_path / "public.json"
    path.write_text(json.dumps(content))
    invoke("streamav", path, "--run", tmp_path / "run")
    loaded = load_runs(tmp_path / "run")
    assert {(s.system, s.value) for s in loaded.summaries} == {("a", 3.0), ("b", 4.0)}
    done = CliRunner().invoke(app, ["streamav", str(path), "--run", "x", "--system", "mine"])
    assert (done.exit_code, "leave out --system" in done.output) == (2, True)
    for text in ('{"schema_version": "other"}', "{}\n{}", "no"):
        path.write_text(text)
        with pytest.raises(InputError, match=r"wanted is report\.json"):
            read_streamav(path)
