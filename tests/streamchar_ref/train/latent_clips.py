"""Clips of random latents, whose phonemes last two audio latents each."""

import numpy as np
import torch

from streamchar_ref.model.config import Config
from streamchar_ref.train.latent_cache import LatentClip
from streamchar_ref.train.latent_store import LatentStore
from tests.streamchar_ref.tiny import random

SILENCE = 7.0


def clip(config: Config, *, seed: int = 0, num_latents: int = 12) -> LatentClip:
    """A clip whose phonemes last two audio latents each, from the first latent on."""
    rng, geometry = np.random.default_rng(seed), config.geometry
    num_audio = 4 * num_latents
    said = num_audio // 2 - 4
    video = (geometry.video_channels, *geometry.video_cells)
    position = np.minimum((np.arange(num_audio) + 1) / 2, said).astype(np.float32)
    row = np.where(np.arange(num_audio) // 2 < said, np.arange(num_audio) // 2, -1)
    return LatentClip(
        prompt=f"person {seed}",
        identity=seed,
        tokens=rng.integers(2, 41, (said, 4)).astype(np.int16) * np.array([1, 0, 0, 0], np.int16),
        start=2 * np.arange(said, dtype=np.float32),
        end=2 * np.arange(said, dtype=np.float32) + 2,
        position=position,
        row=row.astype(np.int16),
        phone=(row + 1).clip(0, 39).astype(np.int16),
        gap=rng.random(num_audio).astype(np.float32),
        mouth=rng.random((num_latents, *geometry.video_cells)).astype(np.float16),
        video=rng.standard_normal((num_latents, *video)).astype(np.float16),
        audio=rng.standard_normal((num_audio, geometry.audio_channels)).astype(np.float16),
        reference=rng.standard_normal((2, *video)).astype(np.float16),
    )


def store_of(config: Config, clips: list[LatentClip]) -> LatentStore:
    """Clips end to end, with a silence of sevens before them."""
    vectors = random(len(clips), config.prompt.num_tokens, config.prompt.width)
    return LatentStore.of(
        clips,
        prompts={c.prompt: vector for c, vector in zip(clips, vectors, strict=True)},
        silence=torch.full((40, config.geometry.audio_channels), SILENCE),
    )
