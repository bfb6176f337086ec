"""What one streamed chunk costs: counted by parts for any config, without running its weights."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch

from streamchar_ref.model.config import Config
from streamchar_ref.model.count import DeviceRates, Work, WorkCounter
from streamchar_ref.model.streamchar import Conditioning, StreamChar
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.sampling.noise import NoiseSource
from streamchar_ref.streaming.rollout import rollout_chunk
from streamchar_ref.streaming.state import StreamState, encoded_past
from streamchar_ref.streaming.transcript import Transcript, TranscriptBatch, TranscriptPrefix

TEXT = "Every morning the baker opens the door and greets the people who wait in the street."


@dataclass(frozen=True, kw_only=True)
class ChunkCost:
    """What a chunk of a batch of streams costs on the plain path, decoders included.

    Attributes:
        parts: Work by name, see `count.PARTS`; zero in ``rest``.
        weight_bytes: Of each network, by its name in `StreamChar`.
        state_bytes: Of keys and values of context and prefix while a chunk is made.
        peak_bytes: Most that is held at once beside the weights, where nothing is fused.
    """

    parts: Mapping[str, Work]
    weight_bytes: Mapping[str, int]
    state_bytes: int
    peak_bytes: int

    @property
    def total(self) -> Work:
        """Work of all parts."""
        return sum(self.parts.values(), Work())

    @property
    def memory_bytes(self) -> int:
        """Weights, caches and activations at their highest."""
        return sum(self.weight_bytes.values()) + self.peak_bytes

    def floor_s(self, rates: DeviceRates) -> float:
        """Returns the least time that a chunk can take: its parts one after the other."""
        return sum(rates.floor_s(part) for part in self.parts.values())


def student_sampler(num_steps: int, guidance: float = 1.0) -> SamplerConfig:
    """Returns the sampler of a few-step student, for any model."""
    return SamplerConfig(
        num_steps=num_steps, kind="renoise", guidance=guidance, picture_guidance=guidance
    )


def count_chunk(
    config: Config,
    sampler: SamplerConfig,
    *,
    batch: int = 1,
    number_bytes: int = 2,
    is_exact: bool = False,
) -> ChunkCost:
    """Counts a chunk in the middle of a stream.

    Args:
        config: Of the model.
        sampler: How to sample; what it leaves open is the config's.
        batch: Streams.
        number_bytes: Of a weight and of an activation.
        is_exact: See `rollout_chunk`.

    Returns:
        The cost. The first chunk of a stream costs as much, unless the DiT keeps keys and values:
        then prompt, reference and sink are encoded once more after it, and before it the opening
        of the stream encodes them and as many chunks of the still picture as are kept.
    """
    with torch.device("meta"):
        model = StreamChar(config)
    state, text = random_streams(model, batch), one_text(model, batch)
    counter = WorkCounter(model, number_bytes=number_bytes)
    with counter.counting(model):
        make_chunk(model, state, text, sampler, is_exact=is_exact)
    parts = counter.parts
    context, prefix = (parts[name].cache_bytes // parts[name].calls for name in ("dit", "progress"))
    parts["context"].cache_bytes += context  # written, where the steps read it
    parts["prefill"].cache_bytes += prefix
    weights = {
        name: sum(weight.numel() for weight in network.parameters()) * number_bytes
        for name, network in model.named_children()
    }
    return ChunkCost(
        parts=parts,
        weight_bytes=weights,
        state_bytes=context + prefix,
        peak_bytes=counter.peak_bytes,
    )


def make_chunk(
    model: StreamChar,
    state: StreamState,
    text: TranscriptBatch,
    sampler: SamplerConfig,
    *,
    is_exact: bool = False,
) -> StreamState:
    """Makes a chunk on the plain path and decodes it, as a stream does.

    Args:
        model: The networks.
        state: Streams before it.
        text: Their transcripts.
        sampler: How to sample.
        is_exact: See `rollout_chunk`.

    Returns:
        The streams after it.
    """
    chunk = rollout_chunk(model, state, text, sampler, is_exact=is_exact)
    model.video_vae.decode(chunk.latents[0])
    model.audio_vae.decode(chunk.latents[1])
    return chunk.state


def random_streams(model: StreamChar, batch: int) -> StreamState:
    """Returns streams in their second chunk, of characters and with a past drawn at random."""
    config, geometry, device = model.config, model.config.geometry, model.device
    picture = (geometry.video_channels, *geometry.video_cells)
    num_history = max(config.orchestrator.history_latents, geometry.motion_audio_latents)
    one = torch.ones(batch, dtype=torch.long, device=device)
    drawn = partial(torch.randn, device=device)
    state = StreamState(
        conditioning=Conditioning(
            prompt=drawn(batch, geometry.prompt_tokens, config.prompt.width),
            reference=drawn(batch, 1, *picture),
        ),
        num_chunks=one,
        sink=drawn(batch, geometry.sink_latents, *picture),
        motion_video=drawn(batch, geometry.motion_latents, *picture),
        history=drawn(batch, num_history, geometry.audio_channels),
        num_history=num_history * one,
        position=torch.zeros(batch, device=device),
        has_ended=torch.zeros(batch, dtype=torch.bool, device=device),
        cache=torch.zeros(batch, 0, device=device),
        noise=NoiseSource.of_seeds(range(batch)),
    )
    return replace(state, cache=encoded_past(model, state))


def one_text(model: StreamChar, batch: int) -> TranscriptBatch:
    """Returns one transcript for all streams."""
    prefix = TranscriptPrefix(text=Transcript(TEXT).text, is_final=True)
    return TranscriptBatch.of([prefix] * batch, model.device)
