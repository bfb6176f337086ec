import csv
import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.metrics.speed import SPEED_METRICS
from evals.recording.role import Role, place_of
from evals.scoring.compare import DAGGER, Comparison
from evals.scoring.export import leaderboard, model_card
from evals.scoring.summary import SummaryRow
from reports.axes import in_order, info_of, names_in
from reports.macro import with_macro
from reports.numbers import decimals_for, interval_text, number, samples_text, value_text
from reports.render import escape_latex, grid_of, latex, markdown
from reports.table_csv import tables_csv
from reports.tables import Table, wide

COUNTS = dict.fromkeys(
    ("computed", "not_applicable", "generation_failure", "evaluator_failure", "unavailable"), 0
)


def summary(
    system: str, value: float | None, half: float | None = None, **changes: Any
) -> SummaryRow:
    fields: dict[str, Any] = {
        "system": system,
        "suite": "smoke",
        "metric": "wer",
        "protocol": "wer/x@1",
        "protocol_hash": "0123456789ab",
        "domain": "real",
        "unit": "1",
        "higher_is_better": False,
        "value": value,
        "ci_low": None if value is None or half is None else value - half,
        "ci_high": None if value is None or half is None else value + half,
        "n": 0 if value is None else 6,
        "coverage": 0.0 if value is None else 1.0,
        "counts": COUNTS | {"computed": 0 if value is None else 6},
        "reasons": {},
    }
    return SummaryRow(**(fields | changes))


def table(*rows: SummaryRow, **options: Any) -> Table:
    (found,) = wide(rows, **options)
    return found


def balanced(text: str) -> bool:
    depth = 0
    for sign in re.sub(r"\\[{}]", "", text):
        depth += (sign == "{") - (sign == "}")
        if depth < 0:
            return False
    return depth == 0


def test_the_best_is_bold_if_intervals_are_apart() -> None:
    found = table(summary("a", 0.1, 0.01), summary("b", 0.2, 0.01))
    assert found.lines[0].best == "a"
    assert "**10** [9, 11]" in markdown(found) or "**10.0** [9.0, 11.0]" in markdown(found)


@pytest.mark.parametrize("half", [0.06, None])
def test_ties_and_unknown_intervals_are_not_bold(half: float | None) -> None:
    found = table(summary("a", 0.1, half), summary("b", 0.2, half))
    assert found.lines[0].best == ""
    assert "Nothing is bold" in markdown(found)


def test_paired_results_decide_over_intervals() -> None:
    rows = (summary("a", 0.1, 0.5), summary("b", 0.2, 0.5))
    tied = Comparison(
        suite="smoke",
        metric="wer",
        protocol="wer/x@1",
        system="b",
        against="a",
        verdict="inconclusive",
    )
    won = replace(tied, verdict="worse")
    assert table(*rows, comparisons=[won]).lines[0].best == "a"
    assert table(*rows, comparisons=[tied]).lines[0].best == ""


def test_direction_decides_what_is_best_and_none_ranks_nothing() -> None:
    rows = {
        direction: table(
            summary("a", 0.1, 0.01, higher_is_better=direction),
            summary("b", 0.2, 0.01, higher_is_better=direction),
        )
        for direction in (True, False, None)
    }
    assert [rows[d].lines[0].best for d in (True, False, None)] == ["b", "a", ""]
    assert [rows[d].lines[0].arrow for d in (True, False, None)] == ["↑", "↓", ""]


def offset(system: str, value: float, half: float = 1.0) -> SummaryRow:
    size = {
        "abs_value": abs(value),
        "abs_ci_low": abs(value) - half,
        "abs_ci_high": abs(value) + half,
    }
    direction = {"higher_is_better": None, "zero_is_best": True}
    names = {"metric": "mesh_offset_ms", "protocol": "mesh_offset_ms/x@1", "unit": "ms"}
    return summary(system, value, half, **size, **direction, **names)


def test_where_zero_is_best_the_smallest_absolute_value_is_bold() -> None:
    found = table(offset("late", -207.0), offset("near", -10.0))
    assert (found.lines[0].best, found.lines[0].arrow) == ("near", "→0")
    text = markdown(found)
    assert "mesh offset →0 [ms]" in text
    assert "**−10.0**" in text
    assert "zero is best" in text
    assert "$\\rightarrow$0" in latex(found)


def test_too_few_samples_for_an_interval_stand_with_their_n() -> None:
    few = summary("a", 0.1, n=4, n_independent=4)
    twins = summary("b", 0.2, n=40, n_independent=3)
    text = markdown(table(few, twins))
    assert "| 10.0 n = 4 |" in text
    assert "| 20.0 n = 40 (3 independent) |" in text
    assert "fewer than 5 independent" in text


def test_the_ceiling_is_not_ranked() -> None:
    found = table(
        summary("ground_truth", 0.01, 0.001), summary("a", 0.1, 0.01), summary("b", 0.2, 0.01)
    )
    assert found.lines[0].best == "a"
    assert "ground_truth is not ranked" in markdown(found).replace("\\", "")


def test_a_number_on_fewer_samples_than_the_others_says_on_how_many() -> None:
    all_six = summary("a", 0.1, 0.01)
    four = summary("b", 0.2, 0.01, n=4, counts=COUNTS | {"computed": 4, "not_applicable": 2})
    one = summary("c", 0.2, n=1, counts=COUNTS | {"computed": 1, "not_applicable": 5})
    text = markdown(table(all_six, four, one))
    assert "| 20.0 [19.0, 21.0] n = 4 |" in text
    assert "| 20.0 n = 1 |" in text
    assert "n: samples behind a number" in text
    assert "n: samples" not in markdown(table(all_six))


def test_names_like_published_ones_are_told_apart() -> None:
    ours = summary("a", 2.0, metric="fvd_world", protocol="fvd_world/x@1")
    assert "in no relation to published numbers of like name: FVD-world." in markdown(table(ours))
    assert "in no relation" not in markdown(table(summary("a", 2.0)))


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({"not_applicable": 4}, "–"),
        ({"unavailable": 4}, "n/s (4)"),
        ({"generation_failure": 2, "evaluator_failure": 1, "unavailable": 1}, "failed (3)"),
    ],
)
def test_cells_without_a_number_say_why(counts: dict[str, int], text: str) -> None:
    row = summary("a", None, counts=COUNTS | counts)
    assert value_text(row, 1) == text
    assert f"| {text} |" in markdown(table(row))


def test_a_system_without_any_row_is_not_scored() -> None:
    found = markdown(table(summary("a", 0.1), summary("b", 0.5, metric="rtf", protocol="rtf@1")))
    assert found.count("n/s") == 2
    assert "|  |" not in found


def test_coverage_gets_a_column_only_where_it_is_short() -> None:
    whole = (summary("a", 0.1, 0.01), summary("b", 0.2, 0.01))
    assert "coverage" not in markdown(table(*whole))
    gap = summary("b", 0.2, 0.01, coverage=399 / 400, n=399)
    text = markdown(table(whole[0], gap))
    assert "coverage" in text
    assert "| 99 % |" in text  # never rounded up to all


def test_other_hashes_are_other_lines_with_a_dagger() -> None:
    found = table(summary("a", 0.1), summary("b", 0.2, protocol_hash="f" * 12))
    assert [line.mark for line in found.lines] == [DAGGER, DAGGER]
    assert "Same protocol with other parameters" in markdown(found)


def test_what_has_no_number_shares_the_line_of_the_others() -> None:
    gone = summary("b", None, protocol_hash="f" * 12, counts=COUNTS | {"not_applicable": 3})
    (line,) = table(summary("a", 0.1), gone).lines
    assert (line.mark, set(line.cells)) == ("", {"a", "b"})


def test_failures_under_an_older_hash_stay_visible() -> None:
    gone = summary("a", None, protocol_hash="f" * 12, counts=COUNTS | {"evaluator_failure": 3})
    lines = table(summary("a", 0.1), gone).lines
    assert sum(len(line.cells) for line in lines) == 2


def test_world_and_real_never_share_a_table() -> None:
    tables = wide([summary("a", 0.1), summary("a", 0.2, domain="world")])
    assert [one.domain for one in tables] == ["real", "world"]


def test_metrics_go_down_when_there_are_too_many_to_go_across() -> None:
    few = table(summary("a", 0.1))
    many = table(*(summary("a", 0.1, metric=m.name, protocol=m.name) for m in SPEED_METRICS))
    assert grid_of(few).head[0].text == "system"
    assert grid_of(many).head[0].text == "metric"
    assert grid_of(few, "metrics").head[0].text == "metric"


def test_every_number_names_its_protocol() -> None:
    row = summary("a", 0.1)
    for rows_of in ("systems", "metrics"):
        for text in (markdown(table(row), rows_of), latex(table(row), rows_of)):
            assert "wer/x@1" in text
            assert "0123456789ab" in text
    assert "0123456789ab" in tables_csv([table(row)])


def test_markdown_rows_have_equal_cells_whatever_the_names() -> None:
    text = markdown(table(summary("a|b\n<img>`*_x_", 0.1), summary("c", 0.2)))
    rows = [line for line in text.split("\n") if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3}
    assert "\\<img\\>" in text


def test_latex_is_balanced_and_escaped() -> None:
    text = latex(table(summary("50%_of {x} & $y$ #1 ~ ^ \\", 0.1, 0.01), summary("b", -0.2, 0.01)))
    assert balanced(text)
    assert "50\\%\\_of \\{x\\} \\& \\$y\\$ \\#1 \\textasciitilde{} \\textasciicircum{} " in text
    assert "$\\downarrow$" in text
    assert text.count("\\begin{") == text.count("\\end{") == 2
    body = text[text.index("\\toprule") : text.index("\\bottomrule")]
    rows = [line for line in body.split("\n") if line.endswith("\\\\")]
    assert len({len(re.findall(r"(?<!\\)&", row)) for row in rows}) == 1
    assert text.isascii()


@given(st.text(max_size=30))
def test_escaped_latex_holds_no_active_sign(text: str) -> None:
    escaped = escape_latex(text)
    assert balanced(escaped)
    bare = re.sub(
        r"\\texttt\{\\char34\}|\\[a-z]+\{\}|\{\}|\\[{}&%$#_]|\$(\\[a-z]+|-)\$", "", escaped
    )
    assert not set(bare) & set('\\{}&%$#_~^<>|"\n')


def test_csv_has_full_precision_and_no_formula() -> None:
    rows = [
        summary("=cmd()", 0.1 + 0.2, 0.01),
        summary("b", None, counts=COUNTS | {"unavailable": 2}),
    ]
    (cells,) = csv.DictReader(io.StringIO(tables_csv([table(*rows)])))
    assert cells["'=cmd()"] == "0.30000000000000004"
    assert (cells["b"], cells["b status"]) == ("", "2 unavailable")
    assert cells["higher_is_better"] == "false"
    assert not any(name.startswith(("=", "+", "-", "@")) for name in cells)


def test_columns_of_numbers_hold_numbers_and_marks_have_their_own() -> None:
    shown = summary("a", 0.1, 0.01), summary("b", 0.2, 0.01), summary("c", None)
    other = replace(shown[0], system="d", protocol_hash="f" * 12)
    lines = list(csv.DictReader(io.StringIO(tables_csv([table(*shown, other)]))))
    assert len(lines) == 2
    numbers = [
        line[name + part]
        for line in lines
        for name in "abcd"
        for part in ("", " ci_low", " ci_high", " n", " coverage")
    ]
    assert all(text == "" or float(text) >= 0 for text in numbers)
    assert lines[0]["a mark"] == "best; other protocol hash"
    assert lines[0]["b mark"] == lines[1]["d mark"] == "other protocol hash"
    assert lines[0]["d status"] == "never scored"


def test_n_of_a_metric_on_a_set_is_its_videos() -> None:
    of_a_set = summary("a", 3.0, metric="fvd", n=1, n_videos=40)
    (cells,) = csv.DictReader(io.StringIO(tables_csv([table(of_a_set)])))
    assert (cells["a n"], samples_text(of_a_set)) == ("40", "n = 40")
    assert json.loads(leaderboard([of_a_set]))["rows"][0]["n"] == 40
    assert "n: 40\n" in model_card([of_a_set], "a")


@pytest.mark.parametrize(
    ("half", "decimals"), [(0.15, 2), (0.31, 1), (0.9, 1), (1.4, 1), (4.0, 0), (40.0, 0), (1e-9, 4)]
)
def test_decimals_follow_the_interval(half: float, decimals: int) -> None:
    rows = [summary(name, 5.0, half, metric="fvd") for name in "abc"]
    assert decimals_for(rows) == decimals


def test_one_perfect_system_does_not_inflate_the_decimals() -> None:
    rows = [summary("a", 0.3, 0.02, metric="fvd"), summary("b", 0.4, 0.02, metric="fvd")]
    still = summary("still", 0.0, 1e-8, metric="fvd")
    assert decimals_for([*rows, still]) == decimals_for(rows) == 3


def test_per_cent_is_for_familiar_ratios_alone() -> None:
    assert value_text(summary("a", 0.0365), 1) == "3.6"
    assert value_text(summary("a", 0.0365, metric="id_drift"), 3) == "0.036"
    assert interval_text(summary("a", 0.5, 0.25), 0) == "[25, 75]"


@given(st.floats(-1e6, 1e6), st.integers(0, 4))
def test_numbers_read_back_and_zero_has_no_sign(value: float, decimals: int) -> None:
    text = number(value, decimals)
    assert float(text.replace("−", "-")) == pytest.approx(value, abs=0.5001 * 10**-decimals)
    assert "-" not in text
    assert not re.fullmatch(r"−0(\.0*)?", text)


def test_metrics_are_ordered_by_axis_and_unknown_ones_come_last() -> None:
    assert in_order(["zzz", "rtf", "cer", "wer", "id_drift"]) == [
        "wer", "cer", "id_drift", "rtf", "zzz",
    ]  # fmt: skip
    assert info_of("zzz").axis == "other"


def test_an_axis_names_its_metrics_and_a_slip_is_explained() -> None:
    known = {"wer", "cer", "rtf"}
    assert names_in("rtf,text", known=known) == ["rtf", "wer", "cer"]
    assert names_in("", known=known) is None
    with pytest.raises(ValueError, match="did you mean 'wer'"):
        names_in("werr", known=known)


def test_models_stand_between_ceilings_and_what_is_wrong_on_purpose() -> None:
    roles = {
        "wrong": Role.NEGATIVE_CONTROL,
        "mine": Role.MODEL,
        "still": Role.FLOOR,
        "another": Role.MODEL,
        "truth": Role.CEILING,
    }
    ordered = ["truth", "another", "mine", "still", "wrong"]
    assert sorted(roles, key=lambda name: place_of(roles[name], name)) == ordered
    assert table(*(summary(name, 0.1) for name in roles), roles=roles).systems == tuple(ordered)


def test_a_system_without_a_declared_role_has_that_of_the_installed_system_of_its_name() -> None:
    found = table(summary("ground_truth", 0.1), summary("mine", 0.2))
    assert found.roles == {"ground_truth": Role.CEILING, "mine": Role.MODEL}
    declared = table(summary("ground_truth", 0.1), roles={"ground_truth": Role.FLOOR})
    assert declared.controls == ("ground_truth",)
    assert declared.roles == {"ground_truth": Role.FLOOR}


@pytest.mark.parametrize(("smallest_p", "letters"), [(1e-4, {"a": "a", "b": "b"}), (0.25, {})])
def test_letters_need_prompts_enough_to_show_a_difference(
    smallest_p: float, letters: dict[str, str]
) -> None:
    tested = Comparison(
        suite="smoke", metric="wer", protocol="wer/x@1", system="a", against="b", delta=-0.1,
        p_holm=0.01, smallest_p=smallest_p, n_independent=3, verdict="better",
    )  # fmt: skip
    rows = (summary("a", 0.1), summary("b", 0.2))
    found = table(*rows, comparisons=[tested], has_letters=True)
    assert found.lines[0].letters == letters
    few = "No letters for any line: 3 independent prompts are too few to show any difference."
    assert (few in markdown(found)) == (not letters)


def test_macro_lines_have_the_bounds_of_their_own_mean() -> None:
    gaps = {"coverage": 0.5, "if_best": 0.1}
    text = markdown(with_macro(table(summary("b", 0.2, macro_value=0.3, **gaps))))
    assert "WER of b [unbounded, 20.0, 10.0]" in text
    assert "WER macro of b [unbounded, 30.0, 15.0]" in text


def test_a_system_whose_recordings_weigh_the_same_has_one_mean_for_both_averages() -> None:
    one = summary("b", 0.2, n=1, n_independent=1)
    found = with_macro(table(summary("a", 0.1, macro_value=0.3), one, summary("c", None)))
    micro, macro = found.lines
    assert [micro.cells[name].value for name in "abc"] == [0.1, 0.2, None]
    assert [macro.cells[name].value for name in "abc"] == [0.3, 0.2, None]
