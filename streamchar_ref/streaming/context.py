"""Context assembly: what orchestrator and DiT see of a stream before its next chunk.

Streams and training windows share it: a training window is the state that a stream would have in
the middle of a true clip.

Shape letters: B batch, C and Ca channels of video and audio latents, h and w cells.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from streamchar_ref.core.errors import InputError
from streamchar_ref.model.config import Config
from streamchar_ref.networks.causal import CachedContext
from streamchar_ref.networks.dit import DitContext
from streamchar_ref.networks.orchestrator import OrchestratorInputs
from streamchar_ref.sampling import flow
from streamchar_ref.sampling.noise import NoiseDraw
from streamchar_ref.streaming.state import StreamState, encodable
from streamchar_ref.streaming.transcript import TranscriptBatch

VISIBLE = ("full", "no_sink", "motion_only")


@dataclass(frozen=True, kw_only=True)
class ContextOptions:
    """What chunks after the first may look back at; ablations that need no training.

    Attributes:
        visible: ``full``; ``no_sink`` hides the first chunk from the later ones; ``motion_only``
            hides prompt, reference and first chunk from them, so that the character must be
            handed from chunk to chunk. The audio history is visible in all. No network is trained
            for this alone: its roles are dropped one by one in training, so a loss says what they
            are worth to this model, not how well a model could do without them.
        motion_sigma: Noise level put on the motion latents, as in training.

    Raises:
        ValueError: If a value lies outside its range.
    """

    visible: str = "full"
    motion_sigma: float = 0.0

    def __post_init__(self) -> None:
        if self.visible not in VISIBLE:
            raise ValueError(f"context is one of {', '.join(VISIBLE)}, not {self.visible!r}")
        if not 0 <= self.motion_sigma <= 1:
            raise ValueError(f"motion_sigma lies between 0 and 1, it is {self.motion_sigma}")


FULL = ContextOptions()


def orchestrator_inputs(
    config: Config,
    state: StreamState,
    text: TranscriptBatch,
    *,
    place: Int64[Tensor, " B"] | None = None,
    fraction: Float[Tensor, " B"] | None = None,
) -> OrchestratorInputs:
    """Cuts the transcript window of the next chunk, and adds the audio history.

    Args:
        config: Of the model.
        state: Of the streams.
        text: What is known of their transcripts.
        place: Whole phonemes spoken; by default, with the next, those of the state's position.
        fraction: How far the phoneme at the place has been spoken.

    Returns:
        What the orchestrator reads.
    """
    sizes = config.orchestrator
    whole = state.position.floor()
    place = whole.long() if place is None else place
    history = state.history[:, state.history.shape[1] - sizes.history_latents :]
    return OrchestratorInputs(
        prompt=state.conditioning.prompt,
        has_prompt=torch.ones_like(state.has_ended),
        window=text.windows(place, behind=sizes.text_behind, ahead=sizes.text_ahead),
        fraction=state.position - whole if fraction is None else fraction,
        history=history,
        num_history=state.num_history.clamp(max=sizes.history_latents),
    )


def dit_context(config: Config, state: StreamState) -> DitContext:
    """Gathers what the DiT sees beside the chunk, with keys and values if they were kept."""
    context = encodable(config, state)
    if not state.cache.shape[1]:
        return context
    return CachedContext(**vars(context), cache=state.cache)


def check_readable(config: Config, num_phonemes: int) -> None:
    """Refuses a transcript that a model without an orchestrator cannot read as a whole.

    Args:
        config: Of such a model.
        num_phonemes: Of the transcript.

    Raises:
        InputError: If it is too long.
    """
    most = config.orchestrator.text_ahead - 1  # and the mark of its end
    if num_phonemes > most:
        raise InputError(
            f"this model has no pointer that could move on in the transcript: it reads at most "
            f"{most} phonemes, about {most / 11:.0f} s of speech, not {num_phonemes}; give a "
            "shorter text, or take a model with an orchestrator"
        )


def hide(
    inputs: OrchestratorInputs,
    context: DitContext,
    state: StreamState,
    options: ContextOptions,
) -> tuple[OrchestratorInputs, DitContext]:
    """Hides from chunks after the first what they may not look back at.

    Args:
        inputs: All that the orchestrator could read.
        context: All that the DiT could see.
        state: Of the streams.
        options: What is visible.

    Returns:
        What they are shown.
    """
    is_first = state.num_chunks == 0
    if options.visible != "full":
        context = replace(context, has_sink=context.has_sink & is_first)
    if options.visible == "motion_only":
        inputs = replace(inputs, has_prompt=inputs.has_prompt & is_first)
        context = replace(
            context,
            has_prompt=context.has_prompt & is_first,
            has_reference=context.has_reference & is_first,
        )
    return inputs, context


def restrict(
    inputs: OrchestratorInputs,
    context: DitContext,
    state: StreamState,
    options: ContextOptions,
    draw: NoiseDraw,
) -> tuple[OrchestratorInputs, DitContext]:
    """Hides from chunks after the first what they may not look back at, and adds noise.

    Args:
        inputs: All that the orchestrator could read.
        context: All that the DiT could see.
        state: Of the streams.
        options: What is visible.
        draw: Of this chunk; asked only if there is noise to be drawn.

    Returns:
        What they are shown.

    Raises:
        InputError: If something is to be hidden or made noisy whose keys and values were kept.
    """
    if isinstance(context, CachedContext) and options != FULL:
        raise InputError(
            "this model keeps the keys and values of past chunks (dit.cached_chunks), so nothing "
            f"can be hidden from a later chunk or made noisy: give context=full and motion_sigma=0,"
            f" not {options.visible} and {options.motion_sigma:g}"
        )
    inputs, context = hide(inputs, context, state, options)
    if not options.motion_sigma:
        return inputs, context
    is_first = state.num_chunks == 0
    sigma = torch.where(is_first, 0.0, torch.full_like(context.motion_sigma, options.motion_sigma))
    video, audio = (
        flow.add_noise(
            clean, draw.normal_after_first(*clean.shape[1:], device=clean.device).to(clean), sigma
        )
        for clean in (context.motion_video, context.motion_audio)
    )
    context = replace(context, motion_video=video, motion_audio=audio, motion_sigma=sigma)
    return inputs, context
