"""Times chunks of the plain path, part by part."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch.autograd import DeviceType

from streamchar_ref.model.count import PARTS, watched
from streamchar_ref.model.rates import synchronize
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.streaming.cost import make_chunk, one_text, random_streams

_WARM_CHUNKS = 2


@dataclass(frozen=True, kw_only=True)
class ChunkTimes:
    """Measured times of chunks.

    Attributes:
        chunk_ms: Of each chunk, decoders included, the device synchronised.
        first_ms: Of the very first, which is slow.
        part_ms: By part, median over chunks; ``rest`` is what lies between the parts.
        peak_bytes: Most memory of the device at once; ``None`` on a CPU, where it is not known.
        launches: Kernels of a chunk; ``None`` where they were not counted.
        launches_reason: Why not.
    """

    chunk_ms: tuple[float, ...]
    first_ms: float
    part_ms: dict[str, float]
    peak_bytes: int | None
    launches: int | None
    launches_reason: str

    @property
    def median_ms(self) -> float:
        """Of the chunks."""
        return median(self.chunk_ms)


def time_chunks(
    model: StreamChar, sampler: SamplerConfig, *, batch: int = 1, num_chunks: int = 5
) -> ChunkTimes:
    """Makes chunks one after the other.

    Args:
        model: With weights; in half precision, products run in it.
        sampler: How to sample.
        batch: Streams.
        num_chunks: That are timed; two more come before.

    Returns:
        The times.
    """
    device, is_cuda = model.device, model.device.type == "cuda"
    is_half = model.dit.video_in.weight.dtype == torch.bfloat16
    state, text = random_streams(model, batch), one_text(model, batch)
    rows: list[dict[str, float]] = []
    totals: list[float] = []
    if is_cuda:
        torch.cuda.reset_peak_memory_stats(device)
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=is_half):
        for _ in range(_WARM_CHUNKS + num_chunks):
            clock = _PartClock(device)
            synchronize(device)
            began = time.perf_counter()
            with watched(model, clock.around):
                state = make_chunk(model, state, text, sampler)
            synchronize(device)
            totals.append(1000 * (time.perf_counter() - began))
            rows.append(clock.ms())
        peak = torch.cuda.max_memory_allocated(device) if is_cuda else None
        launches, reason = None, "a CPU launches no kernels"
        if is_cuda:
            launches, reason = _launches(lambda: make_chunk(model, state, text, sampler), device)
    timed = rows[_WARM_CHUNKS:]
    parts = {name: median(row[name] for row in timed) for name in PARTS}
    chunks = totals[_WARM_CHUNKS:]
    parts["rest"] = median(
        total - sum(row.values()) for total, row in zip(chunks, timed, strict=True)
    )
    return ChunkTimes(
        chunk_ms=tuple(chunks),
        first_ms=totals[0],
        part_ms=parts,
        peak_bytes=peak,
        launches=launches,
        launches_reason=reason,
    )


def _launches(work: Callable[[], object], device: torch.device) -> tuple[int | None, str]:
    """Counts kernels with the profiler, which not every machine lets a user run."""
    try:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as seen:
            work()
            synchronize(device)
    except RuntimeError as error:
        return None, f"the profiler failed: {error}".partition("\n")[0]
    kernels = [
        event.count
        for event in seen.key_averages()
        if event.device_type == DeviceType.CUDA and not event.key.startswith("Mem")
    ]
    return (sum(kernels), "") if kernels else (None, "the profiler saw no kernel")


class _PartClock:
    """Adds up the time of each part of one chunk; on a GPU as the GPU sees it."""

    def __init__(self, device: torch.device) -> None:
        self._is_cuda = device.type == "cuda"
        self._marks: dict[str, list[tuple[Any, Any]]] = defaultdict(list)

    @contextmanager
    def around(self, part: str, cached: Any) -> Iterator[None]:
        begin = self._mark()
        yield
        self._marks[part].append((begin, self._mark()))

    def ms(self) -> dict[str, float]:
        return {
            part: sum(
                begin.elapsed_time(end) if self._is_cuda else 1000 * (end - begin)
                for begin, end in marks
            )
            for part, marks in self._marks.items()
        }

    def _mark(self) -> Any:
        if not self._is_cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event
