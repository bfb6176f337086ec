"""Stages of training on random data, to measure what a step costs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from streamchar_ref.loop.stage import Draw, Stage
from streamchar_ref.model.config import Config
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.text import FIRST_PHONE
from streamchar_ref.sampling import flow
from streamchar_ref.train.augmentation import ContextAugmentation
from streamchar_ref.train.distill.config import DistillConfig, distill_config
from streamchar_ref.train.distill.regression import TrajectoryRegression
from streamchar_ref.train.distill.stream_pool import StreamPool
from streamchar_ref.train.distill.trajectories import TrajectoryBatch, TrajectoryPool
from streamchar_ref.train.latent_cache import LatentClip
from streamchar_ref.train.pool import SoundPool, VideoPool
from streamchar_ref.train.stages.audio_vae import AudioVaeStage
from streamchar_ref.train.stages.distill_regress import RegressStage
from streamchar_ref.train.stages.distillation import distill_augmentation
from streamchar_ref.train.stages.dmd_chunk import DmdChunkStage
from streamchar_ref.train.stages.dmd_rollout import DmdRolloutStage
from streamchar_ref.train.stages.prompt import PromptStage
from streamchar_ref.train.stages.speech import SpeechStage, speech_kind
from streamchar_ref.train.stages.teacher import TeacherStage, teacher_kind
from streamchar_ref.train.stages.video_vae import VideoVaeStage
from streamchar_ref.train.windows import WindowPool, window_source

NUM_CLIPS = 64
CLIP_LATENTS = 40
"""About as long as clips are on the average: 6.4 s."""
_PHONEME_LATENTS = 2
_POOL_CLIPS, _POOL_FRAMES, _POOL_SOUNDS = 16, 64, 64
_TRAJECTORY_BATCHES = 2
Around = Callable[[Any], Any]
"""Wraps a source of batches, so that it is timed."""


def bench_stage(name: str, model: StreamChar, around: Around, *, batch: int = 0) -> Stage:
    """Makes a stage as training does, on data that was drawn at random.

    Args:
        name: Of the stage.
        model: Its networks, with random weights, on the training device.
        around: Wraps every source of batches.
        batch: Samples of a step; 0 takes the stage's own.

    Returns:
        The stage.
    """
    if name == PromptStage.name:
        return PromptStage(model.prompt)
    if name in ("video_vae", "video_decoder"):
        pictures = around(random_pictures(model))
        is_frozen = name == "video_decoder"
        return VideoVaeStage(model.video_vae, pictures, num_latents=2, frozen=is_frozen)
    if name in ("audio_vae", "audio_decoder"):
        sounds = around(random_sounds(model))
        return AudioVaeStage(model.audio_vae, sounds, frozen=name == "audio_decoder")
    if name == SpeechStage.name:
        windows = around(random_windows(model, has_pictures=False))
        return speech_kind(model.config)(model.orchestrator, model.dit, windows)
    if name == TeacherStage.name:
        windows = around(random_windows(model))
        metric = torch.eye(model.config.geometry.video_channels)
        return teacher_kind(model.config)(
            model.orchestrator, model.dit, model.config, windows, sensitivity=metric
        )
    return _distillation(name, model, around, batch)


def _distillation(name: str, model: StreamChar, around: Around, batch: int) -> Stage:
    """Makes a stage of distillation; with random weights nothing is said of divergence."""
    model.requires_grad_(False).eval()
    config = distill_config(model.config.preset)
    config = replace(config, max_ratio=np.inf, max_spread=np.inf)
    if batch:
        config = replace(config, num_streams=batch, window_batch=max(batch, config.window_batch))
    windows = random_windows(model, augmentation=distill_augmentation(config))
    pool = random_trajectories(model, windows, config)
    metric = torch.eye(model.config.geometry.video_channels, device=model.device)
    regression = TrajectoryRegression(pool, metric)
    regression.pool = around(pool)
    if name == RegressStage.name:
        return RegressStage(model, regression, config)
    if name == DmdChunkStage.name:
        return DmdChunkStage(model, config, windows=around(windows), regression=regression)
    streams = StreamPool(model, windows.store, config, seed=0)
    return DmdRolloutStage(model, config, pool=streams, regression=regression)


def random_pictures(model: StreamChar) -> VideoPool:
    """Returns frames of noise, on the model's device."""
    rng, size = np.random.default_rng(0), model.config.stream.size
    clips = [
        rng.integers(0, 5, (_POOL_FRAMES, size, size, 4), np.uint8) for _ in range(_POOL_CLIPS)
    ]
    return VideoPool(clips, [clip[:2] for clip in clips], model.device)


def random_sounds(model: StreamChar) -> SoundPool:
    """Returns 5 s utterances of noise, on the model's device."""
    rng = np.random.default_rng(0)
    shape = (_POOL_SOUNDS, 5 * model.config.audio_vae.sample_rate)
    return SoundPool(0.1 * rng.standard_normal(shape, np.float32), model.device)


def random_windows(
    model: StreamChar,
    *,
    has_pictures: bool = True,
    augmentation: ContextAugmentation | None = None,
) -> WindowPool:
    """Returns windows of random clips, on the model's device."""
    clips = [random_clip(model.config, n, has_pictures=has_pictures) for n in range(NUM_CLIPS)]
    return window_source(model, clips, augmentation or ContextAugmentation())


def random_trajectories(
    model: StreamChar, windows: WindowPool, config: DistillConfig
) -> TrajectoryPool:
    """Returns trajectories that nobody integrated, on the model's device."""
    generator = torch.Generator(model.device).manual_seed(0)
    batches = []
    for step in range(_TRAJECTORY_BATCHES):
        window = windows(Draw(step=step, batch=config.window_batch, seed=0))
        drawn = {
            name: torch.randn(
                (len(clean), *levels, *clean.shape[1:]), generator=generator, device=model.device
            ).half()
            for modality, clean in (("video", window.video), ("audio", window.audio))
            for name, levels in ((modality, (config.num_steps,)), (f"clean_{modality}", ()))
        }
        batches.append(TrajectoryBatch(**drawn))
    shift = model.config.sampler.required("shift")
    return TrajectoryPool(
        windows, batches, flow.shifted_sigmas(config.num_steps, shift)[:-1], seed=0
    )


def random_clip(config: Config, seed: int, *, has_pictures: bool = True) -> LatentClip:
    """Makes a clip of random latents whose phonemes follow each other without a pause.

    Args:
        config: Of the model.
        seed: Of the latents.
        has_pictures: Without them video latents are single zeros, as for the speech stage.

    Returns:
        The clip.
    """
    rng, geometry = np.random.default_rng(seed), config.geometry
    num_audio = int(np.ceil(CLIP_LATENTS * geometry.audio_per_video))
    num_phonemes = num_audio // _PHONEME_LATENTS
    row = (np.arange(num_audio) // _PHONEME_LATENTS).clip(max=num_phonemes - 1)
    cells = geometry.video_cells if has_pictures else (1, 1)
    channels = geometry.video_channels if has_pictures else 1
    start = np.arange(num_phonemes, dtype=np.float32) * _PHONEME_LATENTS
    tokens = np.zeros((num_phonemes, 4), np.int16)
    tokens[:, 0] = FIRST_PHONE
    return LatentClip(
        prompt="",
        identity=seed,
        tokens=tokens,
        start=start,
        end=start + _PHONEME_LATENTS,
        position=((np.arange(num_audio, dtype=np.float32) + 1) / _PHONEME_LATENTS).clip(
            max=num_phonemes
        ),
        row=row.astype(np.int16),
        phone=np.ones(num_audio, np.int16),
        gap=rng.random(num_audio, np.float32),
        mouth=np.zeros((CLIP_LATENTS, *cells), np.float16),
        video=rng.standard_normal((CLIP_LATENTS, channels, *cells), np.float32).astype(np.float16),
        audio=rng.standard_normal((num_audio, geometry.audio_channels), np.float32).astype(
            np.float16
        ),
        reference=rng.standard_normal((1, channels, *cells), np.float32).astype(np.float16),
    )
