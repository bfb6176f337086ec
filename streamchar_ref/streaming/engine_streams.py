"""What an engine keeps of its streams, and of chunks between denoising and decoding."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch

from streamchar_ref.sampling.flow import Latents
from streamchar_ref.streaming.decoding import EarlyPiece, StreamDecoder
from streamchar_ref.streaming.state import StreamState
from streamchar_ref.streaming.transcript import Transcript

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

    def decode_early(self, cut: EarlyPiece) -> tuple[np.ndarray, np.ndarray]:
        """Returns frames and samples of the early piece; keeps the rest of the samples."""
        video, audio = self.latents
        with torch.inference_mode():
            samples = self.stream.decoder.sound(audio)
            frames = self.stream.decoder.pictures(video[:, : cut.video_latents])
        self.samples = samples[cut.samples :]
        return frames, samples[: cut.samples]

    def decode(self, *, after: EarlyPiece | None) -> tuple[np.ndarray, np.ndarray]:
        """Returns frames and samples: all, or those after the early piece."""
        video, audio = self.latents
        decoder = self.stream.decoder
        with torch.inference_mode():
            if after is None:
                samples = decoder.sound(audio)
                return decoder.pictures(video), samples
            return decoder.pictures(video[:, after.video_latents :]), self.samples


@contextmanager
def one_thread() -> Iterator[None]:
    """Computes with one thread, and with as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
