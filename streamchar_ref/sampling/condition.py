"""What holds for all noise levels of a chunk: what the networks have read and seen of it.

Shape letters: B batch, A audio latents of a chunk, Ca their channels, K width of the condition.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from streamchar_ref.networks.causal import without_cache
from streamchar_ref.networks.dit import DitContext, JointDiT
from streamchar_ref.networks.layers import KeyValue
from streamchar_ref.networks.orchestrator import (
    Orchestrator,
    OrchestratorInputs,
    OrchestratorOutput,
)
from streamchar_ref.networks.prefix import PrefixCache
from streamchar_ref.networks.reader import TranscriptReader, as_orchestrator

Guidance = tuple[float, float]
"""Scales for video and audio."""
UNGUIDED: Guidance = (1.0, 1.0)
BOTH, PICTURE, SOUND = slice(0, 2), slice(0, 1), slice(1, 2)
"""Modalities among values that stand video before audio."""


@runtime_checkable
class Networks(Protocol):
    """What samples a chunk: a `StreamChar`, or a stage of training that holds both networks."""

    orchestrator: Orchestrator | TranscriptReader
    dit: JointDiT


class Heard(NamedTuple):
    """What a model makes of finished audio.

    Attributes:
        position: Phonemes said by the end of each latent, from the window's pointer, [B, A]; zeros
            of a model without a pointer.
        is_over: Logits that all has been said, [B, A].
    """

    position: Float[Tensor, "B A"]
    is_over: Float[Tensor, "B A"]


class GivenSound(NamedTuple):
    """Sound of a chunk that is not denoised, because it is there already.

    Attributes:
        clean: Its latents.
        noise: Standard normal latents; the free pass of guidance gets them in place of the sound.
    """

    clean: Float[Tensor, "B A Ca"]
    noise: Float[Tensor, "B A Ca"]

    def heard(self, sigma: Float[Tensor, " B"], *, is_free: bool) -> tuple[Tensor, Tensor]:
        """Returns what a pass of the DiT hears, and its noise level, shaped like ``sigma``."""
        if is_free:
            return self.noise, torch.ones_like(sigma)
        return self.clean, torch.zeros_like(sigma)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Everything that holds for all noise levels of a chunk.

    Attributes:
        model: The networks.
        inputs: What the orchestrator has read.
        prefix: Its keys and values; empty where the DiT reads the transcript itself.
        seen: What the DiT sees beside the chunk.
        context: Keys and values of that.
        output: Of the orchestrator where it does not run in the loop: in the mode ``once``, or of a
            given sound; else ``None``.
        sound_only: Whether there is no video.
        sound: The given sound, if only the video is denoised.
        twice: The context once more for each stream, if both passes of guidance run as one batch.
    """

    model: Networks
    inputs: OrchestratorInputs
    prefix: PrefixCache
    seen: DitContext
    context: list[KeyValue]
    output: OrchestratorOutput | None
    sound_only: bool = False
    sound: GivenSound | None = None
    twice: list[KeyValue] | None = None

    def in_one_batch(self) -> "Condition":
        """Returns the condition under which both passes of guidance run as one batch.

        Where the DiT reads the transcript itself they stay apart: the free pass does not see it.
        """
        if isinstance(self.model.orchestrator, TranscriptReader):
            return self
        twice = [(torch.cat([k, k]), torch.cat([v, v])) for k, v in self.context]
        return replace(self, twice=twice)

    @property
    def modalities(self) -> slice:
        """Which modalities are denoised."""
        if self.sound is not None:
            return PICTURE
        return SOUND if self.sound_only else BOTH

    @cached_property
    def free_context(self) -> list[KeyValue]:
        """The context of the free pass of guidance: without a transcript, if there is one in it."""
        if isinstance(self.model.orchestrator, Orchestrator):
            return self.context
        return self.model.dit.encode_context(self.seen, sound_only=self.sound_only)

    def seen_by(self, model: Networks, context: DitContext) -> "Condition":
        """Returns the condition for another DiT behind the same orchestrator.

        Args:
            model: With that DiT.
            context: What it sees beside the chunk; keys and values in it are of this DiT alone.

        Returns:
            The condition; what the orchestrator has read is shared.
        """
        context = without_cache(context)
        encoded = _encoded(model, self.inputs, context, self.sound_only)
        return replace(self, model=model, seen=context, context=encoded, twice=None)

    def orchestrate(
        self, audio: Float[Tensor, "B A Ca"], sigma: Float[Tensor, " B"]
    ) -> OrchestratorOutput:
        """Runs the orchestrator on noisy audio, or returns what it said once for the chunk."""
        if self.output is not None:
            return self.output
        return as_orchestrator(self.model.orchestrator).decode(self.prefix, audio, sigma)

    def audio_condition(
        self, audio: Float[Tensor, "B A Ca"], sigma: Float[Tensor, " B"]
    ) -> Float[Tensor, "B A K"] | None:
        """Returns what the DiT is told by the orchestrator; ``None`` without one."""
        if isinstance(self.model.orchestrator, TranscriptReader):
            return None
        return self.orchestrate(audio, sigma).condition

    def heard(self, audio: Float[Tensor, "B A Ca"]) -> Heard:
        """Returns what the model makes of finished audio, whatever durations it predicted.

        Args:
            audio: Clean latents of the chunk; where sound is given, that sound.

        Returns:
            Place in the transcript, and whether it is over.
        """
        reader = self.model.orchestrator
        if isinstance(reader, TranscriptReader):
            states = self.model.dit.hear(audio, self.context)
            return Heard(audio.new_zeros(audio.shape[:2]), reader.is_over(states))
        output = self.output if self.sound is not None else None
        output = output or _hear(reader, self.prefix, audio)
        return Heard(output.progress.position, output.is_over)

    def hearing(self, sound: GivenSound, context: DitContext) -> "Condition":
        """Returns the condition of the picture, once the sound is there.

        Args:
            sound: Of the chunk.
            context: What the DiT sees beside the chunk.

        Returns:
            The condition, in which only the video is denoised.
        """
        return replace(
            self,
            seen=context,
            context=_encoded(self.model, self.inputs, context),
            output=_hear(as_orchestrator(self.model.orchestrator), self.prefix, sound.clean),
            sound_only=False,
            sound=sound,
            twice=None,
        )


def prefill(
    model: Networks,
    inputs: OrchestratorInputs,
    context: DitContext,
    *,
    sound_only: bool = False,
    sound: GivenSound | None = None,
) -> Condition:
    """Computes what holds for all noise levels of a chunk.

    Args:
        model: The networks.
        inputs: What the orchestrator reads.
        context: What the DiT sees beside the chunk.
        sound_only: Sample audio alone, as if there were no video.
        sound: Sample video alone, to this sound.

    Returns:
        The condition for `velocity` and `sample_chunk`.
    """
    orchestrator, prefix, output = model.orchestrator, PrefixCache(), None
    if isinstance(orchestrator, Orchestrator):
        prefix = orchestrator.prefill(inputs)
        if sound is not None:
            output = _hear(orchestrator, prefix, sound.clean)
        elif orchestrator.config.mode == "once":
            output = orchestrator.decode(prefix, None, None)
    return Condition(
        model=model,
        inputs=inputs,
        prefix=prefix,
        seen=context,
        context=_encoded(model, inputs, context, sound_only),
        output=output,
        sound_only=sound_only,
        sound=sound,
    )


def _encoded(
    model: Networks,
    inputs: OrchestratorInputs,
    context: DitContext,
    sound_only: bool = False,
) -> list[KeyValue]:
    """Computes the keys and values of the DiT's context."""
    reader = model.orchestrator
    if isinstance(reader, Orchestrator):
        return model.dit.encode_context(context, sound_only=sound_only)
    transcript = reader.prefill(inputs)
    return model.dit.encode_context(context, sound_only=sound_only, transcript=transcript)


def _hear(
    orchestrator: Orchestrator, prefix: PrefixCache, audio: Float[Tensor, "B A Ca"]
) -> OrchestratorOutput:
    clean = torch.zeros_like(prefix.encoding.fraction)
    return orchestrator.decode(prefix, audio, clean, infer_alignment=True)
