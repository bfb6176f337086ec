"""Files are whole or not there; JSON is read with suspicion; commands end in one line."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import (
    partial_path,
    read_json,
    remove_abandoned,
    replacing,
    write_atomically,
)


def test_a_file_that_fails_to_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"old")

    def fail() -> None:
        with replacing(path, durable=True) as partial:
            partial.write_bytes(b"half of the n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]
    assert path.read_bytes() == b"old"


def test_a_name_as_long_as_a_disk_allows_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_atomically(path, b"content")
    assert path.read_bytes() == b"content"


def test_what_ended_processes_left_is_removed_and_what_running_ones_write_is_not(
    tmp_path: Path,
) -> None:
    program = (
        "import sys; from pathlib import Path; from streamchar_ref.core.files import partial_path\n"
        "print(partial_path(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "deep" / "video.mkv")]
    left = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    left.mkdir(parents=True)
    (left / "frames.raw").write_bytes(b"f")
    own, kept = partial_path(tmp_path / "video.mkv"), tmp_path / "deep" / "video.mkv"
    own.write_bytes(b"half")
    kept.write_bytes(b"whole")
    remove_abandoned(tmp_path)
    assert not left.exists()
    assert own.exists()
    assert kept.exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\xff\xfe{}", "not UTF-8 text"),
        (b'{"a": 1', "not JSON"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": 1, "a": 2}', "the key 'a' is there twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"[1, 2]", r"a JSON object is wanted, got \[1, 2\]"),
        (b"", "not JSON"),
        (b"1" * 5000, "not JSON"),
    ],
)
def test_json_that_is_none_is_refused_by_name(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"run\.json: damaged, .*{why}"):
        read_json(path)


def test_json_is_read_as_it_was_written(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, None], "b": {"c": "ü"}}
    path = tmp_path / "run.json"
    path.write_text(json.dumps(value))
    assert read_json(path) == value


def test_what_is_quoted_in_an_error_has_an_end(tmp_path: Path) -> None:
    app = Verb("Fail.")

    @app.command()
    def fail() -> None:
        raise InputError(f"a.json: unknown field {'x' * 10**6}; it has fields a, b")

    result = CliRunner().invoke(app, [])
    assert len(result.stderr) < 1100
    assert result.stderr.startswith("error: a.json: unknown field xxx")
    assert result.stderr.endswith("it has fields a, b\n")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (InputError("a.json: no\nsuch field"), "error: a.json: no; such field\n"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a"), "error: a: the disk is full; "),
        (OSError(errno.EIO, os.strerror(errno.EIO), "a"), "error: a: input/output error\n"),
        (FileNotFoundError("a: no scores there"), "error: a: no scores there\n"),
        (MemoryError(), "error: out of memory; try fewer --jobs\n"),
    ],
)
def test_every_error_that_can_be_mended_is_one_line(error: Exception, words: str) -> None:
    app = Verb("Fail.")

    @app.command()
    def fail() -> None:
        raise error

    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    assert result.stderr.startswith(words)
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("path", ["", "."])
def test_the_current_folder_is_no_file_to_write(path: str) -> None:
    with pytest.raises(InputError, match="give the name of a file"):
        write_atomically(Path(path), b"")
