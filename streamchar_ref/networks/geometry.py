"""Shapes of what the DiT sees, and where on its clock everything lies.

Time is counted in audio latents from the start of the chunk; what comes before has negative
times. Reference, sink, prompt and, where the DiT reads it, the transcript have fixed places far
back, the same in every chunk.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class WindowGeometry:
    """Shapes and positions in the DiT's window.

    Attributes:
        chunk_latents: Video latents of a chunk.
        chunk_audio_latents: Audio latents of a chunk.
        motion_latents: Video latents of the previous chunk that are seen.
        motion_audio_latents: Audio latents before the chunk that are seen.
        sink_latents: Video latents of the first chunk that are seen.
        prompt_tokens: Text vectors.
        video_channels: Channels of a video latent.
        video_cells: Height and width of a video latent.
        audio_channels: Channels of an audio latent.
        text_tokens: Rows of the transcript that are seen; 0 where an orchestrator reads it.
    """

    chunk_latents: int
    chunk_audio_latents: int
    motion_latents: int
    motion_audio_latents: int
    sink_latents: int
    prompt_tokens: int
    video_channels: int
    video_cells: tuple[int, int]
    audio_channels: int
    text_tokens: int = 0

    @property
    def audio_per_video(self) -> float:
        """Audio latents in the time of a video latent."""
        return self.chunk_audio_latents / self.chunk_latents

    def num_tokens(self, patch: int) -> int:
        """Tokens in the window, context included."""
        return len(self.chunk_positions(patch)) + len(self.context_positions(patch))

    def chunk_positions(self, patch: int) -> Float[Tensor, "L 3"]:
        """Returns time, row and column of the noisy tokens, video before audio."""
        video = self._video(self._starts(0, self.chunk_latents), patch)
        return torch.cat([video, self._audio(0, self.chunk_audio_latents)])

    def context_positions(self, patch: int) -> Float[Tensor, "L 3"]:
        """Returns the same for transcript, prompt, reference, sink, motion video and audio."""
        chunk = float(self.chunk_audio_latents)
        text = self._audio(-6 * self.chunk_audio_latents - self.text_tokens, self.text_tokens)
        prompt = torch.zeros(self.prompt_tokens, 3)
        prompt[:, 0] = -5 * chunk
        prompt[:, 2] = torch.arange(self.prompt_tokens)
        sink = self._starts(-2.5 * chunk, self.sink_latents)
        motion = self._starts(-self.motion_latents * self.audio_per_video, self.motion_latents)
        return torch.cat(
            [
                text,
                prompt,
                self._video([-4 * chunk], patch),
                self._video(sink, patch),
                self._video(motion, patch),
                self._audio(-self.motion_audio_latents, self.motion_audio_latents),
            ]
        )

    def _starts(self, start: float, count: int) -> list[float]:
        return [start + index * self.audio_per_video for index in range(count)]

    def _video(self, starts: list[float], patch: int) -> Float[Tensor, "L 3"]:
        """A video latent lies in the middle of its time."""
        times = torch.tensor(starts) + (self.audio_per_video - 1) / 2
        rows, columns = (
            torch.arange(side // patch, dtype=torch.float32) for side in self.video_cells
        )
        return torch.cartesian_prod(times, rows, columns).reshape(-1, 3)

    def _audio(self, start: float, count: int) -> Float[Tensor, "L 3"]:
        positions = torch.zeros(count, 3)
        positions[:, 0] = start + torch.arange(count)
        return positions
