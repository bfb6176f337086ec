"""As played: a viewer's frozen picture and silence, scored by the same metrics."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.extractors import EXTRACTORS, ExtractorSpec
from evals.features.canonical import picture, sound
from evals.features.companions import companion_of
from evals.features.extraction import extract
from evals.features.missing import Missing
from evals.metrics.speed import SPEED_METRICS
from evals.recording.played import as_played, holds_of, with_frozen_frames, with_silence
from evals.recording.recording import Arrival, Recording, Trace
from evals.scoring.persist import score_run
from evals.scoring.results import read_scores
from evals.scoring.score import Options, score
from streamchar_ref.core.errors import InputError
from tests.evals.toys import ALL, RAN, by_metric, recording, toy_extractors, video

__all__ = ["toy_extractors"]


def trace(*arrivals_s: float, frames: int = 20, **changes: Any) -> Trace:
    """Chunks of 0.8 s at 25 fps."""
    chunks = [Arrival(t_s=t, num_frames=frames, num_samples=frames * 640) for t in arrivals_s]
    return Trace(arrivals=tuple(chunks), fps=25, sample_rate=16_000, **changes)


IN_TIME = trace(1.0, 1.5, 2.0, 2.5)
LATE = trace(1.0, 2.3, 2.9, 5.1)
"""The second chunk comes 0.5 s late, the fourth 1.2 s after the third has been played."""


def rows_of(run: Path, subject: Recording, **options: Any) -> dict[str, float | None]:
    score_run(
        run, [subject], metrics=[*ALL[:3], SPEED_METRICS[0]], set_metrics=[],
        options=Options(**options), progress=lambda *_: None,
    )  # fmt: skip
    rows = read_scores(run / "scores.jsonl")
    return {row.protocol: row.value for row in rows}


def test_stalls_are_where_and_as_long_as_the_viewer_had_them() -> None:
    assert holds_of(IN_TIME) == ()
    assert holds_of(LATE) == ((20, 12), (60, 30))
    # Forty stalls of 12 ms: each is less than half a frame, together they are twelve frames.
    many = trace(*(1 + 0.812 * n for n in range(41)))
    assert sum(length for _, length in holds_of(many)) == 12


def test_picture_and_sound_pause_together(tmp_path: Path) -> None:
    subject = as_played(recording(video(tmp_path / "a.mp4"), trace=LATE))
    shown = np.concatenate(list(picture(subject, native=False)))
    heard = sound(subject, native=False)
    assert len(shown) == 80 + 42
    assert len(heard) / 640 == pytest.approx(80 + 42, abs=2)
    loud = np.abs(heard[: 122 * 640].reshape(122, 640)).mean(axis=1)
    assert loud[22:31].max() < 0.02 < 0.2 < loud[[10, 18, 34, 70, 104]].min()
    assert loud[74:101].max() < 0.02


def test_the_ground_truth_of_a_stalled_stream_does_not_stall(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    subject = as_played(recording(path, trace=LATE))
    truth = companion_of(subject, path)
    assert subject.holds
    assert (truth.holds, truth.trace_error) == ((), "")


def test_what_reads_the_file_as_it_came_has_no_value_of_a_stalled_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = as_played(recording(video(tmp_path / "a.mp4", count=30), trace=LATE))
    as_it_came = replace(subject, holds=())
    assert len(sound(subject, native=True)) == len(sound(as_it_came, native=True))
    spec = ExtractorSpec(name="reader", track="clip", reads_original=True)
    monkeypatch.setitem(EXTRACTORS, "reader", spec)
    found = extract(subject, ["reader"], native=False)["reader"]
    assert isinstance(found, Missing)
    assert found.status == "not_applicable"
    assert found.reason == "reads the file as it came; it has no value as played"


def test_what_is_said_of_the_times_is_in_the_rows(tmp_path: Path) -> None:
    late = replace(LATE, timing_note="beside others")
    subject = recording(tmp_path / "a.mp4", trace=late)
    for is_played, note in ((True, "beside others"), (False, None)):
        found = score([subject], metrics=ALL[:1], options=Options(as_played=is_played))
        assert [row.components.get("timing_note") for row in found.rows] == [note]


def test_a_stream_without_a_stall_has_the_same_values_and_is_not_measured_again(
    tmp_path: Path,
) -> None:
    subject = recording(video(tmp_path / "a.mp4"), trace=IN_TIME)
    rows_of(tmp_path / "run", subject)
    RAN.clear()
    values = rows_of(tmp_path / "run", subject, as_played=True)
    assert RAN == []
    for name in ("brightness", "change", "loudness"):
        assert values[f"{name}/test@1+as-played"] == values[f"{name}/test@1"]
    assert "rtf/arrivals@2+as-played" not in values  # says the same of both
    assert "rtf/arrivals@2" in values


def test_a_stall_changes_the_values_the_same_way_each_time(tmp_path: Path) -> None:
    subject = recording(video(tmp_path / "a.mp4"), trace=LATE)
    rows_of(tmp_path / "run", subject)
    values = rows_of(tmp_path / "run", subject, as_played=True)
    as_generated, played = (values[f"loudness/test@1{end}"] for end in ("", "+as-played"))
    assert played == pytest.approx((as_generated or 0) * np.sqrt(80 / 122), rel=0.05)
    RAN.clear()
    assert rows_of(tmp_path / "run", subject, as_played=True) == values
    assert RAN == []


def test_without_arrival_times_it_does_not_apply(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", count=30)
    for case, word in ((None, "no arrival times"), (trace(1.0, is_warm=False), "cold run")):
        subject = recording(path, trace=case)
        run = tmp_path / word[:4]
        rows_of(run, subject, as_played=True)
        row = by_metric(read_scores(run / "scores.jsonl"))["brightness"]
        assert (row.status, row.value) == ("not_applicable", None)
        assert word in row.reason
    endless = as_played(recording(path, trace=trace(1.0, 5e5)))
    assert endless.error_status == "unavailable"
    assert "STREAMCHAR_MAX_HELD_S" in endless.error
    with pytest.raises(InputError, match="none of these metrics"):
        score([endless], metrics=SPEED_METRICS[:2], options=Options(as_played=True))
    with pytest.raises(InputError, match="without --native"):
        Options(native=True, as_played=True)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(1, 7), min_size=1, max_size=6),
    st.dictionaries(st.integers(1, 30), st.integers(1, 60), max_size=4),
)
def test_frames_stay_in_order_and_the_last_before_a_hold_is_repeated(
    sizes: list[int], pauses: dict[int, int]
) -> None:
    total, holds = sum(sizes), sorted(pauses.items())
    numbers = np.arange(total, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    batches = np.split(numbers, np.cumsum(sizes)[:-1])
    found = np.concatenate(list(with_frozen_frames(batches, holds)))[:, 0, 0, 0].tolist()
    repeats = [1 + (pauses.get(n + 1, 0) if n + 1 < total else 0) for n in range(total)]
    expected = np.repeat(np.arange(total), repeats).tolist()
    assert found == expected
    samples = np.ones(total * 640, np.float32)
    heard = with_silence(samples, holds).reshape(-1, 640)[:, 0]
    assert heard.sum() == total
    assert len(heard) == len(found)
