"""Prompts of the harness through the engine of the reference model."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from evals.recording.system import Prompt
from streamchar_ref.media import AVChunk
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.streaming.context import ContextOptions
from streamchar_ref.streaming.engine import POLL_S, Engine, Span
from streamchar_ref.streaming.engine_config import EngineConfig
from streamchar_ref.streaming.transcript import Transcript
from streamchar_ref.world.voices import prompt_of


class ServedStreams:
    """An engine that serves whole prompts, as fast as it can.

    Args:
        model: Networks with their config.
        config: Of the engine.
        sampler: How chunks are sampled.
        options: What a chunk may look back at.

    Attributes:
        max_streams: That are served at once.
        setup_s: Seconds that compiling took, or recording graphs.
        is_exact: Whether chunks are computed as on the plain path, guided steps in two passes.
    """

    def __init__(
        self,
        model: StreamChar,
        config: EngineConfig,
        *,
        sampler: SamplerConfig,
        options: ContextOptions,
    ) -> None:
        # No admission by capacity: more than can be served is what a benchmark wants to see.
        self._engine = Engine(
            model, replace(config, admit_all=True), sampler=sampler, options=options
        )
        self.is_exact = self._engine.is_exact
        self.max_streams = config.max_streams
        self._parts: list[Span] = []
        part = "compile" if config.compiled else "capture" if config.graphs else ""
        self.setup_s = {part: self._engine.warm_up(1)} if part else {}

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        """Yields the chunks of one prompt."""
        transcript, request = request_of(prompt)
        self.take_parts()
        for chunk in self._engine.stream(transcript, **request, seed=seed):
            self._keep_parts()
            yield chunk

    def stream_many(
        self, prompts: Sequence[Prompt], *, seeds: Sequence[int]
    ) -> Iterator[tuple[int, AVChunk]]:
        """Streams several prompts at once.

        Args:
            prompts: All requested now.
            seeds: One for each.

        Yields:
            Places in ``prompts``, each with its next chunk.
        """
        places: dict[int, int] = {}
        self.take_parts()
        try:
            for place, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True)):
                transcript, request = request_of(prompt)
                places[self._engine.open(transcript, **request, seed=seed)] = place
            while places:
                made = self._engine.step()
                self._keep_parts()
                for each in made:
                    yield places[each.stream], each.chunk
                    if each.is_last:
                        del places[each.stream]
                if not made:
                    time.sleep(POLL_S)
        finally:
            for number in places:
                self._engine.close(number)

    def take_parts(self) -> list[Span]:
        """Returns and forgets what was done for the last request: name, start and end [s]."""
        self._keep_parts()
        parts, self._parts = self._parts, []
        return parts

    def _keep_parts(self) -> None:
        """Takes them chunk by chunk: the engine forgets those of long ago."""
        self._parts += self._engine.take_spans()


def request_of(prompt: Prompt) -> tuple[Transcript, dict[str, Any]]:
    """Returns what a stream is asked for, but for its seed."""
    pieces = [(piece.t_s, piece.text) for piece in prompt.pieces]
    return Transcript(pieces or prompt.transcript), {
        "prompt": prompt_of(prompt.caption, prompt.voice),
        "reference": prompt.reference,
    }
