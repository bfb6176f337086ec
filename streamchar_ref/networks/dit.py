"""Joint audio-video DiT: noisy latents of one chunk and their context in, two velocities out.

Context tokens (prompt, reference, sink, end of the previous chunk) see each other only; noisy
tokens see everything. So the context's keys and values are computed once a chunk and serve every
step of the sampler. All positions are relative to the chunk: nothing grows with the stream.

What is to be said comes from the orchestrator as the audio condition; without an orchestrator the
transcript itself is a part of the context.

Shape letters: B batch, F latent frames of a chunk, A audio latents of a chunk, C channels, h and w
latent cells, D width, W width of the audio condition, P prompt vectors, E their width, R rows of
the transcript.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from streamchar_ref.networks.geometry import WindowGeometry
from streamchar_ref.networks.layers import (
    JointBlock,
    KeyValue,
    Segment,
    TimestepEmbedding,
    modulate,
    rotary,
)  # fmt: skip

ROLES = ("prompt", "reference", "sink", "motion_video", "motion_audio", "video", "audio")


@dataclass(frozen=True, kw_only=True)
class DitConfig:
    """Size of the joint DiT.

    Attributes:
        width: D.
        num_blocks: Number of joint blocks.
        num_heads: Attention heads.
        expansion: Width of the feed-forward layers in units of D, for video and for audio.
        patch: Cells of a token in each direction.
        condition_width: W.
        prompt_width: E.
        text_expansion: Width of the feed-forward layers of a transcript in units of D; 0 where an
            orchestrator reads it.
        cached_chunks: Past chunks whose keys and values are kept, see `causal.CausalDiT`; with 0
            the end of the previous chunk is encoded for each chunk.
    """

    width: int
    num_blocks: int
    num_heads: int
    expansion: tuple[int, int] = (4, 2)
    patch: int = 2
    condition_width: int = 128
    prompt_width: int = 128
    text_expansion: int = 0
    cached_chunks: int = 0

    @property
    def reads_transcript(self) -> bool:
        """Whether there is a transcript in its context, and no audio condition."""
        return self.text_expansion > 0


@dataclass(frozen=True, kw_only=True)
class DitContext:
    """What a chunk may look at beside itself; what is absent is replaced by learned tokens.

    Attributes:
        prompt: Text vectors, [B, P, E].
        has_prompt: [B].
        reference: Latent of the reference picture, [B, 1, C, h, w].
        has_reference: [B].
        sink: Latents of the first chunk, [B, Fs, C, h, w].
        has_sink: [B].
        motion_video: Last latents of the previous chunk, [B, Fm, C, h, w].
        motion_audio: Last audio latents before the chunk, [B, Am, Ca].
        has_motion: [B].
        motion_sigma: Noise level that the motion latents carry, [B].
    """

    prompt: Float[Tensor, "B P E"]
    has_prompt: Bool[Tensor, " B"]
    reference: Float[Tensor, "B 1 C h w"]
    has_reference: Bool[Tensor, " B"]
    sink: Float[Tensor, "B Fs C h w"]
    has_sink: Bool[Tensor, " B"]
    motion_video: Float[Tensor, "B Fm C h w"]
    motion_audio: Float[Tensor, "B Am Ca"]
    has_motion: Bool[Tensor, " B"]
    motion_sigma: Float[Tensor, " B"]


@dataclass(frozen=True, kw_only=True)
class Velocities:
    """What the DiT predicts for a chunk.

    Attributes:
        video: [B, F, C, h, w].
        audio: [B, A, Ca].
        hidden_states: Video and audio tokens after half of the blocks, [B, F, N, D] and [B, A, D].
    """

    video: Float[Tensor, "B F C h w"]
    audio: Float[Tensor, "B A Ca"]
    hidden_states: tuple[Tensor, Tensor]


class JointDiT(nn.Module):
    """Denoises picture and sound of a chunk together.

    Args:
        config: Its size.
        geometry: Shapes and positions of everything in its window.
    """

    def __init__(self, config: DitConfig, geometry: WindowGeometry) -> None:
        super().__init__()
        self.config, self.geometry = config, geometry
        width, patch_size = config.width, geometry.video_channels * config.patch**2
        self.video_in = nn.Linear(patch_size, width)
        self.audio_in = nn.Linear(geometry.audio_channels, width)
        self.prompt_in = nn.Linear(config.prompt_width, width)
        self.roles = nn.Embedding(len(ROLES), width)
        self.absent = nn.Embedding(len(ROLES), width)
        self.sigma_video, self.sigma_audio = TimestepEmbedding(width), TimestepEmbedding(width)
        self.to_modulation = nn.Linear(width, 6 * width)
        zeros: list[nn.Linear] = []
        if not config.reads_transcript:
            self.no_condition = nn.Parameter(torch.zeros(config.condition_width))  # for guidance
            self.condition_in = nn.Linear(config.condition_width, width)
            self.condition_by_frame = nn.Linear(4 * config.condition_width, config.condition_width)
            self.condition_to_video = nn.Linear(config.condition_width, 6 * width)
            zeros.append(self.condition_to_video)
        self.blocks = nn.ModuleList(
            JointBlock(width, config.num_heads, config.expansion, config.text_expansion)
            for _ in range(config.num_blocks)
        )
        self.out_modulation = nn.Linear(width, 2 * width)
        self.video_out = nn.Linear(width, patch_size)
        self.audio_out = nn.Linear(width, geometry.audio_channels)
        for layer in (*zeros, self.video_out, self.audio_out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        head_width = width // config.num_heads
        self.register_buffer(
            "chunk_rotation", rotary(geometry.chunk_positions(config.patch), head_width), False
        )
        self.register_buffer(
            "context_rotation", rotary(geometry.context_positions(config.patch), head_width), False
        )

    def encode_context(
        self,
        context: DitContext,
        *,
        sound_only: bool = False,
        transcript: Float[Tensor, "B R D"] | None = None,
    ) -> list[KeyValue]:
        """Computes the keys and values of the context, which hold for all steps of a chunk.

        Args:
            context: All there is.
            sound_only: Leave out the video tokens, for `forward_audio`.
            transcript: Where this network reads it, see `reader.TranscriptReader`; without one it
                is free to say anything, for guidance.

        Returns:
            Keys and values for each block.
        """
        segments, rotation = self._always_segments(context), self.get_buffer("context_rotation")
        if transcript is None:
            rotation = rotation[:, self.geometry.text_tokens :]
        else:
            still = self._modulation(self.sigma_audio, torch.zeros_like(context.motion_sigma))
            segments.insert(0, Segment(x=transcript[:, None], modulation=still, kind="text"))
        if sound_only:
            *firsts, last = (segment.num_tokens for segment in segments)
            first, after = sum(firsts), rotation.shape[1] - last
            rotation = torch.cat([rotation[:, :first], rotation[:, after:]], dim=1)
        else:
            segments[-1:-1] = self._video_segments(context)
        keys_and_values = []
        for number, block in enumerate(self.blocks, 1):
            segments, own = block(segments, rotation, keys_only=number == len(self.blocks))
            keys_and_values.append(own)
        return keys_and_values

    def forward(
        self,
        video: Float[Tensor, "B F C h w"],
        audio: Float[Tensor, "B A Ca"],
        sigma_video: Float[Tensor, " B"],
        sigma_audio: Float[Tensor, " B"],
        condition: Float[Tensor, "B A W"] | None,
        context: list[KeyValue],
    ) -> Velocities:
        """Predicts the velocities of both modalities.

        Args:
            video: Noisy video latents.
            audio: Noisy audio latents.
            sigma_video: Their noise level.
            sigma_audio: Their noise level.
            condition: Audio condition of each audio latent, from the orchestrator; ``None`` where
                this network reads the transcript itself.
            context: From `encode_context`.

        Returns:
            Velocities, noise minus data.
        """
        level = self.sigma_video(sigma_video)[:, None, None]
        modulation = self.to_modulation(F.silu(level))
        if condition is not None:
            by_frame = self.condition_by_frame(self._by_latent_frame(condition))
            modulation = modulation + self.condition_to_video(F.silu(by_frame))[:, :, None]
        video_tokens = Segment(
            x=self.video_in(self._patches(video)) + self._role("video"),
            modulation=modulation,
            kind="video",
        )
        audio_tokens, level_audio = self._audio_tokens(audio, sigma_audio, condition)
        done, hidden_states = self._through(
            [video_tokens, audio_tokens], self.get_buffer("chunk_rotation"), context
        )
        video_out = self._leave(done[0].x, level, self.video_out)
        audio_out = self._leave(done[1].x, level_audio, self.audio_out)[:, 0]
        return Velocities(
            video=self._cells(video_out),
            audio=audio_out,
            hidden_states=(hidden_states[0], hidden_states[1][:, 0]),
        )

    def forward_audio(
        self,
        audio: Float[Tensor, "B A Ca"],
        sigma: Float[Tensor, " B"],
        condition: Float[Tensor, "B A W"] | None,
        context: list[KeyValue],
    ) -> tuple[Float[Tensor, "B A Ca"], Float[Tensor, "B A D"]]:
        """Predicts the velocity of the sound alone, as if there were no picture.

        So the model learns to speak on five times as many windows in the same time, before it
        learns both together.

        Args:
            audio: Noisy audio latents.
            sigma: Their noise level.
            condition: See `forward`.
            context: From `encode_context` with ``sound_only``.

        Returns:
            Velocity, noise minus data; and the tokens in the middle of the blocks.
        """
        audio_tokens, level = self._audio_tokens(audio, sigma, condition)
        rotation = self.get_buffer("chunk_rotation")[:, -audio.shape[1] :]
        done, hidden_states = self._through([audio_tokens], rotation, context)
        return self._leave(done[0].x, level, self.audio_out)[:, 0], hidden_states[0][:, 0]

    def hear(
        self, audio: Float[Tensor, "B A Ca"], context: list[KeyValue]
    ) -> Float[Tensor, "B A D"]:
        """Computes what a network that reads the transcript itself makes of finished sound.

        Args:
            audio: Clean audio latents.
            context: From `encode_context`.

        Returns:
            The tokens in the middle of the blocks, for `reader.TranscriptReader.is_over`.
        """
        audio_tokens, _ = self._audio_tokens(audio, audio.new_zeros(len(audio)), None)
        rotation = self.get_buffer("chunk_rotation")[:, -audio.shape[1] :]
        _, hidden_states = self._through([audio_tokens], rotation, context)
        return hidden_states[0][:, 0]

    def _audio_tokens(
        self, audio: Tensor, sigma: Tensor, condition: Tensor | None
    ) -> tuple[Segment, Tensor]:
        level, x = self.sigma_audio(sigma)[:, None, None], self.audio_in(audio)
        if condition is not None:
            x = x + self.condition_in(condition)
        x = x[:, None] + self._role("audio")
        return Segment(x=x, modulation=self.to_modulation(F.silu(level)), kind="audio"), level

    def _through(
        self, segments: list[Segment], rotation: Tensor, context: list[KeyValue]
    ) -> tuple[list[Segment], list[Tensor]]:
        """Runs all blocks; also returns the tokens after half of them."""
        hidden_states = [segment.x for segment in segments]
        for number, (block, cached) in enumerate(zip(self.blocks, context, strict=True), 1):
            segments, _ = block(segments, rotation, cached)
            if number == (len(self.blocks) + 1) // 2:
                hidden_states = [segment.x for segment in segments]
        return segments, hidden_states

    def _always_segments(self, context: DitContext) -> list[Segment]:
        """Prompt and motion audio."""
        clean = torch.zeros_like(context.motion_sigma)
        still, moving = (
            self._modulation(level, sigma)
            for level, sigma in (
                (self.sigma_video, clean),
                (self.sigma_audio, context.motion_sigma),
            )
        )
        prompt = self.prompt_in(context.prompt)[:, None]
        sound = self.audio_in(context.motion_audio)[:, None]
        return [
            self._present("prompt", prompt, context.has_prompt, still, "video"),
            self._present("motion_audio", sound, context.has_motion, moving, "audio"),
        ]

    def _video_segments(self, context: DitContext) -> list[Segment]:
        """Reference, sink and motion video."""
        still = self._modulation(self.sigma_video, torch.zeros_like(context.motion_sigma))
        moving = self._modulation(self.sigma_video, context.motion_sigma)
        has = context
        return [
            self._present(role, self._video_tokens(latents), is_here, modulation, "video")
            for role, latents, is_here, modulation in (
                ("reference", has.reference, has.has_reference, still),
                ("sink", has.sink, has.has_sink, still),
                ("motion_video", has.motion_video, has.has_motion, moving),
            )
        ]

    def _video_tokens(self, latents: Float[Tensor, "B F C h w"]) -> Float[Tensor, "B 1 N D"]:
        return self.video_in(self._patches(latents)).flatten(1, 2)[:, None]

    def _modulation(
        self, level: TimestepEmbedding, sigma: Float[Tensor, " B"]
    ) -> Float[Tensor, "B 1 1 D6"]:
        return self.to_modulation(F.silu(level(sigma)))[:, None, None]

    def _present(
        self, role: str, x: Tensor, is_here: Tensor, modulation: Tensor, kind: str
    ) -> Segment:
        absent = self.absent.weight[ROLES.index(role)].to(x.dtype)
        x = torch.where(is_here[:, None, None, None], x, absent) + self._role(role)
        return Segment(x=x, modulation=modulation, kind=kind)  # type: ignore[arg-type]

    def _role(self, role: str) -> Float[Tensor, " D"]:
        return self.roles.weight[ROLES.index(role)]

    def _patches(self, latents: Float[Tensor, "B F C h w"]) -> Float[Tensor, "B F N p"]:
        patch = self.config.patch  # pixel_unshuffle fails where a role has no latent
        x = latents.unflatten(4, (-1, patch)).unflatten(3, (-1, patch))
        return x.permute(0, 1, 3, 5, 2, 4, 6).flatten(4).flatten(2, 3)

    def _cells(self, patches: Float[Tensor, "B F N p"]) -> Float[Tensor, "B F C h w"]:
        height, width = (side // self.config.patch for side in self.geometry.video_cells)
        x = patches.flatten(0, 1).transpose(1, 2).unflatten(2, (height, width))
        return F.pixel_shuffle(x, self.config.patch).unflatten(0, patches.shape[:2])

    def _by_latent_frame(self, condition: Float[Tensor, "B A W"]) -> Float[Tensor, "B F W4"]:
        """Gathers the sound of each latent frame: four steps, between audio latents if need be."""
        steps = 4 * self.geometry.chunk_latents
        if condition.shape[1] != steps:
            condition = F.interpolate(condition.transpose(1, 2), steps, mode="linear").transpose(
                1, 2
            )
        return condition.unflatten(1, (-1, 4)).flatten(2)

    def _leave(self, x: Tensor, level: Tensor, out: nn.Linear) -> Tensor:
        shift, scale = self.out_modulation(F.silu(level)).chunk(2, dim=-1)
        return out(modulate(x, shift, scale))
