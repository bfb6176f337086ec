"""Makes the stages of a run out of its model and its data."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from streamchar_ref.loop.fit import Draw, Stage
from streamchar_ref.model.checkpoint import part_of
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.train.audio_vae import AudioVaeStage
from streamchar_ref.train.augmentation import ContextAugmentation
from streamchar_ref.train.clips import HELD_OUT_IDENTITIES, draw_clip
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.latent_cache import LatentClip
from streamchar_ref.train.prompt import PromptStage
from streamchar_ref.train.samples import (
    CLEAN,
    audio_samples,
    chunk_samples,
    speech_samples,
    video_samples,
)
from streamchar_ref.train.sensitivity import pixel_sensitivity
from streamchar_ref.train.speech import SpeechStage
from streamchar_ref.train.teacher import TeacherStage
from streamchar_ref.train.video_vae import VideoVaeStage
from streamchar_ref.train.windows import TrainingWindow, window_source

SOUND, BOTH = ("audio_vae.",), ("video_vae.", "audio_vae.")
UNSEEN = 0.1
"""Weight of latents' directions that do not show, in the teacher's loss."""
_SHOWN_CLIPS, _SHOWN_FRAMES, _SHOWN_CHUNKS = 8, 32, 4


def make_stage(name: str, model: StreamChar, data: TrainingData) -> Stage:
    """Makes a stage around the networks of a model that it trains.

    Args:
        name: One of `recipe.STAGES`.
        model: All networks; those of earlier stages are trained already.
        data: What it learns from.

    Returns:
        The stage.
    """
    return _STAGES[name](model, data)


def _prompt(model: StreamChar, data: TrainingData) -> Stage:
    return PromptStage(model.prompt)


def _video_vae(model: StreamChar, data: TrainingData, *, frozen: bool = False) -> Stage:
    stream = data.config.stream

    def show(folder: Path) -> None:
        draw = partial(
            draw_clip,
            data.corpus,
            size=stream.size,
            fps=stream.fps,
            seed=data.seed,
            identities=HELD_OUT_IDENTITIES,
            max_frames=_SHOWN_FRAMES,
        )
        video_samples(folder, model.video_vae, [draw(n) for n in data.held_out[:_SHOWN_CLIPS]])

    pool = data.video_pool()
    return VideoVaeStage(model.video_vae, pool, num_latents=2, frozen=frozen, show=show)


def _audio_vae(model: StreamChar, data: TrainingData, *, frozen: bool = False) -> Stage:
    def show(folder: Path) -> None:
        audio_samples(folder, model.audio_vae, [data.corpus[n].samples for n in data.held_out])

    return AudioVaeStage(model.audio_vae, data.sound_pool(), frozen=frozen, show=show)


def _speech(model: StreamChar, data: TrainingData) -> Stage:
    def show(folder: Path) -> None:
        if clips := _clips(model, data, *SOUND, held_out=True):
            speech_samples(folder, model, _shown(model, clips))

    windows = window_source(model, _clips(model, data, *SOUND), ContextAugmentation())
    shift = model.config.sampler.required("shift")
    return SpeechStage(model.orchestrator, model.dit, windows, shift=shift, show=show)


def _teacher(model: StreamChar, data: TrainingData) -> Stage:
    def show(folder: Path) -> None:
        if clips := _clips(model, data, *BOTH, held_out=True):
            chunk_samples(folder, model, _shown(model, clips))

    clips = _clips(model, data, *BOTH)
    some = np.stack([clip.video[: model.config.geometry.chunk_latents] for clip in clips[:8]])
    latents = torch.from_numpy(some.astype(np.float32)).to(model.device)
    return TeacherStage(
        model.orchestrator,
        model.dit,
        model.config,
        window_source(model, clips, ContextAugmentation()),
        sensitivity=pixel_sensitivity(model.video_vae, latents, floor=UNSEEN),
        show=show,
    )


def _clips(
    model: StreamChar, data: TrainingData, *vaes: str, held_out: bool = False
) -> list[LatentClip]:
    """Reads the latents of all clips that last for a chunk, made with some of the VAEs."""
    clips = data.latents(part_of(model.state_dict(), *vaes), held_out=held_out)
    return [clip for clip in clips if len(clip.video) >= model.config.geometry.chunk_latents]


def _shown(model: StreamChar, clips: Sequence[LatentClip]) -> TrainingWindow:
    """Draws a few windows to look at, with a perfect past; always the same ones."""
    return window_source(model, clips, CLEAN)(Draw(step=0, batch=_SHOWN_CHUNKS, seed=0))


_STAGES: dict[str, Callable[[StreamChar, TrainingData], Stage]] = {
    "prompt": _prompt,
    "video_vae": _video_vae,
    "audio_vae": _audio_vae,
    "speech": _speech,
    "teacher": _teacher,
    "video_decoder": partial(_video_vae, frozen=True),
    "audio_decoder": partial(_audio_vae, frozen=True),
}
