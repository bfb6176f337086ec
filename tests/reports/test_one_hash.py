"""Values of different protocol hashes never share a column or an axis unmarked."""

import re
from dataclasses import replace

import pytest

from evals.scoring.evaluate import Results
from evals.scoring.results import ScoreRow, write_scores, write_windows
from evals.scoring.summary import summarise, write_summary
from evals.scoring.summary_table import summary_text
from reports.figures.survival import FailureRule
from reports.gallery import draw
from reports.load import Runs, load_runs
from reports.one_hash import main_hashes, of_one_hash
from reports.part import parts_of, rows_of
from reports.sections import samples
from tests.reports.factory import INFOS, score_row, score_rows, window_rows

OTHER = "f" * 12
SHOWN = {"wer", "cer", "id_distance"}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """A run in which one system's word error rate was measured with other settings."""
    run = tmp_path_factory.mktemp("mixed")
    rows = [other_hash(row) for row in score_rows() if row.metric in SHOWN]
    write_scores(run / "scores.jsonl", rows)
    write_windows(run / "windows.csv", [row for row in window_rows() if row.metric in SHOWN])
    write_summary(run / "summary.json", summarise(rows, INFOS))
    return load_runs(run)


def other_hash(row: ScoreRow) -> ScoreRow:
    is_other = row.system == "streamchar_base" and row.metric == "wer"
    return replace(row, protocol_hash=OTHER) if is_other else row


def test_the_hash_of_most_systems_is_kept_and_the_others_are_named(mixed: Runs) -> None:
    assert set(main_hashes(mixed.rows)) == {"wer/default@1"}
    rows, windows, notes = of_one_hash(mixed.rows, mixed.window_rows)
    words = [row for row in rows if row.metric == "wer" and row.value is not None]
    assert OTHER not in {row.protocol_hash for row in words}
    assert "streamchar_base" not in {w.system for w in windows if w.metric == "wer"}
    assert "streamchar_base" in {w.system for w in windows if w.metric == "id_distance"}
    assert notes == {
        "wer": f"† Left out, measured under another protocol hash: streamchar_base (#{OTHER})."
    }


def test_where_hashes_agree_nothing_is_left_out(mixed: Runs) -> None:
    rows = [row for row in mixed.rows if row.metric != "wer"]
    assert of_one_hash(rows, mixed.window_rows)[::2] == (tuple(rows), {})


def test_figures_leave_out_other_hashes_and_say_so(mixed: Runs) -> None:
    drawn = {one.name: one for one in draw(mixed, kinds=["wer", "bars"], metrics=["wer", "cer"])}
    assert len(drawn) == 2
    for one in drawn.values():
        words = one.data[one.data["metric"] == "wer"] if "metric" in one.data else one.data
        assert "streamchar_base" not in set(words["system"])
        assert "Left out, measured under another protocol hash: streamchar_base" in one.caption


def test_a_table_of_samples_has_a_column_for_each_hash(mixed: Runs) -> None:
    heads = re.findall(r"<th[^>]*>([^<]*)</th>", str(samples(mixed.rows)))
    assert [head for head in heads if OTHER in head] == [f"WER % (wer/default@1 #{OTHER})"]
    assert sum("WER" in head for head in heads) == 2


def test_a_frame_of_results_has_a_column_for_each_hash(mixed: Runs) -> None:
    rows = [row for row in mixed.rows if row.metric in {"wer", "cer"}]
    wide = Results(rows=rows, windows=[], identities={}).wide
    assert [name for name in wide.columns if "wer" in name and OTHER in name]
    assert len(wide.columns) == 3
    both = wide[[name for name in wide.columns if "wer" in name]].notna().all(axis=1)
    assert not both.any()


def test_a_printed_summary_tells_the_hashes_apart(mixed: Runs) -> None:
    lines = summary_text(mixed.summaries).splitlines()
    words = [line for line in lines if "wer/default@1" in line]
    assert len(words) == len({row.system for row in mixed.rows})
    assert all(re.search(r"wer/default@1 #[0-9a-f]{12} ", line) for line in words)
    assert not any("#" in line for line in lines if "cer/default@1" in line)


def test_tables_mark_and_comparisons_refuse_other_hashes(mixed: Runs) -> None:
    verdicts = {
        one.verdict
        for one in mixed.comparisons
        if one.metric == "wer" and "streamchar_base" in {one.system, one.against}
    }
    assert verdicts == {"not comparable"}


def test_scores_are_kept_by_profile(mixed: Runs) -> None:
    kept = mixed.under({"cer/default@1"})
    assert {row.metric for row in kept.rows} == {"cer"}
    with pytest.raises(ValueError, match="score with the same --profile first"):
        mixed.under({"wer/nonesuch@1"})


def test_a_run_of_one_scoring_has_one_hash_a_protocol() -> None:
    assert main_hashes(score_rows()) == {}


def test_a_system_without_a_number_stands_beside_those_of_another_hash() -> None:
    scored = [replace(score_row(name, "*", "fvd", 1.0), protocol_hash="a" * 12) for name in "bc"]
    reference = replace(
        score_row("truth", "*", "fvd", None), protocol_hash="b" * 12, status="not_applicable",
        reason="this is the reference set",
    )  # fmt: skip
    runs = Runs(paths=(), rows=(reference, *scored), window_rows=(), infos=INFOS)
    (part,) = parts_of(runs, [], "report", FailureRule.parse(""))
    values = {row.system: row.value for row in rows_of(part, "fvd")}
    assert values == {"b": 1.0, "c": 1.0, "truth": None}
