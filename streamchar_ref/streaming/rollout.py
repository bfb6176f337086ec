"""One chunk of a batch of streams: context in, latents and the next state out.

`stream` and the rollouts of distillation use it.

Shape letters: B batch, A audio latents of a chunk, Ca their channels.
"""

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import islice, repeat
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.causal import CausalDiT, packed
from streamchar_ref.networks.dit import DitContext
from streamchar_ref.networks.orchestrator import OrchestratorInputs
from streamchar_ref.sampling.batch_invariance import batch_invariant
from streamchar_ref.sampling.condition import Condition
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.sampling.flow import Latents
from streamchar_ref.sampling.noise import NoiseDraw
from streamchar_ref.sampling.orders import sample_in_order
from streamchar_ref.sampling.sampler import num_draws
from streamchar_ref.streaming.context import (
    FULL,
    ContextOptions,
    check_readable,
    dit_context,
    orchestrator_inputs,
    restrict,
)
from streamchar_ref.streaming.graphs import ChunkGraphs
from streamchar_ref.streaming.state import StreamState
from streamchar_ref.streaming.transcript import TranscriptBatch

OVER_LATENTS = 8
"""Audio latents in a row, a third of a second, that must say that all is said."""


class RolloutChunk(NamedTuple):
    """A chunk of each stream.

    Attributes:
        latents: Clean video and audio latents; of streams that had ended, without meaning.
        progress: Phonemes that it has said by the end of each audio latent, by the model's account,
            [B, A].
        is_over: Whether the model says that nothing is left to be said, [B]; never of given speech.
        state: The streams after it; one ends when it is over and its transcript is final.
    """

    latents: Latents
    progress: Float[Tensor, "B A"]
    is_over: Bool[Tensor, " B"]
    state: StreamState

    @property
    def advance(self) -> Float[Tensor, " B"]:
        """Phonemes that the whole chunk says."""
        return self.progress[:, -1]


def rollout_chunk(
    model: StreamChar,
    state: StreamState,
    text: TranscriptBatch,
    sampler: SamplerConfig,
    *,
    options: ContextOptions = FULL,
    sound: Float[Tensor, "B A Ca"] | None = None,
    gradient_step: int | None = None,
    is_exact: bool = True,
    graphs: ChunkGraphs | None = None,
) -> RolloutChunk:
    """Samples the next chunk of each stream.

    Args:
        model: The networks.
        state: The streams so far.
        text: What is known of their transcripts.
        sampler: How to sample; what it leaves open is the checkpoint's.
        options: What the chunk may look back at.
        sound: Clean latents of the speech that is given to a model of that order.
        gradient_step: See `sample_in_order`.
        is_exact: Whether each stream is computed as if it were alone, see `batch_invariant`;
            without it, batches on a CPU are several times faster and differ in the last bits, and
            both passes of a guided step run as one batch.
        graphs: Of this model, sampler and options; ``None`` launches kernels one by one.

    Returns:
        Latents, progress, whether it is over, and the state after the chunk, whose pointer has
        moved by the advance.
    """
    draw, size = state.noise.open(), len(state.position)
    inputs, context = chunk_context(model, state, text, options, draw)
    unsaid = (text.lengths - state.position).clamp(min=0)
    settings = sampler.over(model.config.sampler)
    sample = partial(
        _sampled,
        model=model,
        state=state,
        sampler=settings,
        sound=sound,
        gradient_step=gradient_step,
        in_one_batch=not is_exact,
    )
    noise = map(partial(chunk_noise, model), repeat(draw))
    with batch_invariant(size, model.device) if is_exact else nullcontext():
        if graphs is None:
            video, audio, progress, is_over, *kept = sample(inputs, context, unsaid, noise)
        else:
            drawn = tuple(islice(noise, num_draws(settings)))
            made = graphs.run(sample, inputs, context, unsaid, drawn)
            video, audio, progress, is_over, *kept = made
    if sound is not None:  # whoever gives it knows where it ends
        is_over = torch.zeros_like(is_over)
    after = state.append(
        video,
        audio,
        progress[:, -1],
        has_ended=is_over & text.is_final,
        cache=kept[0] if kept else state.cache,
        noise=draw.close(),
    )
    return RolloutChunk((video, audio), progress, is_over, after)


def _sampled(
    inputs: OrchestratorInputs,
    context: DitContext,
    unsaid: Float[Tensor, " B"],
    noise: Iterable[Latents],
    *,
    model: StreamChar,
    state: StreamState,
    sampler: SamplerConfig,
    sound: Float[Tensor, "B A Ca"] | None,
    gradient_step: int | None,
    in_one_batch: bool,
) -> tuple[Tensor, ...]:
    """Returns video and audio latents, progress, whether it is over, and keys that are kept."""
    draws = iter(noise)
    condition, latents = sample_in_order(
        model,
        inputs,
        context,
        sampler,
        lambda: next(draws),
        order=model.config.order,
        sound=sound,
        gradient_step=gradient_step,
        in_one_batch=in_one_batch,
    )
    said = read_progress(condition, latents[1], unsaid)
    return *latents, *said, *next_cache(condition, state, latents)


def chunk_context(
    model: StreamChar,
    state: StreamState,
    text: TranscriptBatch,
    options: ContextOptions,
    draw: NoiseDraw,
) -> tuple[OrchestratorInputs, DitContext]:
    """Assembles what the networks see before the next chunk of each stream.

    Args:
        model: The networks.
        state: The streams so far.
        text: What is known of their transcripts.
        options: What the chunk may look back at.
        draw: Of this chunk, for noise on the context.

    Returns:
        For the orchestrator, and for the DiT.

    Raises:
        InputError: If a transcript is longer than a model without a pointer reads.
    """
    config = model.config
    if not config.has_orchestrator:
        check_readable(config, text.tokens.shape[1])
    inputs = orchestrator_inputs(config, state, text)
    return restrict(inputs, dit_context(config, state), state, options, draw)


def read_progress(
    condition: Condition, audio: Float[Tensor, "B A Ca"], unsaid: Float[Tensor, " B"]
) -> tuple[Float[Tensor, "B A"], Bool[Tensor, " B"]]:
    """Reads off finished audio how many phonemes it says, and whether that is all.

    Args:
        condition: Of the chunk.
        audio: Clean latents of the chunk.
        unsaid: Phonemes known and not yet said; text that arrives later is not skipped.

    Returns:
        Phonemes from the pointer before the chunk, by the end of each latent; and whether the last
        third of a second says that nothing is left.
    """
    heard = condition.heard(audio)
    is_over = (heard.is_over[:, -OVER_LATENTS:] > 0).all(dim=1)
    return torch.minimum(heard.position, unsaid[:, None]), is_over


def next_cache(condition: Condition, state: StreamState, latents: Latents) -> tuple[Tensor, ...]:
    """Computes keys and values of finished chunks by one clean pass, where the DiT keeps them.

    After the first chunk of a stream its sink changes, and with it prompt and reference are encoded
    once more.

    Args:
        condition: Of the chunks.
        state: The streams before them.
        latents: Clean video and audio latents.

    Returns:
        What the next chunks look back on, [B, L, ...]; nothing of a DiT that keeps nothing.
    """
    dit, known = condition.model.dit, condition.context
    if not isinstance(dit, CausalDiT):
        return ()
    video, audio = latents
    sink = video[:, : state.sink.shape[1]]
    seen = replace(condition.seen, motion_video=video, motion_audio=audio, sink=sink)
    moved = packed(dit.moved_on(known, dit.encode_chunk(seen, known)))
    begins = state.num_chunks == 0
    if begins.is_meta or not bool(begins.any()):
        return (moved,)
    still = packed(dit.encode_still(seen))
    count, begun = still.shape[4], begins.reshape(-1, 1, 1, 1, 1, 1)
    still = torch.where(begun, still, moved[:, :, :, :, :count])
    return (torch.cat([still, moved[:, :, :, :, count:]], dim=4),)


def chunk_noise(model: StreamChar, draw: NoiseDraw) -> Latents:
    """Draws standard normal latents of a chunk of each stream, video before audio."""
    geometry = model.config.geometry
    shapes: tuple[tuple[int, ...], ...] = (
        (geometry.chunk_latents, geometry.video_channels, *geometry.video_cells),
        (geometry.chunk_audio_latents, geometry.audio_channels),
    )
    return tuple(draw.normal(*shape, device=model.device) for shape in shapes)
