"""The whole model: its five networks, and how a chunk's conditions are put together.

Shape letters: B batch, P prompt vectors, E their width, Ca channels of an audio latent.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from streamchar_ref.core.errors import InputError
from streamchar_ref.model.config import Config
from streamchar_ref.model.dit import DitContext, JointDiT
from streamchar_ref.model.orchestrator import Orchestrator, OrchestratorInputs
from streamchar_ref.model.prompt import PromptEncoder
from streamchar_ref.model.vae.audio import AudioVae
from streamchar_ref.model.vae.video import VideoVae
from streamchar_ref.streaming.state import StreamState, empty_state
from streamchar_ref.streaming.transcript import TranscriptPrefix


@dataclass(frozen=True, kw_only=True)
class Conditioning:
    """Who speaks: what stays the same for a whole stream.

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
    """Video VAE, audio VAE, prompt encoder, orchestrator and joint DiT.

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
        self.orchestrator = Orchestrator(
            config.orchestrator,
            audio_channels=geometry.audio_channels,
            chunk_audio_latents=geometry.chunk_audio_latents,
        )
        self.dit = JointDiT(config.dit, geometry)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.dit.video_in.weight.device

    def cast(
        self, texts: Sequence[str], pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]]
    ) -> Conditioning:
        """Encodes prompts and reference pictures.

        Args:
            texts: What the characters look and sound like.
            pictures: RGB, of any size; they are cut to a square in the middle and resized.

        Returns:
            What stays the same for a stream.
        """
        size = self.config.stream.size
        batch = torch.stack([to_square(picture, size) for picture in pictures]).to(self.device)
        return Conditioning(
            prompt=self.prompt(texts), reference=self.video_vae.encode_picture(batch)
        )

    def opening(self, cast: Conditioning) -> StreamState:
        """Returns the memory of a stream that has not begun: its picture held still, in silence.

        The picture is the sink, too, until there is a first chunk.

        Args:
            cast: Who will speak.

        Returns:
            The memory.
        """
        memory = empty_state(self.config, batch=len(cast.reference), device=self.device)
        return replace(
            memory,
            sink=cast.reference.expand_as(memory.sink),
            motion_video=cast.reference.expand_as(memory.motion_video),
            history=self.silence(memory.history.shape[1]).expand_as(memory.history),
        )

    def silence(self, num_latents: int) -> Float[Tensor, "1 num_latents Ca"]:
        """Returns the audio latents of a silence that has lasted for a chunk already."""
        lasted = num_latents + self.config.geometry.chunk_audio_latents
        samples = lasted * self.config.audio_vae.latent_samples
        latents = self.audio_vae.encode(torch.zeros(1, samples, device=self.device))
        return latents[:, latents.shape[1] - num_latents :]

    def script(
        self, cast: Conditioning, memory: StreamState, texts: Sequence[TranscriptPrefix]
    ) -> OrchestratorInputs:
        """Cuts the transcript window of the next chunk, and adds what was heard."""
        config = self.config.orchestrator
        whole = memory.position.floor()
        windows = [
            known.text.window(
                int(place),
                behind=config.text_behind,
                ahead=config.text_ahead,
                is_final=known.is_final,
            )
            for known, place in zip(texts, whole.tolist(), strict=True)
        ]
        history = memory.history[:, memory.history.shape[1] - config.history_latents :]
        return OrchestratorInputs(
            prompt=cast.prompt,
            has_prompt=torch.ones_like(memory.num_history, dtype=torch.bool),
            window=torch.from_numpy(np.stack(windows)).to(self.device),
            fraction=memory.position - whole,
            history=history,
            num_history=memory.num_history.clamp(max=config.history_latents),
        )

    def context(self, cast: Conditioning, memory: StreamState) -> DitContext:
        """Gathers what the DiT sees beside the chunk."""
        here = torch.ones_like(memory.num_history, dtype=torch.bool)
        sound = self.config.geometry.motion_audio_latents
        return DitContext(
            prompt=cast.prompt,
            has_prompt=here,
            reference=cast.reference,
            has_reference=here,
            sink=memory.sink,
            has_sink=here,
            motion_video=memory.motion_video,
            motion_audio=memory.history[:, memory.history.shape[1] - sound :],
            has_motion=here,
            motion_sigma=torch.zeros_like(memory.position),
        )


def to_square(picture: UInt8[np.ndarray, "H W 3"], size: int) -> Float[Tensor, "3 size size"]:
    """Cuts the middle square out of a picture and resizes it, to values in [-1, 1]."""
    side = min(picture.shape[:2])
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    square = torch.from_numpy(picture[top : top + side, left : left + side].copy())
    rgb = square.permute(2, 0, 1)[None].float() / 127.5 - 1
    if side == size:
        return rgb[0]
    return nn.functional.interpolate(rgb, (size, size), mode="bilinear", antialias=True)[0]
