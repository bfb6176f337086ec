"""Recording: the clock is the harness's, failures are kept, the same command goes on."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evals.recording.record import RecordPlan, record, record_one
from evals.recording.run_folder import read_recording, recording_folder, recordings_of
from evals.recording.system import Prompt, first_chunks
from streamchar_ref.core.errors import InputError
from streamchar_ref.media import AVChunk
from streamchar_ref.media.decode import audio, frames
from streamchar_ref.media.picture import read_picture


class Clock:
    """Seconds that pass only when a system says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Scripted:
    """Yields chunks as told: a number is a chunk that took so long, an exception is raised."""

    name = "scripted"
    fps = 25
    sample_rate = 16_000

    def __init__(self, script: list[object], clock: Clock | None = None) -> None:
        self.script = script
        self.clock = clock or Clock()
        self.num_requests = 0

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        self.num_requests += 1
        rng = np.random.default_rng(seed)
        for index, step in enumerate(self.script):
            if isinstance(step, Exception):
                raise step
            if isinstance(step, AVChunk):
                yield step
                continue
            self.clock.now += float(step)  # type: ignore[arg-type]
            yield AVChunk(
                index=index,
                frames=rng.integers(0, 256, (8, 16, 16, 3), dtype=np.uint8),
                samples=np.full(8 * 640, 0.1 * index, np.float32),
            )


def prompt(prompt_id: str = "p") -> Prompt:
    reference = np.zeros((8, 8, 3), np.uint8)
    return Prompt(prompt_id=prompt_id, transcript="hello there", reference=reference)


def plan(out: Path, **changes: object) -> RecordPlan:
    return RecordPlan(**({"out": out, "suite": "s", "warm_up": False} | changes))  # type: ignore[arg-type]


def test_arrivals_are_read_from_the_harness_clock(tmp_path: Path) -> None:
    clock = Clock()
    assert record_one(Scripted([0.5, 0.25, 1.0], clock), prompt(), plan(tmp_path), clock=clock)
    found = read_recording(recording_folder(tmp_path, "scripted", "s", "p", 0))
    assert found.trace is not None
    assert list(found.trace.t_arrival_s) == [0.5, 0.75, 1.75]
    assert list(found.trace.media_s) == [0.32] * 3
    assert found.transcript == "hello there"
    assert found.reference_path is not None


def test_what_was_streamed_is_what_is_read_back(tmp_path: Path) -> None:
    system = Scripted([0.1] * 5)
    streamed = list(system.stream(prompt(), seed=7))
    record_one(Scripted([0.1] * 5), prompt(), plan(tmp_path, seed=7))
    found = read_recording(recording_folder(tmp_path, "scripted", "s", "p", 7))
    np.testing.assert_array_equal(
        np.concatenate(list(frames(found.video_path))),
        np.concatenate([chunk.frames for chunk in streamed]),
    )
    assert found.audio_path is not None
    np.testing.assert_allclose(
        audio(found.audio_path, sample_rate=16_000),
        np.concatenate([chunk.samples for chunk in streamed]),
        atol=1e-4,  # 16 bits
    )


class SameBuffers(Scripted):
    """Writes each chunk over the one before, as a real-time program does."""

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        frames, samples = np.zeros((8, 16, 16, 3), np.uint8), np.zeros(8 * 640, np.float32)
        for chunk in super().stream(prompt, seed=seed):
            frames[:], samples[:] = chunk.frames, chunk.samples
            yield replace(chunk, frames=frames, samples=samples)


def test_a_system_may_use_its_buffers_again(tmp_path: Path) -> None:
    recordings = []
    for folder, kind in (("own", Scripted), ("same", SameBuffers)):
        record_one(kind([0.1] * 4), prompt(), plan(tmp_path / folder))
        found = read_recording(recording_folder(tmp_path / folder, "scripted", "s", "p", 0))
        assert found.audio_path is not None
        recordings.append((found.video_path.read_bytes(), found.audio_path.read_bytes()))
    assert recordings[0] == recordings[1]
    chunks = first_chunks(SameBuffers([0.1] * 4), prompt(), seed=0, count=3)
    assert [float(chunk.samples[0]) for chunk in chunks] == pytest.approx([0, 0.1, 0.2])


class Careless(Scripted):
    """Uses what it is handed as its own."""

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        prompt.reference[:] = 0
        prompt.groups["identity"] = "another"
        yield from super().stream(prompt, seed=seed)


def test_a_system_that_alters_its_prompt_alters_nothing_that_is_measured(tmp_path: Path) -> None:
    asked = replace(prompt(), reference=np.full((8, 8, 3), 200, np.uint8))
    record(Careless([0.1]), [asked], plan(tmp_path, warm_up=True))
    found = read_recording(recording_folder(tmp_path, "scripted", "s", "p", 0))
    assert found.reference_path is not None
    assert (read_picture(found.reference_path) == 200).all()
    assert (asked.reference == 200).all()
    assert found.groups == asked.groups == {}


BROKEN: dict[str, list[object]] = {
    "raises": [0.1, ValueError("out of words")],
    "no chunks": [],
    "index jumps": [AVChunk(index=3, frames=np.zeros((1, 8, 8, 3), np.uint8),
                            samples=np.zeros(640, np.float32))],
    "NaN samples": [AVChunk(index=0, frames=np.zeros((1, 8, 8, 3), np.uint8),
                            samples=np.full(640, np.nan, np.float32))],
    "too loud": [AVChunk(index=0, frames=np.zeros((1, 8, 8, 3), np.uint8),
                         samples=np.full(640, 2.0, np.float32))],
    "size changes": [AVChunk(index=i, frames=np.zeros((1, 8 + i, 8, 3), np.uint8),
                             samples=np.zeros(640, np.float32)) for i in range(2)],
    "no frames": [AVChunk(index=0, frames=np.zeros((0, 8, 8, 3), np.uint8),
                          samples=np.zeros(640, np.float32))],
}  # fmt: skip
MESSAGES = {
    "raises": "ValueError: out of words",
    "no chunks": "yielded no chunks",
    "index jumps": "came with index 3",
    "NaN samples": "NaN or infinite",
    "too loud": "must be finite and in",
    "size changes": "frame size changes",
    "no frames": "without frames",
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_stream_is_kept_as_a_failure_and_the_next_is_recorded(
    tmp_path: Path, fault: str
) -> None:
    assert not record_one(Scripted(BROKEN[fault]), prompt("bad"), plan(tmp_path))
    assert record_one(Scripted([0.1]), prompt("good"), plan(tmp_path))
    bad, good = recordings_of(tmp_path)
    assert MESSAGES[fault] in bad.error
    assert "Traceback" in (bad.video_path.parent / "error.txt").read_text()
    assert good.error == ""


def test_the_same_command_goes_on_and_never_retries_silently(tmp_path: Path) -> None:
    prompts = [prompt("a"), prompt("b")]
    failing = Scripted([ValueError("no")])
    assert record(failing, prompts, plan(tmp_path)) == {"recorded": 0, "failed": 2, "kept": 0}
    working = Scripted([0.1])
    assert record(working, prompts, plan(tmp_path)) == {"recorded": 0, "failed": 0, "kept": 2}
    assert working.num_requests == 0
    again = plan(tmp_path, retry_failed=True)
    assert record(working, prompts, again) == {"recorded": 2, "failed": 0, "kept": 0}


def test_another_prompt_or_setting_under_the_same_name_is_refused(tmp_path: Path) -> None:
    record(Scripted([0.1]), [prompt()], plan(tmp_path))
    with pytest.raises(InputError, match="another settings"):
        record(Scripted([0.1]), [prompt()], plan(tmp_path, settings={"steps": 4}))
    changed = Prompt(prompt_id="p", transcript="other words", reference=prompt().reference)
    with pytest.raises(InputError, match="another prompt hash"):
        record(Scripted([0.1]), [changed], plan(tmp_path))


def test_an_interrupted_recording_leaves_no_folder_behind(tmp_path: Path) -> None:
    class Interrupted(Scripted):
        def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
            yield from super().stream(prompt, seed=seed)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record_one(Interrupted([0.1]), prompt(), plan(tmp_path))
    assert not recording_folder(tmp_path, "scripted", "s", "p", 0).exists()
    assert record_one(Scripted([0.1]), prompt(), plan(tmp_path))


def test_a_warm_up_request_goes_first_and_is_noted(tmp_path: Path) -> None:
    system = Scripted([0.1])
    record(system, [prompt("a"), prompt("b")], plan(tmp_path, warm_up=True))
    assert system.num_requests == 3
    assert all(r.trace is not None and r.trace.is_warm for r in recordings_of(tmp_path))


NAMES = ("video.mkv", "audio.wav", "chunks.jsonl", "reference.png")


def recorded(out: Path, prompt_id: str) -> Path:
    return recording_folder(out, "scripted", "s", prompt_id, 0)


def cut(path: Path, other: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def swap(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())


def flip(path: Path, other: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("alter", [cut, swap, flip, lambda path, other: path.unlink()])
@pytest.mark.parametrize("name", NAMES)
def test_an_altered_file_is_named_and_no_failure_of_the_system(
    tmp_path: Path, name: str, alter: Callable[[Path, Path], None]
) -> None:
    record(Scripted([0.1, 0.1]), [prompt("p")], plan(tmp_path))
    brighter = replace(prompt("q"), reference=np.full((8, 8, 3), 9, np.uint8))
    record(Scripted([0.2, 0.2, 0.1]), [brighter], plan(tmp_path))
    assert all(one.error == "" for one in recordings_of(tmp_path))
    alter(recorded(tmp_path, "p") / name, recorded(tmp_path, "q") / name)
    damaged, whole = recordings_of(tmp_path)
    assert damaged.error.startswith(f"damaged recording: {name} ")
    assert damaged.error.endswith("delete the folder and record this sample again")
    assert (damaged.error_status, damaged.trace) == ("evaluator_failure", None)
    assert whole.error == ""


@pytest.mark.parametrize("alter", [cut, swap])
@pytest.mark.parametrize("name", ["video.mkv", "audio.wav", "chunks.jsonl"])
def test_a_recording_without_digests_is_compared_by_its_counts(
    tmp_path: Path, name: str, alter: Callable[[Path, Path], None]
) -> None:
    record(Scripted([0.1, 0.1]), [prompt("p")], plan(tmp_path))
    record(Scripted([0.2, 0.2, 0.1]), [prompt("q")], plan(tmp_path))
    for prompt_id in "pq":
        path = recorded(tmp_path, prompt_id) / "meta.json"
        meta = json.loads(path.read_text())
        del meta["files"], meta["digest"]  # as earlier versions wrote it
        path.write_text(json.dumps(meta))
    assert all(one.error == "" for one in recordings_of(tmp_path))
    alter(recorded(tmp_path, "p") / name, recorded(tmp_path, "q") / name)
    damaged, whole = recordings_of(tmp_path)
    assert damaged.error.startswith("damaged recording: ")
    assert damaged.error_status == "evaluator_failure"
    assert whole.error == ""


@pytest.mark.parametrize("field", ["transcript", "groups", "is_warm", "files", "language"])
def test_an_altered_meta_file_costs_its_recording(tmp_path: Path, field: str) -> None:
    record(Scripted([0.1]), [prompt()], plan(tmp_path))
    path = recorded(tmp_path, "p") / "meta.json"
    meta = json.loads(path.read_text())
    other = {"groups": {"identity": "x"}, "is_warm": not meta["is_warm"], "files": {}}
    path.write_text(json.dumps(meta | {field: other.get(field, "other words")}))
    (found,) = recordings_of(tmp_path)
    assert "meta.json: was altered after it was written" in found.error
    assert found.error_status == "evaluator_failure"


def test_a_stream_that_failed_stays_the_failure_of_the_system(tmp_path: Path) -> None:
    record(Scripted([0.1, ValueError("boom")]), [prompt()], plan(tmp_path))
    (found,) = recordings_of(tmp_path)
    assert (found.error, found.error_status) == ("ValueError: boom", "generation_failure")


def test_a_damaged_meta_file_is_named(tmp_path: Path) -> None:
    record(Scripted([0.1]), [prompt()], plan(tmp_path))
    (recording_folder(tmp_path, "scripted", "s", "p", 0) / "meta.json").write_text("{")
    (found,) = recordings_of(tmp_path)
    assert (found.system, found.suite, found.sample_id, found.seed) == ("scripted", "s", "p", 0)
    assert "meta.json: damaged" in found.error
    assert found.error_status == "evaluator_failure"
    with pytest.raises(InputError, match=r"meta\.json: damaged"):
        record(Scripted([0.1]), [prompt()], plan(tmp_path))


@pytest.mark.parametrize("name", ["../out", "a/b", "", "*", 5])
def test_a_name_that_leaves_the_run_folder_is_refused(tmp_path: Path, name: object) -> None:
    system = Scripted([0.1])
    system.name = name  # type: ignore[assignment]
    with pytest.raises(InputError, match=r"cannot name a folder|set name = "):
        record(system, [prompt()], plan(tmp_path / "run"))
    assert not list(tmp_path.iterdir())


def test_recording_twice_gives_the_same_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        clock = Clock()
        record_one(Scripted([0.1] * 3, clock), prompt(), plan(tmp_path / name), clock=clock)
    folders = [recording_folder(tmp_path / n, "scripted", "s", "p", 0) for n in ("one", "two")]
    for name in ("video.mkv", "audio.wav", "chunks.jsonl", "meta.json", "reference.png"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name
    assert "time" not in json.loads((folders[0] / "meta.json").read_text())
