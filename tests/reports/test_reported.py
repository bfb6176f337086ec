"""Reported numbers stand apart: never bold, never ranked, always with their source."""

import re
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evals.commands import ls
from reports.reported import (
    FOLDER,
    listing,
    read_reported,
    reported_latex,
    reported_markdown,
    reported_tables,
)
from streamchar_ref.core.errors import InputError


def test_every_file_is_a_table_with_a_source() -> None:
    tables = reported_tables("all")
    assert {table.name for table in tables} == {path.stem for path in FOLDER.glob("*.toml")}
    for table in tables:
        assert re.fullmatch(r"\d{4}\.\d{5}", table.arxiv)
        assert table.protocol
        assert table.read_from
        for _, *values in table.rows:
            assert all(value == "" or float(value) >= 0 for value in values)


def test_numbers_are_printed_as_published() -> None:
    (table,) = reported_tables("streamchar-1")
    printed = reported_markdown([table])
    assert printed.startswith("\n---\n\n**Reported, not measured here: StreamChar")
    assert (
        "| StreamChar distilled, 4 steps (reported) | 8.126 | 8.497 | 18.963 | 289.091 |" in printed
    )
    assert "Protocol, as the paper says: EMTD" in printed
    assert "arXiv 2605.25659" in printed
    assert "**" not in printed.split("\n", 4)[4]  # nothing is bold but the caption
    assert "WER" in table.grid.head[-1].text
    assert table.grid.rows[5][-1].text == "\N{EN DASH}"  # no WER of an audio-driven system


def test_latex_has_a_float_below_a_rule_and_nothing_bold() -> None:
    text = reported_latex(reported_tables("streamchar-2"))
    assert text.index("\\rule{\\linewidth}") < text.index("\\begin{table}")
    assert "StreamChar (reported) & 8.185 & 8.388 & 1.0 & 0.0067" in text
    assert "textbf" not in text


def test_an_unknown_table_is_named_with_its_neighbour() -> None:
    with pytest.raises(InputError, match="did you mean 'streamchar-1'"):
        reported_tables("streamchar1")
    assert reported_tables("") == []


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    good = (FOLDER / "vidu-s1.toml").read_text()
    faults = {
        '["Vidu S1", "7.847"]': ('["Vidu S1"]', "has 0 of 1 numbers"),
        'reliability = "S1"': ('reliability = "S9"', "one of P, S2, S1"),
        'table = "HDTF"': ('tabel = "HDTF"', "no table of reported numbers"),
        '"lower"': ('"less"', "no table of reported numbers"),
    }
    for old, (new, message) in faults.items():
        path = tmp_path / "x.toml"
        path.write_text(good.replace(old, new))
        with pytest.raises(InputError, match=message):
            read_reported(path)


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("reported", "reports.reported:listing", ls.GROUP)
    found = ls.entry_points
    monkeypatch.setattr(
        ls, "entry_points", lambda group: [entry] if group == ls.GROUP else found(group=group)
    )


@pytest.mark.usefixtures("listed")
def test_ls_lists_them() -> None:
    result = CliRunner().invoke(ls.app, ["reported"])
    assert result.exit_code == 0
    assert re.search("StreamChar +Table 1, short clips +2605.25659", result.output)
    assert len(result.output.splitlines()) == len(listing())
