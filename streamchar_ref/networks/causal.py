"""A joint DiT that looks back on keys and values of past chunks, as causal students do.

Of each finished chunk one pass computes keys and values, which serve the chunks after it. The pass
sees what the chunk itself saw: the still context (prompt, reference, sink) and the chunks before
it. Keys are kept as the next chunk sees them, already rotated, and are turned on by a chunk's
length whenever one is added; so all positions stay relative to the chunk, and streams of any age
share a batch.

Shape letters: B batch, L blocks, N heads, M tokens of still context and past chunks, d head width.
"""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

from streamchar_ref.networks.dit import DitConfig, DitContext, JointDiT
from streamchar_ref.networks.geometry import WindowGeometry
from streamchar_ref.networks.layers import KeyValue, Segment, rotary, rotate


@dataclass(frozen=True, kw_only=True)
class CachedContext(DitContext):
    """The context of a stream whose keys and values have been computed.

    Attributes:
        cache: From `packed`; all else is what it was computed from.
    """

    cache: Float[Tensor, "B L 2 N M d"]


def without_cache(context: DitContext) -> DitContext:
    """Returns a context for another network, which computes keys and values of its own."""
    return DitContext(**{each.name: getattr(context, each.name) for each in fields(DitContext)})


def packed(context: list[KeyValue]) -> Float[Tensor, "B L 2 N M d"]:
    """Returns the keys and values of all blocks as one tensor."""
    return torch.stack([torch.stack(each, dim=1) for each in context], dim=1)


def unpacked(cache: Float[Tensor, "B L 2 N M d"]) -> list[KeyValue]:
    """Returns the keys and values that `packed` joined."""
    return [(layer[:, 0], layer[:, 1]) for layer in cache.unbind(1)]


class CausalDiT(JointDiT):
    """A `JointDiT` whose chunks look back on whole past chunks.

    Args:
        config: Its size, with the number of chunks that it looks back on.
        geometry: Shapes and positions; its motion is that of past chunks.
    """

    def __init__(self, config: DitConfig, geometry: WindowGeometry) -> None:
        still = replace(geometry, motion_latents=0, motion_audio_latents=0)
        super().__init__(config, still)
        back = torch.tensor([[-float(geometry.chunk_audio_latents), 0.0, 0.0]])
        head_width = config.width // config.num_heads
        self.register_buffer("one_chunk_back", rotary(back, head_width), False)

    def encode_context(
        self,
        context: DitContext,
        *,
        sound_only: bool = False,
        transcript: Float[Tensor, "B R D"] | None = None,
    ) -> list[KeyValue]:
        """Returns kept keys and values, or computes them from the latents of past chunks.

        Args:
            context: With keys and values, or with motion of any number of whole chunks.
            sound_only: See `JointDiT.encode_context`.
            transcript: None; there is an orchestrator.

        Returns:
            Keys and values for each block.
        """
        if isinstance(context, CachedContext):
            return unpacked(context.cache)
        known, size = self.encode_still(context, sound_only=sound_only), self.geometry
        videos = context.motion_video.split(size.chunk_latents, dim=1)
        audios = context.motion_audio.split(size.chunk_audio_latents, dim=1)
        for video, audio in zip(videos, audios, strict=True):
            chunk = replace(context, motion_video=video, motion_audio=audio)
            own = self.encode_chunk(chunk, known, sound_only=sound_only)
            known = self.moved_on(known, own, sound_only=sound_only)
        return known

    def encode_still(self, context: DitContext, *, sound_only: bool = False) -> list[KeyValue]:
        """Computes keys and values of prompt, reference and sink.

        Args:
            context: All there is.
            sound_only: Of the prompt alone.

        Returns:
            Keys and values for each block.
        """
        video, audio = context.motion_video[:, :0], context.motion_audio[:, :0]
        still = replace(context, motion_video=video, motion_audio=audio)
        return super().encode_context(still, sound_only=sound_only)

    def encode_chunk(
        self, context: DitContext, known: list[KeyValue], *, sound_only: bool = False
    ) -> list[KeyValue]:
        """Computes keys and values of a finished chunk.

        It is told no audio condition: what it says is in its sound.

        Args:
            context: Its motion is the chunk.
            known: What the chunk saw.
            sound_only: Leave out the video.

        Returns:
            Keys and values for each block, rotated as the chunk itself sees them.
        """
        kinds = [("audio", self.audio_in(context.motion_audio)[:, None], self.sigma_audio)]
        if not sound_only:
            kinds.insert(0, ("video", self._video_tokens(context.motion_video), self.sigma_video))
        segments: list[Segment] = []
        for kind, x, level in kinds:
            modulation = self._modulation(level, context.motion_sigma)
            segments.append(
                self._present(f"motion_{kind}", x, context.has_motion, modulation, kind)
            )
        count = sum(segment.num_tokens for segment in segments)
        rotation = self.get_buffer("chunk_rotation")[:, -count:]
        keys_and_values = []
        for number, (block, seen) in enumerate(zip(self.blocks, known, strict=True), 1):
            is_last = number == len(self.blocks)
            segments, own = block(segments, rotation, seen, keys_only=is_last)
            keys_and_values.append(own)
        return keys_and_values

    def moved_on(
        self, known: list[KeyValue], own: list[KeyValue], *, sound_only: bool = False
    ) -> list[KeyValue]:
        """Returns keys and values for the chunk after a finished one; the oldest chunk is dropped.

        Args:
            known: What the finished chunk saw.
            own: Its own, from `encode_chunk`.
            sound_only: Whether they are of the sound alone.

        Returns:
            Keys and values for each block, rotated as the next chunk sees them.
        """
        num_still = self.geometry.prompt_tokens
        if not sound_only:
            num_still = self.get_buffer("context_rotation").shape[1]
        after = []
        for (key, value), (new_key, new_value) in zip(known, own, strict=True):
            kept = (self.config.cached_chunks - 1) * new_key.shape[2]
            first = max(num_still, key.shape[2] - kept)
            past = torch.cat([key[:, :, first:], new_key], dim=2)
            turned = rotate(past, self.get_buffer("one_chunk_back"))
            after.append(
                (
                    torch.cat([key[:, :, :num_still], turned], dim=2),
                    torch.cat([value[:, :, :num_still], value[:, :, first:], new_value], dim=2),
                )
            )
        return after


def dit_of(config: DitConfig, geometry: WindowGeometry) -> JointDiT:
    """Builds the DiT of a config."""
    return (CausalDiT if config.cached_chunks else JointDiT)(config, geometry)
