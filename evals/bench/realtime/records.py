"""What a benchmark asks of a system, and what is kept of its answer."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from evals.bench.realtime.rates import ComputeRates
from evals.recording.recording import Arrival, Trace
from evals.recording.system import Prompt


class StreamLimit(NamedTuple):
    """Where a stream is stopped.

    Attributes:
        chunks: That it has made.
        seconds: Of frames that it has made, if not 0; then chunks are not counted.
    """

    chunks: int
    seconds: float = 0.0


DEFAULT_LIMIT = StreamLimit(50)


@dataclass(frozen=True, kw_only=True)
class SystemSpec:
    """A system to measure.

    Attributes:
        name: As `evals.recording.make_system.make_system` takes it.
        settings: For it.
        label: Row label; the system's own name if empty.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One stream to be generated.

    Attributes:
        stream: Number of the stream among the concurrent ones.
        prompt: To stream.
        seed: Of the generation.
    """

    stream: int
    prompt: Prompt
    seed: int


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What is known of a system once it is made.

    Attributes:
        label: Row label.
        name: Of the system itself.
        checkpoint: Which it reports; may be empty.
        max_streams: Streams that one process can serve at a time; 1 without ``stream_many``.
        serves_many: Whether it has ``stream_many``.
        fps: Frames per second.
        sample_rate: Samples per second.
        load_s: Time to make it: import and weights.
        setup_s: Parts of loading and warm-up that it reports, such as ``compile``.
        threads: Of torch; 1 without it.
        timing_note: What it says about its own times.
        num_parameters: Of its model, if it tells.
        flops_per_chunk: Counted for one chunk of one stream, if it tells.
        bytes_per_chunk: Moved for one chunk of one stream, if it tells.
        rates: What the device reaches, measured if the system tells its work.
    """

    label: str
    name: str
    fps: float
    sample_rate: int
    checkpoint: str = ""
    max_streams: int = 1
    serves_many: bool = False
    load_s: float = 0.0
    setup_s: dict[str, float] = field(default_factory=dict)
    threads: int = 1
    timing_note: str = ""
    num_parameters: int | None = None
    flops_per_chunk: float | None = None
    bytes_per_chunk: float | None = None
    rates: ComputeRates | None = None


@dataclass(frozen=True, kw_only=True)
class PartSpan:
    """A part of the work on a chunk, as a system reports it.

    Attributes:
        part: Name, e.g. ``denoise``.
        start_s: On ``time.perf_counter``.
        end_s: On the same clock.
    """

    part: str
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class StreamRun:
    """One stream as it arrived.

    Attributes:
        stream: Number among the concurrent streams.
        turn: Number of the turn in which all of them were requested.
        prompt_id: Of its prompt.
        t_request_s: When it was requested, on the host's monotonic clock.
        arrivals: Chunks, timed from the request.
        fps: Frames per second.
        sample_rate: Samples per second.
        error: Why it failed; empty otherwise.
    """

    stream: int
    turn: int
    prompt_id: str
    t_request_s: float
    arrivals: tuple[Arrival, ...]
    fps: float
    sample_rate: int
    error: str = ""

    @property
    def trace(self) -> Trace:
        """Its arrivals as a trace."""
        return Trace(arrivals=self.arrivals, fps=self.fps, sample_rate=self.sample_rate)


@dataclass(frozen=True, kw_only=True)
class HostRun:
    """What a host did in one turn.

    Attributes:
        streams: One for each request.
        parts: Spans that the system reported, on the clock of ``t_request_s``.
        memory_mb: Peak resident memory of the process and what it has started.
        cuda_memory_mb: Peak memory allocated on CUDA devices; ``None`` without one.
        processor_s: Processor time of the process and what it has started, until the last chunk
            that was asked for; what a system computes beyond it is not counted. ``None`` if
            unknown.
    """

    streams: tuple[StreamRun, ...]
    parts: tuple[PartSpan, ...] = ()
    memory_mb: float | None = None
    cuda_memory_mb: float | None = None
    processor_s: float | None = None
