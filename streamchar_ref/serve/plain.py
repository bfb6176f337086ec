"""Several streams on the plain path, paced by their play time: what `serve` runs on.

It has the methods of the engine: `open`, `step`, `close`.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from streamchar_ref.core.errors import InputError
from streamchar_ref.media import AVChunk
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.streaming.live import LiveTranscript
from streamchar_ref.streaming.stream import stream


class EngineFull(InputError):
    """As many streams are open as can be served."""


@dataclass(frozen=True, kw_only=True)
class EngineChunk:
    """A chunk of one of the streams.

    Attributes:
        stream: Number of the stream.
        chunk: What to play; without frames where the end shows only after the last chunk.
        is_last: Whether the stream has ended.
    """

    stream: int
    chunk: AVChunk
    is_last: bool


@dataclass(kw_only=True)
class _Open:
    transcript: LiveTranscript
    chunks: Iterator[AVChunk]
    made_s: float = 0.0
    """Playing time of its chunks so far."""
    zero_s: float = -math.inf
    """When its viewer began to play, by the engine's clock, less all pauses."""
    has_said_all: bool = False
    last: AVChunk | None = None


class PlainEngine:
    """Makes the chunks of several streams in turn, each one chunk ahead of its viewer.

    A stream that had said all, and has text again, is served at once.

    Args:
        model: The networks.
        max_streams: More are refused.
        sampler: How chunks are sampled; by default as the checkpoint says.
        clock: Seconds; replaced in tests.
    """

    def __init__(
        self,
        model: StreamChar,
        *,
        max_streams: int,
        sampler: SamplerConfig | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._model = model
        self._chunk_s = model.config.stream.chunk_s
        self._max_streams = max_streams
        self._sampler = sampler
        self._clock = clock
        self._streams: dict[int, _Open] = {}
        self._count = 0

    def open(
        self,
        transcript: LiveTranscript,
        *,
        prompt: str,
        reference: UInt8[np.ndarray, "H W 3"],
        seed: int = 0,
    ) -> int:
        """Admits a stream.

        Args:
            transcript: What to say.
            prompt: What the character looks and sounds like.
            reference: Its picture.
            seed: Of the noise.

        Returns:
            Number of the stream.

        Raises:
            EngineFull: If no more can be served.
        """
        if len(self._streams) >= self._max_streams:
            raise EngineFull(f"{self._max_streams} streams are open, and no more can be served")
        opened: _Open
        chunks = stream(
            self._model,
            transcript,
            prompt=prompt,
            reference=reference,
            seed=seed,
            sampler=self._sampler,
            clock=lambda: opened.made_s,  # the pace is kept here, so that no stream waits in there
        )
        opened = _Open(transcript=transcript, chunks=chunks)
        self._count += 1
        self._streams[self._count] = opened
        return self._count

    def step(self) -> list[EngineChunk]:
        """Makes the chunk that is most urgent; none if all viewers have enough."""
        if not self._streams:
            return []
        number, opened = min(self._streams.items(), key=lambda item: self._due_s(item[1]))
        if self._due_s(opened) > self._clock():
            return []
        return [self._next(number, opened)]

    def close(self, stream: int) -> None:
        """Ends a stream early."""
        self._streams.pop(stream, None)

    def _due_s(self, opened: _Open) -> float:
        if opened.has_said_all and opened.transcript.num_unsaid:
            return -math.inf
        return opened.zero_s + opened.made_s - self._chunk_s

    def _next(self, number: int, opened: _Open) -> EngineChunk:
        begins_again = opened.has_said_all and opened.transcript.num_unsaid > 0
        chunk = next(opened.chunks, None)
        if chunk is None:
            self.close(number)
            return EngineChunk(stream=number, chunk=_end_of(opened), is_last=True)
        now_s = self._clock()
        if begins_again or now_s > opened.zero_s + opened.made_s:  # the viewer skipped or waited
            opened.zero_s = now_s - opened.made_s
        opened.made_s += self._chunk_s
        opened.transcript.said(chunk.spoken or 0.0)
        opened.has_said_all = not opened.transcript.num_unsaid
        opened.last = chunk
        return EngineChunk(stream=number, chunk=chunk, is_last=False)


def _end_of(opened: _Open) -> AVChunk:
    """Returns a chunk with nothing in it."""
    last = opened.last
    if last is None:
        raise RuntimeError("a stream ended before its first chunk")
    return AVChunk(
        index=last.index + 1, frames=last.frames[:0], samples=last.samples[:0], spoken=last.spoken
    )
