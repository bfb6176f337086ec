"""Context augmentation: training sees the imperfect context that a stream will have.

Motion and history carry noise or are absent, roles are dropped, the pointer is a little off, the
text is cut as if it were still arriving. Assembly is that of streams.

Shape letters: B batch.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from streamchar_ref.model.config import Config
from streamchar_ref.networks.dit import DitContext
from streamchar_ref.networks.orchestrator import OrchestratorInputs
from streamchar_ref.sampling import flow
from streamchar_ref.streaming.context import (
    FULL,
    ContextOptions,
    dit_context,
    hide,
    orchestrator_inputs,
)
from streamchar_ref.streaming.state import StreamState
from streamchar_ref.streaming.transcript import TranscriptBatch

NormalFn = Callable[[torch.Size], Tensor]
"""Draws standard normal noise of a shape, on the training device."""


@dataclass(frozen=True, kw_only=True)
class ContextAugmentation:
    """How often and how much the context of a window is degraded.

    Attributes:
        first_chunk: Share of windows at the start of a stream.
        motion_noise: Share of windows whose motion latents carry noise.
        motion_sigma: Its highest level.
        motion_drop: Share without motion.
        sink_drop: Share without sink.
        reference_drop: Share without reference.
        prompt_drop: Share without prompt.
        history_sigma: Highest noise level of the audio history.
        history_drop: Share without audio history.
        pointer_off: Share whose pointer is wrong.
        pointer_phonemes: By how much at most.
        text_cut: Share whose text ends soon after what the chunk says, as if still arriving.
        visible: What chunks after the first may look back at at all, see `ContextOptions`.
    """

    first_chunk: float = 0.12
    motion_noise: float = 0.7
    motion_sigma: float = 0.4
    motion_drop: float = 0.1
    sink_drop: float = 0.35
    reference_drop: float = 0.05
    prompt_drop: float = 0.1
    history_sigma: float = 0.5
    history_drop: float = 0.1
    pointer_off: float = 0.3
    pointer_phonemes: int = 3
    text_cut: float = 0.1
    visible: str = "full"


@dataclass(frozen=True, kw_only=True)
class AugmentationDraws:
    """How the context of each window of a batch is degraded.

    Attributes:
        has_prompt: Whether the prompt is there, [B].
        has_reference: Whether the reference is, [B].
        has_sink: Whether the sink is, [B].
        has_motion: Whether the motion is, [B].
        has_history: Whether the audio history is, [B].
        pointer_offset: Phonemes by which the pointer is wrong, [B].
        is_cut: Whether the text is cut, [B].
        text_ahead: Phonemes known beyond what the chunk says, where it is cut, [B].
        motion_sigma: Noise level of the motion; 0 where it is absent, [B].
        history_sigma: Noise level of the audio history, [B].
    """

    has_prompt: Bool[Tensor, " B"]
    has_reference: Bool[Tensor, " B"]
    has_sink: Bool[Tensor, " B"]
    has_motion: Bool[Tensor, " B"]
    has_history: Bool[Tensor, " B"]
    pointer_offset: Int64[Tensor, " B"]
    is_cut: Bool[Tensor, " B"]
    text_ahead: Int64[Tensor, " B"]
    motion_sigma: Float[Tensor, " B"]
    history_sigma: Float[Tensor, " B"]


class AugmentedContext(NamedTuple):
    """What the networks are shown of a stream.

    Attributes:
        inputs: Of the orchestrator.
        context: Of the DiT.
        place: Phonemes before the window's pointer, [B].
        num_known: Phonemes of the transcript that have arrived, [B].
    """

    inputs: OrchestratorInputs
    context: DitContext
    place: Int64[Tensor, " B"]
    num_known: Int64[Tensor, " B"]


def augment(
    config: Config,
    state: StreamState,
    text: TranscriptBatch,
    draws: AugmentationDraws,
    *,
    needed: Int64[Tensor, " B"],
    normal: NormalFn,
    options: ContextOptions = FULL,
) -> AugmentedContext:
    """Assembles the context of a chunk as streams do, degraded.

    Args:
        config: Of the model.
        state: Of the streams, with a perfect past.
        text: Their whole transcripts.
        draws: How to degrade it.
        needed: Phonemes said by the end of the chunk, which a cut text still holds.
        normal: Draws noise: for motion video, motion audio and audio history, in that order.
        options: What the chunk may look back at at all.

    Returns:
        What the networks are shown.
    """
    num_known = torch.where(
        draws.is_cut, torch.minimum(text.lengths, needed + draws.text_ahead), text.lengths
    )
    whole = state.position.floor()
    place = (whole.long() + draws.pointer_offset).clamp(min=0).minimum(text.lengths)
    arrived = replace(text, lengths=num_known, is_final=text.is_final & (num_known == text.lengths))
    if not config.has_orchestrator:  # the transcript is read from its beginning
        place = torch.zeros_like(place)
    inputs = orchestrator_inputs(
        config, state, arrived, place=place, fraction=state.position - whole
    )
    context, sigma = dit_context(config, state), draws.motion_sigma
    context = replace(
        context,
        has_prompt=draws.has_prompt,
        has_reference=draws.has_reference,
        has_sink=draws.has_sink,
        has_motion=draws.has_motion,
        motion_video=_noisy(context.motion_video, sigma, normal),
        motion_audio=_noisy(context.motion_audio, sigma, normal),
        motion_sigma=sigma,
    )
    inputs = replace(
        inputs,
        has_prompt=draws.has_prompt,
        history=_noisy(inputs.history, draws.history_sigma, normal),
        num_history=inputs.num_history * draws.has_history,
    )
    inputs, context = hide(inputs, context, state, options)
    return AugmentedContext(inputs, context, place, num_known)


def _noisy(clean: Tensor, sigma: Float[Tensor, " B"], normal: NormalFn) -> Tensor:
    return flow.add_noise(clean, normal(clean.shape), sigma)
