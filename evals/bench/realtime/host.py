"""The process in which a system is made, warmed up and driven; chunks are stamped on arrival.

Each system has hosts of its own, so that memory and threads are its own. A host is reached by a
key through the functions `prepare` and `serve`, which an executor can run.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from types import ModuleType
from typing import Any

import numpy as np

from evals.bench.realtime.memory import family_processor_s, peak_memory_mb, reset_peak_memory
from evals.bench.realtime.pictures import PICTURE_CHUNKS, Pictures
from evals.bench.realtime.rates import compute_rates
from evals.bench.realtime.records import (
    HostRun,
    PartSpan,
    Prepared,
    Request,
    StreamLimit,
    StreamRun,
    SystemSpec,
)
from evals.recording.contract import chunk_iterator, problem_with_chunk, problems_with_system
from evals.recording.make_system import make_system
from evals.recording.recording import Arrival
from evals.recording.system import in_one_line
from streamchar_ref.core.errors import InputError
from streamchar_ref.media import MediaError

ClockFn = Callable[[], float]
ProcessorFn = Callable[[], float | None]
_hosts: dict[str, "Host"] = {}


def prepare(
    key: str,
    spec: SystemSpec,
    clock: ClockFn,
    threads: int,
    processor_s: ProcessorFn = family_processor_s,
) -> Prepared:
    """Makes a system in this process.

    Args:
        key: By which `serve` finds it.
        spec: What to make.
        clock: Monotonic seconds.
        threads: Of torch, if the system uses it.
        processor_s: Reads the processor time of this process and what it has started.

    Returns:
        What is known of it.

    Raises:
        InputError: If it cannot be made or breaks the contract.
    """
    start = clock()
    system = make_system(spec.name, spec.settings)
    problems = problems_with_system(system)
    if problems:
        raise InputError(f"{spec.name}: {'; '.join(problems)}")
    torch = _torch()
    if torch is not None:
        torch.set_num_threads(threads)
    _hosts[key] = Host(system, clock, processor_s)
    return _hosts[key].prepared(spec.label, clock() - start)


def serve(key: str, requests: Sequence[Request], turn: int, limit: StreamLimit) -> HostRun:
    """Streams requests in this process, see `Host.serve`."""
    return _hosts[key].serve(requests, turn=turn, limit=limit)


def pictures(key: str, request: Request) -> Pictures:
    """Streams the beginning of a request in this process, see `Host.pictures`."""
    return _hosts[key].pictures(request)


def setup_times(key: str) -> dict[str, float]:
    """Returns the setup times that a system reports, seconds by part; empty by default."""
    return _hosts[key].setup_times()


class Host:
    """Drives one system.

    Args:
        system: Valid by `evals.recording.contract.problems_with_system`.
        clock: Monotonic seconds.
        processor_s: Reads the processor time of this process and what it has started.
    """

    def __init__(
        self,
        system: Any,
        clock: ClockFn = time.perf_counter,
        processor_s: ProcessorFn = family_processor_s,
    ) -> None:
        self._system = system
        self._clock, self._processor_s = clock, processor_s

    def prepared(self, label: str, load_s: float) -> Prepared:
        """Asks the system for its optional attributes; measures rates if it counts its work."""
        system, torch = self._system, _torch()
        serves_many = callable(getattr(system, "stream_many", None))
        flops, moved = (
            getattr(system, name, None) for name in ("flops_per_chunk", "bytes_per_chunk")
        )
        rates = None
        if flops or moved:
            device, precision = getattr(system, "device", "cpu"), getattr(system, "precision", "")
            rates = compute_rates(str(device), str(precision or "float32"))
        return Prepared(
            label=label or system.name,
            name=system.name,
            fps=float(system.fps),
            sample_rate=int(system.sample_rate),
            checkpoint=str(getattr(system, "checkpoint", "")),
            max_streams=int(getattr(system, "max_streams", 1)) if serves_many else 1,
            serves_many=serves_many,
            load_s=load_s,
            setup_s=self.setup_times(),
            threads=torch.get_num_threads() if torch is not None else 1,
            timing_note=str(getattr(system, "timing_note", "")),
            num_parameters=getattr(system, "num_parameters", None),
            flops_per_chunk=flops,
            bytes_per_chunk=moved,
            rates=rates,
        )

    def setup_times(self) -> dict[str, float]:
        """Seconds by part that the system reports for compilation and the like."""
        return dict(getattr(self._system, "setup_s", {}))

    def serve(self, requests: Sequence[Request], *, turn: int, limit: StreamLimit) -> HostRun:
        """Streams all requests at once, each until it ends or all are at the limit.

        A chunk has arrived when its arrays are in host memory, so its device has finished.

        Args:
            requests: One without ``stream_many``.
            turn: Kept in the result.
            limit: Of each stream.

        Returns:
            Arrivals, also of streams that failed, with the reason.
        """
        reset_peak_memory()
        self._take_parts()  # what is left of an earlier turn
        open_streams = {one.stream: _Stream(one, float(self._system.fps)) for one in requests}
        spent_s, start = self._processor_s(), self._clock()
        chunks = self._chunks(requests)
        try:
            for stream, chunk in chunks:
                open_streams[stream].add(chunk, self._clock() - start)
                if all(one.is_done(limit) for one in open_streams.values()):
                    break
        except (Exception, SystemExit) as error:  # kept as the failure of what was streaming
            for one in open_streams.values():
                one.fail(error, limit)
        finally:
            then_s = self._processor_s()  # before close, where a system may go on for a while
            chunks.close()  # type: ignore[attr-defined]
        cuda_mb = _cuda_memory_mb()
        return HostRun(
            streams=tuple(one.run(self._system, turn, start) for one in open_streams.values()),
            parts=self._take_parts(),
            memory_mb=peak_memory_mb(),
            cuda_memory_mb=cuda_mb,
            processor_s=None if spent_s is None or then_s is None else then_s - spent_s,
        )

    def pictures(self, request: Request) -> Pictures:
        """Returns the frames of the first chunks of a request."""
        chunks, made, error = self._chunks([request]), [np.zeros((0, 1, 1, 3), np.uint8)], ""
        try:
            made += [chunk.frames.copy() for _, chunk in islice(chunks, PICTURE_CHUNKS)]
        except (Exception, SystemExit) as failure:  # said in a note
            error = in_one_line(failure)
        finally:
            chunks.close()  # type: ignore[attr-defined]
        return Pictures(frames=np.concatenate(made[1:] or made), error=error)

    def _chunks(self, requests: Sequence[Request]) -> Iterator[tuple[int, Any]]:
        """Pairs of stream number and chunk; the system's iterator is closed with this one."""
        numbers = [request.stream for request in requests]
        prompts = [request.prompt.copied() for request in requests]
        seeds = [request.seed for request in requests]
        many = callable(getattr(self._system, "stream_many", None))
        made = (
            self._system.stream_many(prompts, seeds=seeds)
            if many
            else self._system.stream(prompts[0], seed=seeds[0])
        )
        stream = chunk_iterator(made)
        try:
            for item in stream:
                place, chunk = item if many else (0, item)
                yield numbers[place], chunk
        finally:
            if hasattr(stream, "close"):
                stream.close()

    def _take_parts(self) -> tuple[PartSpan, ...]:
        take = getattr(self._system, "take_parts", None)
        spans = take() if callable(take) else ()
        return tuple(PartSpan(part=str(p), start_s=float(a), end_s=float(b)) for p, a, b in spans)


class _Stream:
    """Arrivals of one stream while it runs."""

    def __init__(self, request: Request, fps: float) -> None:
        self._request, self._fps, self._num_frames = request, fps, 0
        self._arrivals: list[Arrival] = []
        self._shape: tuple[int, ...] = ()
        self._error = ""

    def add(self, chunk: object, t_s: float) -> None:
        """Takes a chunk, or the exception with which this stream alone has failed."""
        if self._error:
            return
        if isinstance(chunk, BaseException):
            self._error = in_one_line(chunk)
            return
        problem = problem_with_chunk(chunk, len(self._arrivals), self._shape)
        if problem:
            raise MediaError(problem)
        self._shape = chunk.frames.shape[1:]  # type: ignore[attr-defined]
        sizes = len(chunk.frames), len(chunk.samples)  # type: ignore[attr-defined]
        self._num_frames += sizes[0]
        self._arrivals.append(Arrival(t_s=t_s, num_frames=sizes[0], num_samples=sizes[1]))

    def is_done(self, limit: StreamLimit) -> bool:
        if limit.seconds:
            return bool(self._error) or self._num_frames >= limit.seconds * self._fps
        return bool(self._error) or len(self._arrivals) >= limit.chunks

    def fail(self, error: BaseException, limit: StreamLimit) -> None:
        if not self.is_done(limit):
            self._error = in_one_line(error)

    def run(self, system: Any, turn: int, start_s: float) -> StreamRun:
        error = self._error
        if not error and not any(one.num_frames or one.num_samples for one in self._arrivals):
            error = "it yields no chunks"
        return StreamRun(
            stream=self._request.stream,
            turn=turn,
            prompt_id=self._request.prompt.prompt_id,
            t_request_s=start_s,
            arrivals=tuple(self._arrivals),
            fps=float(system.fps),
            sample_rate=int(system.sample_rate),
            error=error,
        )


def _torch() -> ModuleType | None:
    """Torch, if the system has imported it."""
    return sys.modules.get("torch")


def _cuda_memory_mb() -> float | None:
    torch = _torch()
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    peak = sum(torch.cuda.max_memory_allocated(n) for n in range(torch.cuda.device_count()))
    return float(peak) / 2**20
