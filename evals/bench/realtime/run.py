"""Drives systems with concurrent streams, turn by turn, so that what disturbs one disturbs all.

Rules of a valid run: every process is warmed up with the same number of streams before the first
timed turn; loading and warm-up are timed apart; each stream has at least 50 chunks; no stream has
failed; no other process has competed for the cores.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import numpy as np

from evals.bench.realtime.host import (
    ClockFn,
    ProcessorFn,
    pictures,
    prepare,
    serve,
    setup_times,
)  # fmt: skip
from evals.bench.realtime.machine import Load, LoadFn, gpu_energy_j, load_share, read_load
from evals.bench.realtime.memory import family_processor_s
from evals.bench.realtime.pictures import Pictures, squared_errors
from evals.bench.realtime.records import (
    DEFAULT_LIMIT,
    HostRun,
    Prepared,
    Request,
    StreamLimit,
    StreamRun,
    SystemSpec,
)
from evals.bench.realtime.row import Row, Turn, make_row
from evals.recording.system import Prompt
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.executor import Executor, WorkerEnded, WorkerProcesses, result_of
from streamchar_ref.core.progress import ProgressFn


@dataclass(frozen=True, kw_only=True)
class RealtimePlan:
    """What to measure.

    Attributes:
        streams: Numbers of concurrent streams.
        prompts: Streams take them in turn.
        turns: How often all streams are requested.
        limit: Where a stream is stopped.
        warm_up_chunks: Of each stream, before the first timed turn.
        threads: Of torch in each process.
        pictures: Prompts whose pictures are compared with the first system's, after all turns.
    """

    streams: Sequence[int]
    prompts: Sequence[Prompt]
    turns: int = 5
    limit: StreamLimit = DEFAULT_LIMIT
    warm_up_chunks: int = 8
    threads: int = 1
    pictures: int = 0

    def requests(self, streams: int, turn: int) -> list[Request]:
        """Returns the requests of a turn: prompts one after another, a new seed each round."""
        numbers = [turn * streams + stream for stream in range(streams)]
        count = len(self.prompts)
        return [
            Request(stream=stream, prompt=self.prompts[n % count], seed=n // count)
            for stream, n in enumerate(numbers)
        ]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The machine on which systems are measured; replaced in tests.

    Attributes:
        clock: Monotonic seconds, read in each process.
        load: Reads the load of the machine.
        executor: Makes the executor of one process.
        energy_j: Reads the energy spent so far.
        processor_s: Reads the processor time spent so far by a process and what it has started.
        progress: Called with ``(what, done, total)``.
    """

    clock: ClockFn = time.perf_counter
    load: LoadFn = read_load
    executor: Callable[[], Executor] = lambda: WorkerProcesses(1)
    energy_j: Callable[[], float | None] = gpu_energy_j
    processor_s: ProcessorFn = family_processor_s
    progress: ProgressFn = lambda what, done, total: None


@dataclass
class _Lane:
    """A system with the processes that serve it, and what has been measured so far."""

    spec: SystemSpec
    hosts: list[tuple[str, Executor]] = field(default_factory=list)
    prepared: list[Prepared] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    loads: list[tuple[Load, Load]] = field(default_factory=list)
    warm_up_s: float = 0.0
    warm_up_error: str = ""

    @property
    def serves_many(self) -> bool:
        return self.prepared[0].serves_many


def bench_realtime(
    specs: Sequence[SystemSpec], plan: RealtimePlan, bench: Bench | None = None
) -> list[Row]:
    """Measures each system with each number of streams; the systems take turns.

    A system with ``stream_many`` serves all streams in one process; of any other, each stream has
    a process of its own.

    Args:
        specs: Systems; their labels must differ.
        plan: What to measure.
        bench: Clock, load and processes.

    Returns:
        Rows, system by system, streams in the order of the plan.

    Raises:
        InputError: If a system cannot be made or breaks the contract, or two share a label.
    """
    bench = bench or Bench()
    total = len(specs) * len(plan.streams) * plan.turns
    rows: dict[tuple[int, int], Row] = {}
    with ExitStack() as stack:
        lanes = [_Lane(spec) for spec in specs]
        for number, lane in enumerate(lanes):
            bench.progress(f"load {lane.spec.name}", 0, total)
            _add_host(lane, plan, bench, stack)
            _check_label(lanes[: number + 1])
        for place, streams in enumerate(plan.streams):
            able = [lane for lane in lanes if _make_room(lane, streams, plan, bench, stack)]
            for turn in range(plan.turns):
                for lane in able:
                    done = place * len(specs) * plan.turns + turn * len(specs) + lanes.index(lane)
                    bench.progress(f"{lane.prepared[0].label}, {streams} streams", done, total)
                    _take_turn(lane, streams, turn, plan, bench)
            for number, lane in enumerate(lanes):
                is_able = lane in able
                rows[number, place] = _row(lane, streams) if is_able else _refused(lane, streams)
        if plan.pictures:
            bench.progress("compare pictures", total, total)
            notes = _compare_pictures(lanes, plan)
            rows = {key: _with_pictures(row, *notes[key[0]]) for key, row in rows.items()}
    bench.progress("done", total, total)
    return [
        rows[number, place] for number in range(len(specs)) for place in range(len(plan.streams))
    ]


def _add_host(lane: _Lane, plan: RealtimePlan, bench: Bench, stack: ExitStack) -> None:
    key = f"{id(lane)}-{len(lane.hosts)}"
    executor = stack.enter_context(bench.executor())
    made = executor.submit(prepare, key, lane.spec, bench.clock, plan.threads, bench.processor_s)
    lane.prepared.append(result_of(made))
    lane.hosts.append((key, executor))


def _check_label(lanes: Sequence[_Lane]) -> None:
    labels = [lane.prepared[0].label for lane in lanes]
    if labels[-1] in labels[:-1]:
        raise InputError(
            f"two of --systems are called {labels[-1]!r}: give each a label, e.g. "
            f"--systems first={lanes[0].spec.name},second={lanes[-1].spec.name}"
        )


def _make_room(
    lane: _Lane, streams: int, plan: RealtimePlan, bench: Bench, stack: ExitStack
) -> bool:
    """Starts the processes that are missing and warms all up; false if there are too many."""
    if lane.serves_many:
        if streams > lane.prepared[0].max_streams:
            return False
    else:
        while len(lane.hosts) < streams:
            _add_host(lane, plan, bench, stack)
    lane.turns, lane.loads = [], []
    start = time.perf_counter()
    requests = plan.requests(streams, plan.turns)  # seeds and prompts that no turn has
    warmed = _serve(lane, requests, turn=-1, limit=StreamLimit(plan.warm_up_chunks))
    lane.warm_up_error = next(
        (run.error for host in warmed for run in host.streams if run.error), ""
    )
    lane.warm_up_s = time.perf_counter() - start
    return True


def _take_turn(lane: _Lane, streams: int, turn: int, plan: RealtimePlan, bench: Bench) -> None:
    requests = plan.requests(streams, turn)
    before, spent_j = bench.load(), bench.energy_j()
    hosts = _serve(lane, requests, turn=turn, limit=plan.limit)
    after, then_j = bench.load(), bench.energy_j()
    energy_j = None if spent_j is None or then_j is None else then_j - spent_j
    lane.turns.append(Turn(hosts=tuple(hosts), energy_j=energy_j))
    lane.loads.append((before, after))


def _serve(
    lane: _Lane, requests: Sequence[Request], *, turn: int, limit: StreamLimit
) -> list[HostRun]:
    shares = [list(requests)] if lane.serves_many else [[request] for request in requests]
    futures = [
        executor.submit(serve, key, share, turn, limit)
        for (key, executor), share in zip(lane.hosts, shares, strict=False)
    ]
    return [
        _result(future, lane.prepared[0], share, turn)
        for future, share in zip(futures, shares, strict=True)
    ]


def _result(
    future: Future[HostRun], prepared: Prepared, requests: Sequence[Request], turn: int
) -> HostRun:
    """What a process did; if it was ended, all its streams have failed."""
    try:
        return future.result()
    except WorkerEnded:
        lost = [
            StreamRun(
                stream=request.stream,
                turn=turn,
                prompt_id=request.prompt.prompt_id,
                t_request_s=0.0,
                arrivals=(),
                fps=prepared.fps,
                sample_rate=prepared.sample_rate,
                error="its process was ended by the system, as it is when memory is short",
            )
            for request in requests
        ]
        return HostRun(streams=tuple(lost))


def _row(lane: _Lane, streams: int) -> Row:
    used = lane.prepared[: 1 if lane.serves_many else streams]
    row = make_row(
        used,
        lane.turns,
        settings=lane.spec.settings,
        warm_up_s=lane.warm_up_s,
        load=load_share(lane.loads),
    )
    if lane.warm_up_error:
        why = f"the warm-up failed: {lane.warm_up_error}"
        row = replace(row, is_valid=False, reasons=(*row.reasons, why))
    key, executor = lane.hosts[0]
    try:  # compilation came with the warm-up
        return replace(row, setup_s=executor.submit(setup_times, key).result())
    except WorkerEnded:
        return row


def _compare_pictures(
    lanes: Sequence[_Lane], plan: RealtimePlan
) -> list[tuple[tuple[float, ...], str]]:
    """Squared errors of each system against the first, and why there are none."""
    requests = [plan.requests(1, number)[0] for number in range(plan.pictures)]
    made = [[_pictures(lane, request) for request in requests] for lane in lanes]
    return [((), ""), *(squared_errors(own, made[0]) for own in made[1:])]


def _pictures(lane: _Lane, request: Request) -> Pictures:
    key, executor = lane.hosts[0]
    try:
        return executor.submit(pictures, key, request).result()
    except WorkerEnded as error:
        return Pictures(frames=np.zeros((0, 1, 1, 3), np.uint8), error=str(error))


def _with_pictures(row: Row, errors: tuple[float, ...], note: str) -> Row:
    return replace(row, picture_errors=errors, notes=(*row.notes, *([note] if note else [])))


def _refused(lane: _Lane, streams: int) -> Row:
    most = lane.prepared[0].max_streams
    return Row(
        system=lane.prepared[0].label,
        streams=streams,
        mode="one process",
        settings=lane.spec.settings,
        reasons=(f"it serves at most {most} streams at a time",),
    )
