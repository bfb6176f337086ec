"""What goes wrong while scoring costs its own rows only, and says so; shards add up."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.features import canonical as canonical_module
from evals.features import jobs as feature_jobs
from evals.protocols.base import Score
from evals.protocols.info import MetricInfo
from evals.protocols.set_metric import SetMetric
from evals.recording.recording import Recording
from evals.scoring.persist import score_run
from evals.scoring.results import read_scores
from evals.scoring.score import Options, score
from evals.scoring.summary import SummaryRow, summarise
from streamchar_ref.cli import main
from streamchar_ref.media.decode import frames
from streamchar_ref.media.encode import write_lossless
from streamchar_ref.media.wav import write_wav
from tests.evals.toys import ALL, RAN, recording, toy_extractors, video

__all__ = ["toy_extractors"]


def test_a_reader_that_fails_costs_its_own_sample_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(path: Path, **_: Any) -> Any:
        if path.name == "bad.mp4":
            raise ValueError("a stream that nobody thought of")
        return frames(path, **_)

    monkeypatch.setattr(canonical_module, "frames", fails)
    subjects = [
        recording(video(tmp_path / f"{name}.mp4", level=level), sample_id=name)
        for name, level in (("bad", 50), ("good", 100))
    ]
    scored = score(subjects, metrics=ALL[:1], options=Options())
    assert [row.status for row in scored.rows] == ["evaluator_failure", "computed"]
    assert "a stream that nobody thought of" in scored.rows[0].reason
    assert "Traceback" in scored.logs[0]


@pytest.mark.parametrize("native", [False, True])
def test_a_file_that_is_cut_short_has_no_number(tmp_path: Path, native: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 64, 64, 3), dtype=np.uint8)
    write_lossless(tmp_path / "whole.mkv", [pixels], fps=25)
    write_wav(tmp_path / "whole.wav", np.full(32_000, 0.1, np.float32), sample_rate=16_000)
    for name in ("mkv", "wav"):
        content = (tmp_path / f"whole.{name}").read_bytes()
        (tmp_path / f"cut.{name}").write_bytes(content[: len(content) // 2])
    subjects = [
        recording(tmp_path / f"{seen}.mkv", f"{seen}-{heard}", audio_path=tmp_path / f"{heard}.wav")
        for seen, heard in (("cut", "whole"), ("whole", "cut"))
    ]
    scored = score(subjects, metrics=[ALL[0], ALL[2]], options=Options(native=native))
    rows = {(row.sample_id, row.metric): row for row in scored.rows}
    assert rows["whole-cut", "brightness"].status == "computed"
    assert rows["cut-whole", "loudness"].status == "computed"
    seen, heard = rows["cut-whole", "brightness"], rows["whole-cut", "loudness"]
    assert (seen.status, heard.status) == ("generation_failure",) * 2
    assert re.fullmatch(
        r"cut\.mkv: is cut short: it holds 0\.\d\d s of the 2\.00 s in its header", seen.reason
    )
    assert heard.reason == "cut.wav: is cut short: it holds 1.00 s of the 2.00 s in its header"


def test_a_damaged_copy_of_a_recording_is_no_failure_of_its_system(tmp_path: Path) -> None:
    subject = replace(
        recording(video(tmp_path / "a.mp4")),
        error="damaged recording: audio.wav is missing",
        error_status="evaluator_failure",
    )
    (row,) = score([subject], metrics=ALL[:1], options=Options()).rows
    assert (row.status, row.reason) == ("evaluator_failure", subject.error)


def test_no_samples_of_sound_are_no_sound(tmp_path: Path) -> None:
    write_wav(tmp_path / "none.wav", np.zeros(0, np.float32), sample_rate=16_000)
    subject = recording(video(tmp_path / "a.mp4"), audio_path=tmp_path / "none.wav")
    rows = score([subject], metrics=[ALL[2]], options=Options()).rows
    assert (rows[0].status, rows[0].reason) == ("not_applicable", "nothing can be heard")


def test_a_damaged_cache_is_measured_anew(tmp_path: Path) -> None:
    subject = [recording(video(tmp_path / "a.mp4"))]
    before = score(subject, metrics=ALL[:1], options=Options()).rows
    for path in (tmp_path / "cache").rglob("*"):
        if path.suffix in {".npz", ".json"}:
            path.write_bytes(path.read_bytes()[:20])
    RAN.clear()
    assert score(subject, metrics=ALL[:1], options=Options()).rows == before
    assert RAN == ["brightness"]


def test_shards_in_one_folder_add_up_to_the_whole(tmp_path: Path) -> None:
    subjects = [recording(video(tmp_path / f"{n}.mp4"), sample_id=n) for n in "abc"]

    def score_into(run: Path, parts: list[list[Recording]]) -> dict[str, bytes]:
        for part in parts:
            score_run(
                run, part, metrics=ALL[:1], set_metrics=[SetSize()], options=Options(),
                progress=lambda *_: None, whole=subjects,
            )  # fmt: skip
        return {path.name: path.read_bytes() for path in run.iterdir()}

    whole = score_into(tmp_path / "whole", [subjects])
    parts = score_into(tmp_path / "parts", [subjects[::2], subjects[1::2]])
    assert parts["windows.csv"] == whole["windows.csv"]
    found = {row.sample_id: row for row in read_scores(tmp_path / "parts" / "scores.jsonl")}
    assert set(found) == {"a", "b", "c", "*"}
    assert (found["*"].status, found["*"].value) == ("unavailable", None)
    assert "one shard of the set" in found["*"].reason


class SetSize(SetMetric):
    name = protocol = "set_size"
    unit = "1"
    higher_is_better = None
    params: Mapping[str, Any] = {}

    def measure_set(self, features: Any, reference: Any) -> Score:
        raise ArithmeticError("singular")


def test_a_set_metric_that_fails_costs_its_own_row_only(tmp_path: Path) -> None:
    subjects = [
        recording(video(tmp_path / "a.mp4"), system=system) for system in ("real", "generated")
    ]
    scored = score(
        subjects, metrics=[], set_metrics=[SetSize()], options=Options(reference_system="real")
    )
    rows = {row.system: row for row in scored.rows}
    assert rows["generated"].status == "evaluator_failure"
    assert "ArithmeticError: singular" in rows["generated"].reason


class Counted(SetSize):
    def measure_set(self, features: Any, reference: Any) -> Score:
        return Score(value=1.0, components={"n_fake_videos": len(features)})


def test_a_set_without_the_streams_that_failed_is_not_whole(tmp_path: Path) -> None:
    real = recording(video(tmp_path / "a.mp4"), system="real")
    made = [replace(real, system="generated", sample_id=name) for name in "abc"]
    lost = replace(made[0], sample_id="d", error="out of memory", error_status="generation_failure")

    def summary_of(*generated: Recording) -> SummaryRow:
        options, infos = Options(reference_system="real"), {"set_size": MetricInfo("1", False)}
        rows = score([real, *generated], metrics=[], set_metrics=[Counted()], options=options).rows
        return next(one for one in summarise(rows, infos) if one.system == "generated")

    short = summary_of(*made, lost)
    assert (short.n_videos, short.coverage) == (3, 0.75)
    assert (short.if_best, short.if_worst) == (None, None)
    assert summary_of(*made).coverage == 1.0


def end_process(*_: object) -> None:
    os._exit(1)


def test_a_worker_that_dies_leaves_rows_that_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_jobs, "_extract_job", end_process)
    subject = recording(video(tmp_path / "a.mp4"))
    rows = score([subject], metrics=[ALL[0], ALL[2]], options=Options(jobs=2)).rows
    assert [row.status for row in rows] == ["evaluator_failure"] * 2
    assert "run out of memory" in rows[0].reason


WORKERS = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from streamchar_ref.core.executor import start_worker

def number(_):
    time.sleep(0.5)
    return os.getpid()

if __name__ == "__main__":
    pool = ProcessPoolExecutor(2, mp_context=get_context("spawn"), initializer=start_worker)
    print(*set(pool.map(number, range(4))), flush=True)
    time.sleep(60)
"""


def test_workers_end_with_a_scorer_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "workers.py").write_text(WORKERS)
    command = [sys.executable, tmp_path / "workers.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        workers = [Path(f"/proc/{pid.decode()}") for pid in parent.stdout.readline().split()]
        parent.kill()
    assert workers
    deadline = time.monotonic() + 10
    while any(worker.exists() for worker in workers):
        assert time.monotonic() < deadline, "a worker is still there"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "RUN", "--reference", "nobody"), "--reference 'nobody' is none of: s"),
        (("--out", "RUN/a.mp4"), "a file is in the way"),
        (("--out", "RUN", "--metrics", "wer", "--protocol", "rtf/arrivals@2"), "none of wer"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    video(tmp_path / "a.mp4", count=2)
    line = {"sample_id": "a", "system": "s", "video_path": "a.mp4", "transcript": "hello"}
    (tmp_path / "m.jsonl").write_text(json.dumps(line))
    used = [argument.replace("RUN", str(tmp_path)) for argument in arguments]
    used = used if "--metrics" in used else [*used, "--metrics", "rtf"]
    with pytest.raises(SystemExit) as stopped:
        main(["score", "--manifest", str(tmp_path / "m.jsonl"), *used])
    assert stopped.value.code == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert message in printed.err
