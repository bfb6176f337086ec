"""Speech that is given to a model which draws only.

Shape letters: S samples, N chunks, A audio latents of a chunk, Ca their channels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from streamchar_ref.core.errors import InputError
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.sampling.orders import SOUND_GIVEN


@dataclass(frozen=True, kw_only=True)
class GivenSpeech:
    """The whole of it, as latents.

    Attributes:
        chunks: Clean latents, [N, A, Ca].
    """

    chunks: Float[Tensor, "N A Ca"]

    @classmethod
    def of(cls, model: StreamChar, samples: Float32[np.ndarray, " S"]) -> "GivenSpeech":
        """Encodes speech, with silence after it to the end of the last chunk.

        Args:
            model: Whose audio VAE encodes it.
            samples: Mono in [-1, 1], at the rate of the model.

        Returns:
            The latents.

        Raises:
            InputError: If there is no sound.
        """
        length = model.config.chunk_samples
        if samples.ndim != 1 or not len(samples) or not np.isfinite(samples).all():
            raise InputError("the given speech is not mono samples, at least one and all finite")
        padded = np.pad(samples.astype(np.float32), (0, -len(samples) % length))
        latents = model.audio_vae.encode(torch.from_numpy(padded).to(model.device)[None])
        count = model.config.geometry.chunk_audio_latents
        return cls(chunks=latents[0].unflatten(0, (-1, count)))

    def has(self, index: int) -> bool:
        """Says whether there is a chunk of this number."""
        return index < len(self.chunks)

    def chunk(self, index: int) -> Float[Tensor, "1 A Ca"]:
        """Returns the latents of one chunk, as a batch of one."""
        return self.chunks[index : index + 1]


def speech_for(model: StreamChar, samples: Float32[np.ndarray, " S"] | None) -> GivenSpeech | None:
    """Encodes the speech that a model needs; ``None`` for models that speak themselves.

    Args:
        model: The networks.
        samples: The speech, if any is given.

    Returns:
        Its latents.

    Raises:
        InputError: If the model needs speech and has none, or has some and speaks itself.
    """
    needs_speech = model.config.order == SOUND_GIVEN
    if needs_speech and samples is None:
        raise InputError(
            "this model draws to speech that is given to it (order=sound_given), and there is "
            "none: give it, see `stream`, or take a model that speaks itself"
        )
    if samples is not None and not needs_speech:
        raise InputError(
            f"speech is given to a model that speaks itself, order={model.config.order}"
        )
    return None if samples is None else GivenSpeech.of(model, samples)
