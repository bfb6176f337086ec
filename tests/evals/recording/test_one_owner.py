"""Processes at once in one folder: they exclude each other or lose nothing."""

import json
import multiprocessing
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from evals.recording import transaction
from evals.recording.record import record
from evals.recording.run_folder import read_run, recording_folders, recordings_of
from evals.recording.system import Prompt
from evals.recording.transaction import consistently, place_of
from evals.scoring.merge import merge
from evals.scoring.results import read_scores
from evals.scoring.summary import read_summary
from reports.commands.calibrate import app as calibrate_app
from reports.commands.report import app as report_app
from reports.commands.run import app as run_app
from streamchar_ref.commands.verb import Verb
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.lock import only_writer
from streamchar_ref.media import AVChunk
from streamchar_ref.media.decode import frames
from tests.evals.kills import FAILED, in_child, started, tree
from tests.evals.recording.test_record import Scripted, plan, prompt
from tests.evals.recording.test_results_transaction import Scoring, scoring
from tests.evals.scoring.test_messages import run_command
from tests.reports.factory import make_run

__all__ = ["scoring"]

Holder = Callable[..., int]


def at_once(*works: Callable[[], object]) -> list[int]:
    """Runs each in a process of its own, all from the same moment; returns the exit statuses."""
    barrier = multiprocessing.get_context("fork").Barrier(len(works))
    pids = [started(lambda work=work: (barrier.wait(), work())) for work in works]
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Holder]:
    """Starts processes that hold a folder until they are killed."""
    pids: list[int] = []

    def hold(folder: Path, verb: str, part: str = "", content: bytes | None = None) -> int:
        ready, tell = os.pipe()

        def work() -> None:
            with only_writer(folder, verb=verb, part=part):
                if content is not None:
                    (handle,) = _handles(folder / f".{part or verb}.lock")
                    os.ftruncate(handle, 0)
                    os.pwrite(handle, content, 0)
                os.write(tell, b"1")
                signal.pause()

        pids.append(started(work))
        os.read(ready, 1)
        return pids[-1]

    yield hold
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _handles(path: Path) -> list[int]:
    handles = [int(name) for name in os.listdir("/proc/self/fd")]
    places = {handle: Path(f"/proc/self/fd/{handle}") for handle in handles}
    return [h for h, place in places.items() if os.path.lexists(place) and place.resolve() == path]


def test_two_scorers_at_once_lose_no_row(tmp_path: Path, scoring: Scoring) -> None:
    whole = tmp_path / "whole"
    scoring(whole, "a b", "rtf", whole="a b c d")
    scoring(whole, "c d", "rtf", whole="a b c d")
    scoring(whole, "a b c d", "wer")
    for race in range(4):
        run = tmp_path / str(race)
        statuses = at_once(
            lambda run=run: scoring(run, "a b", "rtf", whole="a b c d"),
            lambda run=run: scoring(run, "c d", "rtf", whole="a b c d"),
            lambda run=run: scoring(run, "a b c d", "wer"),
        )
        assert statuses == [0, 0, 0]
        assert tree(run) == tree(whole)


def test_rows_of_recordings_that_came_while_it_was_measuring_stay(
    tmp_path: Path, scoring: Scoring
) -> None:
    scoring(tmp_path, "a gone", "rtf")
    scoring(tmp_path, "a", "rtf", meanwhile=lambda: scoring(tmp_path, "a b", "rtf"))
    assert {each.sample_id for each in read_scores(tmp_path / "scores.jsonl")} == {"a", "b"}
    told = read_run(tmp_path)
    assert told["identities"] == {"u/a": "a", "u/b": "b"}
    assert told["notes"] == {"s/u/a/0": ["on a"], "s/u/b/0": ["on b"]}


def test_scores_of_another_manifest_that_came_meanwhile_are_not_mixed_in(
    tmp_path: Path, scoring: Scoring
) -> None:
    def other() -> None:
        scoring(tmp_path, "b", "rtf", config={"manifest": "../other.jsonl"})

    with pytest.raises(InputError, match=r"holds scores of \.\./other\.jsonl"):
        scoring(tmp_path, "a", "rtf", config={"manifest": "../mine.jsonl"}, meanwhile=other)
    assert [each.sample_id for each in read_scores(tmp_path / "scores.jsonl")] == ["b"]


def test_a_scorer_waits_for_another_and_then_says_for_whom(
    tmp_path: Path, scoring: Scoring, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = holder(tmp_path, "merge", part="score")
    monkeypatch.setattr(transaction, "WAIT_S", 0.1)
    with pytest.raises(InputError, match=f"process {owner} on .* does 'merge' there and has not"):
        scoring(tmp_path, "a", "rtf")
    monkeypatch.setattr(transaction, "WAIT_S", 60.0)
    threading.Timer(0.1, os.kill, (owner, signal.SIGKILL)).start()
    scoring(tmp_path, "a", "rtf")
    assert len(read_scores(tmp_path / "scores.jsonl")) == 1
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


class Slow(Scripted):
    """Takes its time, so that two of them meet."""

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        for chunk in super().stream(prompt, seed=seed):
            time.sleep(0.01)
            yield chunk


def test_of_two_recorders_at_once_one_records_and_the_other_says_so(tmp_path: Path) -> None:
    prompts = [prompt(name) for name in "abc"]
    for race in range(3):
        run = tmp_path / str(race)
        statuses = at_once(*[lambda run=run: record(Slow([0.1] * 3), prompts, plan(run))] * 2)
        assert sorted(statuses) == [0, FAILED]
        assert [found.error for found in recordings_of(run)] == [""] * 3
        assert [sum(map(len, frames(each.video_path))) for each in recordings_of(run)] == [24] * 3
        assert [path.name for path in run.iterdir()] == ["recordings"]


def test_record_and_merge_exclude_each_other(tmp_path: Path, holder: Holder) -> None:
    record(Scripted([0.1]), [prompt()], plan(tmp_path / "part"))
    holder(tmp_path / "out", "merge", part="record")
    with pytest.raises(InputError, match="does 'merge' there already"):
        record(Scripted([0.1]), [prompt()], plan(tmp_path / "out"))
    holder(tmp_path / "other", "record")
    with pytest.raises(InputError, match="does 'record' there already"):
        merge([tmp_path / "part"], tmp_path / "other")
    assert not (tmp_path / "other" / "recordings").exists()


@pytest.mark.parametrize(
    ("app", "verb", "options"),
    [
        (run_app, "run", ("smoke", "--systems", "static_portrait")),
        (calibrate_app, "calibrate", ("--suite", "smoke")),
    ],
    ids=["run", "calibrate"],
)
def test_the_second_of_a_kind_is_told_who_is_there(
    tmp_path: Path, holder: Holder, app: Verb, verb: str, options: tuple[str, ...]
) -> None:
    owner = holder(tmp_path / "out", verb)
    result = run_command(app, *options, "--limit", "1", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert f"process {owner} on {platform.node()} does '{verb}' there already" in result.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f".{verb}.lock"]


def test_a_report_waits_for_another_in_the_same_run_but_not_elsewhere(
    tmp_path: Path, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "run")
    owner = holder(run, "report")
    monkeypatch.setattr("reports.build.WAIT_S", 0.1)
    result = run_command(report_app, run, "--out", run / "report.html")
    assert result.exit_code == 2
    assert f"process {owner} on {platform.node()} does 'report' there" in result.stderr
    assert not (run / "tables").exists()
    assert run_command(report_app, run, "--out", tmp_path / "report.html").exit_code == 0
    assert not [*tmp_path.glob(".*")]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"5", b"[1, 2]", b"\xff\xfe", b"[" * 4000, b'{"pid": 1', b'{"host": "here"}',
        b'{"pid": "one", "host": 1}', b'{"pid": 1e999, "host": "h"}', b'{"pid": null, "verb": 2}',
        json.dumps({"host": platform.node(), "pid": 2**80}).encode(),
    ],
)  # fmt: skip
def test_a_damaged_lock_file_neither_breaks_nor_blocks(
    tmp_path: Path, holder: Holder, content: bytes
) -> None:
    (tmp_path / ".record.lock").write_bytes(content)
    with only_writer(tmp_path, verb="record"):
        pass
    assert not [*tmp_path.iterdir()]
    holder(tmp_path, "record", content=content)
    with (
        pytest.raises(InputError, match=r"does '.*' there already; wait until it ends"),
        only_writer(tmp_path, verb="record"),
    ):
        pass


def test_a_child_that_outlives_a_killed_owner_holds_nothing(tmp_path: Path) -> None:
    told, tell = os.pipe()

    def own() -> None:
        with only_writer(tmp_path, verb="record"):
            os.write(tell, f"{started(signal.pause)}".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(own) == -signal.SIGKILL
    orphan = int(os.read(told, 16))
    try:
        with only_writer(tmp_path, verb="record"):
            pass
    finally:
        os.kill(orphan, signal.SIGKILL)


def test_threads_exclude_each_other_and_a_refused_one_leaves_the_lock(
    tmp_path: Path, holder: Holder
) -> None:
    with only_writer(tmp_path, verb="record"):
        for _ in range(2):
            with pytest.raises(InputError), only_writer(tmp_path, verb="record"):
                pass

        def intrude() -> None:
            with only_writer(tmp_path, verb="record"):
                pass

        assert in_child(intrude) == FAILED


def test_many_processes_that_take_turns_never_meet(tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.write_text("0")

    def work() -> None:
        for _ in range(20):
            with only_writer(tmp_path / "new", verb="score", wait_s=60):
                count.write_text(str(int(count.read_text()) + 1))

    assert at_once(work, work, work) == [0, 0, 0]
    assert count.read_text() == "60"
    assert not [*tmp_path.rglob(".*")]


def test_a_reader_never_sees_files_of_two_scorings(tmp_path: Path, scoring: Scoring) -> None:
    scoring(tmp_path, "a", "rtf", 0.0)

    def write() -> None:
        for step in range(1, 30):
            scoring(tmp_path, "a", "rtf", float(step))

    def read() -> set[float | None]:
        rows = read_scores(place_of(tmp_path, "scores.jsonl"))
        (summary,) = read_summary(place_of(tmp_path, "summary.json"))
        told = read_run(tmp_path)["protocols"]
        return {summary.value, *(row.value for row in rows), *(p["value"] for p in told.values())}

    writer, seen = started(write), set()
    while not os.waitpid(writer, os.WNOHANG)[0]:
        values = consistently([tmp_path], read)
        assert len(values) == 1
        seen |= values
    assert len(seen) > 2


@pytest.mark.parametrize("linked", ["file", "folder", "sample"])
def test_merge_follows_no_link_out_of_the_run(tmp_path: Path, linked: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_text("not for others")
    record(Scripted([0.1]), [prompt()], plan(tmp_path / "run"))
    (folder,) = recording_folders(tmp_path / "run").values()
    place, target = {
        "file": (folder / "notes.txt", tmp_path / "elsewhere" / "secret"),
        "folder": (folder / "more", tmp_path / "elsewhere"),
        "sample": (folder.parents[1] / "q", tmp_path / "elsewhere"),
    }[linked]
    if linked == "sample":
        (tmp_path / "elsewhere" / "0").mkdir()
    place.symlink_to(target)
    with pytest.raises(InputError, match="is a link that leads elsewhere"):
        merge([tmp_path / "run"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_merge_takes_recordings_from_another_disk(tmp_path: Path) -> None:
    run, disk = tmp_path / "run", tmp_path / "disk"
    record(Scripted([0.1]), [prompt()], plan(run))
    (run / "recordings").replace(disk)
    (run / "recordings").symlink_to(disk)
    merge([run], tmp_path / "merged")
    assert [one.sample_id for one in recordings_of(tmp_path / "merged")] == ["p"]


def test_merge_takes_files_only_and_links_within_the_run(tmp_path: Path) -> None:
    record(Scripted([0.1]), [prompt()], plan(tmp_path / "run"))
    (folder,) = recording_folders(tmp_path / "run").values()
    (folder / "copy.wav").symlink_to(folder / "audio.wav")
    merge([tmp_path / "run"], tmp_path / "out")
    (merged,) = recording_folders(tmp_path / "out").values()
    assert not (merged / "copy.wav").is_symlink()
    assert (merged / "copy.wav").read_bytes() == (folder / "audio.wav").read_bytes()
    os.mkfifo(folder / "pipe")
    with pytest.raises(InputError, match="pipe is no regular file"):
        merge([tmp_path / "run"], tmp_path / "second")
