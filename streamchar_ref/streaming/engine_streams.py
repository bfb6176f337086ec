"""What an engine keeps of its streams, and of chunks between denoising and decoding."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from streamchar_ref.media import AVChunk
from streamchar_ref.sampling.flow import Latents
from streamchar_ref.streaming.decoding import EarlyPiece, StreamDecoder
from streamchar_ref.streaming.engine_config import EngineChunk
from streamchar_ref.streaming.rollout import RolloutChunk
from streamchar_ref.streaming.state import StreamState
from streamchar_ref.streaming.transcript import Transcript, TranscriptPrefix

SAID = 0.5
"""Phonemes before the end of a text at which it counts as said: a pointer stops short of it."""


@dataclass(kw_only=True)
class OpenStream:
    """A stream of an engine."""

    number: int
    transcript: Transcript
    opened_s: float
    state: StreamState
    decoder: StreamDecoder
    starts_s: float
    """When its viewer began to play, by the engine's clock, less what the viewer has skipped."""
    num_made: int = 0
    num_sent: int = 0
    has_said_all: bool = False
    is_over: bool = False
    is_dropped: bool = False
    """Whether what is left of it is wanted by nobody, or cannot be decoded."""

    @property
    def begins_again(self) -> bool:
        """Whether there is something to be said again, after silence."""
        return self.has_said_all and self.transcript.num_unsaid > SAID


Due = list[tuple[OpenStream, TranscriptPrefix]]
"""Streams whose next chunk is denoised together, and the text that has arrived for each."""


class DenoisedBatch(NamedTuple):
    """The next chunk of each of some streams."""

    due: Due
    chunk: RolloutChunk


@dataclass(kw_only=True)
class DenoisedChunk:
    """A chunk of one stream that has been denoised."""

    stream: OpenStream
    latents: Latents
    begins: float
    """Phonemes said before it."""
    progress: torch.Tensor
    ends: float
    """Phonemes said after it."""
    is_last: bool
    samples: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))

    def early_piece(self, cut: EarlyPiece) -> EngineChunk:
        """Decodes the early piece; keeps the rest of the samples."""
        video, audio = self.latents
        with torch.inference_mode():
            samples = self.stream.decoder.sound(audio)
            frames = self.stream.decoder.pictures(video[:, : cut.video_latents])
        self.samples = samples[cut.samples :]
        said = self.begins + float(self.progress[cut.audio_latents - 1])
        return self._made(frames, samples[: cut.samples], min(said, self.ends), is_last=False)

    def rest(self, *, after: EarlyPiece | None) -> EngineChunk:
        """Decodes all, or what comes after the early piece."""
        video, audio = self.latents
        decoder = self.stream.decoder
        with torch.inference_mode():
            if after is None:
                samples, frames = decoder.sound(audio), decoder.pictures(video)
            else:
                samples, frames = self.samples, decoder.pictures(video[:, after.video_latents :])
        return self._made(frames, samples, self.ends, is_last=self.is_last)

    def _made(
        self, frames: np.ndarray, samples: np.ndarray, spoken: float, *, is_last: bool
    ) -> EngineChunk:
        chunk = AVChunk(index=-1, frames=frames, samples=samples, spoken=spoken)
        return EngineChunk(stream=self.stream.number, chunk=chunk, is_last=is_last)
