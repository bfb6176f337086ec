"""The trace beside a finished file: its clock is the file's real length."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.metrics.speed import SPEED_METRICS
from evals.protocols.base import MetricContext, Score
from evals.recording.manifest import load_manifest
from evals.recording.recording import Recording
from evals.scoring.notes import notes_on
from streamchar_ref.media.wav import write_wav
from tests.streamchar_ref.media_files import numbered, tone, write

Line = tuple[float, int, int]
EVEN: list[Line] = [(0.8 * (i + 1), 25, 24_000) for i in range(4)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path / "cache"))


def traced(folder: Path, lines: Sequence[Line], **fields: Any) -> Recording:
    entries = [
        {"index": index, "t_arrival_s": t, "num_frames": frames, "num_samples": samples}
        for index, (t, frames, samples) in enumerate(lines)
    ]
    (folder / "t.jsonl").write_text("\n".join(map(json.dumps, entries)))
    line = {"sample_id": "a", "system": "s", "video_path": "a.mp4", "transcript": "one",
            "trace_path": "t.jsonl"}  # fmt: skip
    (folder / "m.jsonl").write_text(json.dumps(line | fields))
    (found,) = load_manifest(folder / "m.jsonl")
    return found


def scores(subject: Recording) -> dict[str, Score]:
    return {m.name: m.score(subject, {}, MetricContext()) for m in SPEED_METRICS}


def values(subject: Recording) -> dict[str, float]:
    return {name: score.value for name, score in scores(subject).items()}


def plain(folder: Path) -> None:
    write(folder / "a.mp4", numbered(100), tone(4.0, 24_000), rate=24_000)


EVEN_VALUES = {
    "rtf": 0.8, "rtf_steady": 0.8, "first_chunk_s": 0.8, "chunk_p50_s": 0.8,
    "deadline_miss_rate": 0.0, "stall_s": 0.0, "zero_stall_startup_s": 0.8,
}  # fmt: skip


def assert_even(subject: Recording) -> None:
    found = values(subject)
    assert {name: found[name] for name in EVEN_VALUES} == pytest.approx(EVEN_VALUES)


def test_an_ordinary_file_gives_an_ordinary_clock(tmp_path: Path) -> None:
    plain(tmp_path)
    subject = traced(tmp_path, EVEN)
    assert_even(subject)
    assert subject.trace is not None
    assert (subject.trace.fps, subject.trace.sample_rate) == (pytest.approx(25), 24_000)
    assert not any("trace" in note for note in notes_on(subject))


def test_a_header_with_another_rate_does_not_matter(tmp_path: Path) -> None:
    write(
        tmp_path / "a.webm", numbered(100), tone(4.0, 24_000), rate=24_000, vcodec="libvpx-vp9",
        acodec="libopus", fps=1000, times_s=[i / 25 for i in range(100)],
        options={"deadline": "realtime", "cpu-used": "8"},
    )  # fmt: skip
    assert_even(traced(tmp_path, EVEN, video_path="a.webm"))


@pytest.mark.parametrize("own_rate", [8_000, 16_000, 24_000, 44_100, 48_000])
def test_separate_sound_of_any_rate_is_taken_without_a_false_note(
    tmp_path: Path, own_rate: int
) -> None:
    write(tmp_path / "a.mp4", numbered(100))
    write_wav(tmp_path / "s.wav", tone(4.0, own_rate), sample_rate=own_rate)
    subject = traced(tmp_path, EVEN, audio_path="s.wav")  # counted at 24 kHz
    assert_even(subject)
    assert subject.trace is not None
    assert subject.trace.sample_rate == 24_000
    assert subject.trace.sound_ends_s[-1] == pytest.approx(4.0)
    assert not any("of sound" in note for note in notes_on(subject))


@pytest.mark.parametrize("sound_s", [3.8, 4.2])
@pytest.mark.parametrize("has_own_file", [False, True])
def test_resampled_sound_that_is_longer_or_shorter_than_the_picture_keeps_its_rate(
    tmp_path: Path, sound_s: float, has_own_file: bool
) -> None:
    sound = tone(sound_s, 48_000)
    write(tmp_path / "a.mp4", numbered(100), None if has_own_file else sound, rate=48_000)
    write_wav(tmp_path / "s.wav", sound, sample_rate=48_000)
    lines = [(t, frames, round(6_000 * sound_s)) for t, frames, _ in EVEN]  # counted at 24 kHz
    subject = traced(tmp_path, lines, **({"audio_path": "s.wav"} if has_own_file else {}))
    assert subject.trace is not None
    assert subject.trace.sample_rate == 24_000
    assert values(subject)["deadline_miss_rate"] == 0


def test_a_varying_rate_counts_by_its_average(tmp_path: Path) -> None:
    kept = [i for i in range(100) if i % 5]
    write(tmp_path / "a.mp4", numbered(100)[kept], times_s=[i / 25 for i in kept])
    subject = traced(tmp_path, [(0.8 * (i + 1), 20, 0) for i in range(4)])
    assert values(subject)["rtf"] == pytest.approx(0.8, rel=0.02)


def test_a_trace_that_does_not_fit_is_told_or_refused(tmp_path: Path) -> None:
    plain(tmp_path)
    short = traced(tmp_path, EVEN[:2])
    assert values(short)["rtf"] == pytest.approx(0.8)
    assert notes_on(short)[-2:] == [
        "the trace holds 2.00 s of picture, the file 4.00 s",
        "the trace holds 2.00 s of sound, the file 4.00 s",
    ]
    other = traced(tmp_path, [(0.8 * (i + 1), 25, 24_000) for i in range(20)])
    assert other.trace is None
    assert "the trace holds 20.00 s of picture, the file 4.00 s" in scores(other)["rtf"].reason


def test_empty_chunks_change_nothing(tmp_path: Path) -> None:
    plain(tmp_path)
    first, last = (0.05, 0, 0), (3.3, 0, 0)
    between: list[Line] = [*EVEN[:2], (1.9, 0, 0), (2.0, 0, 0), *EVEN[2:]]
    for lines in ([first, *EVEN], [*EVEN, last], between, [first, *between, last]):
        assert_even(traced(tmp_path, lines))


def test_one_piece_and_an_empty_end_have_no_steady_rate(tmp_path: Path) -> None:
    plain(tmp_path)
    found = scores(traced(tmp_path, [(3.2, 100, 96_000), (3.3, 0, 0)]))
    assert found["rtf"].value == pytest.approx(0.8)
    assert found["rtf_steady"].reason == "only one chunk that could be played"
    assert np.isnan(found["rtf_steady"].value)


def test_a_track_that_is_ahead_cannot_play_alone(tmp_path: Path) -> None:
    plain(tmp_path)
    turns: list[Line] = []
    for t, frames, samples in EVEN:
        turns += [(t - 0.1, 0, samples), (t, frames, 0)]
    assert_even(traced(tmp_path, turns))
    sound_last = [(t - 0.1, frames, 0) for t, frames, _ in EVEN]
    turns = sorted([*sound_last, *((t, 0, samples) for t, _, samples in EVEN)])
    assert values(traced(tmp_path, turns))["rtf"] == pytest.approx(0.8)
    first = scores(traced(tmp_path, turns))["first_chunk_s"]
    assert first.components == {"first_frame_s": pytest.approx(0.7), "first_sound_s": 0.8}
    at_once = [(0.2, 0, 96_000), (3.2, 100, 0)]
    assert values(traced(tmp_path, at_once))["first_chunk_s"] == 3.2


def test_tracks_out_of_step_by_less_than_a_frame_are_in_step(tmp_path: Path) -> None:
    plain(tmp_path)
    t, frames, samples = EVEN[0]
    assert_even(traced(tmp_path, [(t, frames, samples - 500), *EVEN[1:]]))


def test_sound_alone_is_counted_in_samples(tmp_path: Path) -> None:
    write_wav(tmp_path / "s.wav", tone(4.0, 24_000), sample_rate=24_000)
    subject = traced(tmp_path, [(t, 0, samples) for t, _, samples in EVEN], video_path="s.wav")
    assert_even(subject)


def test_a_trace_with_nothing_to_play_is_a_failure(tmp_path: Path) -> None:
    plain(tmp_path)
    found = scores(traced(tmp_path, [(0.5, 0, 0), (1.0, 0, 0)]))
    assert {score.status for score in found.values()} == {"generation_failure"}
    assert {score.reason for score in found.values()} == {"nothing arrived that could be played"}
