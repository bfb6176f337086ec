"""One row of the table: a system with some concurrent streams, from arrivals to numbers."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evals.bench.realtime.machine import LoadShare, why_busy
from evals.bench.realtime.records import HostRun, PartSpan, Prepared, StreamRun
from evals.numerics.arrivals import (
    chunk_gaps_s,
    deadline_miss_rate,
    first_chunk_s,
    rtf,
    stall_s,
    zero_stall_startup,
)  # fmt: skip
from evals.protocols.base import Score

TOGETHER = 0.9
"""Share of the chunks of the longest stream of a turn that each of its streams must make."""
MIN_CHUNKS = 50
"""Of each stream, over all turns; with fewer a row is not valid."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """All streams of a row, requested at once.

    Attributes:
        hosts: What each process did.
        energy_j: Spent by the NVIDIA devices meanwhile; ``None`` if not measured.
    """

    hosts: tuple[HostRun, ...]
    energy_j: float | None = None

    @property
    def streams(self) -> list[StreamRun]:
        """Streams of all processes."""
        return [stream for host in self.hosts for stream in host.streams]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A system with a number of concurrent streams. Seconds; ``None`` is "not measured".

    Attributes:
        system: Row label.
        streams: Concurrent streams.
        mode: How they were served: ``one process`` or ``N processes``.
        settings: Of the system.
        checkpoint: Which it reports.
        threads: Of torch, in each process.
        num_parameters: Of its model, if it tells.
        turns: How often all streams were requested.
        is_valid: Whether the rules of a valid run were kept.
        reasons: Why not.
        notes: What else there is to know.
        load_s: To make the system: import and weights; the slowest process.
        warm_up_s: Requests before the first timed one, with compilation if there is any.
        setup_s: Parts of loading and warm-up that the system reports.
        num_chunks: Playable chunks of the shortest stream, over all turns.
        media_s: Playing time of all streams.
        chunk_media_s: Playing time of a chunk, median.
        rtf: Generation time over playing time of the streams, mean weighted by playing time.
        rtf_worst_30_s: Of windows of 30 s, one every 15 s, of any stream; ``None`` if none is so
            long.
        fps: Frames of one stream per second of generation, as others quote it.
        fps_all_streams: Frames of all streams per second.
        first_chunk_s: From request to first playable chunk, median over requests.
        first_frame_s: To the first frame, median.
        first_sound_s: To the first sound, median.
        first_chunk_max_s: The longest.
        chunk_p50_s: Percentile of the time between playable chunks, over all streams.
        chunk_p95_s: The same.
        chunk_p99_s: The same.
        chunk_max_s: The longest.
        jitter_s: ``chunk_p99_s - chunk_p50_s``.
        deadline_miss_rate: Share of chunks after the first that are late if playing starts with it.
        num_stalls: Over all streams.
        stall_s: Over all streams.
        zero_stall_startup_s: Smallest wait with which no stream stalls.
        memory_mb: Peak resident memory of all its processes.
        cuda_memory_mb: Peak memory allocated on CUDA devices.
        processor_s_per_media_s: Processor time up to the last chunk that was asked for, all cores,
            per second of media; unlike the real-time factor it hardly depends on what else the
            machine does.
        energy_j_per_media_s: Of the NVIDIA devices, per second of media.
        flops_per_s: Counted work of all chunks over the time they took.
        flops_share: Of the measured matrix rate.
        bytes_per_s: Counted traffic of all chunks over the time they took.
        bytes_share: Of the measured copy rate.
        floor_s: Least time of a chunk by the counted work and the measured rates.
        rates: These rates.
        parts_s: Time by part, for each chunk, as the system reports it.
        picture_errors: Mean squared difference of its pictures from the first system's, for each
            prompt compared [grey levels squared].
        load: Who used the cores.
        requests: The arrivals of all streams.
        part_spans: Of the first turn.
    """

    system: str
    streams: int
    mode: str
    settings: dict[str, Any] = field(default_factory=dict)
    checkpoint: str = ""
    threads: int = 1
    num_parameters: int | None = None
    turns: int = 0
    is_valid: bool = False
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    load_s: float = 0.0
    warm_up_s: float = 0.0
    setup_s: dict[str, float] = field(default_factory=dict)
    num_chunks: int = 0
    media_s: float = 0.0
    chunk_media_s: float | None = None
    rtf: float | None = None
    rtf_worst_30_s: float | None = None
    fps: float | None = None
    fps_all_streams: float | None = None
    first_chunk_s: float | None = None
    first_frame_s: float | None = None
    first_sound_s: float | None = None
    first_chunk_max_s: float | None = None
    chunk_p50_s: float | None = None
    chunk_p95_s: float | None = None
    chunk_p99_s: float | None = None
    chunk_max_s: float | None = None
    jitter_s: float | None = None
    deadline_miss_rate: float | None = None
    num_stalls: int | None = None
    stall_s: float | None = None
    zero_stall_startup_s: float | None = None
    memory_mb: float | None = None
    cuda_memory_mb: float | None = None
    processor_s_per_media_s: float | None = None
    energy_j_per_media_s: float | None = None
    flops_per_s: float | None = None
    flops_share: float | None = None
    bytes_per_s: float | None = None
    bytes_share: float | None = None
    floor_s: float | None = None
    rates: dict[str, Any] | None = None
    parts_s: dict[str, float] = field(default_factory=dict)
    picture_errors: tuple[float, ...] = ()
    load: LoadShare | None = None
    requests: tuple[StreamRun, ...] = ()
    part_spans: tuple[PartSpan, ...] = ()


def make_row(
    prepared: Sequence[Prepared],
    turns: Sequence[Turn],
    *,
    settings: dict[str, Any],
    warm_up_s: float,
    load: LoadShare,
) -> Row:
    """Sums up the turns of one system with one number of streams.

    Args:
        prepared: One for each process.
        turns: In order.
        settings: Of the system.
        warm_up_s: Time of the requests before the first turn.
        load: Who used the cores meanwhile.

    Returns:
        The row, without numbers where nothing could be played.
    """
    first = prepared[0]
    runs = [run for turn in turns for run in turn.streams]
    playable = [run for run in runs if run.arrivals and len(run.trace.media_s)]
    num_chunks = _chunks_of_shortest(runs)
    reasons = [*_failures(runs), why_busy(load), _why_alone(turns)]
    if num_chunks < MIN_CHUNKS:
        reasons.append(f"too few chunks: {num_chunks}, at least {MIN_CHUNKS} are needed")
    reasons = [reason for reason in reasons if reason]
    many = len(prepared) > 1
    return Row(
        system=first.label,
        streams=len(turns[0].streams),
        mode=f"{len(prepared)} processes" if many else "one process",
        settings=settings,
        checkpoint=first.checkpoint,
        threads=first.threads,
        num_parameters=first.num_parameters,
        turns=len(turns),
        is_valid=not reasons,
        reasons=tuple(reasons),
        notes=tuple(note for note in (first.timing_note,) if note),
        load_s=max(one.load_s for one in prepared),
        warm_up_s=warm_up_s,
        setup_s=first.setup_s,
        num_chunks=num_chunks,
        load=load,
        requests=tuple(runs),
        part_spans=tuple(span for host in turns[0].hosts for span in host.parts),
        **(_speed(playable) | _work(prepared, turns, playable) | _resources(turns, playable)),
    )


def _failures(runs: Sequence[StreamRun]) -> list[str]:
    failed = [run for run in runs if run.error]
    if not failed:
        return []
    one = failed[0]
    count = f"{len(failed)} of {len(runs)} streams failed"
    return [f"{count}, first stream {one.stream} on {one.prompt_id}: {one.error}"]


def _why_alone(turns: Sequence[Turn]) -> str:
    """Why the streams of a turn were not all served at once."""
    for number, turn in enumerate(turns):
        counts = [len(run.trace.media_s) if run.arrivals else 0 for run in turn.streams]
        if min(counts) < TOGETHER * max(counts):
            return (
                f"in turn {number} a stream ended after {min(counts)} chunks, another made "
                f"{max(counts)}: fewer were served at once; take longer prompts or fewer --chunks"
            )
    return ""


def _chunks_of_shortest(runs: Sequence[StreamRun]) -> int:
    chunks: dict[int, int] = defaultdict(int)
    for run in runs:
        chunks[run.stream] += len(run.trace.media_s) if run.arrivals else 0
    return min(chunks.values(), default=0)


def _speed(runs: Sequence[StreamRun]) -> dict[str, Any]:
    """Numbers that follow from the arrivals alone."""
    if not runs:
        return {}
    traces = [run.trace for run in runs]
    media_s = np.array([trace.media_s.sum() for trace in traces])
    factors = [rtf(trace) for trace in traces]
    spent_s = media_s * [score.value for score in factors]
    first = [first_chunk_s(trace) for trace in traces]
    numbers = {
        "media_s": float(media_s.sum()),
        "chunk_media_s": float(np.median(np.concatenate([trace.media_s for trace in traces]))),
        "rtf": float(spent_s.sum() / media_s.sum()),
        "rtf_worst_30_s": _largest([score.components["worst_30_s"] for score in factors]),
        "fps": sum(_num_frames(run) for run in runs) / float(spent_s.sum()),
        "fps_all_streams": sum(_num_frames(run) for run in runs) / wall_s(runs),
        "first_chunk_s": float(np.median([score.value for score in first])),
        "first_frame_s": _median([score.components["first_frame_s"] for score in first]),
        "first_sound_s": _median([score.components["first_sound_s"] for score in first]),
        "first_chunk_max_s": max(score.value for score in first),
        "zero_stall_startup_s": max(zero_stall_startup(trace).value for trace in traces),
    }
    several = [trace for trace in traces if len(trace.media_s) > 1]
    if several:
        gaps = np.concatenate([chunk_gaps_s(trace) for trace in several])
        p50, p95, p99 = map(float, np.percentile(gaps, [50, 95, 99]))
        missed, stalls = map(deadline_miss_rate, several), list(map(stall_s, several))
        numbers |= {
            "chunk_p50_s": p50,
            "chunk_p95_s": p95,
            "chunk_p99_s": p99,
            "chunk_max_s": float(gaps.max()),
            "jitter_s": p99 - p50,
            "deadline_miss_rate": _weighted(list(missed)),
            "num_stalls": sum(score.components["num_stalls"] for score in stalls),
            "stall_s": sum(score.value for score in stalls),
        }
    return numbers


def wall_s(runs: Sequence[StreamRun]) -> float:
    """Time in which at least one stream was waited for, turn by turn, in seconds."""
    turns: dict[int, list[StreamRun]] = defaultdict(list)
    for run in runs:
        turns[run.turn].append(run)
    return sum(
        max(run.t_request_s + run.arrivals[-1].t_s for run in own)
        - min(run.t_request_s for run in own)
        for own in turns.values()
    )


def _work(
    prepared: Sequence[Prepared], turns: Sequence[Turn], runs: Sequence[StreamRun]
) -> dict[str, Any]:
    """Counted work against the measured rates, and time by part.

    Chunks are counted by their media, since a system may send its first one in pieces. The rates
    are those of one process, so that several have no share.
    """
    first = prepared[0]
    media = np.concatenate([run.trace.media_s for run in runs]) if runs else np.zeros(0)
    num_chunks = float(media.sum() / np.median(media)) if runs else 0.0
    spans = [span for turn in turns for host in turn.hosts for span in host.parts]
    parts: dict[str, float] = defaultdict(float)
    for span in spans:
        parts[span.part] += span.end_s - span.start_s
    found: dict[str, Any] = {}
    if num_chunks:
        found["parts_s"] = {part: spent / num_chunks for part, spent in parts.items()}
    if first.rates is None or not num_chunks or len(prepared) > 1:
        return found
    chunks_per_s = num_chunks / wall_s(runs)
    floors = []
    for name, amount, rate in (
        ("flops", first.flops_per_chunk, first.rates.flops_per_s),
        ("bytes", first.bytes_per_chunk, first.rates.bytes_per_s),
    ):
        if amount:
            floors.append(amount / rate)
            found[f"{name}_per_s"] = amount * chunks_per_s
            found[f"{name}_share"] = amount * chunks_per_s / rate
    return found | {"floor_s": max(floors), "rates": dict(vars(first.rates))}


def _resources(turns: Sequence[Turn], runs: Sequence[StreamRun]) -> dict[str, Any]:
    """Memory, processor time and energy."""
    media_s = sum(float(run.trace.media_s.sum()) for run in runs)
    spent_j = _sum([turn.energy_j for turn in turns])
    processor_s = _sum([host.processor_s for turn in turns for host in turn.hosts])
    return {
        "memory_mb": _most(turns, lambda host: host.memory_mb),
        "cuda_memory_mb": _most(turns, lambda host: host.cuda_memory_mb),
        "processor_s_per_media_s": processor_s / media_s if processor_s and media_s else None,
        "energy_j_per_media_s": spent_j / media_s if spent_j is not None and media_s else None,
    }


def _most(turns: Sequence[Turn], of: Callable[[HostRun], float | None]) -> float | None:
    """Largest sum over the processes of a turn."""
    sums = [[of(host) for host in turn.hosts] for turn in turns]
    return _largest([None if None in one else sum(map(float, one)) for one in sums])  # type: ignore[arg-type]


def _sum(values: Sequence[float | None]) -> float | None:
    return None if None in values else math.fsum(value for value in values if value is not None)


def _num_frames(run: StreamRun) -> int:
    return sum(arrival.num_frames for arrival in run.arrivals)


def _largest(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _median(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.median(there)) if there else None


def _weighted(scores: Sequence[Score]) -> float:
    return sum(s.value * s.weight for s in scores) / sum(s.weight for s in scores)


def streams_without_stall(rows: Sequence[Row], system: str) -> int | None:
    """Largest number of streams that a system was measured with, validly, without a stall.

    Args:
        rows: Of any systems.
        system: Row label.

    Returns:
        Never more than was measured; 0 if each valid row has a stall, ``None`` without a valid row.
    """
    valid = [row for row in rows if row.system == system and row.is_valid]
    return max((row.streams for row in valid if row.num_stalls == 0), default=0) if valid else None
