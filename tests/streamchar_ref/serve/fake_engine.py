"""An engine without networks: every stream says its text evenly, in moving grey pictures."""

import time

import numpy as np

from streamchar_ref.core.errors import InputError
from streamchar_ref.media import AVChunk
from streamchar_ref.streaming.engine_config import EngineChunk, EngineFull
from streamchar_ref.streaming.live import LiveTranscript

FPS, RATE = 25, 16_000


class FakeEngine:
    """Makes chunks of a few frames in real time, one of each stream a step.

    Args:
        max_streams: More are refused.
        side: Of its pictures.
        frames: Of a chunk.
        pace: Chunks are made so many times as fast as they are played; 0 is at once.
        phonemes: Said in a chunk.
    """

    def __init__(
        self,
        max_streams: int = 2,
        side: int = 16,
        frames: int = 4,
        pace: float = 4,
        phonemes: int = 2,
    ) -> None:
        self.max_streams, self.side, self.frames, self.phonemes = (
            max_streams,
            side,
            frames,
            phonemes,
        )
        self.period_s = frames / FPS / pace if pace else 0.0
        self.open_streams: dict[int, list] = {}
        self.count, self.due_s = 0, 0.0
        self.broken: Exception | None = None
        self.people: list[tuple[str, np.ndarray]] = []

    def open(
        self, transcript: LiveTranscript, *, prompt: str, reference: np.ndarray, seed: int = 0
    ) -> int:
        if len(self.open_streams) >= self.max_streams:
            raise EngineFull(f"{self.max_streams} streams are open, and no more can be served")
        if "unlucky" in transcript.text.words:
            raise InputError("this one is refused")
        self.people.append((prompt, reference))
        self.count += 1
        self.open_streams[self.count] = [transcript, 0]
        return self.count

    def step(self) -> list[EngineChunk]:
        if self.broken is not None:
            raise self.broken
        if time.perf_counter() < self.due_s:
            return []
        self.due_s = time.perf_counter() + self.period_s
        return [self._next(number) for number in list(self.open_streams)]

    def close(self, stream: int) -> None:
        self.open_streams.pop(stream, None)

    def _next(self, number: int) -> EngineChunk:
        stream = self.open_streams[number]
        transcript, index = stream
        prefix = transcript.prefix(index * self.frames / FPS)
        spoken = min(len(prefix.text), len(prefix.text) - transcript.num_unsaid + self.phonemes)
        transcript.said(spoken)
        stream[1] += 1
        noise = np.random.default_rng(index)
        chunk = AVChunk(
            index=index,
            frames=noise.integers(80, 240, (self.frames, self.side, self.side, 3), dtype=np.uint8),
            samples=np.full(self.frames * RATE // FPS, 0.01, np.float32),
            spoken=float(spoken),
        )
        is_last = prefix.is_final and spoken == len(prefix.text)
        return EngineChunk(stream=number, chunk=chunk, is_last=is_last)
