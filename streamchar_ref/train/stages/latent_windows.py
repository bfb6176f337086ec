"""Windows of latents that the stages of orchestrator and DiT learn from."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from streamchar_ref.loop.stage import Draw
from streamchar_ref.model.checkpoint import part_of
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.latent_cache import LatentClip
from streamchar_ref.train.samples import CLEAN
from streamchar_ref.train.windows import ContextAugmentation, TrainingWindow, draw_window

SOUND, BOTH = ("audio_vae.",), ("video_vae.", "audio_vae.")
_PROMPTS_AT_ONCE = 64
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


def window_source(
    model: StreamChar, clips: Sequence[LatentClip], augmentation: ContextAugmentation
) -> Callable[[Draw], TrainingWindow]:
    """Returns a function that draws batches of training windows.

    Args:
        model: With trained VAEs and prompt encoder.
        clips: To draw from.
        augmentation: Of the context.

    Returns:
        The function.
    """
    prompts = prompt_vectors(model, [clip.prompt for clip in clips])
    with torch.no_grad():
        silence = model.silence(model.config.geometry.motion_audio_latents)[0].cpu().numpy()

    def windows(draw: Draw) -> TrainingWindow:
        return draw_window(
            clips,
            prompts,
            model.config,
            augmentation,
            silence=silence,
            batch=draw.batch,
            rng=np.random.default_rng([draw.seed, draw.step, draw.rank, 0x77]),
            device=model.device,
        )

    return windows


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


@torch.no_grad()
def prompt_vectors(model: StreamChar, texts: list[str]) -> dict[str, Tensor]:
    """Encodes every text once; the prompt encoder is frozen."""
    distinct = sorted(set(texts))
    vectors: dict[str, Tensor] = {}
    for at in range(0, len(distinct), _PROMPTS_AT_ONCE):
        some = distinct[at : at + _PROMPTS_AT_ONCE]
        vectors |= zip(some, model.prompt(some).cpu(), strict=True)
    return vectors
