"""Command lines that are wrong end with exit code 2 and say why, in any surroundings."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import typer
from PIL import Image

from streamchar_ref.cli import GROUP, main

SYSTEMS = """
class Exits:
    name, fps, sample_rate = "exits", 25, 16_000

    def stream(self, prompt, *, seed):
        raise SystemExit(0)
        yield

class Needs:
    def __init__(self, weights):
        pass

class Raises:
    fps, sample_rate = 25, 16_000

    @property
    def name(self):
        raise KeyError("no name")

    def stream(self, prompt, *, seed):
        yield

class Stops:
    def __init__(self):
        raise SystemExit(0)

from builtins import dict as mapping
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save("a.png")
    prompt = {"prompt_id": "p", "transcript": "hi", "reference_path": "a.png"}
    Path("own.jsonl").write_text(json.dumps(prompt))
    Path("systems.py").write_text(SYSTEMS)
    Path("broken.py").write_text("class A(:\n")
    Path("exits.py").write_text("import sys\nsys.exit(0)\n")
    Path("nul.py").write_bytes(b"x = 1\0\n")
    os.mkfifo("pipe")
    Path("loop").symlink_to("loop")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and stderr of a command line."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0), capsys.readouterr().err


RECORD = ("record", "static_portrait", "--suite", "own.jsonl", "--out", "run")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("record", "systems.py:Needs", *RECORD[2:]), "needs --set weights="),
        (("record", "systems.py:Raises", *RECORD[2:]), "raises KeyError"),
        (("record", "systems.py:Stops", *RECORD[2:]), "raises SystemExit"),
        (("record", "systems.py:mapping", *RECORD[2:]), "no class of a system"),
        (("record", "systems.py", *RECORD[2:]), "say which class"),
        (("record", "broken.py:A", *RECORD[2:]), "broken.py, line 1"),
        (("record", "exits.py:A", *RECORD[2:]), "SystemExit"),
        (("record", "nul.py:A", *RECORD[2:]), "null bytes"),
        (("record", "~nobody-at-all/x.py:A", *RECORD[2:]), "names no file"),
        (("record", "loop/x.py:A", *RECORD[2:]), "file"),
        (("record", "a" * 300, *RECORD[2:]), "unknown system"),
        ((*RECORD, "--set", "words_per_s"), "key=value"),
        ((*RECORD, "--set", "words_per_s=NaN"), "NaN is no number"),
        ((*RECORD, "--set", "words_per_s=1e999"), "too large"),
        ((*RECORD, "--set", "words_per_s=" + "[" * 50_000), "nested too deeply"),
        ((*RECORD, "--set", 'words_per_s={"a":1,"a":2}'), "twice"),
        ((*RECORD, "--set", "words_per_s=\udcff"), "surrogates"),
        ((*RECORD, "--set", "words_per_s=x"), "cannot be made"),
        ((*RECORD, "--shard", "3/2"), "--shard"),
        ((*RECORD, "--shard", "\u00b2/2"), "--shard"),
        ((*RECORD, "--seed", str(2**80)), "--seed"),
        ((*RECORD, "--seed", "-1"), "--seed"),
        ((*RECORD, "--limit", str(2**80)), "--limit"),
        (("record", "static_portrait", "--suite", "pipe.jsonl", "--out", "x"), "no such file"),
        (("record", "static_portrait", "--suite", "own.jsonl", "--out", "a.png"), "a.png"),
        (("record", "static_portrait", "--suite", "own.jsonl", "--out", "b" * 300), "too long"),
        (("record", "static_portrait", "--suite", "own.jsonl", "--out", "x\0y"), "NUL"),
        (("score", "pipe"), "no such file"),
        (("score", "loop"), "no such file"),
        (("score", "c" * 300), "too long"),
        (("score", "own.jsonl"), "--manifest"),
        (("score", ".", "--max-failures", "nan"), "--max-failures"),
        (("score", ".", "--jobs", str(2**80)), "--jobs"),
        (("score", ".", "--system", "\udcff"), "cannot name a folder"),
        (("score", "--manifest", "pipe", "--out", "x"), "pipe"),
        (("score", "--manifest", ".", "--out", "x"), "a folder is where"),
        (("calibrate", "--out", "x", "--suite", "smoke", "--seconds", "nan"), "--seconds"),
        (("calibrate", "--out", "x", "--suite", "smoke", "--faults", "\udcff"), "unknown fault"),
        (("table", "nothing"), "no scores.jsonl"),
        (("table", "[" * 300), "scores.jsonl"),
        (("plot", ".", "--kind", "$x"), "none of"),
        (("sweep", "nowhere/*", *RECORD[2:]), "no folder matches"),
        (("sweep", "loop", *RECORD[2:], "--watch-minutes", "nan"), "--watch-minutes"),
        (("sweep", ".", *RECORD[2:], "--against", "pipe"), "no checkpoint"),
        (("merge", "nothing", "--out", "x"), "no run folder"),
        (("generate", "--text", "hi", "--out", "o.mp4", "--set", "stream.fps=NaN"), "not a whole"),
        (("generate", "--text", "hi", "--out", "o.mp4", "--set", "stream.fps=0"), ""),
        (
            ("generate", "--text", "hi", "--out", "o.mp4", "--set", "stream=1", "--set",
             "stream.fps=2"),
            "stream",
        ),
        (("generate", "--text", "hi", "--out", "o.mp4", "--max-minutes", "inf"), "--max-minutes"),
        (("generate", "--text", "hi", "--out", "o.mp4", "--character", "9" * 5000), "--character"),
        (("\udcff",), "no command"),
    ],
)  # fmt: skip
def test_what_is_used_wrongly_ends_with_2(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: Sequence[str], why: str
) -> None:
    code, told = run(capsys, *arguments)
    assert code == 2, told
    assert "Traceback" not in told
    assert why in " ".join(told.replace("\u2502", " ").split()), told


def test_a_system_that_exits_is_a_failed_recording(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = run(capsys, "record", "systems.py:Exits", *RECORD[2:])
    assert code == 1
    assert "p failed: SystemExit: 0" in told


def _commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    for entry in entry_points(group=GROUP):
        command = typer.main.get_command(entry.load())
        for name, one in getattr(command, "commands", {"": command}).items():
            yield (entry.name, *([name] if name else [])), one


@pytest.mark.parametrize("value", ["nan", "inf", str(2**80), "-" + "9" * 400])
def test_every_number_of_every_command_is_checked(
    folder: Path, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    tried = 0
    for words, command in _commands():
        hints = get_type_hints(command.callback)
        for option in command.params:
            if hints.get(option.name) not in (int, float, int | None, float | None):
                continue
            needed = [
                part for other in command.params if other.required and other is not option
                for part in ((other.opts[0], "x") if other.opts[0].startswith("-") else ("x",))
            ]  # fmt: skip
            code, told = run(capsys, *words, *needed, option.opts[0], value)
            assert code == 2, (words, option.opts, told)
            assert "Traceback" not in told
            tried += 1
    assert tried > 25


PRINTS = "import sys; from streamchar_ref.cli import main; main(sys.argv[1:])"


@pytest.mark.parametrize(
    ("arguments", "closed", "code"),
    [
        (["ls", "suites"], ">&-", 0),
        (["score", "nothing"], ">&- 2>&-", 2),
        (["ls", "caf\udce9"], "2>&-", 2),
        (["score", "caf\udce9"], "", 2),
    ],
)
def test_closed_streams_ascii_and_no_home_do_no_harm(
    tmp_path: Path, arguments: list[str], closed: str, code: int
) -> None:
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    ended = subprocess.run(
        ["bash", "-c", f'exec "$0" "$@" {closed}', sys.executable, "-c", PRINTS, *arguments],
        env=env, cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    assert ended.returncode == code, ended.stderr
    assert b"Traceback" not in ended.stderr + ended.stdout


@pytest.mark.filterwarnings("ignore:constrained_layout")
def test_a_page_is_written_whatever_its_title(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, *RECORD)[0] == 0
    assert run(capsys, "score", "run", "--metrics", "rtf", "--jobs", "1")[0] == 0
    code, told = run(capsys, "report", "run", "--title", "caf\udce9", "--out", "page.html")
    assert code == 0, told
    assert r"caf\udce9" in Path("page.html").read_text(encoding="utf-8")
