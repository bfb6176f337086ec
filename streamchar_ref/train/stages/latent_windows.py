"""Windows of latents that the stages of orchestrator and DiT learn from."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from streamchar_ref.loop.stage import Draw
from streamchar_ref.model.checkpoint import part_of
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.latent_cache import LatentClip
from streamchar_ref.train.samples import CLEAN
from streamchar_ref.train.sensitivity import pixel_sensitivity
from streamchar_ref.train.windows import TrainingWindow, window_source

SOUND, BOTH = ("audio_vae.",), ("video_vae.", "audio_vae.")
UNSEEN = 0.1
"""Weight of the directions of video latents that hardly change the pixels."""
_SHOWN_WINDOWS = 4


def chunk_clips(
    model: StreamChar, data: TrainingData, *vaes: str, held_out: bool = False
) -> list[LatentClip]:
    """Reads the latents of all clips that are not shorter than a chunk.

    Args:
        model: With trained VAEs.
        data: Of the run; latents that are missing are made.
        *vaes: Prefixes of the VAEs that encode the clips, `SOUND` or `BOTH`.
        held_out: Clips that nothing is trained on.

    Returns:
        The clips.
    """
    clips = data.latents(part_of(model.state_dict(), *vaes), held_out=held_out)
    return [clip for clip in clips if len(clip.video) >= model.config.geometry.chunk_latents]


def preview_window(model: StreamChar, data: TrainingData, *vaes: str) -> TrainingWindow | None:
    """Draws a few held-out windows with a perfect past, always the same ones.

    Args:
        model: With trained VAEs and prompt encoder.
        data: Of the run.
        *vaes: See `chunk_clips`.

    Returns:
        The windows; ``None`` if no held-out clip lasts for a chunk.
    """
    clips = chunk_clips(model, data, *vaes, held_out=True)
    if not clips:
        return None
    return window_source(model, clips, CLEAN)(Draw(step=0, batch=_SHOWN_WINDOWS, seed=0))


def clip_sensitivity(model: StreamChar, clips: Sequence[LatentClip]) -> Float[Tensor, "C C"]:
    """Measures on a few clips how pixels answer to latents, see `pixel_sensitivity`."""
    some = np.stack([clip.video[: model.config.geometry.chunk_latents] for clip in clips[:8]])
    latents = torch.from_numpy(some.astype(np.float32)).to(model.device)
    return pixel_sensitivity(model.video_vae, latents, floor=UNSEEN)
