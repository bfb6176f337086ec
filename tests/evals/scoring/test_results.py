import csv
import itertools
import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.protocols.base import Score
from evals.scoring.results import (
    STATUSES,
    ScoreRow,
    WindowRow,
    guard_cell,
    outcome,
    read_scores,
    read_windows,
    unguard_cell,
    write_scores,
    write_windows,
)  # fmt: skip
from streamchar_ref.core.errors import InputError

TEXT = st.text(min_size=1, max_size=12)


def row(**changes: Any) -> ScoreRow:
    fields: dict[str, Any] = {
        "sample_id": "a",
        "system": "ours",
        "suite": "smoke",
        "seed": 0,
        "metric": "wer",
        "protocol": "wer/x@1",
        "protocol_hash": "0123456789ab",
        "domain": "real",
        "value": 0.25,
        "weight": 10.0,
        "status": "computed",
        "reason": "",
        "components": {"errors": 2},
    }
    return ScoreRow(**(fields | changes))


def window(**changes: Any) -> WindowRow:
    fields: dict[str, Any] = {
        "sample_id": "a",
        "system": "ours",
        "suite": "smoke",
        "seed": 0,
        "metric": "wer",
        "protocol": "wer/x@1",
        "t0_s": 0.0,
        "t1_s": 15.0,
        "value": 0.1,
    }
    return WindowRow(**(fields | changes))


def test_a_row_has_exactly_the_fields_of_the_interface() -> None:
    assert set(vars(row())) == {
        "sample_id", "system", "suite", "seed", "metric", "protocol", "protocol_hash", "domain",
        "value", "weight", "status", "reason", "components",
    }  # fmt: skip


def test_scores_come_back_as_they_were_written(tmp_path: Path) -> None:
    rows = [row(sample_id=name, value=0.1 + 0.2, reason="") for name in ("a", "b\u2028", "c\x85")]
    rows.append(row(sample_id="d", value=None, status="unavailable", reason="no weights", weight=0))
    write_scores(tmp_path / "scores.jsonl", rows)
    assert read_scores(tmp_path / "scores.jsonl") == sorted(rows, key=lambda one: one.key)


def test_rows_give_the_same_bytes_in_any_order_and_when_written_again(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    rows = [
        row(system=system, sample_id=sample, seed=seed, metric=metric, value=math.sqrt(seed + 0.1))
        for system, sample, seed, metric in itertools.product("ba", "yx", (10, 2), ("wer", "cer"))
    ]
    write_scores(path, rows)
    first = path.read_bytes()
    random.Random(0).shuffle(rows)
    write_scores(path, rows)
    assert path.read_bytes() == first
    write_scores(path, read_scores(path))
    assert path.read_bytes() == first
    keys = [json.loads(line)["seed"] for line in first.splitlines()[:4]]
    assert keys == [2, 2, 10, 10]  # seeds in order of number, not of text


@given(value=st.floats(allow_nan=False, allow_infinity=False), weight=st.floats(0, 1e9))
def test_floats_survive_exactly(
    tmp_path_factory: pytest.TempPathFactory, value: float, weight: float
) -> None:
    path = tmp_path_factory.mktemp("run") / "scores.jsonl"
    write_scores(path, [row(value=value, weight=weight, components={"x": value})])
    (read,) = read_scores(path)
    assert (read.value, read.weight, read.components) == (value, weight, {"x": value})


def test_nan_is_never_written(tmp_path: Path) -> None:
    components = {"curve": np.array([1.0, np.nan]), "count": np.int64(3), "pair": (1, math.inf)}
    rows = [
        row(value=math.nan, status="not_applicable", reason="no words", components=components),
        row(sample_id="b", value=math.nan, reason=""),
    ]
    write_scores(tmp_path / "scores.jsonl", rows)
    text = (tmp_path / "scores.jsonl").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    first = json.loads(text.splitlines()[0])
    assert first["value"] is None
    assert first["components"] == {"count": 3, "curve": [1.0, None], "pair": [1, None]}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_computed_without_a_number_is_an_evaluator_failure(value: float | None) -> None:
    found = row(value=value, status="computed")
    assert (found.value, found.status) == (None, "evaluator_failure")
    assert found.reason


def test_a_score_becomes_a_row_with_its_outcome() -> None:
    score = Score(value=math.nan, weight=0.0, status="unavailable", reason="no weights")
    found = row(**outcome(score))
    assert (found.value, found.status, found.reason) == (None, "unavailable", "no weights")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "unavailable", "value": 0.0}, "with value 0.0"),
        ({"weight": -1.0}, "weight"),
        ({"weight": math.nan}, "weight"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        row(**changes)


def test_equal_rows_are_written_once_and_conflicting_ones_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    write_scores(path, [row(), row()])
    assert len(read_scores(path)) == 1
    with pytest.raises(ValueError, match="two different rows for ours/smoke/a/0 wer/x@1"):
        write_scores(path, [row(), row(value=0.5)])
    assert read_scores(path) == [row()]  # a refused write leaves the file as it was


def test_two_protocol_hashes_are_two_rows(tmp_path: Path) -> None:
    write_scores(tmp_path / "s.jsonl", [row(), row(protocol_hash="b" * 12, value=0.5)])
    assert len(read_scores(tmp_path / "s.jsonl")) == 2


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    write_scores(path, [row()])
    path.write_text(path.read_text() + '{"sample_id": "b"}\n')
    with pytest.raises(InputError, match=r"scores\.jsonl, line 2"):
        read_scores(path)


@given(st.lists(st.tuples(TEXT, TEXT, st.floats(0, 1e4), st.none() | st.floats(-1, 1)), max_size=5))
def test_windows_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory,
    cells: list[tuple[str, str, float, float | None]],
) -> None:
    path = tmp_path_factory.mktemp("run") / "windows.csv"
    rows = [
        window(sample_id=sample, system=system, t0_s=t0_s, t1_s=t0_s + 15, value=value)
        for sample, system, t0_s, value in cells
    ]
    write_windows(path, rows)
    again = read_windows(path)
    assert sorted(map(repr, again)) == sorted(map(repr, rows))
    first = path.read_bytes()
    write_windows(path, again)
    assert path.read_bytes() == first


def test_windows_have_the_columns_of_the_interface_and_empty_cells_for_nothing(
    tmp_path: Path,
) -> None:
    write_windows(tmp_path / "windows.csv", [window(value=None), window(t0_s=15.0, value=math.nan)])
    lines = (tmp_path / "windows.csv").read_text().splitlines()
    assert lines[0] == "sample_id,system,suite,seed,metric,protocol,t0_s,t1_s,value,quantity,unit"
    assert [line.split(",")[8] for line in lines[1:]] == ["", ""]


def test_curves_say_what_they_are_of(tmp_path: Path) -> None:
    write_windows(tmp_path / "w.csv", [window(quantity="id distance, corrected", unit="1")])
    (found,) = read_windows(tmp_path / "w.csv")
    assert (found.quantity, found.unit) == ("id distance, corrected", "1")
    assert window().quantity == window().metric


def test_older_curves_that_are_not_of_their_metric_are_known(tmp_path: Path) -> None:
    head = "sample_id,system,suite,seed,metric,protocol,t0_s,t1_s,value\n"
    lines = [f"a,s,smoke,0,{name},{name}/x@1,0.0,2.0,0.3\n" for name in ("id_drift", "wer")]
    (tmp_path / "w.csv").write_text(head + "".join(lines))
    assert [row.quantity for row in read_windows(tmp_path / "w.csv")] == ["id_distance", "wer"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "'=1", "''+2"])
def test_text_that_starts_a_formula_is_guarded(text: str) -> None:
    assert guard_cell(text) == f"'{text}"


def test_a_formula_in_a_sample_id_does_not_reach_the_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "windows.csv"
    write_windows(path, [window(sample_id='=HYPERLINK("http://x")', value=-0.5)])
    with path.open(newline="") as file:
        (cells,) = csv.DictReader(file)
    assert cells["sample_id"].startswith("'=")
    assert cells["value"] == "-0.5"  # a number is no formula
    assert read_windows(path)[0].sample_id == '=HYPERLINK("http://x")'


@given(TEXT)
def test_guarding_can_be_undone_and_leaves_no_formula(text: str) -> None:
    guarded = guard_cell(text)
    assert unguard_cell(guarded) == text
    assert not guarded.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_statuses_are_those_of_the_interface() -> None:
    assert set(STATUSES) == {
        "computed", "not_applicable", "generation_failure", "evaluator_failure", "unavailable",
    }  # fmt: skip
