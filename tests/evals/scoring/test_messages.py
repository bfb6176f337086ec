"""Commands that fail say why and what to do next; two writers never share a folder."""

import fcntl
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from evals.commands.reasons import MAX_LINES, notes_in_words, why_unscored
from evals.commands.record import app as record_app
from evals.commands.score import app as score_app
from evals.scoring.results import ScoreRow
from reports.commands.plot import app as plot_app
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.lock import only_writer
from streamchar_ref.weights import weights_folder
from tests.evals.toys import video
from tests.reports.factory import make_run

FAILING = """
class Failing:
    name = "failing"
    fps = 25
    sample_rate = 16_000

    def stream(self, prompt, *, seed):
        raise RuntimeError("no model here")
        yield
"""


def run_command(app: Any, *arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_failed_recording_says_why_and_where_the_traceback_is(tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    name, run = f"{tmp_path / 'failing.py'}:Failing", tmp_path / "run"
    arguments = (name, "--suite", "smoke", "--limit", 1, "--out", run)
    result = run_command(record_app, *arguments)
    assert result.exit_code == 1
    assert "0 recorded, 1 failed, 0 kept" in result.stdout
    (line,) = [line for line in result.stderr.splitlines() if "RuntimeError" in line]
    assert "smoke-harbor failed: RuntimeError: no model here; traceback: " in line
    assert "Traceback" in Path(line.rpartition("traceback: ")[2]).read_text()
    assert "--retry-failed" not in result.stderr
    more = run_command(record_app, name, "--suite", "smoke", "--out", run)
    assert "smoke-harbor and 2 more failed: RuntimeError: no model here" in more.stderr
    again = run_command(record_app, *arguments)
    assert "RuntimeError: no model here" in again.stderr
    assert "record it again with --retry-failed" in again.stderr


def test_scoring_names_causes_and_next_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(tmp_path / "none"))
    video(tmp_path / "a.mp4")
    line = {"sample_id": "a", "system": "s", "video_path": "a.mp4", "transcript": "hello"}
    (tmp_path / "m.jsonl").write_text(json.dumps(line) + "\n")
    arguments = ("--manifest", tmp_path / "m.jsonl", "--out", tmp_path / "run", "--jobs", 1)
    result = run_command(score_app, *arguments, "--metrics", "sync_c,sync_d,dynamic_degree")
    (told,) = [line for line in result.stderr.splitlines() if "unavailable" in line]
    assert told.startswith("2 unavailable (sync_c, sync_d): ")
    assert "| dynamic degree [%/s]" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("1 computed, 2 unavailable -> ")
    assert "streamchar weights pull" in told
    assert weights_folder() == tmp_path / "none"


def row(**changes: Any) -> ScoreRow:
    fields: dict[str, Any] = {
        "sample_id": "a", "system": "s", "suite": "u", "seed": 0, "metric": "wer",
        "protocol": "wer/x@1", "protocol_hash": "0" * 12, "domain": "real", "value": None,
        "weight": 0.0, "status": "unavailable", "reason": "no weights",
    }  # fmt: skip
    return ScoreRow(**(fields | changes))


def test_reasons_are_grouped_with_the_failures_first(tmp_path: Path) -> None:
    (tmp_path / "errors.txt").touch()
    rows = [row(value=1.0, weight=1.0, status="computed", reason="", sample_id="x")]
    rows += [row(sample_id=name, metric=metric) for name in "ab" for metric in ("wer", "cer")]
    rows += [row(status="evaluator_failure", reason="Boom", sample_id="c")]
    rows += [row(status="generation_failure", reason="no sound", sample_id="d")]
    rows += [row(status="not_applicable", reason="no reference", sample_id="e")]
    assert why_unscored(rows, tmp_path) == [
        "1 evaluator failure (wer; s/c): Boom",
        "1 generation failure (wer; s/d): no sound",
        "4 unavailable (wer, cer): no weights",
        f"tracebacks: {tmp_path}/errors.txt",
    ]
    nothing = [row(status="not_applicable", reason="no words")]
    assert why_unscored(nothing, tmp_path) == ["1 not applicable (wer): no words"]
    many = [row(reason=f"reason {number}") for number in range(MAX_LINES + 3)]
    assert why_unscored(many, tmp_path)[-1] == f"3 more reasons: {tmp_path}/scores.jsonl"


def test_no_traceback_is_promised_where_none_was_kept(tmp_path: Path) -> None:
    lines = why_unscored([row(status="evaluator_failure", reason="no such file")], tmp_path)
    assert lines == ["1 evaluator failure (wer; s/a): no such file"]


@pytest.mark.parametrize(
    ("kind", "metrics", "parts"),
    [
        ("latency", "", ("no arrival times", "streamchar record", "trace_path")),
        ("drift", "rtf", ("rtf: no curve over playing time; these have one:",)),
        ("pareto", "rtf", ("takes two metrics",)),
    ],
)
def test_nothing_to_draw_says_what_is_missing(
    tmp_path: Path, kind: str, metrics: str, parts: tuple[str, ...]
) -> None:
    run = make_run(tmp_path / "run")
    result = run_command(
        plot_app, run, "--kind", kind, *(("--metrics", metrics) if metrics else ())
    )
    assert result.exit_code == 1
    (line,) = [line for line in result.stderr.splitlines() if "nothing to draw" in line]
    assert all(part in line for part in parts), line


def test_two_writers_of_one_folder_exclude_each_other(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with only_writer(folder, verb="record"):
        with (
            pytest.raises(InputError, match=rf"process {os.getpid()} on .* choose another --out"),
            only_writer(folder, verb="record"),
        ):
            pass
        with only_writer(tmp_path / "other", verb="record"):
            pass
        (folder / "kept").touch()
    with only_writer(folder, verb="record"):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["run", "kept"]


def test_record_refuses_a_folder_that_another_process_writes(tmp_path: Path) -> None:
    with only_writer(tmp_path / "run", verb="record"):
        result = run_command(
            record_app, "static_portrait", "--suite", "smoke", "--out", tmp_path / "run"
        )
        assert result.exit_code == 2
        assert f"process {os.getpid()}" in result.stderr
        assert not (tmp_path / "run" / "recordings").exists()


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    holds = (
        "import os, sys; from pathlib import Path\n"
        "from streamchar_ref.core.lock import only_writer\n"
        "with only_writer(Path(sys.argv[1]), verb='record'): os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", holds, str(tmp_path)], check=False)
    lock = tmp_path / ".record.lock"
    assert lock.is_file()
    with only_writer(tmp_path, verb="record"):
        pass
    # A child that outlives its parent keeps the lock of the file; its owner is dead all the same.
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with lock.open("w") as orphan:
        fcntl.flock(orphan, fcntl.LOCK_EX)
        orphan.write(json.dumps({"pid": dead.pid, "host": platform.node()}))
        orphan.flush()
        with only_writer(tmp_path, verb="record"):
            pass


def test_a_note_on_many_recordings_is_one_line() -> None:
    notes = {f"s/u/{n}/0": ["64x64, scaled up"] for n in range(9)} | {"s/u/9/0": ["24 fps"]}
    assert notes_in_words(notes) == [
        "note: 64x64, scaled up (s/u/0/0, s/u/1/0, s/u/2/0, s/u/3/0, s/u/4/0, s/u/5/0 and 3 more)",
        "note: 24 fps (s/u/9/0)",
    ]


def test_a_long_name_of_a_recording_does_not_fill_the_screen() -> None:
    (line,) = notes_in_words({"s/" + "v9" * 3000: ["the picture is turned"]})
    assert len(line) < 300
    assert line.startswith("note: the picture is turned (s/v9v9")
