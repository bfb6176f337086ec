"""Latents of a stream to what is played: frames and samples, each chunk with the state of the last.

Shape letters: F latent frames of a chunk, C channels, h and w cells, A audio latents, Ca their
channels.
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from streamchar_ref.model.config import Config
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.vae.causal import Past
from streamchar_ref.networks.vae.convert import to_uint8, to_wave
from streamchar_ref.networks.vae.video import TEMPORAL_STRIDE, VideoVae


@dataclass(frozen=True, kw_only=True)
class EarlyPiece:
    """The beginning of a stream's first chunk, which need not wait for the rest of it.

    Attributes:
        video_latents: It is made of, from the first.
        audio_latents: As many as last as long.
        frames: It has.
        samples: It has.
    """

    video_latents: int
    audio_latents: int
    frames: int
    samples: int

    @classmethod
    def of(cls, config: Config, at_least: int) -> "EarlyPiece | None":
        """Cuts a first chunk.

        Args:
            config: Of the model.
            at_least: Video latents of the piece; it ends where audio latents end, too.

        Returns:
            The piece; ``None`` where there is nothing to cut: no latents, or all of them.
        """
        geometry, stream = config.geometry, config.stream
        missing = TEMPORAL_STRIDE - config.video_vae.first_latent_frames
        if at_least < 1:
            return None
        for video_latents in range(at_least, geometry.chunk_latents):
            frames = TEMPORAL_STRIDE * video_latents - missing
            latents, rest = divmod(geometry.chunk_audio_latents * frames, stream.chunk_frames)
            if not rest:
                break
        else:
            return None
        return cls(
            video_latents=video_latents,
            audio_latents=latents,
            frames=frames,
            samples=latents * config.audio_vae.latent_samples,
        )


class StreamDecoder:
    """Decodes the chunks of one stream in their order.

    Args:
        model: Whose VAEs decode.
        pictures: In place of the model's video VAE, see `half_precision`.
    """

    def __init__(self, model: StreamChar, pictures: VideoVae | None = None) -> None:
        self._config = model.config
        self._video_vae = pictures or model.video_vae
        self._audio_vae = model.audio_vae
        self._video_past: Past | None = None
        self._audio_past: Past | None = None

    def sound(self, latents: Float[Tensor, "1 A Ca"]) -> Float32[np.ndarray, " _"]:
        """Returns the samples of the next audio latents."""
        samples, self._audio_past = self._audio_vae.decode(latents, self._audio_past)
        return to_wave(samples[0])

    def pictures(self, latents: Float[Tensor, "1 F C h w"]) -> UInt8[np.ndarray, "_ H W 3"]:
        """Returns the frames of the next video latents: of a whole chunk, or of a piece of it."""
        is_whole = latents.shape[1] == self._config.geometry.chunk_latents
        dtype = next(self._video_vae.parameters()).dtype
        frames, self._video_past = self._video_vae.decode(latents.to(dtype), self._video_past)
        if is_whole:  # a chunk's first latent may be 1 frame
            frames = frames[:, -self._config.stream.chunk_frames :]
        return to_uint8(frames[0])


def half_precision(model: StreamChar) -> VideoVae:
    """Returns the model's video VAE in bfloat16, with the memory layout that is quickest then."""
    half = copy.deepcopy(model.video_vae).to(torch.bfloat16)
    half.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return half
