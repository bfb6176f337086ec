"""Draws which windows a batch has and how their context is degraded.

The decisions are drawn on the CPU, so they are the same for every device, and for the whole batch
at once: none is drawn per row.

Shape letters: B batch.
"""

import numpy as np
import torch

from streamchar_ref.model.config import Config
from streamchar_ref.train.augmentation import AugmentationDraws, ContextAugmentation
from streamchar_ref.train.latent_store import ClipTable, WindowChoice, to_device

_ROLES = ("prompt", "reference", "sink", "motion", "history")


def draw_windows(
    table: ClipTable, config: Config, first_chunk: float, *, batch: int, rng: np.random.Generator
) -> WindowChoice:
    """Draws windows: every clip is as likely as any other, and so is every moment in it.

    A chunk begins where there is a full motion before it, of several past chunks one, and a sink a
    whole chunk before it.

    Args:
        table: Of the clips.
        config: Of the model.
        first_chunk: Share of windows at the start of a stream; clips with room for no other
            come on top.
        batch: B.
        rng: Of the draw.

    Returns:
        The windows.
    """
    num_chunk = config.geometry.chunk_latents
    num_motion = min(config.geometry.motion_latents, num_chunk)
    clip = rng.integers(len(table), size=batch)
    last = table.num_video[clip] - num_chunk
    is_first = (rng.random(batch) < first_chunk) | (last <= num_motion)
    start = np.where(is_first, 0, rng.integers(num_motion, np.maximum(last, num_motion) + 1))
    return WindowChoice(
        clip=clip,
        start=start,
        sink=rng.integers(np.maximum(start - num_chunk, 0) + 1),
        reference=rng.integers(table.num_references[clip]),
    )


def draw_augmentation(
    choice: WindowChoice,
    config: Config,
    augmentation: ContextAugmentation,
    *,
    rng: np.random.Generator,
    device: torch.device,
) -> AugmentationDraws:
    """Draws how the context of each window is degraded.

    Args:
        choice: The windows; one that begins within the first chunk has no sink.
        config: Of the model.
        augmentation: How often and how much.
        rng: Of the draw.
        device: Where the windows are gathered.

    Returns:
        The draws.
    """
    batch, most = len(choice.clip), augmentation.pointer_phonemes
    dropped = np.array([[getattr(augmentation, f"{role}_drop")] for role in _ROLES])
    present = dict(zip(_ROLES, rng.random((len(_ROLES), batch)) >= dropped, strict=True))
    present["sink"] &= (choice.start == 0) | (choice.start >= config.geometry.chunk_latents)
    shares = [augmentation.pointer_off, augmentation.text_cut, augmentation.motion_noise]
    is_off, is_cut, is_noisy = rng.random((3, batch)) < np.array(shares)[:, None]
    levels = rng.random((2, batch), np.float32)
    is_moved = is_noisy & present["motion"]
    draws = {
        **{f"has_{role}": is_present for role, is_present in present.items()},
        "is_cut": is_cut,
        "pointer_offset": np.where(is_off, rng.integers(-most, most + 1, batch), 0),
        "text_ahead": rng.integers(1, max(2, config.orchestrator.text_ahead), batch),
        "motion_sigma": levels[0] * np.float32(augmentation.motion_sigma) * is_moved,
        "history_sigma": levels[1] * np.float32(augmentation.history_sigma),
    }
    return AugmentationDraws(**to_device(draws, device))
