import shutil
import subprocess
from pathlib import Path

import pytest

from evals.scoring.compare import Comparison
from evals.scoring.summary import SummaryRow
from reports.headline import headline_latex, headline_of
from reports.paper import Paper, without_empty
from reports.render import latex, markdown
from streamchar_ref.cli import main
from tests.reports.test_tables import COUNTS, summary, table

WIDTHS = ("", "cvpr_column", "cvpr_page", "neurips", "acm_column")
HOSTILE = '50% "of" {x} & $y$ #1 ~ ^ \\ <a> | _b *-- été 名'


def won(system: str, against: str) -> Comparison:
    return Comparison(
        suite="smoke", metric="wer", protocol="wer/x@1",
        system=system, against=against, verdict="better",
    )  # fmt: skip


def rows(*names: str) -> list[SummaryRow]:
    return [summary(name, 0.1 * (place + 1), 0.5) for place, name in enumerate(names)]


def test_the_second_is_underlined_only_if_it_beats_all_but_the_best() -> None:
    beats = [won("a", "b"), won("a", "c"), won("b", "c")]
    line = table(*rows("a", "b", "c"), comparisons=beats).lines[0]
    assert (line.best, line.second) == ("a", "b")
    tied = table(*rows("a", "b", "c"), comparisons=beats[:2]).lines[0]
    assert (tied.best, tied.second) == ("a", "")
    no_best = table(*rows("a", "b", "c"), comparisons=beats[1:]).lines[0]
    assert (no_best.best, no_best.second) == ("", "")
    assert table(*rows("a", "b"), comparisons=beats).lines[0].second == ""


def test_bold_and_underline_are_explained_where_they_are() -> None:
    beats = [won("a", "b"), won("a", "c"), won("b", "c")]
    found = table(*rows("a", "b", "c"), comparisons=beats)
    text = latex(found)
    assert "\\textbf{10}" in text
    assert "\\underline{20}" in text
    assert "Underlined: better than each other system but the best." in text
    assert "nderline" not in latex(table(*rows("a", "b", "c"), comparisons=beats[:2]))
    assert "nderline" not in markdown(found)


def test_empty_lines_and_systems_go_with_a_note_and_failures_stay() -> None:
    gone = COUNTS | {"unavailable": 3}
    failed = COUNTS | {"generation_failure": 3}
    cells = [
        summary("a", 0.1, 0.01),
        summary("silent", None, counts=COUNTS | {"not_applicable": 3}),
        summary("broken", None, counts=failed),
        *(summary(name, None, metric="fvd", protocol="fvd/x@1", counts=gone) for name in "ab"),
    ]
    found = table(*cells)
    kept, (note,) = without_empty(found)
    assert [line.metric for line in kept.lines] == ["wer"]
    assert set(kept.systems) == {"a", "broken"}
    for name in ("FVD", "b", "silent"):
        assert name in note
    text = latex(found)
    body = text[text.index("\\toprule") : text.index("\\bottomrule")]
    assert "FVD" not in body
    assert "failed (3)" in body
    assert "Left out" in text


def test_a_table_without_any_value_keeps_its_cells() -> None:
    found = table(summary("a", None, counts=COUNTS | {"unavailable": 3}))
    assert without_empty(found) == (found, [])


def test_caption_label_and_width_are_those_asked_for() -> None:
    paper = Paper(label="tab:main results", caption="50% of it", width="cvpr_page")
    text = latex(table(*rows("a", "b")), paper=paper)
    assert text.count("\\begin{table*}") == text.count("\\end{table*}") == 1
    assert "\\caption{50\\% of it. Suite smoke, domain real, n = 6}" in text
    assert "\\label{tab:main-results}" in text
    assert "6.875in" in text
    assert "\\label{tab:smoke-real}" in latex(table(*rows("a", "b")))


def test_a_column_has_intervals_below_their_numbers() -> None:
    paper = Paper(width="cvpr_column")
    stacked = latex(table(*rows("a", "b")), paper=paper)
    beside = latex(table(*rows("a", "b")))
    assert stacked.count("\\\\\n") == beside.count("\\\\\n") + 2
    assert " & 10 \\\\" in stacked


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--label", "tab:x"), "--label goes with --format latex"),
        (("--format", "latex", "--width", "poster"), "none of: cvpr_column"),
    ],
)
def test_options_of_latex_are_checked(
    tmp_path: Path, arguments: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["table", str(tmp_path), *arguments])
    assert stopped.value.code == 2
    assert why in capsys.readouterr().err


def test_tables_of_all_widths_compile(tmp_path: Path) -> None:
    program = shutil.which("pdflatex")
    if program is None:
        pytest.skip("no pdflatex on PATH: apt-get install texlive-latex-recommended")
    cells = [
        summary(name, 0.1 + place, 0.05, metric=metric, protocol=f"{metric}/x@1")
        for metric in ("wer", "mesh_sync", "id_distance", "mesh_offset_ms", "fvd")
        for place, name in enumerate(("ours", "theirs", "other", "ground_truth"))
    ]
    whole = table(*cells)
    latin = HOSTILE.replace("名", "")  # its own fonts are Latin
    texts = [headline_latex(headline_of(whole), Paper(width=width)) for width in WIDTHS]
    texts += [latex(whole, paper=Paper(label="tab:all", caption=latin))]
    texts += [latex(table(summary(latin, 0.1, 0.01), summary("b", -0.2, 0.01)), "systems")]
    source = "\n".join(
        ["\\documentclass{article}", "\\usepackage{booktabs,graphicx}", "\\begin{document}",
         *texts, "See \\ref{tab:all}.", "\\end{document}"]
    )  # fmt: skip
    (tmp_path / "paper.tex").write_text(source, encoding="utf-8")
    done = subprocess.run(
        [program, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path, capture_output=True, text=True, errors="replace",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-1500:]
    assert "\\newlabel{tab:all}" in (tmp_path / "paper.aux").read_text(errors="replace")


def test_signs_that_latex_fonts_lack_are_announced() -> None:
    assert latex(table(summary(HOSTILE, 0.1))).startswith("% names in other scripts")
    assert latex(table(summary("été", 0.1))).startswith("% needs \\usepackage{booktabs")
