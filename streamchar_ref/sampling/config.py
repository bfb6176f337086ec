"""How a stream is drawn: the sampler's settings, what a chunk may look back at, and the pointer.

Shape letters: B batch, S audio samples.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from streamchar_ref.model.config import StreamConfig
from streamchar_ref.model.dit import DitContext
from streamchar_ref.model.text import PhonemeText
from streamchar_ref.sampling import flow

CONTEXTS = ("full", "no_sink", "motion_only")
PRECISIONS = ("float32", "bfloat16")
CHOSEN = ("num_steps", "guidance", "picture_guidance", "temperature", "picture_temperature")
"""What a checkpoint's `StreamConfig` says of the sampler; no training looks at it."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """What may be chosen for a stream without training again.

    Attributes:
        num_steps: Steps of the sampler; 0 takes the config's.
        guidance: Scale of classifier-free guidance of the sound by the audio condition; 0 takes
            the config's.
        picture_guidance: The same of the picture.
        temperature: Deviation of the noise from which the sound is made; 0 takes the config's.
        picture_temperature: The same of the picture.
        motion_sigma: Noise level put on the motion latents, as in training.
        context: ``full``; ``no_sink`` hides the first chunk from the later ones; ``motion_only``
            shows them neither prompt nor reference, nor the first chunk, so that what
            the character is must be handed from chunk to chunk. The sound of the last seconds is
            heard in all. No network is trained for this alone: its roles are dropped one by one
            in training, so a loss says what they are worth to this model, not how well a model
            could do without them.
        precision: ``bfloat16`` lets large products run in half precision.

    Raises:
        ValueError: If a value lies outside its range.
    """

    num_steps: int = 0
    guidance: float = 0.0
    picture_guidance: float = 0.0
    temperature: float = 0.0
    picture_temperature: float = 0.0
    motion_sigma: float = 0.0
    context: str = "full"
    precision: str = "float32"

    def __post_init__(self) -> None:
        if not isinstance(self.num_steps, int) or self.num_steps < 0:
            raise ValueError(f"num_steps is a whole number from 0 on, not {self.num_steps!r}")
        for name in CHOSEN:
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, it is {getattr(self, name)}")
        if not 0 <= self.motion_sigma <= 1:
            raise ValueError(f"motion_sigma lies between 0 and 1, it is {self.motion_sigma}")
        for name, known in (("context", CONTEXTS), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} is one of {', '.join(known)}, not {getattr(self, name)!r}"
                )

    def over(self, stream: StreamConfig) -> StreamConfig:
        """Returns a checkpoint's settings with what is chosen here in their place."""
        return replace(
            stream, **{name: getattr(self, name) or getattr(stream, name) for name in CHOSEN}
        )

    def hides_everything_but_motion(self, num_chunks: int) -> bool:
        """Says whether a chunk after so many others does without prompt and reference."""
        return self.context == "motion_only" and num_chunks > 0

    def seen(self, context: DitContext, num_chunks: int, generator: torch.Generator) -> DitContext:
        """Takes away from a chunk's context what it may not look at, and adds noise.

        Args:
            context: All there is.
            num_chunks: Chunks so far.
            generator: Of the stream; asked only if there is noise to be drawn.

        Returns:
            What the DiT is shown.
        """
        nothing = torch.zeros_like(context.has_sink)
        if self.context != "full" and num_chunks:
            context = replace(context, has_sink=nothing)
        if self.hides_everything_but_motion(num_chunks):
            context = replace(context, has_prompt=nothing, has_reference=nothing)
        if not self.motion_sigma or not num_chunks:
            return context
        sigma = torch.full_like(context.motion_sigma, self.motion_sigma)
        video, audio = (
            flow.add_noise(clean, _noise_like(clean, generator), sigma)
            for clean in (context.motion_video, context.motion_audio)
        )
        return replace(context, motion_video=video, motion_audio=audio, motion_sigma=sigma)


PLAIN = Sampling()


@dataclass(frozen=True, kw_only=True)
class ChunkObservation:
    """A chunk that has just been made, as a pointer sees it.

    Attributes:
        text: As much of the transcript as was known.
        position: Phonemes said before the chunk, by the pointer's own account.
        advance: Phonemes that it says, by the model's account.
        samples: Its sound, mono in [-1, 1].
        length_s: Its length.
    """

    text: PhonemeText
    position: float
    advance: float
    samples: Float32[np.ndarray, " S"]
    length_s: float


PointerFn = Callable[[ChunkObservation], float]
"""Says how many phonemes a chunk has said; asked once a chunk, in their order. It moves the
transcript window and nothing else: whether all has been said is the model's own judgement."""


def own_pointer(heard: ChunkObservation) -> float:
    """Believes the model."""
    return heard.advance


def fixed_rate(phonemes_per_s: float) -> PointerFn:
    """Moves on evenly, whatever is heard: the paper's model without progress-aware pointer.

    Args:
        phonemes_per_s: How fast.

    Returns:
        The pointer.

    Raises:
        ValueError: If it would stand still or go back.
    """
    if not phonemes_per_s > 0:
        raise ValueError(f"phonemes_per_s must be positive, it is {phonemes_per_s}")
    return lambda heard: phonemes_per_s * heard.length_s


def _noise_like(clean: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(clean.shape, generator=generator).to(clean)
