"""Systems whose chunks take exactly as long as they are told to."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from evals.recording.system import Prompt
from streamchar_ref.media import AVChunk
from tests.evals.bench.fake_clock import wait


def _chunk(index: int, frames: int = 25) -> AVChunk:
    pixels = np.zeros((frames, 4, 4, 3), np.uint8)
    return AVChunk(index=index, frames=pixels, samples=np.zeros(frames * 640, np.float32))


class Toy:
    """A chunk of 1 s takes ``gaps[k]`` seconds, over and over; ``slower`` multiplies them."""

    fps, sample_rate = 25, 16_000

    def __init__(
        self,
        name: str = "toy",
        gaps: Sequence[float] = (0.5,),
        slower: float = 1.0,
        length: int = 200,
        fails_at: int = -1,
        load_s: float = 0.0,
    ) -> None:
        self.name = name
        self.gaps, self.slower, self.length, self.fails_at = gaps, slower, length, fails_at
        wait(load_s)

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        for index in range(self.length):
            if index == self.fails_at:
                raise RuntimeError("device lost")
            wait(self.gaps[index % len(self.gaps)] * self.slower * (1 + 0.01 * seed))
            yield _chunk(index)


class GreyToy(Toy):
    """Shows grey level 2 in place of 0."""

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        for chunk in super().stream(prompt, seed=seed):
            yield replace(chunk, frames=chunk.frames + np.uint8(2))


class WideToy(Toy):
    """Shows a column more."""

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        for chunk in super().stream(prompt, seed=seed):
            yield replace(chunk, frames=np.zeros((25, 4, 5, 3), np.uint8))


class LateToy(Toy):
    """Goes on for half a minute when nothing more is wanted."""

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        try:
            yield from super().stream(prompt, seed=seed)
        finally:
            wait(30.0)


class CountedToy(Toy):
    """Tells its size and its work."""

    num_parameters = 7
    flops_per_chunk, bytes_per_chunk = 3e9, 1e9


class ManyToy(Toy):
    """Serves streams in one batch, whose time grows with their number."""

    max_streams = 4
    setup_s: ClassVar = {"compile": 3.0}
    timing_note = "times are invented"

    def stream_many(
        self, prompts: Sequence[Prompt], *, seeds: Sequence[int]
    ) -> Iterator[tuple[int, AVChunk | Exception]]:
        self.spans: list[tuple[str, float, float]] = []
        for index in range(self.length):
            for place in range(len(prompts)):
                wait(self.gaps[0])
                if place == 1 and index == self.fails_at:
                    yield place, RuntimeError("this stream only")
                elif place != 1 or self.fails_at < 0 or index < self.fails_at:
                    self.spans.append(("denoise", 10.0, 10.25))
                    yield place, _chunk(index)

    def take_parts(self) -> list[tuple[str, float, float]]:
        spans, self.spans = getattr(self, "spans", []), []
        return spans


class ColdToy(Toy):
    """Its first request fails, as if a program had to be started again."""

    requests = 0

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        self.requests += 1
        if self.requests == 1:
            raise RuntimeError("not warm")
        yield from super().stream(prompt, seed=seed)


class UnevenToy(ManyToy):
    """Its second stream is over when the first has just begun."""

    def stream_many(
        self, prompts: Sequence[Prompt], *, seeds: Sequence[int]
    ) -> Iterator[tuple[int, AVChunk | Exception]]:
        for index in range(self.length):
            for place in range(len(prompts)):
                if place == 0 or index < 20:
                    wait(self.gaps[0])
                    yield place, _chunk(index)
