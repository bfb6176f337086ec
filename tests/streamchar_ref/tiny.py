"""Small models with random weights, and latents for them."""

from typing import TypeVar

import torch
from torch import Tensor, nn

from streamchar_ref.model.config import Config, override, preset
from streamchar_ref.model.streamchar import Conditioning, StreamChar
from streamchar_ref.networks.dit import DitContext
from streamchar_ref.networks.geometry import WindowGeometry
from streamchar_ref.streaming.state import StreamState, initial_state
from streamchar_ref.streaming.transcript import Transcript, TranscriptBatch, TranscriptPrefix

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def awake(module: ModuleT) -> ModuleT:
    """Moves parameters that begin as zeros, so that nothing is switched off."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.2, generator=generator)
    return module


def tiny_config(*assignments: str) -> Config:
    return override(preset("tiny"), assignments)


def tiny_model(*assignments: str) -> StreamChar:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return awake(StreamChar(tiny_config(*assignments))).eval()


def random_context(geometry: WindowGeometry, prompt_width: int, batch: int = 1) -> DitContext:
    cells = (geometry.video_channels, *geometry.video_cells)
    here = torch.ones(batch, dtype=torch.bool)
    return DitContext(
        prompt=random(batch, geometry.prompt_tokens, prompt_width, seed=1),
        has_prompt=here,
        reference=random(batch, 1, *cells, seed=2),
        has_reference=here,
        sink=random(batch, geometry.sink_latents, *cells, seed=3),
        has_sink=here,
        motion_video=random(batch, geometry.motion_latents, *cells, seed=4),
        motion_audio=random(batch, geometry.motion_audio_latents, geometry.audio_channels, seed=5),
        has_motion=here,
        motion_sigma=torch.zeros(batch),
    )


def tiny_state(model: StreamChar, batch: int = 1) -> StreamState:
    """Streams of a tiny model that have not begun, each of a character of its own."""
    conditioning = Conditioning(prompt=random(batch, 4, 32), reference=random(batch, 1, 4, 4, 4))
    return initial_state(model, conditioning, list(range(batch)))


def whole_texts(*transcripts: str) -> TranscriptBatch:
    """Transcripts that have arrived to the end."""
    prefixes = [TranscriptPrefix(text=Transcript(text).text, is_final=True) for text in transcripts]
    return TranscriptBatch.of(prefixes)
