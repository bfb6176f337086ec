"""Table, figures and page of a calibration with made-up numbers."""

import csv
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from evals.calibration.faults import FAULTS
from evals.calibration.response import Response, Value, cell_of
from evals.calibration.results import Calibration
from reports.calibration import (
    calibration_markdown,
    calibration_page,
    cell_text,
    draw_calibration,
    main_response,
    write_calibration,
)
from reports.commands.calibrate import app
from reports.figures.response import plot_response, plot_selectivity
from tests.reports.calibrations import invented

SOME = ("sound_late", "noise", "freeze", "blur")


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return invented(faults=SOME)


def curve(*changes: float, fault: str = "hue_ramp", num_clips: int = 6) -> Response:
    clean = {f"c{i}": Value(value=float(i)) for i in range(num_clips)}
    cells = tuple(
        cell_of(
            clean,
            {clip: Value(value=value.value + change) for clip, value in clean.items()},
            dose=dose,
            realised=dose,
            floor=0.1,
        )
        for dose, change in zip(FAULTS[fault].few, changes, strict=False)
    )
    return Response(
        fault=fault, metric="colour_drift", protocol="colour_drift/lab@1", expectation="moves",
        direction=1, clean=1.5, clean_sd=1.0, floor=0.1, cells=cells,
    )  # fmt: skip


def test_the_table_has_a_row_for_each_metric_and_says_what_is_wrong(
    calibration: Calibration,
) -> None:
    text = calibration_markdown(calibration)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(calibration.metrics)
    assert rows[0].count("|") == 2 + len(SOME)
    assert "n = 12 clips of 4.0 s" in text
    assert "rtf/arrivals@2: no trace" in text
    wrong = [r for r in calibration.responses if r.verdict in {"violation", "missed"}]
    assert wrong
    for response in wrong:
        word = "reacts to" if response.verdict == "violation" else "does not show"
        assert f"{response.protocol} {word} {FAULTS[response.fault].label}" in text


def test_a_cell_says_the_smallest_dose_or_why_there_is_none() -> None:
    assert cell_text(curve(0.05, 0.5, 1.0)) == "20"
    assert cell_text(curve(0.5, 0.2, 1.0)) == "10 ~"
    assert cell_text(curve(0.0, 0.0, 0.0)) == "missed"
    assert cell_text(replace(curve(0.0, 0.5, 0.6), expectation="leaves")) == "REACTS 20"
    assert cell_text(replace(curve(0.0, 0.0, 0.0), expectation="leaves")) == "ok"
    assert cell_text(replace(curve(1.0, 1.0, 1.0), expectation="untouched")) == ""
    assert cell_text(None) == ""


def test_what_was_seen_on_a_few_clips_is_told_with_their_number() -> None:
    few, enough = curve(0.05, 0.5, 1.0, num_clips=4), curve(0.05, 0.5, 1.0, num_clips=5)
    assert cell_text(few) == "20, n=4"
    assert cell_text(enough) == "20"
    assert cell_text(replace(few, expectation="leaves")) == "REACTS 20, n=4"
    assert cell_text(replace(few, expectation="free")) == "(20, n=4)"
    assert cell_text(curve(0.0, 0.0, 0.0, num_clips=4)) == "missed"
    text = calibration_markdown(replace(invented(faults=("hue_ramp",)), responses=(few, enough)))
    assert "On fewer than 5 clips: 1 of the 2 reactions that were seen" in text
    assert "On fewer" not in calibration_markdown(invented(num_clips=12, faults=("noise",)))


def test_a_curve_starts_at_the_clean_clip_and_fills_what_is_detected() -> None:
    ax = Figure().subplots()
    plot_response(curve(0.05, 0.5, 1.0), metric_unit="dE76", label="colour drift", ax=ax)
    line = ax.lines[1]
    assert line.get_xydata() == pytest.approx(np.array([[0, 0], [10, 0.05], [20, 0.5], [40, 1]]))
    dots = [one for one in ax.lines if one.get_marker() == "o"]
    assert [dot.get_markerfacecolor() == "white" for dot in dots] == [True, False, False]
    assert ax.get_title() == "hue ramp"
    assert ax.get_xlabel() == "degrees at the end"
    assert "colour drift [dE76]" in ax.texts[0].get_text()


def test_worse_is_to_the_right_also_where_numbers_fall() -> None:
    ax = Figure().subplots()
    plot_response(curve(0.1, 0.5, 1.0, fault="noise"), metric_unit="", label="m", ax=ax)
    assert ax.xaxis_inverted()
    assert [text.get_text() for text in ax.get_xticklabels()] == ["20", "10", "0"]


def test_the_matrix_marks_what_must_and_must_not_react(calibration: Calibration) -> None:
    ax = Figure().subplots()
    plot_selectivity(calibration, ax=ax)
    marks = [line for line in ax.lines if line.get_marker() in {"o", "x"}]
    verdicts = [r.verdict for r in calibration.responses]
    wanted = sum(verdict in {"detected", "missed", "violation"} for verdict in verdicts)
    assert len(marks) == wanted
    legend = ax.get_legend()
    assert legend is not None
    assert "white mark" in legend.get_texts()[-1].get_text()
    assert [text.get_text().split(",")[0] for text in ax.get_yticklabels()] == [
        FAULTS[name].label for name in calibration.faults
    ]


def test_each_fault_is_shown_with_the_metric_made_for_it(calibration: Calibration) -> None:
    found = main_response(calibration, "sound_late")
    assert found is not None
    assert found.metric == "mesh_offset_ms"


def test_all_files_are_written_and_the_page_asks_nothing_of_the_network(
    calibration: Calibration, tmp_path: Path
) -> None:
    kept = {"mesh_offset_ms", "mesh_sync", "dynamic_degree", "fid_lite0"}
    responses = tuple(r for r in calibration.responses if r.metric in kept)
    paths = write_calibration(replace(calibration, responses=responses), tmp_path)
    names = {path.name for path in paths}
    assert {"response.csv", "calibration.json", "calibration.md", "calibration.html",
            "overview.pdf", "selectivity.png", "curves_lip_sync.csv"} <= names  # fmt: skip
    page = paths[-1].read_text()
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert page.count("<img") == len(list((tmp_path / "figures").glob("*.png")))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "response.csv").read_text())))
    assert len(rows) == sum(len(r.cells) for r in responses)
    content = json.loads((tmp_path / "calibration.json").read_text())
    assert len(content["responses"]) == len(responses)


def test_the_same_calibration_gives_the_same_page(calibration: Calibration) -> None:
    few = replace(calibration, responses=calibration.responses[:12])
    pages = [calibration_page(few, draw_calibration(few)) for _ in range(2)]
    assert pages[0] == pages[1]


def test_one_clip_earns_no_praise() -> None:
    text = calibration_markdown(invented(num_clips=1, faults=("sound_late",)))
    assert "Every metric reacts" not in text
    assert re.search(r"Not judged: [1-9]\d* of \d+ pairs", text)


def test_praise_is_for_what_was_judged_and_the_rest_is_counted() -> None:
    good = curve(0.5, 1.0, 2.0)
    unknown = replace(good, cells=(cell_of({}, {}, dose=10, realised=10.0, floor=math.nan),))
    one = replace(invented(faults=("hue_ramp",)), responses=(good,))
    assert "Not judged" not in calibration_markdown(one)
    both = calibration_markdown(replace(one, responses=(good, replace(unknown, metric="wer"))))
    assert "Every metric reacts where it must" in both
    assert "Not judged: 1 of 2 pairs" in both


def test_the_page_shows_no_markup_of_the_source(calibration: Calibration) -> None:
    assert "``" not in calibration_page(calibration, [])


def test_nothing_measured_is_a_table_without_figures() -> None:
    empty = replace(invented(faults=()), responses=())
    assert draw_calibration(empty) == []
    assert "Every metric reacts" not in calibration_markdown(empty)
    assert "Nothing was judged" in calibration_markdown(empty)
    unmeasured = replace(
        curve(), cells=(cell_of({}, {}, dose=10, realised=math.nan, floor=math.nan),)
    )
    plot_response(unmeasured, metric_unit="", label="m", ax=Figure().subplots())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--suite", "smoke", "--manifest", "m.jsonl"), "either --suite NAME or --manifest"),
        ((), "either --suite NAME or --manifest"),
        (("--suite", "smoke", "--doses", "some"), "neither few nor all"),
        (("--suite", "smoke", "--faults", "nose"), "unknown fault 'nose'"),
        (("--suite", "smoke", "--metrics", "werr"), "did you mean 'wer'"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        app(args=[*arguments, "--out", str(tmp_path)], prog_name="calibrate")
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
