"""What a chunk may look back at: sink, motion, heard sound, and the place in the transcript.

Shape letters: B batch, F latent frames of a chunk, C channels, h and w cells, A audio latents of a
chunk, Ca audio channels, R history latents.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from streamchar_ref.model.config import Config


@dataclass(frozen=True, kw_only=True)
class StreamState:
    """State of a stream between chunks. Immutable, so a rollout can branch from any point.

    Attributes:
        num_chunks: Chunks so far.
        sink: First latents of the first chunk; before it, what the stream opens with,
            [B, Fs, C, h, w].
        motion_video: Last latents of the previous chunk, [B, Fm, C, h, w].
        history: Last audio latents, [B, R, Ca].
        num_history: How many of them were heard, [B]; what is older is filling.
        position: Phonemes spoken, with the fraction of the one being said, [B].
    """

    num_chunks: int
    sink: Float[Tensor, "B Fs C h w"]
    motion_video: Float[Tensor, "B Fm C h w"]
    history: Float[Tensor, "B R Ca"]
    num_history: Int64[Tensor, " B"]
    position: Float[Tensor, " B"]

    def append(
        self,
        video: Float[Tensor, "B F C h w"],
        audio: Float[Tensor, "B A Ca"],
        advance: Float[Tensor, " B"],
    ) -> "StreamState":
        """Returns the memory after a chunk; the first chunk becomes the sink.

        Args:
            video: Clean latents of the chunk.
            audio: Clean latents of the chunk.
            advance: Phonemes that it said; less than none is none, the pointer never goes back.

        Returns:
            The new memory.
        """
        num_motion, num_history = self.motion_video.shape[1], self.history.shape[1]
        history = torch.cat([self.history, audio], dim=1)
        return replace(
            self,
            num_chunks=self.num_chunks + 1,
            sink=self.sink if self.num_chunks else video[:, : self.sink.shape[1]],
            motion_video=video[:, video.shape[1] - num_motion :],
            history=history[:, history.shape[1] - num_history :],
            num_history=(self.num_history + audio.shape[1]).clamp(max=num_history),
            position=self.position + advance.clamp(min=0),
        )


def empty_state(config: Config, *, batch: int, device: torch.device) -> StreamState:
    """Returns a memory of nothing; see `StreamChar.opening` for what a stream begins with."""
    geometry = config.geometry
    video = (geometry.video_channels, *geometry.video_cells)
    heard = max(config.orchestrator.history_latents, geometry.motion_audio_latents)
    return StreamState(
        num_chunks=0,
        sink=torch.zeros(batch, geometry.sink_latents, *video, device=device),
        motion_video=torch.zeros(batch, geometry.motion_latents, *video, device=device),
        history=torch.zeros(batch, heard, geometry.audio_channels, device=device),
        num_history=torch.zeros(batch, dtype=torch.long, device=device),
        position=torch.zeros(batch, device=device),
    )
