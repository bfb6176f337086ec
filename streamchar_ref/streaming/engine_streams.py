"""What an engine keeps of its streams, and of chunks between denoising and decoding."""

from dataclasses import dataclass, field

import numpy as np
import torch

from streamchar_ref.sampling.flow import Latents
from streamchar_ref.streaming.decoding import StreamDecoder
from streamchar_ref.streaming.state import StreamState
from streamchar_ref.streaming.transcript import Transcript


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

    @property
    def begins_again(self) -> bool:
        """Whether there is something to be said again, after silence."""
        return self.has_said_all and self.transcript.num_unsaid > 0


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
