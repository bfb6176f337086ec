"""Files that a run or a user wrote are checked on reading: one line names file, place, remedy."""

import gzip
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from evals.calibration.faults.takes import read_take
from evals.calibration.units import read_units
from evals.commands.merge import app as merge
from evals.commands.record import app as record
from evals.commands.score import app as score
from evals.recording.jsonl import read_objects
from evals.recording.lengths import lengths_of
from evals.recording.manifest import load_manifest, read_arrivals
from evals.recording.meta import read_meta
from evals.recording.run_folder import read_run
from evals.scoring.results import dump_json, read_scores, read_windows
from evals.scoring.summary import read_summary
from evals.suites import load_suite
from reports.commands.table import app as table
from reports.load import load_runs
from streamchar_ref.core.errors import InputError
from streamchar_ref.weights import cache_folder

FIELD_KINDS: tuple[Any, ...] = (
    None,
    True,
    7,
    2**80,
    -1,
    0.5,
    "text",
    [],
    {},
    [[1]],
    {"a": {"b": 1}},
)
RECORDING = Path("recordings/static_portrait/own/p0/0")
TAKE = {
    "transcript": "hello",
    "suite": "own",
    "groups": {"identity": "a"},
    "words": [["hello", 0.0, 0.5]],
    "num_frames": 25,
    "other": "c1",
    "world": {"transcript": "hello", "identity": 1, "voice": "", "seed": 0},
}
UNIT = {
    "clip": "c0",
    "fault": "blur",
    "dose": 1.0,
    "realised": None,
    "keys": {"frames": "k"},
    "values": {"0" * 12: [None, 1.0, "no face"]},
    "error": "",
}
PROMPT = {
    "prompt_id": "p0",
    "transcript": [{"t_s": 0.0, "text": "hello"}, {"t_s": 0.5, "text": "my friend"}],
    "reference_path": "a.png",
    "voice": "v",
    "caption": "c",
    "seed": 1,
    "groups": {"identity": "a"},
}
SAMPLE = {
    "sample_id": "s",
    "system": "sys",
    "video_path": "v.mkv",
    "transcript": "hello",
    "seed": 1,
    "reference_path": "a.png",
    "language": "en",
    "trace_path": "c.jsonl",
    "chunk_frames": 8,
    "checkpoint": "k",
    "groups": {"identity": "a"},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one of each file."""
    folder = tmp_path_factory.mktemp("whole")
    Image.fromarray(np.full((16, 16, 3), 9, np.uint8)).save(folder / "a.png")
    (folder / "own.jsonl").write_text(json.dumps(PROMPT) + "\n")
    (folder / "m.jsonl").write_text(json.dumps(SAMPLE) + "\n")
    (folder / "take.json").write_text(json.dumps(TAKE))
    (folder / "units.jsonl").write_text(json.dumps(UNIT) + "\n")
    run = folder / "run"
    assert _code(record, "static_portrait", "--suite", folder / "own.jsonl", "--out", run) == 0
    assert _code(score, run, "--metrics", "rtf,colour_drift", "--jobs", 1) == 0
    shutil.copy(run / RECORDING / "chunks.jsonl", folder / "c.jsonl")
    shutil.copy(run / RECORDING / "video.mkv", folder / "v.mkv")
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def _code(app: Any, *arguments: object) -> int:
    return CliRunner().invoke(app, [str(argument) for argument in arguments]).exit_code


READERS: dict[str, Callable[[Path], object]] = {
    "run/run.json": lambda path: read_run(path.parent),
    f"run/{RECORDING}/meta.json": lambda path: read_meta(path.parent),
    f"run/{RECORDING}/chunks.jsonl": read_arrivals,
    "run/scores.jsonl": read_scores,
    "run/windows.csv": read_windows,
    "run/summary.json": read_summary,
    "m.jsonl": load_manifest,
    "own.jsonl": load_suite,
    "take.json": lambda path: read_take(path.parent),
    "units.jsonl": read_units,
}
FREE = {  # what a reader may find there without harm
    "run/run.json": {"git", "device"},
    f"run/{RECORDING}/meta.json": {"caption", "voice", "settings"},
    "run/scores.jsonl": {"components"},
}


def _changed(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = new
    return copy


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if place:
        yield place
    if not isinstance(value, dict | list):
        return
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if not {"protocols", "settings", "components"} & {key}:
            yield from _places(item, (*place, key))


def _kind(value: Any) -> object:
    return "number" if type(value) in (int, float) else type(value)


def _entry(path: Path) -> Any:
    text = path.read_text()
    return json.loads(text.splitlines()[0] if path.suffix == ".jsonl" else text)


def _is_refused(reader: Callable[[Path], object], path: Path) -> str:
    """The one line that says why; empty if the file is taken."""
    try:
        reader(path)
    except InputError as error:
        why = str(error)
    else:
        return ""
    assert len(why.splitlines()) == 1
    assert path.name in why
    return why


JSON_READERS = [name for name in READERS if not name.endswith(".csv")]


@pytest.mark.parametrize("name", JSON_READERS)
def test_a_value_of_another_kind_is_refused_wherever_it_stands(folder: Path, name: str) -> None:
    path, reader = folder / name, READERS[name]
    entry = _entry(path)
    tried, taken = 0, []
    for place in _places(entry):
        old: Any = entry
        for key in place:
            old = old[key]
        for new in FIELD_KINDS:
            is_like = _kind(new) == _kind(old) or (old is None) or new in ([], {}, None)
            if is_like or place[0] in FREE.get(name, ()):
                continue
            path.write_text(json.dumps(_changed(entry, place, new)) + "\n")
            tried += 1
            if not _is_refused(reader, path):
                taken.append((place, new))
    assert tried > 15
    assert [found for found in taken if not _is_plausible(name, *found)] == []


def _is_plausible(name: str, place: tuple[Any, ...], new: Any) -> bool:
    """What a file may hold at such a place, too."""
    if name == "own.jsonl":
        is_label = place[0] == "groups" and type(new) in (int, float)
        return is_label or (place == ("transcript",) and isinstance(new, str))
    is_direction = name == "run/summary.json" and place[-1] == "higher_is_better"
    return is_direction and isinstance(new, bool)


@pytest.mark.parametrize("name", JSON_READERS)
def test_what_is_missing_is_named(folder: Path, name: str) -> None:
    path = folder / name
    entry = _entry(path)
    rows = entry["rows"][0] if name.endswith("summary.json") else entry
    optional = {
        "run/run.json": set(rows),
        "m.jsonl": set(SAMPLE) - {"sample_id", "system", "video_path"},
        "own.jsonl": {"voice", "caption", "seed", "groups"},
        "take.json": {"other", "world"},
        f"run/{RECORDING}/meta.json": {
            "caption", "voice", "is_silent", "is_still", "role", "files", "digest",
        },
        "run/scores.jsonl": {"components"},
        f"run/{RECORDING}/chunks.jsonl": {"spoken"},
        "run/summary.json": {
            "zero_is_best", "n_independent", "abs_value", "abs_ci_low", "abs_ci_high",
            "macro_value", "if_best", "if_worst", "n_videos",
        },
    }.get(name, set())  # fmt: skip
    for field in set(rows) - optional:
        less: Any = {key: value for key, value in rows.items() if key != field}
        if name.endswith("summary.json"):
            less = {**entry, "rows": [less]}
        path.write_text(json.dumps(less) + "\n")
        assert field in _is_refused(READERS[name], path), field


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "binary": lambda content: bytes(range(256)) * 2,
    "UTF-16": lambda content: content.decode().encode("utf-16"),
    "half": lambda content: content[: len(content) // 2],
    "gzip": lambda content: gzip.compress(content),
    "Latin-1": lambda content: content.rstrip()[:-2] + b"\xe9" + content.rstrip()[-2:],
    "NUL": lambda content: content[:5] + b"\0" + content[5:],
    "deep": lambda content: b'{"a":' * 50_000,
    "list": lambda content: b"[1, 2]",
    "number": lambda content: b"9" * 5_000,
    "NaN": lambda content: b'{"seed": NaN}',
    "infinity": lambda content: b'{"seed": 1e999}',
    "twins": lambda content: b'{"seed": 1, "seed": 2}',
    "surrogate": lambda content: b'{"seed": "\\ud800"}',
    "twice": lambda content: content.rstrip() + b"\n" + content,
}


@pytest.mark.parametrize("name", READERS)
def test_damaged_bytes_are_refused(folder: Path, name: str) -> None:
    path, content = folder / name, (folder / name).read_bytes()
    if name != "units.jsonl":  # a line that is no JSON was cut short there, and is measured again
        for kind, damage in DAMAGES.items():
            path.write_bytes(damage(content))
            assert _is_refused(READERS[name], path), kind
    path.write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"))
    assert not _is_refused(READERS[name], path), "a byte order mark and CRLF do no harm"


@pytest.mark.parametrize("name", [*READERS, "a.png"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "loop"])
def test_what_is_no_file_is_refused_and_never_waited_for(
    folder: Path, name: str, kind: str
) -> None:
    path = folder / name
    path.unlink(missing_ok=True)
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "loop": lambda: path.symlink_to(path)}[
        kind
    ]()
    readers: dict[str, Callable[[Path], object]] = {
        "a.png": lambda path: load_suite(path.parent / "own.jsonl"),
    }
    assert _is_refused((READERS | readers)[name], path)


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        (0, {3: "sead"}),
        (0, {0: "system"}),
        (1, {3: "1.5"}),
        (1, {3: "\u0661"}),
        (1, {6: "nan"}),
        (1, {6: "x"}),
        (1, {8: "1e999"}),
        (1, {8: '"'}),
        (1, {8: 'a"b'}),
        (1, {0: ""}),
        (1, {8: "1,2"}),
    ],
)
def test_curves_with_wrong_cells_are_refused(
    folder: Path, line: int, cells: dict[int, str]
) -> None:
    path = folder / "run" / "windows.csv"
    lines = [text.split(",") for text in path.read_text().splitlines()]
    for column, cell in cells.items():
        lines[line][column] = cell
    path.write_text("\n".join(map(",".join, lines)) + "\n")
    assert "line" in _is_refused(read_windows, path)


def test_rows_that_are_twice_there_or_gone_are_noticed(folder: Path) -> None:
    path = folder / "run" / "scores.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[0]]))
    with pytest.raises(InputError, match=r"scores\.jsonl, line 3: .* is there twice"):
        read_scores(path)
    path.write_text(lines[0])
    with pytest.raises(InputError, match=r"scores\.jsonl and summary\.json differ"):
        load_runs(folder / "run")


def test_a_renamed_or_copied_recording_is_refused_and_the_others_are_scored(folder: Path) -> None:
    run = folder / "run"
    other = (run / RECORDING).parent.parent / "p1"
    shutil.copytree((run / RECORDING).parent, other)
    result = CliRunner().invoke(score, [str(run), "--metrics", "rtf", "--jobs", "1"])
    assert result.exit_code == 1
    assert "static_portrait/own/p0/0: the folder was renamed or copied" in result.stderr
    rows = {row.sample_id: row.status for row in read_scores(run / "scores.jsonl")}
    assert rows == {"p0": "computed", "p1": "evaluator_failure"}


def test_components_that_figures_read_are_checked(folder: Path) -> None:
    path = folder / "run" / "scores.jsonl"
    row = _entry(path)
    for components in ({"alignment": [[0.0]]}, {"ci_low": "x"}, {"alignment": "abc"}):
        path.write_text(json.dumps(row | {"components": components}) + "\n")
        assert "line 1" in _is_refused(read_scores, path)


@pytest.mark.parametrize(
    ("name", "app", "arguments"),
    [
        ("run/run.json", score, ("run", "--metrics", "rtf", "--jobs", "1")),
        ("run/run.json", merge, ("run", "--out", "new")),
        ("run/scores.jsonl", table, ("run",)),
        ("run/scores.jsonl", merge, ("run", "--out", "new")),
        ("run/windows.csv", merge, ("run", "--out", "new")),
        ("run/summary.json", table, ("run",)),
        ("own.jsonl", record, ("static_portrait", "--suite", "own.jsonl", "--out", "new")),
        ("m.jsonl", score, ("--manifest", "m.jsonl", "--out", "new", "--metrics", "rtf")),
    ],
)
@pytest.mark.parametrize("damage", ["binary", "list", "deep", "NaN"])
def test_commands_end_with_one_line_and_2(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    app: Any,
    arguments: tuple[str, ...],
    damage: str,
) -> None:
    monkeypatch.chdir(folder)
    path = folder / name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2, result.output
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert path.name in line
    assert result.stdout == ""


def test_a_transcript_with_nul_is_refused(tmp_path: Path) -> None:
    """UTF-16 without a mark is UTF-8 with a NUL after each letter."""
    (tmp_path / "m.jsonl").write_text(json.dumps({"transcript": "a\0b"}))
    with pytest.raises(InputError, match=r"m\.jsonl:1: text holds NUL"):
        list(read_objects(tmp_path / "m.jsonl"))
    (tmp_path / "ok.jsonl").write_text(json.dumps({"transcript": "a\\u0000b"}))
    assert [entry for _, entry in read_objects(tmp_path / "ok.jsonl")] == [
        {"transcript": "a\\u0000b"}
    ]


@pytest.mark.parametrize("content", [b"[", b"[" * 50_000, b'{"picture_s": "x"}', b"\xff", b"{}"])
def test_a_damaged_memo_is_made_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setenv("STREAMCHAR_CACHE", str(folder / "cache"))
    known = lengths_of(folder / "v.mkv")
    (memo,) = (cache_folder() / "lengths").glob("*.json")
    memo.write_bytes(content)
    assert lengths_of(folder / "v.mkv") == known


def test_bytes_of_names_that_are_not_utf8_never_reach_a_file() -> None:
    assert json.loads(dump_json({"reason": "caf\udce9.mkv"})) == {"reason": "caf?.mkv"}
