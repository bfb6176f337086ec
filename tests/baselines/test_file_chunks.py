"""Finished files as chunks: nothing is lost, and nothing is made up."""

import sys
from pathlib import Path

import numpy as np
import pytest

from baselines.command import Command
from baselines.file_chunks import file_chunks
from baselines.replay import Replay
from evals.features.canonical import sound
from evals.recording.record import RecordPlan, record_one
from evals.recording.run_folder import recordings_of
from evals.recording.system import Prompt, System
from evals.scoring.notes import notes_on
from streamchar_ref.core.errors import InputError
from streamchar_ref.media import AVChunk
from tests.evals.real_clips import recording
from tests.streamchar_ref.media_files import RATE, numbered, numbers, tone, write


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("evals.features.canonical.SHORT_SIDE", 64)


def prompt() -> Prompt:
    return Prompt(prompt_id="p", transcript="one", reference=np.zeros((8, 8, 3), np.uint8))


def command(path: Path) -> Command:
    program = path.with_name("program.py")
    program.write_text("import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2] + '/out.mp4')")
    return Command(f"{sys.executable} {program} {path} {{out}}")


def replay(path: Path) -> Replay:
    manifest = path.with_name("m.jsonl")
    manifest.write_text(
        f'{{"sample_id": "p", "system": "s", "video_path": "{path.name}", "transcript": "one"}}'
    )
    return Replay(str(manifest))


@pytest.mark.parametrize("num_samples", [0, 1, 20_000, 31_000, 32_000, 50_000])
@pytest.mark.parametrize("batch", [7, 50, 64])
def test_all_samples_are_in_the_chunks(num_samples: int, batch: int) -> None:
    samples = np.arange(num_samples, dtype=np.float32)
    parts = np.split(numbered(50), range(batch, 50, batch))
    chunks = list(file_chunks(parts, samples, fps=25, sample_rate=RATE))
    assert [chunk.index for chunk in chunks] == list(range(len(parts)))
    heard = np.concatenate([chunk.samples for chunk in chunks])
    np.testing.assert_array_equal(heard[:num_samples], samples)
    assert len(heard) == (32_000 if 32_000 - 1600 < num_samples < 32_000 else num_samples)
    for chunk in chunks[:-1]:
        assert len(chunk.samples) in {len(chunk.frames) * 640, 0} or num_samples < 32_000


@pytest.mark.parametrize("make", [command, replay])
@pytest.mark.parametrize("sound_s", [1.0, 2.0, 3.0])
def test_recording_and_manifest_hear_the_same(
    tmp_path: Path, make: type[System], sound_s: float
) -> None:
    path = write(tmp_path / "a.mp4", numbered(50), tone(sound_s))
    record_one(make(path), prompt(), RecordPlan(out=tmp_path / "run", suite="s"))  # type: ignore[call-arg]
    (recorded,) = recordings_of(tmp_path / "run")
    assert recorded.error == ""
    plain = recording(video_path=path)
    lengths = [len(sound(one, native=True)) / RATE for one in (recorded, plain)]
    assert lengths == pytest.approx([sound_s, sound_s], abs=0.07)
    told = [any("of sound" in note for note in notes_on(one)) for one in (recorded, plain)]
    assert told == [sound_s != 2.0] * 2


def streamed(path: Path) -> tuple[int, list[int], list[AVChunk]]:
    system = command(path)
    chunks = list(system.stream(prompt(), seed=0))
    return system.fps, numbers([chunk.frames for chunk in chunks]), chunks


@pytest.mark.parametrize(
    ("fps", "expected"), [(25, 25), (24, 24), (30, 30), (30000 / 1001, 30), (12.5, 25), (50, 50)]
)
def test_the_frame_rate_of_an_mp4_is_kept_if_it_is_a_whole_number(
    tmp_path: Path, fps: float, expected: int
) -> None:
    path = write(tmp_path / "a.mp4", numbered(40), tone(1.0), fps=fps)
    found, shown, _ = streamed(path)
    assert found == expected
    assert len(shown) == pytest.approx(40 / fps * expected, abs=1)


def test_a_lying_header_and_a_varying_rate_are_shown_as_a_player_does(tmp_path: Path) -> None:
    times = [index / 25 for index in range(50)]
    webm = write(
        tmp_path / "a.webm", numbered(50), vcodec="libvpx-vp9", fps=1000, times_s=times,
        options={"deadline": "realtime", "cpu-used": "8"},
    )  # fmt: skip
    assert streamed(webm)[:2] == (25, list(range(50)))
    kept = [*range(10), *range(23, 50)]
    stalled = write(tmp_path / "b.mp4", numbered(50)[kept], times_s=[times[i] for i in kept])
    assert streamed(stalled)[:2] == (25, [*range(10), *[9] * 13, *range(23, 50)])


def test_replay_refuses_a_manifest_with_two_recordings_of_a_sample(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", numbered(50), tone(2.0))
    line = f'{{"sample_id": "p", "system": "%s", "video_path": "{path.name}"}}\n'
    (tmp_path / "m.jsonl").write_text(line % "one" + line % "two")
    with pytest.raises(InputError, match=r"has both one/.*/p/0 and two/.*/p/0: replay plays one"):
        Replay(str(tmp_path / "m.jsonl"))
