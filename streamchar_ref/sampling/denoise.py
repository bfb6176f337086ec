"""One chunk of a stream as the sampler sees it: latents and a noise level in, velocities out.

Shape letters: B batch, A audio latents of a chunk, Ca their channels, K width of the condition.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from streamchar_ref.model.orchestrator import OrchestratorInputs, OrchestratorOutput
from streamchar_ref.model.streamchar import Conditioning, StreamChar
from streamchar_ref.sampling.config import PLAIN, Sampling
from streamchar_ref.sampling.flow import Latents
from streamchar_ref.streaming.state import StreamState
from streamchar_ref.streaming.transcript import TranscriptPrefix

OVER_LATENTS = 8
"""Audio latents in a row, a third of a second, that must say that all is said."""


class Denoiser:
    """Orchestrator and DiT with everything bound in that holds for all steps of a chunk.

    Args:
        model: The networks.
        cast: Who speaks.
        memory: The stream so far.
        known: The transcript so far, one a stream of the batch.
        generator: Noise comes from it, if the motion latents are to have some before `noise`.
        sampling: What may be looked at, and guidance.
    """

    def __init__(
        self,
        model: StreamChar,
        cast: Conditioning,
        memory: StreamState,
        known: Sequence[TranscriptPrefix],
        generator: torch.Generator,
        sampling: Sampling = PLAIN,
    ) -> None:
        self.model, self._generator = model, generator
        stream = sampling.over(model.config.stream)
        self._guidance = (stream.picture_guidance, stream.guidance)
        self._temperatures = (stream.picture_temperature, stream.temperature)
        self.script = _shown(model.script(cast, memory, known), memory.num_chunks, sampling)
        self.prefix = model.orchestrator.read(self.script)
        seen = sampling.seen(model.context(cast, memory), memory.num_chunks, generator)
        self.context = model.dit.encode_context(seen)
        lengths = torch.tensor([len(each.text) for each in known], device=memory.position.device)
        self._unsaid = (lengths - memory.position).clamp(min=0)
        self._plan = None if self._is_in_loop else model.orchestrator.plan(self.prefix, None, None)

    def __call__(self, latents: Latents, sigma: Float[Tensor, " B"]) -> Latents:
        """Returns the velocities of picture and sound."""
        condition = self.plan(latents[1], sigma).condition
        guided = self._velocities(latents, sigma, condition)
        if self._guidance == (1, 1):
            return guided
        nothing = self.model.dit.no_condition.expand_as(condition)
        free = self._velocities(latents, sigma, nothing)
        return tuple(
            b + (scale - 1) * (b - a)
            for scale, a, b in zip(self._guidance, free, guided, strict=True)
        )

    def plan(
        self, audio: Float[Tensor, "B A Ca"], sigma: Float[Tensor, " B"]
    ) -> OrchestratorOutput:
        """Asks the orchestrator, at every step or only once."""
        if self._plan is not None:
            return self._plan
        return self.model.orchestrator.plan(self.prefix, audio, sigma)

    def progress(
        self, audio: Float[Tensor, "B A Ca"]
    ) -> tuple[Float[Tensor, " B"], Bool[Tensor, " B"]]:
        """Reads off the finished sound how many phonemes it said, and whether that was all.

        Args:
            audio: Clean latents of the chunk.

        Returns:
            Phonemes from the pointer before the chunk, no more than are known, so that text which
            arrives later is not skipped; and whether the last third of a second says that all is
            said.
        """
        clean = torch.zeros_like(self.script.fraction)
        plan = self.model.orchestrator.plan(self.prefix, audio, clean, infer_alignment=True)
        is_over = (plan.is_over[:, -OVER_LATENTS:] > 0).all(dim=1)
        return torch.minimum(plan.progress.position[:, -1], self._unsaid), is_over

    def noise(self) -> Latents:
        """Draws a chunk of noise of the temperatures, the same on any device."""
        geometry, batch = self.model.config.geometry, len(self.script.fraction)
        video = (geometry.chunk_latents, geometry.video_channels, *geometry.video_cells)
        audio = (geometry.chunk_audio_latents, geometry.audio_channels)
        return tuple(
            scale * torch.randn(batch, *shape, generator=self._generator).to(self.model.device)
            for scale, shape in zip(self._temperatures, (video, audio), strict=True)
        )

    def _velocities(
        self, latents: Latents, sigma: Float[Tensor, " B"], condition: Float[Tensor, "B A K"]
    ) -> Latents:
        video, audio = latents
        found = self.model.dit(video, audio, sigma, sigma, condition, self.context)
        return found.video, found.audio

    @property
    def _is_in_loop(self) -> bool:
        return self.model.config.orchestrator.mode == "in_loop"


def _shown(script: OrchestratorInputs, num_chunks: int, sampling: Sampling) -> OrchestratorInputs:
    if sampling.hides_everything_but_motion(num_chunks):
        return replace(script, has_prompt=torch.zeros_like(script.has_prompt))
    return script
