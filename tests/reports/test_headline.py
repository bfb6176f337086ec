"""The default view: about ten metrics, models above controls, protocols as footnotes."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from evals.recording.role import Role
from reports.headline import headline_latex, headline_markdown, headline_of
from reports.tables import Table, wide
from tests.reports.factory import make_run
from tests.reports.test_commands import run
from tests.reports.test_tables import COUNTS, balanced, summary, table

ROLES = {"mine": Role.MODEL, "truth": Role.CEILING, "still": Role.FLOOR}


def line(system: str, metric: str, value: float | None = 0.5, **changes: Any) -> Any:
    return summary(system, value, **{"metric": metric, "protocol": f"{metric}/x@1", **changes})


def headline(*rows: Any) -> Table:
    return headline_of(table(*rows, roles=ROLES))


def test_details_are_left_out_unless_there_is_nothing_else() -> None:
    rows = (line("mine", "wer"), line("mine", "cer"), line("mine", "chunk_p95_s"))
    assert [one.metric for one in headline(*rows).lines] == ["wer"]
    assert [one.metric for one in headline(*rows[1:]).lines] == ["cer", "chunk_p95_s"]


def test_a_metric_of_the_domain_takes_the_place_of_the_general_one_where_it_has_a_value() -> None:
    gone = {"counts": COUNTS | {"unavailable": 3}}
    general, of_domain = line("mine", "mesh_sync"), line("mine", "sync_c")
    assert [one.metric for one in headline(general, of_domain).lines] == ["sync_c"]
    nowhere = line("mine", "sync_c", None, **gone)
    assert [one.metric for one in headline(general, nowhere).lines] == ["mesh_sync"]


def test_what_failed_stays_in_the_headline() -> None:
    failed = line("mine", "rtf", None, counts=COUNTS | {"generation_failure": 3})
    assert "failed (3)" in headline_markdown(headline(line("mine", "wer"), failed))


def test_models_stand_above_controls_with_a_rule_between() -> None:
    rows = [line(system, "wer", 0.1, half=0.01) for system in ("still", "mine", "truth")]
    above, rule, below = headline_markdown(headline(*rows)).partition("\n---\n")
    assert rule
    assert "mine" in above
    assert "truth" not in above
    head = next(row for row in below.splitlines() if row.startswith("|"))
    assert [cell.strip() for cell in head.strip("|").split("|")] == ["metric", "truth", "still"]
    assert "Controls: ceiling truth; floor still." in below


def test_a_run_of_models_alone_has_no_rule() -> None:
    text = headline_markdown(headline(line("mine", "wer")))
    assert "\n---\n" not in text
    assert "Controls" not in text


def test_protocols_are_numbered_footnotes() -> None:
    text = headline_markdown(headline(line("mine", "wer"), line("mine", "rtf")))
    assert "| WER ↓ [%] (1)" in text
    assert "| RTF ↓ (2)" in text
    body, _, notes = text.partition("Protocols: ")
    assert "0123456789ab" not in body
    assert "(1) wer/x@1 #0123456789ab;" in notes
    assert "(2) rtf/x@1 #0123456789ab." in notes


def test_protocols_of_one_metric_are_told_apart_in_its_name() -> None:
    both = [line("mine", "wer", protocol=f"wer/{name}@1") for name in ("moonshine", "whisper")]
    text = headline_markdown(headline(*both, line("mine", "rtf")))
    assert "| WER, moonshine ↓ [%] (1)" in text
    assert "| WER, whisper ↓ [%] (2)" in text
    assert "| RTF ↓ (3)" in text


def test_only_another_number_of_samples_than_the_usual_one_is_noted() -> None:
    few = {"n": 3, "n_independent": 3}
    rows = [line("mine", "wer", **few), line("mine", "rtf", **few)]
    assert "n = 3**" in headline_markdown(headline(*rows))
    other = line("mine", "dnsmos_ovrl", n=2, n_independent=2)
    text = headline_markdown(headline(*rows, other))
    assert "n = 3 where not noted**" in text
    assert len(re.findall(r"0\.500? n = 2 \|", text)) == 1


def test_a_mean_over_fewer_samples_than_apply_says_so() -> None:
    assert "(50 % scored)" in headline_markdown(headline(line("mine", "wer", coverage=0.5)))


def test_markdown_columns_are_aligned() -> None:
    rows = [line(system, "wer") for system in ("mine", "a|b", "`c`")]
    lines = [one for one in headline_markdown(headline(*rows)).splitlines() if one.startswith("|")]
    assert len({len(one) for one in lines}) == 1


def test_latex_has_a_tabular_for_models_and_one_for_controls() -> None:
    text = headline_latex(headline(line("mine", "wer"), line("truth", "wer")))
    assert balanced(text)
    assert text.count("\\begin{tabular}{lr}") == text.count("\\end{tabular}") == 2
    assert text.index("mine") < text.index("truth")


def test_an_empty_headline_is_that_of_no_table() -> None:
    assert [headline_of(one) for one in wide([])] == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


def test_table_prints_the_headline_and_all_with_all(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for form in ("md", "latex", "csv"):
        assert run("table", folder, "--format", form) == 0
        brief = capsys.readouterr().out
        assert run("table", folder, "--format", form, "--all") == 0
        whole = capsys.readouterr().out
        assert "loops" not in brief
        assert "loops" in whole


def test_csv_has_the_same_columns_for_the_headline(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heads = []
    for arguments in ((), ("--all",)):
        assert run("table", folder, "--format", "csv", *arguments) == 0
        heads.append(next(csv.reader(io.StringIO(capsys.readouterr().out))))
    assert heads[0] == heads[1]


def test_metrics_that_are_named_are_printed_whether_or_not_they_are_headline(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("table", folder, "--metrics", "cer,wer") == 0
    out = capsys.readouterr().out
    assert out.index("CER") < out.index("WER")


def test_json_holds_every_summary(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("table", folder, "--json") == 0
    assert "cer" in {row["metric"] for row in json.loads(capsys.readouterr().out)}
