"""Names are data: any text prints as itself, in every kind of output, and runs nothing."""

import csv
import io
import re
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from matplotlib import pyplot as plt
from typer.testing import CliRunner

from evals.recording.jsonl import check_folder_name
from evals.recording.media_files import folder_name
from evals.recording.system import Prompt
from evals.scoring.results import WindowRow, csv_text, read_windows, write_windows
from evals.scoring.summary_table import escape_latex
from evals.suites import check_suite_folder
from reports.figures.bars import plot_bars, plot_pareto
from reports.figures.save import figure_bytes
from reports.figures.style import drawn, styled
from reports.gallery import draw
from reports.html import el
from reports.load import Runs
from reports.render import escape_markdown
from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.names import file_name, short, visible
from tests.reports.factory import score_rows
from tests.reports.test_tables import summary

HOSTILE = (
    "$x^2$", "_hidden", "a$b", "100%", "a & b", "\\input{/etc/passwd}", "{}", "a|b", "`rm`",
    "![x](http://example.org/a.png)", "[x](http://example.org)", "[x]: http://example.org",
    "<script>alert(1)</script>", "http://example.org", "www.example.org", "&lt;b&gt;", "~~no~~",
    "a\ufffeb", "a\uffffb", "a\udc80b", "\x1b[31mred", "a\rb", "a\x07b", "\u202egnp.exe",
    "\u200b", "-flag", "..", "*bold*", "=1+1", "a\nb", "\u4e2d\u6587", "x" * 300, "--", "?`", "[1]",
)  # fmt: skip
names = st.one_of(
    st.sampled_from(HOSTILE),
    st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=3).map("".join),
    st.text(st.characters(exclude_categories=()), max_size=20),
)
quick = settings(max_examples=60, deadline=None)


@quick
@given(names)
def test_what_is_shown_is_one_line_of_signs_that_can_be_seen(name: str) -> None:
    seen = visible(name)
    seen.encode()
    assert seen.isprintable() or set(seen) & set("\u200c\u200d\u00a0\u3000") or not seen.isascii()
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", seen)
    assert visible(seen) == seen


@quick
@given(names, names)
def test_files_have_names_of_their_own(one: str, other: str) -> None:
    assert re.fullmatch(r"[\w][\w.-]{0,119}", file_name(one), re.ASCII)
    assert (file_name(one) == file_name(other)) == (one == other)
    assert (short(one) == short(other)) == (one == other)
    assert len(short(one)) <= 48


@quick
@given(names)
def test_markdown_prints_a_name_as_text_alone(name: str) -> None:
    parsed = MarkdownIt("commonmark").enable("strikethrough").parseInline(escape_markdown(name))
    tokens = [token for inline in parsed for token in inline.children or ()]
    assert {token.type for token in tokens} <= {"text", "text_special"}
    assert "".join(token.content for token in tokens) == visible(" ".join(name.split())).strip()


@quick
@given(names)
def test_html_and_latex_hold_a_name_without_what_they_would_run(name: str) -> None:
    markup = el("p", name, title=name)
    assert "<script" not in markup
    assert "\x1b" not in markup
    markup.encode()
    written = escape_latex(name)
    plain = re.sub(
        r"\\texttt\{\\char34\}|\\text\w+\{\}|\\[{}&%$#_]|\{\}|\$\\\w+\$|\$-\$|\\dag\{\}",
        "",
        written,
    )
    assert not set(plain) & set('\\{}$&#%_^~<>|"\n')
    assert not re.search(r"--|''|``|\?`|!`|^[\[*]", written.replace("\N{EN DASH}", ""))


@quick
@given(st.lists(names, min_size=1, max_size=4))
def test_csv_gives_names_back(cells: list[str]) -> None:
    text = csv_text([cells])
    (row,) = csv.reader(io.StringIO(text, newline=""))
    assert row == [cell.encode("utf-8", "backslashreplace").decode() for cell in cells]


def test_windows_of_a_very_long_name_can_be_read(tmp_path: Path) -> None:
    row = WindowRow(
        sample_id="x" * 200_000, system="s", suite="t", seed=0, metric="wer", protocol="wer@1",
        t0_s=0.0, t1_s=1.0, value=0.5,
    )  # fmt: skip
    write_windows(tmp_path / "windows.csv", [row])
    assert read_windows(tmp_path / "windows.csv")[0].sample_id == row.sample_id


@pytest.mark.parametrize("is_styled", [True, False])
def test_figures_show_every_name(is_styled: bool) -> None:
    rows = [summary(system=name, metric="wer", value=0.1 + i) for i, name in enumerate(HOSTILE)]
    with styled() if is_styled else mpl.rc_context():
        _, (left, right) = plt.subplots(1, 2, figsize=(9, 9))
        plot_bars(rows, ax=left)
        plot_pareto([(row, replace(row, metric="rtf")) for row in rows[:12]], ax=right)
        left.figure.canvas.draw()  # parses what it takes for mathematics
    ticks = [tick.get_text() for tick in left.get_yticklabels()]
    assert len(set(ticks)) == len(HOSTILE)
    assert max(map(len, ticks)) <= 42
    legend = right.get_legend()
    assert legend is not None
    shown = {text.get_text().lstrip("\u200b").replace("\\$", "$") for text in legend.get_texts()}
    assert shown == {visible(name) for name in HOSTILE[:12]}
    plt.close("all")


def test_in_a_figure_a_dollar_is_a_dollar() -> None:
    with styled():
        assert drawn("$a$") == "$a$"
        figure, ax = plt.subplots(figsize=(2, 1))
        parsed = ax.set_title(drawn("$a$")).get_parse_math()
        plt.close(figure)
    assert not parsed
    assert drawn("$a$") == r"\$a\$"
    assert drawn("_a") == "\u200b_a"
    assert drawn("\u4e2d") == r"\u4e2d"


def test_figures_of_hostile_suites_have_files_of_their_own() -> None:
    rows = tuple(
        replace(row, suite=suite, system=f"${row.system}$")
        for suite in ("a/b", "a b", "y" * 300, "_x$\n")
        for row in score_rows()
        if row.metric == "wer"
    )
    figures = draw(Runs(paths=(Path("r"),), rows=rows, window_rows=(), infos={}), kinds=["bars"])
    stems = [each.name for each in figures]
    assert len(set(stems)) == len(stems) == 4
    assert max(len(stem.encode()) for stem in stems) <= 200
    assert all(figure_bytes(each.figure, "png") for each in figures)


def test_a_terminal_is_not_steered_by_names() -> None:
    app = Verb("t")

    @app.command()
    def tell(name: str = "") -> None:
        typer.echo("out \x1b]0;title\x07 \u202e \udc80 end")
        typer.echo("err \x1b[2J end", err=True)
        raise InputError("no \x1b[31mfile\r here")

    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    printed = result.output + result.stderr
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", printed)
    assert r"\x1b]0;title\x07 \u202e \udc80 end" in result.output
    assert sys.stdout.write("") == 0  # the streams are back


@quick
@given(names)
def test_any_file_name_can_name_a_sample(name: str) -> None:
    made = folder_name(name)
    check_folder_name("test", "sample", made)
    assert len(made.encode()) <= 255


def test_two_suites_of_one_name_are_not_mixed(tmp_path: Path) -> None:
    (tmp_path / "recordings" / "ours" / "x" / "p1" / "0").mkdir(parents=True)

    def prompts(*ids: str) -> list[Prompt]:
        picture = np.zeros((8, 8, 3), np.uint8)
        return [Prompt(prompt_id=each, transcript="a", reference=picture) for each in ids]

    check_suite_folder(tmp_path, "x", prompts("p1", "p2"))
    check_suite_folder(tmp_path, "y", prompts("q1"))
    with pytest.raises(InputError, match="'p1', which is no prompt of this suite"):
        check_suite_folder(tmp_path, "x", prompts("q1", "q2"))
