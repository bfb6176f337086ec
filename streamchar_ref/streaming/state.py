"""What a chunk may look back at: sink, motion, audio history, and the place in the transcript.

Shape letters: B batch, F latent frames of a chunk, C channels, h and w cells, A audio latents of a
chunk, Ca audio channels, R history latents.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from streamchar_ref.model.config import Config
from streamchar_ref.model.streamchar import Conditioning, StreamChar
from streamchar_ref.networks.causal import CausalDiT, packed
from streamchar_ref.networks.dit import DitContext
from streamchar_ref.sampling.batch_invariance import batch_invariant
from streamchar_ref.sampling.noise import NoiseSource


@dataclass(frozen=True, kw_only=True)
class StreamState:
    """Streams of a batch between chunks. Immutable, so a rollout can branch from any point.

    Attributes:
        conditioning: Prompt and reference.
        num_chunks: Chunks so far, [B].
        sink: First latents of the first chunk; before it, the opening frame, [B, Fs, C, h, w].
        motion_video: Last latents of the previous chunk, [B, Fm, C, h, w].
        history: Last audio latents, [B, R, Ca].
        num_history: How many of them belong to the stream, [B]; what is older is filling.
        position: Phonemes spoken, with the fraction of the one being said, [B].
        has_ended: Whether everything is said; such a stream does not change any more, [B].
        cache: Keys and values that the next chunk looks back on, see `causal.packed`; for a DiT
            that keeps none, [B, 0].
        noise: Generators of the streams.
    """

    conditioning: Conditioning
    num_chunks: Int64[Tensor, " B"]
    sink: Float[Tensor, "B Fs C h w"]
    motion_video: Float[Tensor, "B Fm C h w"]
    history: Float[Tensor, "B R Ca"]
    num_history: Int64[Tensor, " B"]
    position: Float[Tensor, " B"]
    has_ended: Bool[Tensor, " B"]
    cache: Float[Tensor, "B L *kept"]
    noise: NoiseSource

    @classmethod
    def stack(cls, states: Sequence["StreamState"]) -> "StreamState":
        """Makes one batch of several, of whatever age."""
        batch = {name: torch.cat([getattr(state, name) for state in states]) for name in _TENSORS}
        return cls(
            **batch,
            conditioning=Conditioning(
                prompt=torch.cat([state.conditioning.prompt for state in states]),
                reference=torch.cat([state.conditioning.reference for state in states]),
            ),
            noise=NoiseSource.stack([state.noise for state in states]),
        )

    def row(self, index: int) -> "StreamState":
        """Returns one stream of the batch, as a batch of its own."""
        own = slice(index, index + 1)
        conditioning = self.conditioning
        return StreamState(
            **{name: getattr(self, name)[own] for name in _TENSORS},
            conditioning=Conditioning(
                prompt=conditioning.prompt[own], reference=conditioning.reference[own]
            ),
            noise=self.noise.row(index),
        )

    def append(
        self,
        video: Float[Tensor, "B F C h w"],
        audio: Float[Tensor, "B A Ca"],
        advance: Float[Tensor, " B"],
        *,
        has_ended: Bool[Tensor, " B"] | None = None,
        cache: Float[Tensor, "B L *kept"] | None = None,
        noise: NoiseSource | None = None,
    ) -> "StreamState":
        """Returns the state after a chunk; the first chunk becomes the sink.

        Args:
            video: Clean latents of the chunk.
            audio: Clean latents of the chunk.
            advance: Phonemes that it said; less than none is none, the pointer never goes back.
            has_ended: Streams that end with this chunk.
            cache: Keys and values for the chunk after it, of a DiT that keeps them.
            noise: Generators after the chunk.

        Returns:
            The new state; streams that had ended before keep all but their generator.
        """
        num_motion, num_history = self.motion_video.shape[1], self.history.shape[1]
        history = torch.cat([self.history, audio.to(self.history)], dim=1)
        motion = torch.cat([self.motion_video, video], dim=1)
        is_first = (self.num_chunks == 0).reshape(-1, 1, 1, 1, 1)
        after: dict[str, Any] = {
            "num_chunks": self.num_chunks + 1,
            "sink": torch.where(is_first, video[:, : self.sink.shape[1]], self.sink),
            "motion_video": motion[:, motion.shape[1] - num_motion :],
            "history": history[:, history.shape[1] - num_history :],
            "num_history": (self.num_history + audio.shape[1]).clamp(max=num_history),
            "position": self.position + advance.clamp(min=0),
            "cache": self.cache if cache is None else cache.to(self.cache),
        }
        kept: dict[str, Any] = {
            name: torch.where(
                self.has_ended.reshape(-1, *(1,) * (new.ndim - 1)), getattr(self, name), new
            )
            for name, new in after.items()
        }
        ended = self.has_ended if has_ended is None else self.has_ended | has_ended
        return replace(self, **kept, has_ended=ended, noise=noise or self.noise)


_TENSORS = tuple(
    field.name for field in fields(StreamState) if field.name not in ("conditioning", "noise")
)


def initial_state(
    model: StreamChar, conditioning: Conditioning, seeds: Sequence[int]
) -> StreamState:
    """Returns streams that have not begun: the reference picture held still, in silence.

    The picture is the sink, too, until there is a first chunk. Nothing shares memory: a sum over
    strides of 0 may be taken in another order, and a stream would depend on its batch.

    Args:
        model: The networks.
        conditioning: Prompt and reference of each stream.
        seeds: Of the noise of each stream.

    Returns:
        The state.
    """
    batch, device = len(conditioning.reference), conditioning.reference.device
    geometry, reference = model.config.geometry, conditioning.reference
    num_history = max(model.config.orchestrator.history_latents, geometry.motion_audio_latents)
    none = torch.zeros(batch, dtype=torch.long, device=device)
    state = StreamState(
        conditioning=conditioning,
        num_chunks=none,
        sink=reference.repeat(1, geometry.sink_latents, 1, 1, 1),
        motion_video=reference.repeat(1, geometry.motion_latents, 1, 1, 1),
        history=model.silence(num_history).repeat(batch, 1, 1),
        num_history=none,
        position=torch.zeros(batch, device=device),
        has_ended=torch.zeros(batch, dtype=torch.bool, device=device),
        cache=torch.zeros(batch, 0, device=device),
        noise=NoiseSource.of_seeds(seeds),
    )
    return replace(state, cache=encoded_past(model, state))


def encoded_past(model: StreamChar, state: StreamState) -> Float[Tensor, "B L *kept"]:
    """Computes the keys and values that the next chunk looks back on from the latents of the past.

    Args:
        model: The networks.
        state: Streams; what they have kept is not read.

    Returns:
        What `StreamState.cache` holds; [B, 0] if the DiT keeps nothing.
    """
    if not isinstance(model.dit, CausalDiT):
        return state.cache
    with batch_invariant(len(state.position), model.device), _precision(model):
        return packed(model.dit.encode_context(encodable(model.config, state))).float()


def _precision(model: StreamChar) -> AbstractContextManager[None]:
    """Opens the autocast that weights in half precision need; others keep what is open around."""
    if model.dit.prompt_in.weight.dtype != torch.bfloat16:
        return nullcontext()
    return torch.autocast(model.device.type, torch.bfloat16, cache_enabled=False)


def encodable(config: Config, state: StreamState) -> DitContext:
    """Gathers what the DiT sees beside the chunk, as latents."""
    here = torch.ones_like(state.has_ended)
    num_audio = config.geometry.motion_audio_latents
    return DitContext(
        prompt=state.conditioning.prompt,
        has_prompt=here,
        reference=state.conditioning.reference,
        has_reference=here,
        sink=state.sink,
        has_sink=here,
        motion_video=state.motion_video,
        motion_audio=state.history[:, state.history.shape[1] - num_audio :],
        has_motion=here,
        motion_sigma=torch.zeros_like(state.position),
    )
