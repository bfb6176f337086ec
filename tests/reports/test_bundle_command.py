"""`streamchar bundle`: tables, figures and cards of a run in one file."""

import zipfile
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evals.commands.verify import app as verify_app
from reports.commands import bundle
from reports.gallery import draw
from tests.evals.protocols.runs import write_scored


def test_a_bundle_holds_tables_figures_cards_and_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "draw", partial(draw, kinds=["bars"]))
    run, out = tmp_path / "run", tmp_path / "run.zip"
    write_scored(run, "wer/whisper-base@2", [0.1, 0.2, None])
    done = CliRunner().invoke(bundle.app, [str(run), "--out", str(out)])
    assert done.exit_code == 0, done.output
    with zipfile.ZipFile(out) as archive:
        names = set(archive.namelist())
        assert "radford2023robust" in archive.read("protocols/references.bib").decode()
    assert {"tables/results.md", "protocols/cards/wer.whisper-base.toml", "SHA256SUMS"} <= names
    assert any(name.startswith("figures/") for name in names)
    checked = CliRunner().invoke(verify_app, [str(out)])
    assert checked.exit_code == 0, checked.output
