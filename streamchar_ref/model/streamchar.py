"""The whole model: its five networks.

Shape letters: B batch, P prompt vectors, E their width, Ca channels of an audio latent.
"""

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from streamchar_ref.core.errors import InputError
from streamchar_ref.model.config import Config
from streamchar_ref.networks.causal import dit_of
from streamchar_ref.networks.dit import JointDiT
from streamchar_ref.networks.orchestrator import Orchestrator
from streamchar_ref.networks.prompt import PromptEncoder
from streamchar_ref.networks.reader import TranscriptReader
from streamchar_ref.networks.vae.audio import AudioVae
from streamchar_ref.networks.vae.convert import to_square
from streamchar_ref.networks.vae.video import VideoVae
from streamchar_ref.sampling.config import SamplerConfig


@dataclass(frozen=True, kw_only=True)
class Conditioning:
    """Prompt and reference of a stream, which stay the same from its start to its end.

    Attributes:
        prompt: Text vectors, [B, P, E].
        reference: Latent of the reference picture, [B, 1, C, h, w].
    """

    prompt: Float[Tensor, "B P E"]
    reference: Float[Tensor, "B 1 C h w"]


def shapes_of(config: Config) -> dict[str, torch.Size]:
    """Returns the shapes of a model's weights, once it is sure that it can be built.

    Args:
        config: Of the model.

    Returns:
        Shapes by name, as in the state of a `StreamChar`; none of its memory is taken.

    Raises:
        InputError: If its numbers give no network, or one that does not fit into the memory.
    """
    try:
        with torch.device("meta"):
            state = StreamChar(config).state_dict()
    except Exception as error:  # torch and transformers have many classes for it
        why = str(error).partition("\n")[0]
        raise InputError(f"no networks can be built with this config: {why:.200}") from error
    empty = next((name for name, weight in state.items() if not weight.numel()), "")
    if empty:
        raise InputError(f"no networks can be built with this config: {empty} has no numbers")
    needed = sum(weight.numel() * weight.element_size() for weight in state.values())
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        raise InputError(
            f"the weights of this config take {needed / 1e9:,.0f} GB, the machine's memory is "
            f"{there / 1e9:,.0f} GB"
        )
    return {name: weight.shape for name, weight in state.items()}


class StreamChar(nn.Module):
    """Video VAE, audio VAE, prompt encoder, orchestrator (or none) and joint DiT.

    Args:
        config: Their sizes.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        geometry = config.geometry
        self.video_vae = VideoVae(config.video_vae)
        self.audio_vae = AudioVae(config.audio_vae)
        self.prompt = PromptEncoder(config.prompt)
        self.orchestrator: Orchestrator | TranscriptReader
        if config.has_orchestrator:
            self.orchestrator = Orchestrator(
                config.orchestrator,
                audio_channels=geometry.audio_channels,
                chunk_audio_latents=geometry.chunk_audio_latents,
            )
        else:
            self.orchestrator = TranscriptReader(config.orchestrator, config.dit.width)
        self.dit = dit_of(config.dit, geometry)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.dit.video_in.weight.device

    def with_dit(self, dit: JointDiT, sampler: SamplerConfig) -> "StreamChar":
        """Returns a model with another DiT; all other networks are those of this one.

        Args:
            dit: Of the same shape.
            sampler: Of the new model; what it leaves open is that of this one.

        Returns:
            The model.
        """
        other = copy.copy(self)
        other._modules = {**self._modules, "dit": dit}
        other.config = replace(self.config, sampler=sampler.over(self.config.sampler))
        return other

    def use_plain_attention(self) -> None:
        """Lets the language model attend by products, which trains faster on a CPU.

        The fused kernel is slow backwards there, see `layers.attention`.
        """
        if isinstance(self.orchestrator, Orchestrator):
            self.orchestrator.backbone.set_attn_implementation("eager")

    def conditioning(
        self, prompts: Sequence[str], references: Sequence[UInt8[np.ndarray, "_ _ 3"]]
    ) -> Conditioning:
        """Encodes prompts and reference pictures.

        Args:
            prompts: What the characters look and sound like.
            references: RGB, of any size; they are cut to a square in the middle and resized.

        Returns:
            What stays the same for a stream.
        """
        size = self.config.stream.size
        batch = torch.stack([to_square(each, size) for each in references]).to(self.device)
        return Conditioning(
            prompt=self.prompt(prompts), reference=self.video_vae.encode_picture(batch)
        )

    def silence(self, num_latents: int) -> Float[Tensor, "1 num_latents Ca"]:
        """Returns the audio latents of a silence that has lasted for a chunk already."""
        lasted = num_latents + self.config.geometry.chunk_audio_latents
        samples = lasted * self.config.audio_vae.latent_samples
        latents = self.audio_vae.encode(torch.zeros(1, samples, device=self.device))
        return latents[:, latents.shape[1] - num_latents :]
