"""``evals.evaluate`` and its results, as a notebook uses them."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import evals
import reports
from evals import evaluate
from evals.metrics import TAKES_METRICS
from evals.recording.manifest import load_manifest
from evals.scoring.choice import choose_metrics, names_of
from evals.scoring.evaluate import Results
from evals.scoring.persist import score_run
from evals.scoring.results import ScoreRow
from evals.scoring.run_reader import RunReader
from evals.scoring.score import Options
from evals.scoring.summary_table import HEADS
from tests.evals.recording.test_media_files import video
from tests.evals.scoring.test_results import row


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos") / "mine"
    for name in ("a", "b"):
        video(folder / f"{name}.mp4")
    line = {"system": "mine", "transcript": "hello"}
    lines = [line | {"sample_id": name, "video_path": f"{name}.mp4"} for name in ("a", "b")]
    (folder / "m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


@pytest.fixture(autouse=True)
def _cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMCHAR_CACHE", str(folder.parent / "cache"))


def scored(source: object, metrics: object = "colour_drift") -> Results:
    return evals.evaluate(source, metrics=metrics, jobs=1)  # type: ignore[arg-type]


def test_it_can_be_called_and_imported_any_number_of_times(folder: Path) -> None:
    first = scored(folder / "m.jsonl")
    assert evals.evaluate is evaluate
    assert scored(folder / "m.jsonl").rows == first.rows
    assert evals.evaluate is evaluate
    assert callable(reports.load_runs)
    code = (
        "import evals.scoring.evaluate, evals; from evals import evaluate; "
        "assert callable(evals.evaluate)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'evaluates'"):
        evals.evaluates  # noqa: B018


def test_every_source_gives_the_same_values(folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "m.jsonl").read_text().splitlines()]
    rows = [one | {"video_path": str(folder / one["video_path"])} for one in rows]
    sources = [
        folder / "m.jsonl", str(folder / "m.jsonl"), folder, str(folder), rows, pd.DataFrame(rows),
        [folder / "a.mp4", str(folder / "b.mp4")],
    ]  # fmt: skip
    found = [{one.sample_id: one.value for one in scored(source).rows} for source in sources]
    assert all(one == found[0] for one in found)
    assert found[0].keys() == {"a", "b"}


def test_a_manifest_gives_what_a_run_folder_holds_and_leaves_no_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score_run(
        tmp_path / "run",
        load_manifest(folder / "m.jsonl"),
        metrics=choose_metrics([], "all")[0],
        set_metrics=TAKES_METRICS,
        options=Options(),
        progress=lambda what, done, total: None,
    )
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    results = evaluate(folder / "m.jsonl", protocol="all", jobs=1)
    run = RunReader(tmp_path / "run")
    samples = [row for row in results.rows if row.sample_id in {"a", "b"}]
    assert sorted(samples, key=lambda row: row.key) == run.rows()
    assert results.windows == run.windows() != []
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_data_frame_may_have_gaps_and_floats(folder: Path) -> None:
    frame = pd.DataFrame(
        {
            "sample_id": ["a", "b"],
            "system": ["mine", "mine"],
            "video_path": [str(folder / "a.mp4"), str(folder / "b.mp4")],
            "transcript": ["hello", None],
            "seed": [1.0, np.nan],
        }
    )
    assert [(one.sample_id, one.seed) for one in scored(frame).rows] == [("a", 1), ("b", 0)]


@pytest.mark.parametrize(
    ("metrics", "names"),
    [
        ("wer", ["wer"]),
        ("wer,cer", ["wer", "cer"]),
        ("wer, cer", ["wer", "cer"]),
        (["wer", "cer"], ["wer", "cer"]),
        ((), []),
        ("", []),
    ],
)
def test_names_come_as_text_or_list(metrics: str | list[str], names: list[str]) -> None:
    assert names_of(metrics) == names


@pytest.mark.parametrize(
    ("source", "metrics", "message"),
    [
        ("m.jsonl", "colour_drft", "did you mean 'colour_drift'"),
        ("none.jsonl", "colour_drift", "no such file"),
        ([], "colour_drift", "a path, a list of paths"),
        ([{"sample_id": "a"}], "colour_drift", "row 0: field 'system' is missing"),
        ([{"smple_id": "a"}], "colour_drift", "row 0: .* did you mean 'sample_id'"),
    ],
)
def test_what_is_wrong_is_a_value_error_that_says_so(
    folder: Path, source: object, metrics: str, message: str
) -> None:
    path = folder / source if isinstance(source, str) else source
    with pytest.raises(ValueError, match=message):
        scored(path, metrics)


def results() -> Results:
    rng = np.random.default_rng(0)
    rows: list[ScoreRow] = []
    for system, worse in (("a", 0.0), ("b", 0.3)):
        for i in range(12):
            name = f"s{i:02d}"
            values = {"wer": 0.1 + worse + 0.01 * rng.normal(), "mesh_offset_ms": 40.0 - i}
            rows += [
                row(system=system, sample_id=name, metric=m, protocol=f"{m}/x@1", value=v, weight=1)
                for m, v in values.items()
            ]
    gone = {"value": None, "weight": 0.0, "status": "not_applicable", "reason": "no <face>"}
    rows.append(row(system="a", sample_id="s00", metric="cer", protocol="cer/x@1", **gone))
    rows.append(row(system="a", sample_id="s00", metric="wer", protocol="wer/y@1", value=0.5))
    return Results(rows=rows, windows=[], identities={})


def test_wide_has_a_line_a_sample_and_a_column_a_metric() -> None:
    wide = results().wide
    assert list(wide.columns) == ["wer/x@1", "mesh_offset_ms", "cer", "wer/y@1"]
    assert wide.index.names == ["system", "suite", "sample_id", "seed"]
    assert len(wide) == 24
    assert wide.loc[("b", "smoke", "s03", 0), "mesh_offset_ms"] == 37.0
    assert wide["cer"].isna().all()
    assert Results(rows=[], windows=[], identities={}).wide.empty


def test_compare_says_what_the_command_says() -> None:
    found = results().compare(against="b", metrics="wer")
    (line,) = found[found["protocol"] == "wer/x@1"].to_dict("records")
    assert (line["system"], line["verdict"], line["n_pairs"]) == ("a", "better", 12)
    assert set(found["metric"]) == {"wer"}
    with pytest.raises(ValueError, match="did you mean 'wer'"):
        results().compare(metrics="wr")


def test_a_notebook_shows_interval_n_unit_direction_and_coverage() -> None:
    page = results()._repr_html_()
    for head in HEADS:
        assert f"<th>{head}</th>" in page
    (offset,) = (line for line in page.split("<tr") if "mesh_offset_ms" in line and ">a<" in line)
    cells = [cell.split("</td>")[0] for cell in offset.split("<td>")[1:]]
    assert cells[3] == "34.5"
    assert cells[4].startswith("[3")
    assert cells[5:] == ["ms", "zero", "12", "1"]
    assert "not applicable" in page
    assert "no &lt;face&gt;" in page


def test_latex_is_a_booktabs_table_of_the_same_cells() -> None:
    text = results().to_latex()
    lines = text.splitlines()
    assert lines[0] == "% needs \\usepackage{booktabs}"
    assert "\\toprule" in text
    assert "wer/x@1" in text
    assert "mesh\\_offset\\_ms/x@1" in text
    assert "95 \\% interval" in text
    assert all(line.count(" & ") == len(HEADS) - 1 for line in lines if line.endswith("\\\\"))


def test_a_terminal_shows_the_same_table_in_columns() -> None:
    head, *lines = repr(results()).splitlines()
    assert [name for name in HEADS if name in head] == list(HEADS)
    assert len(lines) == len(results().summary)
    assert len({line.index("lower") for line in lines if "lower" in line}) == 1
