"""`streamchar world` says in one line what is wrong, before it draws."""

import json
from pathlib import Path

import pytest
from PIL import Image

from streamchar_ref import cli

COMMANDS = {
    "sheet": ("--identities", "1", "--size", "16"),
    "clip": ("--text", "Hello.", "--style", "flat", "--size", "32"),
}
SUFFIX = {"sheet": ".png", "clip": ".mp4"}


def run(verb: str, out: Path, *more: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        cli.main(("world", verb, *COMMANDS[verb], "--out", str(out), *more))
    return int(stopped.value.code or 0)


@pytest.mark.parametrize("verb", COMMANDS)
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing/picture{suffix}", "there is no folder"),
        ("picture.xyz", "the name must end in"),
        ("picture", "the name must end in"),
        ("folder{suffix}", "is a folder"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(
    verb: str, name: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / f"folder{SUFFIX[verb]}").mkdir()
    assert run(verb, tmp_path / name.format(suffix=SUFFIX[verb])) == 2
    said = capsys.readouterr().err
    assert why in said
    assert said.startswith("error: ")
    assert len(said.splitlines()) == 1


def test_what_fails_while_writing_is_one_line_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*how: object, **more: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    assert run("sheet", tmp_path / "picture.png") == 2
    assert capsys.readouterr().err == "error: No space left on device\n"


def test_a_sheet_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("sheet", tmp_path / "picture.PNG", "--json") == 0
    assert json.loads(capsys.readouterr().out)["identities"] == [0]
    with Image.open(tmp_path / "picture.PNG") as picture:
        assert picture.size == (16, 16)


@pytest.mark.parametrize("hours", ["0", "-1"])
def test_a_build_of_no_length_is_refused_in_one_line(
    hours: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("world", "build", "--hours", hours, "--max-mb", "40", "--out", str(tmp_path / "c"))
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"error: hours must be a number above 0, got {hours}\n"
