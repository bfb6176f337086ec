"""Playback: closed forms, and a player that is stepped in milliseconds as the reference."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.metrics.speed import SPEED_METRICS
from evals.protocols.base import MetricContext, Unscored
from evals.recording.playback import lateness_s, playback, zero_stall_startup_s
from evals.recording.recording import Arrival, Recording, Trace

traces = st.lists(
    st.tuples(st.integers(0, 3000), st.integers(40, 2000)), min_size=1, max_size=12
).map(
    lambda pairs: (
        np.cumsum([gap for gap, _ in pairs]) / 1000.0,
        np.array([media for _, media in pairs]) / 1000.0,
    )
)


def stepped_stall_ms(t_arrival_s: np.ndarray, media_s: np.ndarray) -> int:
    """A player in steps of 1 ms: plays if the next millisecond has arrived, else it stalls."""
    arrivals = np.round(t_arrival_s * 1000).astype(int)
    ends = np.cumsum(np.round(media_s * 1000).astype(int))
    clock, position, stalled = int(arrivals[0]), 0, 0
    while position < ends[-1]:
        chunk = int(np.searchsorted(ends, position, side="right"))
        if arrivals[chunk] <= clock:
            position += 1
        else:
            stalled += 1
        clock += 1
    return stalled


@given(traces)
def test_stalls_equal_those_of_a_player_stepped_in_milliseconds(
    trace: tuple[np.ndarray, np.ndarray],
) -> None:
    assert playback(*trace).stall_s * 1000 == pytest.approx(stepped_stall_ms(*trace), abs=1e-6)


@given(traces)
def test_zero_stall_startup_is_exactly_enough(trace: tuple[np.ndarray, np.ndarray]) -> None:
    t_arrival_s, media_s = trace
    startup = zero_stall_startup_s(t_arrival_s, media_s)
    assert lateness_s(t_arrival_s, media_s, startup_s=startup).max() == pytest.approx(0, abs=1e-9)
    assert startup >= t_arrival_s[0] - 1e-9


def test_three_streams_with_the_same_rtf_need_different_startups() -> None:
    steady = np.full(90, 1.9)
    hiccup = np.where(np.arange(90) % 10 == 4, 10.0, 1.0)
    slowing = np.linspace(1.5, 2.3, 90)
    media = np.full(90, 2.0)
    needed = [zero_stall_startup_s(np.cumsum(gaps), media) for gaps in (steady, hiccup, slowing)]
    assert needed == pytest.approx([1.9, 6.0, 1.5], abs=0.02)


def recording(t_arrival_s: list[float], *, is_warm: bool = True, fps: float = 25) -> Recording:
    arrivals = tuple(Arrival(t_s=t, num_frames=25, num_samples=16_000) for t in t_arrival_s)
    trace = Trace(arrivals=arrivals, fps=fps, sample_rate=16_000, is_warm=is_warm)
    return Recording(
        sample_id="a", system="s", suite="u", transcript="", video_path=Path("none"), trace=trace
    )


def scores(subject: Recording) -> dict[str, float]:
    return {m.name: m.score(subject, {}, MetricContext()).value for m in SPEED_METRICS}


def test_speed_metrics_of_a_hand_made_trace() -> None:
    found = scores(recording([0.5, 1.0, 3.0]))  # 1 s of media each
    assert found["rtf"] == pytest.approx(1.0)
    assert found["rtf_steady"] == pytest.approx(2.5 / 2)
    assert found["first_chunk_s"] == 0.5
    assert found["chunk_p50_s"] == pytest.approx(1.25)
    assert found["deadline_miss_rate"] == pytest.approx(0.5)
    assert found["stall_s"] == pytest.approx(0.5)
    assert found["zero_stall_startup_s"] == pytest.approx(1.0)


def test_cold_and_unrecorded_streams_have_no_speed() -> None:
    cold = recording([0.5, 1.0], is_warm=False)
    for metric in SPEED_METRICS:
        assert "cold run" in metric.score(cold, {}, MetricContext()).reason
        with pytest.raises(Unscored, match="cold"):
            metric.measure(cold, {}, MetricContext())


def test_windowed_rtf_sees_a_stream_that_slows_down() -> None:
    media, gaps = 1.0, np.linspace(0.5, 1.4, 120)
    subject = recording(list(np.cumsum(gaps)))
    (rtf,) = [m for m in SPEED_METRICS if m.name == "rtf"]
    found = rtf.score(subject, {}, MetricContext())
    assert found.value == pytest.approx(gaps.sum() / (120 * media))
    curve = [window.value for window in found.windows]
    assert curve == sorted(curve)
    assert found.components["worst_30_s"] > 1.2 > 1.0 > found.value


def test_what_a_system_says_of_its_times_is_kept_in_its_rows() -> None:
    subject = recording([0.5, 1.0])
    assert subject.trace is not None
    noted = replace(subject, trace=replace(subject.trace, timing_note="started per prompt"))
    for metric in SPEED_METRICS:
        plain, told = (metric.score(one, {}, MetricContext()) for one in (subject, noted))
        assert told.components == {**plain.components, "note": "started per prompt"}
