"""The fast path of streams: many at once, one chunk decoded while the next is denoised.

`stream` with one thread is the reference: in float32 on a CPU the engine yields the same numbers,
whoever shares it.
"""

import math
import os
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import nullcontext
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.one_thread import one_thread
from streamchar_ref.media import AVChunk
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.sampling.orders import SOUND_GIVEN
from streamchar_ref.streaming.context import FULL, ContextOptions
from streamchar_ref.streaming.decoding import EarlyPiece, StreamDecoder, half_precision
from streamchar_ref.streaming.denoiser import GREY, WARM_UP, Denoiser
from streamchar_ref.streaming.engine_config import (
    EngineChunk,
    EngineConfig,
    EngineFull,
    EngineStopped,
    RecentMean,
)
from streamchar_ref.streaming.engine_stages import Stages
from streamchar_ref.streaming.engine_streams import (
    SAID,
    DenoisedBatch,
    DenoisedChunk,
    Due,
    OpenStream,
)
from streamchar_ref.streaming.state import StreamState, initial_state
from streamchar_ref.streaming.stream import enough_text
from streamchar_ref.streaming.transcript import Transcript, TranscriptBatch, TranscriptPrefix

Span = tuple[str, float, float]
FULL_LOAD = 0.8
"""Share of the time that admitted streams may take of the busier of the two stages."""
POLL_S = 0.005
"""Pause of a stream that waits for its text."""


class Engine:
    """Streams characters of one model, those first whose viewers will wait soonest.

    On a CPU with overlap each of its two stages computes with one thread, so two cores are busy.

    Args:
        model: Networks with their config.
        config: How streams share them.
        sampler: How chunks are sampled; what it leaves open is the checkpoint's.
        options: What a chunk may look back at.
        clock: Seconds; replaced in tests.

    Raises:
        InputError: If the model draws to given speech.
    """

    def __init__(
        self,
        model: StreamChar,
        config: EngineConfig | None = None,
        *,
        sampler: SamplerConfig | None = None,
        options: ContextOptions = FULL,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.config = config or EngineConfig()
        if model.config.order == SOUND_GIVEN or not model.config.has_orchestrator:
            raise InputError(
                "the engine streams models that speak themselves and have an orchestrator; the "
                "others stream by path=plain"
            )
        self._clock = clock
        self._denoiser = Denoiser(model, self.config, sampler or SamplerConfig(), options)
        self.model, self.is_exact = self._denoiser.model, self._denoiser.is_exact
        is_cpu = model.device.type == "cpu"
        self._batch = self.config.batch or (1 if is_cpu else self.config.max_streams)
        self._early = EarlyPiece.of(model.config, self.config.first_latents)
        is_half = self.config.picture_precision == "bfloat16"
        self._pictures = half_precision(model) if is_half else None
        self._streams: dict[int, OpenStream] = {}
        self._num_opened = 0
        self._denoise_s, self._decode_s = RecentMean(), RecentMean()
        self._spans: deque[Span] = deque(maxlen=10_000)
        has_stages = is_cpu and self.config.overlap
        self._threads = one_thread if has_stages else nullcontext
        self._is_parallel = has_stages and len(os.sched_getaffinity(0)) > 1
        self._stages = Stages(overlap=self.config.overlap, batch=self._batch)
        self._failure: RuntimeError | None = None
        self._num_sent = 0

    @property
    def num_streams(self) -> int:
        """Streams that are open and not over."""
        return sum(not stream.is_over for stream in self._streams.values())

    @property
    def capacity(self) -> int:
        """Streams that can be served at once without stalls, by the time that chunks have taken."""
        stages = (self._denoise_s.value, self._decode_s.value)
        busiest_s = max(stages) if self._is_parallel else sum(stages)
        if not busiest_s or self.config.admit_all:
            return self.config.max_streams
        served = int(FULL_LOAD * self.model.config.stream.chunk_s / busiest_s)
        return min(self.config.max_streams, max(1, served))

    def open(
        self,
        transcript: Transcript,
        *,
        prompt: str,
        reference: UInt8[np.ndarray, "H W 3"],
        seed: int = 0,
    ) -> int:
        """Begins a stream.

        Args:
            transcript: What to say; it may still be arriving.
            prompt: What the character looks and sounds like.
            reference: Its picture, RGB.
            seed: The same seed gives the same stream.

        Returns:
            Its number, by which its chunks are known.

        Raises:
            EngineFull: If it could be served only at the price of stalls.
        """
        if self.num_streams >= self.capacity:
            raise EngineFull(
                f"{self.num_streams} streams are being served, and {self.capacity} can be without "
                f"stalls; wait until one ends"
            )
        with torch.inference_mode(), self._threads():
            conditioning = self.model.conditioning([prompt], [reference])
            state = initial_state(self.model, conditioning, [seed])
        number, now_s = self._num_opened, self._clock()
        self._num_opened += 1
        self._streams[number] = OpenStream(
            number=number,
            transcript=transcript,
            opened_s=now_s,
            starts_s=now_s,
            state=state,
            decoder=StreamDecoder(self.model, self._pictures),
        )
        return number

    def warm_up(self, chunks: int = 4) -> float:
        """Streams a few chunks to nobody, so that capacity is known and all code is compiled.

        Args:
            chunks: How many; what the first call of a network costs is not counted.

        Returns:
            Seconds that it took.

        Raises:
            EngineFull: If streams are open.
            EngineStopped: If the compiled networks compute something else.
        """
        if self._streams:
            raise EngineFull("warm_up is for an engine without streams; close them before")
        began_s = time.perf_counter()
        with self._threads():
            self._denoiser.prepare(self._batch)
        request: dict[str, Any] = {"prompt": "", "reference": GREY}
        for count in (1, chunks):
            self._denoise_s, self._decode_s = RecentMean(), RecentMean()  # first calls do not count
            made = self.stream(Transcript(WARM_UP), **request)
            for _ in islice(made, count + 1):
                pass
            made.close()
        return time.perf_counter() - began_s

    def close(self, stream: int) -> None:
        """Ends a stream early; chunks of it that wait to be decoded are dropped."""
        ended = self._streams.pop(stream, None)
        if ended is not None:
            ended.is_dropped = True
        if not self._streams:  # nothing of it runs on beside what comes next
            self._stages.drain()

    def take_spans(self) -> list[Span]:
        """Returns and forgets what has been done when, by the clock: name, start and end [s]."""
        return [self._spans.popleft() for _ in range(len(self._spans))]

    def step(self) -> list[EngineChunk]:
        """Makes chunks of the streams that need them most, until some are ready.

        With overlap, the next one is being denoised when this returns.

        Returns:
            All chunks that have become ready, those of a stream in their order; none if every
            stream waits for its text or is far enough ahead.

        Raises:
            EngineStopped: If the networks fail; what was made before has been returned.
        """
        ready: list[EngineChunk] = []
        while True:
            try:
                self._go_on()
                for made in self._stages.decoded():
                    ready += [made] if made.stream in self._streams else []
            except RuntimeError as error:  # torch has many classes for it
                self._failure = self._failure or error
            if ready or self._stages.is_idle:
                break
            self._stages.wait()
        if self._failure and not ready:
            failure, self._failure = self._failure, None
            self._streams.clear()  # none of them can go on
            why = str(failure).partition("\n")[0]
            raise EngineStopped(
                f"the networks failed, after {self._num_sent} chunks: {why:.200}"
            ) from failure
        return [self._sent(made) for made in ready]

    def stream(
        self,
        transcript: Transcript,
        *,
        prompt: str,
        reference: UInt8[np.ndarray, "H W 3"],
        seed: int = 0,
    ) -> Generator[AVChunk, None, None]:
        """Yields the chunks of a single stream, by the contract of `stream.stream`.

        Args:
            transcript: See `open`.
            prompt: See `open`.
            reference: See `open`.
            seed: See `open`.

        Yields:
            Chunks in playing order, until all is said.

        Raises:
            EngineFull: If other streams are open: their chunks would be lost.
        """
        if self._streams:
            raise EngineFull("Engine.stream is for one stream alone; use open and step for several")
        number = self.open(transcript, prompt=prompt, reference=reference, seed=seed)
        try:
            while True:
                made = self.step()
                for each in made:
                    yield each.chunk
                    if each.is_last:
                        return
                if not made:
                    time.sleep(POLL_S)
        finally:
            self.close(number)

    def _go_on(self) -> None:
        """Has decoded what is denoised, and the next chunks denoised."""
        batch = self._stages.denoised()
        if batch is not None:
            for row, (stream, _) in enumerate(batch.due):
                if not stream.is_dropped:
                    self._begin_decoding(self._task(batch, row))
        if self._failure is None and self._stages.takes_more and (due := self._due()):
            self._stages.denoise(partial(self._denoised, due))

    def _due(self) -> Due:
        """Streams to go on with, the most urgent first, and the text that has arrived for each."""
        now_s, waiting = self._clock(), []
        for stream in self._streams.values():
            deadline_s = self._deadline_s(stream)
            if stream.is_over or deadline_s - now_s > self.config.ahead_s:
                continue
            prefix = self._text(stream, now_s)
            if prefix is not None:
                waiting.append((deadline_s, stream, prefix))
        waiting.sort(key=lambda each: each[0])
        return [(stream, prefix) for _, stream, prefix in waiting[: self._batch]]

    def _deadline_s(self, stream: OpenStream) -> float:
        """When the next chunk of a stream is to be played."""
        if stream.begins_again:
            return -math.inf
        return stream.starts_s + stream.num_made * self.model.config.stream.chunk_s

    def _text(self, stream: OpenStream, now_s: float) -> TranscriptPrefix | None:
        made, chunk_s = stream.num_made, self.model.config.stream.chunk_s
        if stream.transcript.is_live:
            return stream.transcript.prefix(made * chunk_s)
        position, elapsed_s = float(stream.state.position), now_s - stream.opened_s
        return enough_text(stream.transcript, position, made, chunk_s, elapsed_s)

    def _denoised(self, due: Due) -> DenoisedBatch:
        began_s = self._clock()
        text = TranscriptBatch.of([prefix for _, prefix in due], self.model.device)
        with torch.inference_mode():
            state = StreamState.stack([stream.state for stream, _ in due])
        chunk = self._denoiser(state, text)
        self._denoise_s.add(self._spent("denoise", began_s) / len(due))
        return DenoisedBatch(due, chunk)

    def _task(self, batch: DenoisedBatch, row: int) -> DenoisedChunk:
        """Moves a stream on by its chunk."""
        (stream, prefix), chunk = batch.due[row], batch.chunk
        own = slice(row, row + 1)
        begins = float(stream.state.position)
        self._keep_pace(stream)
        with torch.inference_mode():
            stream.state = chunk.state.row(row)
            latents = tuple(each[own] for each in chunk.latents)
        stream.num_made += 1
        made_s = stream.num_made * self.model.config.stream.chunk_s
        all_said = prefix.is_final and bool(chunk.is_over[row])
        stream.is_over = all_said or made_s >= stream.transcript.longest_s
        stream.transcript.said(float(stream.state.position))
        stream.has_said_all = stream.transcript.num_unsaid <= SAID
        return DenoisedChunk(
            stream=stream,
            latents=latents,
            begins=begins,
            progress=chunk.progress[row].clamp(min=0),
            ends=float(stream.state.position),
            is_last=stream.is_over,
        )

    def _keep_pace(self, stream: OpenStream) -> None:
        """Moves the start of a stream whose viewer has waited, or skips silence before new text."""
        now_s, made_s = self._clock(), stream.num_made * self.model.config.stream.chunk_s
        if stream.begins_again or now_s > stream.starts_s + made_s:
            stream.starts_s = now_s - made_s

    def _begin_decoding(self, task: DenoisedChunk) -> None:
        """Has a chunk decoded, the first of a stream in two pieces."""
        cut = self._early if task.stream.num_made == 1 else None
        if cut is not None:
            self._stages.decode(partial(self._decoded, task.stream, partial(task.early_piece, cut)))
        rest = partial(task.rest, after=cut)
        self._stages.decode(partial(self._decoded, task.stream, rest, is_whole=cut is None))

    def _decoded(
        self, stream: OpenStream, decode: Callable[[], EngineChunk], *, is_whole: bool = False
    ) -> EngineChunk | None:
        """Decodes a chunk or a piece of it, if it is still wanted."""
        if stream.is_dropped:
            return None
        began_s = self._clock()
        try:
            made = decode()
        except RuntimeError:
            stream.is_dropped = True  # its later chunks would follow a hole
            raise
        spent_s = self._spent("decode", began_s)
        if is_whole:
            self._decode_s.add(spent_s)
        return made

    def _spent(self, part: str, began_s: float) -> float:
        ended_s = self._clock()
        self._spans.append((part, began_s, ended_s))
        return ended_s - began_s

    def _sent(self, made: EngineChunk) -> EngineChunk:
        """Numbers a chunk as it leaves; a stream that is over is forgotten."""
        stream = self._streams[made.stream]
        chunk = AVChunk(
            index=stream.num_sent,
            frames=made.chunk.frames,
            samples=made.chunk.samples,
            spoken=made.chunk.spoken,
        )
        stream.num_sent += 1
        self._num_sent += 1
        if made.is_last:
            self.close(made.stream)
        return EngineChunk(stream=made.stream, chunk=chunk, is_last=made.is_last)
