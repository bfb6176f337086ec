"""Figures of bench realtime show what the arrivals say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

from evals.bench.realtime.machine import LoadShare, Machine
from evals.bench.realtime.records import HostRun, PartSpan, Prepared, StreamRun
from evals.bench.realtime.results import FILE_NAME, RealtimeResults
from evals.bench.realtime.row import Row, Turn, make_row
from evals.recording.recording import Arrival
from evals.scoring.results import dump_json
from reports.commands.plot import app as plot_app
from reports.figures.realtime import (
    PERCENTILES,
    REPORTED_LABEL,
    REPORTED_RTF,
    chunk_times_data,
    plot_chunk_times,
    plot_share,
    plot_size,
    plot_streams,
)  # fmt: skip
from reports.figures.style import BAD, colours_of
from reports.figures.timeline import plot_timeline, timeline_data
from reports.realtime_figures import REALTIME_KINDS, draw_realtime, write_realtime_figures


def row(system: str = "ours", *, chunk_s: float = 0.5, streams: int = 1, **tells: float) -> Row:
    times = [chunk_s * (n + 1) for n in range(30)] + [10 * chunk_s + chunk_s * 30]
    arrivals = tuple(Arrival(t_s=t, num_frames=25, num_samples=16_000) for t in times)
    runs = tuple(
        StreamRun(
            stream=stream, turn=turn, prompt_id="p", t_request_s=40.0, arrivals=arrivals, fps=25.0,
            sample_rate=16_000,
        )
        for turn in range(2)
        for stream in range(streams)
    )  # fmt: skip
    spans = (PartSpan(part="denoise", start_s=40.0, end_s=40.4),)
    turns = [
        Turn(hosts=(HostRun(streams=tuple(r for r in runs if r.turn == turn), parts=spans),))
        for turn in range(2)
    ]
    prepared = Prepared(label=system, name=system, fps=25.0, sample_rate=16_000)
    load = LoadShare(cores=2, own_cores=1.0, foreign_cores=0.0, load_average=0.0)
    made = make_row([prepared], turns, settings={}, warm_up_s=1.0, load=load)
    return replace(made, **tells)  # type: ignore[arg-type]


def results(*rows: Row) -> RealtimeResults:
    machine = Machine(device="a processor", cores=2, gpu="", torch="2")
    return RealtimeResults(date="2026-11-28", machine=machine, rows=rows)


def test_late_chunks_and_only_they_are_red() -> None:
    in_time = plot_timeline(row(chunk_s=0.5), ax=Figure().subplots())
    late = plot_timeline(row(chunk_s=1.5), ax=Figure().subplots())
    reds = [sum(line.get_color() == BAD for line in ax.get_lines()) for ax in (in_time, late)]
    assert reds == [0, 7]  # all but the first of the eight that are shown
    assert [label.get_text() for label in in_time.get_yticklabels()] == [
        "denoise", "generate", "play",
    ]  # fmt: skip


def test_the_timeline_tells_when_chunks_are_played() -> None:
    data = timeline_data(row(chunk_s=1.5))
    chunks = data[data["lane"] == "stream 1"]
    np.testing.assert_allclose(chunks["arrived_s"], 1.5 * np.arange(1, 9))
    np.testing.assert_allclose(chunks["start_s"], chunks["arrived_s"])  # each stalls
    np.testing.assert_allclose(chunks["end_s"] - chunks["start_s"], 1.0)
    assert data["end_s"].iloc[0] == pytest.approx(0.4)  # the part, from the request on


def test_percentiles_stand_where_the_table_has_them() -> None:
    one = row(chunk_s=0.5)
    ax = plot_chunk_times([one], ax=Figure().subplots())
    marked = {line.get_marker(): line.get_xdata()[0] for line in ax.get_lines()[1:4]}
    assert marked[PERCENTILES[50]] == pytest.approx(one.chunk_p50_s)
    assert marked[PERCENTILES[99]] == pytest.approx(one.chunk_p99_s)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ours", "real time: 1 s"]
    assert len(chunk_times_data([one])) == 60


def test_more_streams_are_drawn_hollow_where_one_stalled() -> None:
    rows = [row(), row(streams=2, chunk_s=2.0)]
    ax = plot_streams(rows, ax=Figure().subplots())
    faces = [line.get_markerfacecolor() for line in ax.get_lines() if line.get_marker() == "o"]
    assert faces == [colours_of(["ours"])["ours"], "white"]


def test_the_reported_point_is_hollow_and_named_as_reported() -> None:
    ax = plot_size([row(num_parameters=12_000_000)], ax=Figure().subplots())
    (star,) = [line for line in ax.get_lines() if line.get_marker() == "*"]
    assert star.get_markerfacecolor() == "white"
    assert star.get_ydata()[0] == REPORTED_RTF == pytest.approx(0.9745, abs=1e-4)
    assert REPORTED_LABEL in [text.get_text() for text in ax.get_legend().get_texts()]


def test_shares_are_bars_in_per_cent() -> None:
    ax = plot_share([row(flops_share=0.4, bytes_share=0.1)], ax=Figure().subplots())
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([40.0, 10.0])


def test_only_what_was_measured_is_drawn(tmp_path: Path) -> None:
    assert {one.name for one in draw_realtime(results(row()))} == {"timeline", "latency"}
    nothing = Row(system="a", streams=9, mode="one process", reasons=("it serves at most 4",))
    assert draw_realtime(results(nothing)) == []
    full = row(num_parameters=1_000_000, flops_share=0.4), row(streams=2)
    paths = write_realtime_figures(results(*full), tmp_path, kinds=["streams"])
    assert [one.name for one in paths] == [
        f"streams.{kind}" for kind in ("pdf", "png", "csv", "txt")
    ]
    assert {one.name for one in draw_realtime(results(*full))} == set(REALTIME_KINDS)


def test_plot_draws_the_folder_again(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(dump_json(results(row()).as_json()))
    done = CliRunner().invoke(plot_app, [str(tmp_path), "--kind", "timeline"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "figures" / "timeline.png").is_file()
    assert CliRunner().invoke(plot_app, [str(tmp_path), "--kind", "share"]).exit_code == 1
    ignored = CliRunner().invoke(plot_app, [str(tmp_path), "--metrics", "wer"])
    assert "takes no --metrics" in ignored.output
    refused = CliRunner().invoke(plot_app, [str(tmp_path), "--kind", "drift"])
    assert refused.exit_code == 2
    assert "timeline" in refused.output
