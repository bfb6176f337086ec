"""`bench realtime` on toys under a fake clock: every number is known before."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from evals.bench.realtime.compare import compare_rows
from evals.bench.realtime.machine import Load, LoadShare, Machine, load_share, read_load, why_busy
from evals.bench.realtime.memory import peak_memory_mb
from evals.bench.realtime.rates import ComputeRates, compute_rates
from evals.bench.realtime.records import StreamLimit, StreamRun, SystemSpec
from evals.bench.realtime.results import FILE_NAME, RealtimeResults, read_results
from evals.bench.realtime.row import Row, streams_without_stall
from evals.bench.realtime.run import Bench, RealtimePlan, bench_realtime
from evals.recording.recording import Arrival
from evals.recording.system import Prompt
from evals.scoring.results import dump_json
from reports.commands.realtime import realtime
from reports.realtime_table import LINES, realtime_markdown, seconds
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.executor import InProcess
from tests.evals.bench.fake_clock import now

TOYS = Path(__file__).with_name("toy_systems.py")
IDLE = LoadShare(cores=2, own_cores=1.0, foreign_cores=0.0, load_average=0.1)
MACHINE = Machine(device="a processor", cores=2, gpu="", torch="2")


def prompts(count: int = 2) -> list[Prompt]:
    picture = np.zeros((8, 8, 3), np.uint8)
    return [Prompt(prompt_id=f"p{n}", transcript="hello", reference=picture) for n in range(count)]


def quiet() -> Load:
    return Load(t_s=now(), load_average=0.1, cores=2, busy_s=now(), own_s=now())


def crowded() -> Load:
    return Load(t_s=now(), load_average=3.0, cores=2, busy_s=2 * now(), own_s=0.8 * now())


def toy(kind: str = "Toy", label: str = "", **settings: Any) -> SystemSpec:
    return SystemSpec(name=f"{TOYS}:{kind}", settings=settings, label=label)


def measured(
    *specs: SystemSpec, streams: Sequence[int] = (1,), load: Any = quiet, **plan: Any
) -> list[Row]:
    wanted = RealtimePlan(streams=streams, **{"prompts": prompts(), "turns": 5} | plan)
    bench = Bench(
        clock=now, load=load, executor=InProcess, energy_j=lambda: 10 * now(), processor_s=now
    )
    return bench_realtime(list(specs), wanted, bench)


def results(*rows: Row, machine: Machine = MACHINE) -> RealtimeResults:
    return RealtimeResults(date="2026-11-28", machine=machine, rows=rows)


def test_a_steady_toy_is_measured_exactly() -> None:
    (row,) = measured(toy(gaps=[0.5], load_s=7.0), prompts=prompts(10))
    assert row.is_valid, row.reasons
    assert (row.system, row.mode, row.turns, row.num_chunks) == ("toy", "one process", 5, 250)
    assert row.rtf == row.rtf_worst_30_s == pytest.approx(0.5)
    assert row.fps == row.fps_all_streams == pytest.approx(50)
    assert row.first_frame_s == row.first_sound_s == pytest.approx(0.5)
    assert row.chunk_p50_s == row.chunk_max_s == pytest.approx(0.5)
    assert row.jitter_s == pytest.approx(0, abs=1e-9)
    assert (row.deadline_miss_rate, row.num_stalls, row.stall_s) == (0, 0, 0)
    assert row.zero_stall_startup_s == pytest.approx(0.5)
    assert row.load_s == pytest.approx(7.0)
    assert row.processor_s_per_media_s == pytest.approx(0.5)  # the toy's core is never idle
    assert row.energy_j_per_media_s == pytest.approx(5.0)  # 10 W, twice as fast as real time


def test_what_a_system_computes_after_the_last_chunk_is_not_counted() -> None:
    (row,) = measured(toy("LateToy", gaps=[0.5]), prompts=prompts(10))
    assert row.load is not None
    assert row.load.own_s == pytest.approx(5 * (25 + 30))
    assert row.processor_s_per_media_s == pytest.approx(0.5)


def test_percentiles_and_stalls_are_those_of_the_trace() -> None:
    gaps = [0.5] * 24 + [26.0]
    (row,) = measured(toy(gaps=gaps), prompts=prompts(10), turns=1)
    times = np.array((gaps * 2)[1:])
    assert row.chunk_p50_s == pytest.approx(0.5)
    assert row.chunk_p99_s == pytest.approx(np.percentile(times, 99))
    assert row.chunk_max_s == pytest.approx(26.0)
    assert row.num_stalls == 2
    assert row.stall_s == pytest.approx((38.0 - 24.5) + (76.0 - 63.0))  # arrival minus due
    assert row.zero_stall_startup_s == pytest.approx(0.5 + row.stall_s)
    assert row.deadline_miss_rate == pytest.approx(26 / 49)


def test_warm_up_is_not_counted_and_turns_have_other_seeds() -> None:
    (row,) = measured(toy(gaps=[0.5]), prompts=prompts(2), turns=5)
    assert [run.prompt_id for run in row.requests] == ["p0", "p1", "p0", "p1", "p0"]
    first = [run.arrivals[0].t_s for run in row.requests]
    assert first == pytest.approx([0.5, 0.5, 0.505, 0.505, 0.51])  # a hundredth a seed


def test_streams_of_a_given_length_stop_there() -> None:
    (row,) = measured(toy(gaps=[0.5]), turns=1, limit=StreamLimit(3, seconds=60.0))
    assert (row.num_chunks, row.media_s, row.deadline_miss_rate) == (60, 60.0, 0)


def test_too_few_chunks_are_invalid() -> None:
    (row,) = measured(toy(length=9))
    assert not row.is_valid
    assert row.reasons == ("too few chunks: 45, at least 50 are needed",)
    assert row.rtf == pytest.approx(0.5, rel=0.02)  # what was measured is still shown
    assert streams_without_stall([row], "toy") is None


def test_a_busy_machine_is_invalid() -> None:
    (row,) = measured(toy(), load=crowded)
    assert row.reasons == ("machine busy: other processes used 1.2 of 2 cores",)


@pytest.mark.parametrize(
    ("own", "foreign", "average", "is_busy"),
    [
        (1.0, 0.9, 2.0, False),  # each has a core
        (1.0, 1.0, 2.0, True),  # no core is left
        (2.0, 0.05, 5.0, False),  # what runs is the system itself
        (None, None, 1.9, False),
        (None, None, 2.1, True),  # nothing else is known
    ],
)
def test_busy_is_when_others_leave_no_core(
    own: float | None, foreign: float | None, average: float, is_busy: bool
) -> None:
    share = LoadShare(cores=2, own_cores=own, foreign_cores=foreign, load_average=average)
    assert bool(why_busy(share)) == is_busy


def test_load_is_shared_out_over_all_turns() -> None:
    start = Load(t_s=0.0, load_average=0.5, cores=2, busy_s=100.0, own_s=10.0)
    end = Load(t_s=10.0, load_average=2.0, cores=2, busy_s=115.0, own_s=20.0)
    later = replace(end, t_s=50.0), replace(end, t_s=60.0, busy_s=125.0, own_s=25.0)
    share = load_share([(start, end), later])
    assert (share.own_cores, share.foreign_cores) == (0.75, 0.5)
    assert (share.load_average, share.own_s) == (0.5, 15.0)
    assert load_share([(replace(start, own_s=None), end)]).foreign_cores is None


def test_this_machine_tells_its_load_and_memory() -> None:
    load = read_load()
    assert load.cores >= 1
    assert (load.busy_s or 1.0) >= (load.own_s or 0.0) > 0
    assert peak_memory_mb() > 50


def test_a_failing_stream_is_invalid_and_the_others_are_kept() -> None:
    rows = measured(
        toy(label="alone", fails_at=30), toy("ManyToy", label="many", fails_at=20), streams=[2]
    )
    alone, many = rows
    assert not alone.is_valid
    assert "10 of 10 streams failed" in alone.reasons[0]
    assert "it raises RuntimeError: device lost" in alone.reasons[0]
    assert {len(run.arrivals) for run in alone.requests} == {30}
    assert "5 of 10 streams failed, first stream 1 on p1" in many.reasons[0]
    assert [len(run.arrivals) for run in many.requests[:2]] == [50, 20]


def test_a_row_whose_warm_up_failed_is_invalid() -> None:
    (row,) = measured(toy("ColdToy"))
    assert not row.is_valid
    assert "the warm-up failed: it raises RuntimeError: not warm" in row.reasons[-1]


def test_streams_that_were_not_served_at_once_are_invalid() -> None:
    (row,) = measured(toy("UnevenToy"), streams=[2])
    assert not row.is_valid
    assert "in turn 0 a stream ended after 20 chunks" in row.reasons[0]


def test_concurrent_streams_are_served_by_one_process_or_by_one_each() -> None:
    rows = measured(
        toy("ManyToy", label="many", gaps=[0.3]), toy(label="each"), streams=[1, 2, 4], turns=1
    )
    assert [row.streams for row in rows] == [1, 2, 4, 1, 2, 4]
    assert [row.mode for row in rows[:3]] == ["one process"] * 3
    assert [row.mode for row in rows[3:]] == ["one process", "2 processes", "4 processes"]
    assert [row.rtf for row in rows[:3]] == pytest.approx([0.3, 0.6, 1.2], abs=0.01)
    assert rows[1].fps_all_streams == pytest.approx(25 / 0.3, rel=0.02)
    assert {len(run.arrivals) for run in rows[4].requests} == {50}
    assert streams_without_stall(rows, "many") == 2  # four are slower than real time
    assert rows[2].num_stalls


def test_more_streams_than_can_be_served_are_refused() -> None:
    (row,) = measured(toy("ManyToy"), streams=[5])
    assert row.reasons == ("it serves at most 4 streams at a time",)
    assert row.rtf is None


def test_what_a_system_tells_of_itself_is_shown() -> None:
    (row,) = measured(toy("ManyToy"), prompts=prompts(10))
    assert row.notes == ("times are invented",)
    assert row.setup_s == {"compile": 3.0}
    assert row.parts_s == {"denoise": pytest.approx(0.25)}
    assert len(row.part_spans) == 50


def test_counted_work_is_held_against_the_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = ComputeRates(device="cpu", precision="float32", flops_per_s=1e10, bytes_per_s=2e10)
    monkeypatch.setattr("evals.bench.realtime.host.compute_rates", lambda *_: rates)
    one, two = measured(toy("CountedToy"), prompts=prompts(10), streams=[1, 2])
    assert (one.flops_per_s, one.flops_share) == (pytest.approx(6e9), pytest.approx(0.6))
    assert (one.bytes_per_s, one.bytes_share) == (pytest.approx(2e9), pytest.approx(0.1))
    assert one.floor_s == pytest.approx(0.3)  # 3e9 operations at 1e10 a second
    assert one.num_parameters == 7
    assert two.flops_share is None  # the rates are those of one process


def test_pictures_are_compared_with_those_of_the_first_system() -> None:
    specs = toy(), toy(label="same"), toy("GreyToy", label="grey"), toy("WideToy", label="wide")
    rows = measured(*specs, toy(label="lost", fails_at=1), turns=1, pictures=2)
    assert [row.picture_errors for row in rows] == [(), (0.0, 0.0), (4.0, 4.0), (), ()]
    cells = dict(LINES)["PSNR to the first system, by prompt"]
    assert [cells(row) for row in rows[:4]] == [
        "not compared",
        "equal (n = 2)",
        "42.1 to 42.1 dB (n = 2)",  # 10 log10(255^2 / 4)
        "not compared",
    ]
    assert rows[3].notes[-1].endswith("200 frames in common, sizes (4, 5) and (4, 4)")
    assert "not compared: it raises RuntimeError: device lost" in rows[4].notes[-1]


def test_two_of_one_label_are_refused() -> None:
    with pytest.raises(InputError, match="two of --systems are called 'toy'"):
        measured(toy(), toy())


def test_equal_systems_are_inconclusive_and_a_slower_one_is_slower() -> None:
    first, equal, slow = measured(
        toy(), toy(name="equal"), toy(name="slow", slower=1.5), prompts=prompts(3)
    )
    for what in (0, 1):  # chunk time, first chunk
        assert compare_rows(equal, first)[what].verdict == "inconclusive"
        slower = compare_rows(slow, first)[what]
        assert (slower.verdict, slower.num_pairs) == ("slower", 5)
        assert slower.ratio == pytest.approx(1.5)
        assert compare_rows(first, slow)[what].verdict == "faster"


def test_the_interval_of_the_ratio_covers_it() -> None:
    rng = np.random.default_rng(0)
    rows = [_noisy_row(name, 0.1 * factor, rng) for name, factor in (("a", 1.0), ("b", 0.8))]
    found = compare_rows(rows[1], rows[0])[0]
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.8 < found.high < 1
    assert found.verdict == "faster"


def _noisy_row(name: str, chunk_s: float, rng: np.random.Generator) -> Row:
    runs = []
    for turn in range(8):
        times = np.cumsum(chunk_s * rng.lognormal(0.0, 0.05) * rng.lognormal(0.0, 0.3, 20))
        arrivals = tuple(Arrival(t_s=float(t), num_frames=25, num_samples=16_000) for t in times)
        runs.append(
            StreamRun(
                stream=0, turn=turn, prompt_id="p", t_request_s=0.0, arrivals=arrivals,
                fps=25.0, sample_rate=16_000,
            )
        )  # fmt: skip
    return Row(system=name, streams=1, mode="one process", is_valid=True, requests=tuple(runs))


def test_few_turns_invalid_rows_and_other_loads_give_no_verdict() -> None:
    first, slow = measured(toy(), toy(name="slow", slower=1.5), turns=4)
    found = compare_rows(slow, first)[0]
    assert found.verdict == "inconclusive"
    assert found.ratio == pytest.approx(1.5)
    assert found.reason == "4 paired turns, an interval needs 5"
    invalid = replace(slow, is_valid=False, reasons=("too few",))
    assert compare_rows(invalid, first)[0].reason == "slow is not valid: too few"
    loaded = replace(slow, load=replace(IDLE, foreign_cores=0.9))
    assert "other load" in compare_rows(loaded, first)[0].reason
    others = replace(slow, requests=tuple(replace(r, prompt_id="q") for r in slow.requests))
    assert "no turn that both have" in compare_rows(others, first)[0].reason


def test_an_earlier_file_is_read_back_and_compared(tmp_path: Path) -> None:
    rows = measured(toy("ManyToy", name="toy"), prompts=prompts(3))
    path = tmp_path / FILE_NAME
    path.write_text(dump_json(results(*rows).compared().as_json()))
    earlier = read_results(tmp_path)
    assert earlier.rows == tuple(rows)
    (slow,) = measured(toy(slower=1.0, gaps=[0.75]), prompts=prompts(3))
    found = results(slow).compared(earlier).comparisons
    assert [one.verdict for one in found] == ["slower", "slower"]
    assert found[0].against == "toy of 2026-11-28"
    elsewhere = replace(MACHINE, device="another")
    (other, _) = results(slow, machine=elsewhere).compared(earlier).comparisons
    assert (other.verdict, other.reason) == ("inconclusive", "other machine")
    (unknown,) = measured(toy(name="new"))
    with pytest.raises(InputError, match="toy with 1 streams"):
        results(unknown).compared(earlier)


@pytest.mark.parametrize("text", ["{}", '{"schema": 2}', '{"schema": 1, "rows": 3}'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(InputError, match="no result of this version"):
        read_results(tmp_path)


def test_the_table_says_what_was_measured_and_what_was_not() -> None:
    rows = measured(toy(), toy("ManyToy", label="many", length=5), streams=[1, 2])
    text = realtime_markdown(results(*rows).compared())
    assert "| toy x1" in text
    assert "INVALID: too few chunks: 25" in text
    assert "- toy: streams at no stall: 2 measured." in text
    assert "- many: streams at no stall: no valid row." in text
    assert "many against toy, x1, chunk time: inconclusive" in text
    assert "times are invented" in text
    lines = dict(line.strip("| ").split("|", 1) for line in text.splitlines() if "|" in line)
    cells = {name.strip(): rest for name, rest in lines.items()}
    assert "not measured" in cells["peak CUDA memory"]
    assert all(name in cells for name, _ in LINES)


def test_times_are_printed_in_a_unit_that_suits() -> None:
    shown = [seconds(value) for value in (None, 0.0, 0.00512, 0.128, 0.9999, 12.3456)]
    assert shown == ["not measured", "0 s", "5.12 ms", "128 ms", "1.00 s", "12.35 s"]


def test_rates_of_this_machine_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evals.bench.realtime.rates.SIDES", {"cpu": 64})
    monkeypatch.setattr("evals.bench.realtime.rates.COPY_MB", {"cpu": 1})
    rates = compute_rates("cpu", "float32")
    assert rates.flops_per_s > 1e6
    assert rates.bytes_per_s > 1e6
    assert (rates.device, rates.precision) == ("cpu", "float32")


def test_one_command_measures_in_processes_and_keeps_all(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "a.png")
    line = {"prompt_id": "p", "transcript": "hi", "reference_path": "a.png"}
    (tmp_path / "own.jsonl").write_text(json.dumps(line))
    app = typer.Typer()
    app.command()(realtime)
    options = {
        "--systems": f"{TOYS}:Toy", "--set": "length=12", "--suite": str(tmp_path / "own.jsonl"),
        "--streams": "2", "--turns": "1", "--out": str(tmp_path / "out"),
    }  # fmt: skip
    done = CliRunner().invoke(app, [word for pair in options.items() for word in pair])
    assert done.exit_code == 1, done.output
    assert "INVALID: too few chunks: 12" in done.output
    (row,) = read_results(tmp_path / "out").rows
    assert (row.mode, row.settings) == ("2 processes", {"length": 12})
    assert [(run.stream, len(run.arrivals)) for run in row.requests] == [(0, 12), (1, 12)]
    assert (row.memory_mb or 0) > 2 * 20
    assert (tmp_path / "out" / "realtime.md").is_file()
    assert (tmp_path / "out" / "figures" / "latency.png").is_file()
