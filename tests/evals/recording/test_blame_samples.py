"""One bad sample costs one sample: damaged recordings, transcripts, traces, references, notes."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evals.commands.record import app as record_app
from evals.commands.score import app as score_app
from evals.features.extraction import reference_features
from evals.features.missing import Missing
from evals.metrics.speed import SPEED_METRICS
from evals.protocols.base import MetricContext
from evals.recording.manifest import load_manifest
from evals.recording.media_files import recordings_of_files
from evals.recording.record import RecordPlan, record, record_one
from evals.recording.recording import Recording
from evals.recording.run_folder import cut_off, recording_folder, recordings_of
from evals.recording.system import Prompt
from evals.scoring.notes import notes_on
from evals.scoring.results import read_scores
from reports.build import build_report
from streamchar_ref.media import AVChunk
from tests.evals.recording.test_record import Scripted, plan, prompt
from tests.evals.toys import recording, toy_extractors, video  # noqa: F401

RTF = next(metric for metric in SPEED_METRICS if metric.name == "rtf")


def run(app: Any, *arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def denied(monkeypatch: pytest.MonkeyPatch, concerned: Path, method: str) -> None:
    """Reading is denied, whoever runs the test."""
    whole = getattr(Path, method)

    def refuse(path: Path, *args: Any, **options: Any) -> Any:
        if path == concerned:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return whole(path, *args, **options)

    monkeypatch.setattr(Path, method, refuse)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    record(Scripted([0.1, 0.1]), [prompt("p"), prompt("q")], plan(tmp_path, warm_up=True))
    return tmp_path


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("no meta.json", "meta.json is missing"),
        ("{", "meta.json: damaged"),
        ('{"seed": 0}', "damaged recording"),
        ("[" * 100_000, "damaged recording"),
        ("a folder", "damaged recording"),
    ],
)
def test_a_recording_without_its_meta_file_has_rows(
    recorded: Path, damage: str, words: str
) -> None:
    meta = recording_folder(recorded, "scripted", "s", "p", 0) / "meta.json"
    before = recordings_of(recorded)
    meta.unlink()
    if damage == "a folder":
        meta.mkdir()
    elif damage != "no meta.json":
        meta.write_text(damage)
    damaged, whole = recordings_of(recorded)
    assert (damaged.recording_id, damaged.error_status) == (
        before[0].recording_id, "evaluator_failure",
    )  # fmt: skip
    assert words in damaged.error
    assert "scripted/s/p/0" in damaged.error
    assert whole == before[1]
    done = run(score_app, recorded, "--metrics", "rtf", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["evaluator_failure"] == 1
    assert {row.sample_id: row.status for row in read_scores(recorded / "scores.jsonl")} == {
        "p": "evaluator_failure", "q": "computed",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["0.bak", "00", "-0", "x"])
def test_a_folder_that_is_no_recording_takes_the_place_of_none(recorded: Path, name: str) -> None:
    (recording_folder(recorded, "scripted", "s", "p", 0).parent / name).mkdir()
    done = run(score_app, recorded, "--metrics", "rtf")
    assert done.exit_code == 0
    assert f"recordings are called by their seed: scripted/s/p/{name}" in done.stderr


def test_a_file_in_the_place_of_a_recording_is_a_row(recorded: Path) -> None:
    folder = recording_folder(recorded, "scripted", "s", "p", 0)
    shutil.rmtree(folder)
    folder.touch()
    damaged, whole = recordings_of(recorded)
    assert (damaged.sample_id, damaged.error_status) == ("p", "evaluator_failure")
    assert whole.error == ""


@pytest.mark.parametrize("name", ["video.mkv", "audio.wav", "chunks.jsonl"])
def test_a_recorded_file_that_vanished_is_not_the_systems_failure(
    recorded: Path, name: str
) -> None:
    (recording_folder(recorded, "scripted", "s", "p", 0) / name).unlink()
    damaged, whole = recordings_of(recorded)
    assert (damaged.error_status, whole.error) == ("evaluator_failure", "")


def test_a_recording_that_was_cut_off_is_told(recorded: Path) -> None:
    (recording_folder(recorded, "scripted", "s", "killed", 0).parent / ".0.part").mkdir(
        parents=True
    )
    assert cut_off(recorded) == ["scripted/s/killed"]
    assert len(recordings_of(recorded)) == 2
    done = run(score_app, recorded, "--metrics", "rtf")
    assert "1 recording was cut off and not scored (scripted/s/killed)" in done.stderr


FAILING = """
from streamchar_ref.media import AVChunk
class Failing:
    name, fps, sample_rate = "failing", 25, 16000
    def stream(self, prompt, *, seed):
        raise RuntimeError("no model here")
        yield
"""


def test_recording_again_over_failures_counts_them_and_exits_1(tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    system = f"{tmp_path / 'failing.py'}:Failing"
    for _ in range(2):
        done = run(record_app, system, "--suite", "smoke", "--limit", 2, "--out", tmp_path / "run")
        assert done.exit_code == 1
        assert "0 recorded, 2 failed, 0 kept" in done.stdout


def test_recordings_without_out_go_where_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    monkeypatch.chdir(tmp_path)
    done = run(record_app, "failing.py:Failing", "--suite", "smoke", "--limit", 1)
    assert "recordings go to runs/smoke; choose another folder with --out" in done.stderr
    assert done.stdout.endswith(" -> runs/smoke\n")
    assert (tmp_path / "runs" / "smoke" / "recordings" / "failing").is_dir()


@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT", "EIO", "EMFILE"])
def test_a_fault_of_the_machine_is_remembered_of_no_system(tmp_path: Path, code: str) -> None:
    class Full(Scripted):
        def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
            yield from super().stream(prompt, seed=seed)
            number = getattr(errno, code)
            try:
                raise OSError(number, os.strerror(number))
            except OSError as error:
                raise RuntimeError("in the system's own words") from error

    told: RecordPlan = plan(tmp_path)
    with pytest.raises(RuntimeError, match="own words"):
        record_one(Full([0.1]), prompt(), told)
    assert not recording_folder(tmp_path, "scripted", "s", "p", 0).exists()
    assert record_one(Scripted([0.1]), prompt(), told)


def line(sample_id: str, **fields: Any) -> dict[str, Any]:
    return {"sample_id": sample_id, "system": "s", "video_path": "a.mp4", **fields}


def manifest(folder: Path, *lines: dict[str, Any]) -> list[Recording]:
    path = folder / "m.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return load_manifest(path)


@pytest.mark.parametrize("field", ["video_path", "audio_path"])
@pytest.mark.parametrize("name", ["none.mp4", "n" * 300, "n/" * 3000 + "n", "folder", "a.mp4/b"])
def test_a_line_whose_file_cannot_be_opened_has_rows(tmp_path: Path, field: str, name: str) -> None:
    video(tmp_path / "a.mp4", count=2)
    (tmp_path / "folder").mkdir()
    bad, good = manifest(tmp_path, line("bad", **{field: name}), line("good"))
    assert bad.error.startswith(f"{field}: ")
    assert (bad.error_status, good.error) == ("evaluator_failure", "")


def test_a_trace_that_cannot_be_read_lowers_coverage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video(tmp_path / "a.mp4", count=2)
    (tmp_path / "t.jsonl").write_text("{}")
    (tmp_path / "text.mp4").write_text("no video")
    arrival = {"index": 0, "num_frames": 2, "num_samples": 1280, "t_arrival_s": 0.1}
    (tmp_path / "whole.jsonl").write_text(json.dumps(arrival))
    denied(monkeypatch, tmp_path / "t.jsonl", "read_bytes")
    found = manifest(
        tmp_path,
        line("denied", trace_path="t.jsonl"),
        line("gone", trace_path="none.jsonl"),
        line("broken", trace_path="whole.jsonl", video_path="text.mp4"),
        line("whole", trace_path="whole.jsonl"),
    )
    statuses = [RTF.score(one, {}, MetricContext()).status for one in found]
    assert statuses == ["evaluator_failure"] * 2 + ["generation_failure", "computed"]


@pytest.mark.parametrize("kind", ["denied", "a folder", "a link to nothing", "a pipe"])
def test_a_transcript_that_cannot_be_read_costs_its_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    for name in ("a", "b"):
        video(tmp_path / f"{name}.mp4", count=2)
        (tmp_path / f"{name}.txt").write_text("hello")
    text = tmp_path / "a.txt"
    if kind == "denied":
        denied(monkeypatch, text, "read_bytes")
    else:
        text.unlink()
    if kind == "a folder":
        text.mkdir()
    if kind == "a pipe":
        os.mkfifo(text)
    if kind == "a link to nothing":
        text.symlink_to(tmp_path / "nothing")
    bad, good = recordings_of_files([tmp_path])
    assert "its transcript cannot be read" in bad.error
    assert bad.error_status == "evaluator_failure"
    assert (good.error, good.transcript) == ("", "hello")


@pytest.mark.parametrize("damage", ["gone", "text", "denied"])
def test_a_reference_picture_that_cannot_be_used_is_no_failure_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    path = tmp_path / "reference.png"
    if damage != "gone":
        path.write_text("no picture")
    if damage == "denied":
        denied(monkeypatch, path, "stat")
    for _ in range(2):
        found = reference_features(path, ["brightness"])["brightness"]
        assert isinstance(found, Missing)
        assert found.status == "evaluator_failure"
    assert not list((tmp_path / "cache").rglob("*.npz"))


def test_a_file_that_is_gone_costs_its_notes_only(tmp_path: Path) -> None:
    assert "FileNotFoundError" in notes_on(recording(tmp_path / "gone.mp4"))[0]


def test_a_report_says_which_picture_could_not_be_made(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(score_app, recorded, "--metrics", "rtf").exit_code == 0

    def fails(found: Recording) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    page = build_report([recorded], recorded / "report.html", player=fails).read_text()
    assert "no player: OSError: [Errno 5] Input/output error" in page
    monkeypatch.setattr("reports.page.figure_bytes", fails)
    assert build_report([recorded], recorded / "report.html", player=fails, strip=fails).is_file()
