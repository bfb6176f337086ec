import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest

from evals.scoring.results import read_scores, write_scores
from evals.scoring.summary import summarise, write_summary
from reports.build import printed
from reports.commands.compare import compare
from reports.commands.plot import plot
from reports.commands.report import report
from reports.commands.table import table
from streamchar_ref.cli import main
from tests.reports.factory import INFOS, make_run


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("form", "start"), [("md", "**Suite"), ("csv", "suite,"), ("latex", "% needs")]
)
def test_table_prints_each_format(
    folder: Path, form: str, start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("table", folder, "--format", form) == 0
    assert capsys.readouterr().out.startswith(start)


def test_table_prints_summaries_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("table", folder, "--json", "--metrics", "identity", "--systems", "cascade_a") == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["system"] for row in rows} == {"cascade_a"}
    assert {row["metric"] for row in rows} >= {"id_distance", "id_drift"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("table", "RUN", "--metrics", "werr"),
        ("table", "RUN", "--systems", "ourz"),
        ("table", "RUN", "--format", "docx"),
        ("table", "nowhere"),
        ("plot", "RUN", "--kind", "pie"),
        ("plot", "RUN", "--width", "poster"),
        ("compare", "RUN", "--against", "ourz", "--out", "RUN/out"),
        ("report", "nowhere", "--out", "RUN/page.html"),
        ("compare", "RUN", "--out", "RUN/scores.jsonl"),
        ("plot", "RUN", "--kind", "bars", "--out", "RUN/scores.jsonl"),
    ],
)
def test_wrong_use_exits_with_2(
    folder: Path, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*(argument.replace("RUN", str(folder)) for argument in arguments)) == 2
    assert capsys.readouterr().err
    assert not (folder / "out").exists()


def test_compare_of_chosen_metrics_adjusts_for_them_alone(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "c"
    assert run("compare", folder, "--metrics", "wer,mesh_offset_ms", "--out", out) == 0
    rows = json.loads((out / "compare.json").read_text())
    assert {row["metric"] for row in rows} == {"wer", "mesh_offset_ms"}
    assert {row["is_absolute"] for row in rows if row["metric"] != "wer"} == {True}
    assert "| \\|mesh offset\\| ms |" in capsys.readouterr().out
    assert run("compare", folder, "--metrics", "wr", "--out", out) == 2
    assert "did you mean 'wer'" in capsys.readouterr().err


def test_compare_names_a_system_whose_suite_no_other_has(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_run(tmp_path / "other")
    rows = [
        replace(r, suite="mine")
        for r in read_scores(other / "scores.jsonl")
        if r.system == "cascade_a"
    ]
    rows = [replace(r, system="alone") for r in rows]
    write_scores(other / "scores.jsonl", rows)
    write_summary(other / "summary.json", summarise(rows, INFOS))
    arguments = ("--metrics", "wer", "--out", tmp_path / "c")
    assert run("compare", folder, other, "--against", "ground_truth", *arguments) == 0
    assert "alone (suite mine) is in no comparison" in capsys.readouterr().err
    assert run("compare", folder, "--against", "ground_truth", *arguments) == 0
    assert "in no comparison" not in capsys.readouterr().err


def test_a_metric_that_was_asked_for_and_has_no_curve_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("plot", folder, "--kind", "drift", "--metrics", "wer,voice_drift")
    assert run(*arguments, "--out", tmp_path / "figures") == 0
    assert "voice_drift is not drawn" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["wer", "latency"])
def test_figures_of_one_thing_take_no_metrics(
    folder: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("plot", folder, "--kind", kind, "--metrics", "cer") == 2
    assert "takes no --metrics" in capsys.readouterr().err


def test_compare_writes_and_prints(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("compare", folder, "--against", "ground_truth", "--out", tmp_path / "c") == 0
    printed = capsys.readouterr().out
    assert "| inconclusive: with 3 independent pairs p is at least 0.25 |" in printed
    assert "| protocol |" in printed
    assert "| wer/" in printed
    assert "## Time to failure" in printed
    rows = json.loads((tmp_path / "c" / "compare.json").read_text())
    assert {row["against"] for row in rows} == {"ground_truth"}
    assert {path.name for path in (tmp_path / "c").iterdir()} == {
        "compare.csv", "compare.json", "compare.md", "lifetimes.csv",
    }  # fmt: skip


def test_compare_exits_with_1_when_nothing_can_be_compared(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (folder / "scores.jsonl").read_text().splitlines(keepends=True)
    alone = [line for line in lines if '"system": "cascade_a"' in line]
    (folder / "scores.jsonl").write_text("".join(alone))
    (folder / "summary.json").unlink()
    assert run("compare", folder, "--out", tmp_path / "c") == 1
    assert "only 'cascade_a' has scores: a comparison needs two systems" in capsys.readouterr().err


def test_a_comparison_of_one_system_says_what_to_do_and_writes_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "c"
    assert run("compare", folder, "--systems", "cascade_a", "--out", out) == 2
    told = capsys.readouterr()
    assert "a comparison needs two; name another one of ground_truth, static_portrait, " in told.err
    assert (told.out, out.exists()) == ("", False)


def test_macro_means_are_a_line_of_their_own_where_they_are_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]
    for row in rows:
        if row["metric"] == "wer" and row["sample_id"] == "dev_001":
            row["weight"] = 300.0
    (folder / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "summary.json").unlink()
    assert run("table", folder, "--format", "csv", "--metrics", "wer") == 0
    assert "macro" not in capsys.readouterr().out
    assert run("table", folder, "--format", "csv", "--metrics", "wer", "--macro") == 0
    micro, macro = csv.DictReader(io.StringIO(capsys.readouterr().out))
    own = [row for row in rows if row["metric"] == "wer" and row["system"] == "ground_truth"]
    assert (micro["average"], macro["average"]) == ("", "macro")
    assert float(macro["ground_truth"]) == pytest.approx(np.mean([row["value"] for row in own]))
    weights = [row["weight"] for row in own]
    mean = np.average([row["value"] for row in own], weights=weights)
    assert float(micro["ground_truth"]) == pytest.approx(mean)
    assert run("table", folder, "--macro") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "| WER macro ↓ [%] (2)" in printed
    assert "Macro: mean over recordings, each counted once" in printed


def test_tables_name_a_control_that_declares_to_be_still(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = json.loads((folder / "run.json").read_text())
    names = {"static_portrait": "negative_control"}
    for still in (True, False):
        told = entries | {"roles": names, "still": {"static_portrait": still}}
        (folder / "run.json").write_text(json.dumps(told))
        assert run("table", folder) == 0
        shown = " ".join(capsys.readouterr().out.split())
        said = "static_portrait is ahead of every model and the ceiling in id distance"
        assert (said in shown) is still
        assert (said in " ".join(printed([folder]).split())) is still


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        (table, "the usual by default"),
        (plot, "the usual by default"),
        (compare, "all by default"),
        (report, "all by default"),
    ],
)
def test_help_says_which_metrics_are_taken_where_none_are_named(
    verb: Callable[..., None], said: str
) -> None:
    (option,) = get_type_hints(verb, include_extras=True)["metrics"].__metadata__
    assert said in option.help


def test_plot_writes_into_the_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plot", folder, "--kind", "bars", "--metrics", "wer", "--json") == 0
    paths = [Path(path) for path in json.loads(capsys.readouterr().out)]
    assert {path.suffix for path in paths} == {".pdf", ".png", ".csv", ".txt"}
    assert all(path.is_file() and path.parent == folder / "figures" for path in paths)


def test_plot_exits_with_1_when_there_is_nothing_to_draw(folder: Path) -> None:
    assert run("plot", folder, "--kind", "latency") == 1


def test_report_writes_one_page(folder: Path, tmp_path: Path) -> None:
    assert run("report", folder, "--out", tmp_path / "page.html", "--title", "T") == 0
    assert "<title>T</title>" in (tmp_path / "page.html").read_text()


def test_a_table_has_letters_and_reported_rows_on_request(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = ("--letters", "--with-reported", "streamchar-2", "--metrics", "wer,id_rank1")
    assert run("table", folder, *wanted) == 0
    printed = capsys.readouterr().out
    measured, reported = printed.split("\n---\n")
    assert "No letters for any line: 3 independent prompts are too few" in measured
    assert not re.search(r"\| ground_truth \| \S+ a ", measured)
    assert "[worst, excluded, best] with what is missing at its bounds: " in measured
    assert re.search(r"WER of cascade_a \[unbounded, \S+, \S+\]", measured)
    assert "| StreamChar (reported) | 8.185 |" in reported
    assert run("table", folder, "--with-reported", "all", "--format", "csv") == 2
    assert "files hold measured rows" in capsys.readouterr().err
    assert run("table", folder, "--with-reported", "streamchar3") == 2
    assert "did you mean" in capsys.readouterr().err


def test_compare_says_how_many_prompts_are_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = make_run(tmp_path / "run", num_samples=8), tmp_path / "c"
    options = ("--metrics", "wer,rtf", "--power", "--gap", "wer=0.01", "--out", out)
    assert run("compare", folder, *options) == 0
    printed = capsys.readouterr().out
    assert "## Tie groups" in printed
    assert "## Prompts needed" in printed
    rows = json.loads((out / "power.json").read_text())
    assert {row["gap"] for row in rows if row["metric"] == "wer"} == {0.01}
    assert {row["is_observed"] for row in rows if row["metric"] == "rtf"} == {True}
    assert (out / "power.csv").read_text().startswith("suite,metric,protocol,system,against")
    for wrong in ("cer=0.1", "wer=x", "wer=-1"):
        assert run("compare", folder, *options[:3], "--gap", wrong, "--out", out) == 2
        assert "--gap" in capsys.readouterr().err
    assert run("compare", folder, "--power", "--probability", "nan", "--out", out) == 2
    assert run("compare", folder, "--probability", "0.9", "--out", out) == 2
    assert run("compare", folder, "--metrics", "wer", "--gap", "wer=1", "--out", out) == 2
    assert (out / "power.csv").exists()
    assert run("compare", folder, "--metrics", "wer", "--out", out) == 0
    assert not (out / "power.csv").exists()
