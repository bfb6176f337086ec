"""Cost of a training step, and how much of it is spent on data."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch

from streamchar_ref.loop.fit import Draw, Stage
from streamchar_ref.model.config import Config
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.text import FIRST_PHONE
from streamchar_ref.train.augmentation import ContextAugmentation
from streamchar_ref.train.latent_cache import LatentClip
from streamchar_ref.train.stages.speech import SpeechStage
from streamchar_ref.train.stages.teacher import TeacherStage
from streamchar_ref.train.windows import WindowPool, window_source

NUM_CLIPS = 64
CLIP_LATENTS = 40
"""About as long as clips are on the average: 6.4 s."""
_PHONEME_LATENTS = 2


@dataclass(frozen=True, kw_only=True)
class TrainingCost:
    """Cost of a stage.

    Attributes:
        stage: Name.
        batch: Windows of a step.
        windows_per_s: Of the data path alone.
        data_ms: To draw a batch.
        step_ms: Of a whole step: batch, forward and backward pass, AdamW.
        data_share: Share of the step that is spent on data.
    """

    stage: str
    batch: int
    windows_per_s: float
    data_ms: float
    step_ms: float
    data_share: float


def bench_training(
    config: Config, *, batch: int, device: str, num_steps: int = 5
) -> list[TrainingCost]:
    """Measures the stages that learn from windows, on random latents and random weights.

    Args:
        config: Of the model.
        batch: Windows of a step.
        device: Where to train.
        num_steps: Steps that are timed; the median counts.

    Returns:
        Speech and teacher.
    """
    torch.manual_seed(0)
    model = StreamChar(config).to(device)
    costs = []
    for has_pictures in (False, True):
        clips = [random_clip(config, n, has_pictures=has_pictures) for n in range(NUM_CLIPS)]
        windows = window_source(model, clips, ContextAugmentation())
        stage: Stage = SpeechStage(model.orchestrator, model.dit, windows)
        if has_pictures:
            weight = torch.eye(config.geometry.video_channels)
            stage = TeacherStage(model.orchestrator, model.dit, config, windows, sensitivity=weight)
        costs.append(_cost(stage.to(device), windows, batch, num_steps))
    return costs


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


def _cost(stage: Stage, windows: WindowPool, batch: int, num_steps: int) -> TrainingCost:
    device = windows.store.device
    trained = [p for p in stage.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, fused=True)

    def step(number: int) -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16):
            loss, _ = stage(Draw(step=number, batch=batch, seed=0))
        loss.backward()
        optimizer.step()

    data_s = _median_s(
        lambda number: windows(Draw(step=number, batch=batch, seed=0)), 10 * num_steps, device
    )
    step_s = _median_s(step, num_steps, device)
    return TrainingCost(
        stage=stage.name,
        batch=batch,
        windows_per_s=round(batch / data_s, 1),
        data_ms=round(1000 * data_s, 3),
        step_ms=round(1000 * step_s, 2),
        data_share=round(data_s / step_s, 4),
    )


def _median_s(work: Callable[[int], object], count: int, device: torch.device) -> float:
    """Times some work again and again; the first time, which is slow, does not count."""
    seconds = []
    for number in range(count + 1):
        began = time.perf_counter()
        work(number)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - began)
    return median(seconds[1:])
