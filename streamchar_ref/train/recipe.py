"""How each preset is trained: data, minutes and optimiser of every stage."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.fit import OptimConfig

STAGES = (
    "prompt",
    "video_vae",
    "audio_vae",
    "speech",
    "teacher",
    "video_decoder",
    "audio_decoder",
)
"""In the order of training; see `run.NEEDS` for what builds on what."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to train a model.

    Attributes:
        hours: Of speech in the corpus.
        max_mb: Room for it on disk.
        passes: How often each utterance is drawn, with another character each time.
        pool_clips: Characters whose frames the video VAE learns from.
        minutes: Of each stage.
        settings: Of each stage.
    """

    hours: float
    max_mb: float
    passes: int
    pool_clips: int
    minutes: Mapping[str, float]
    settings: Mapping[str, OptimConfig]


def recipe(preset: str) -> Recipe:
    """Returns the recipe of a preset.

    Args:
        preset: Its name.

    Returns:
        The recipe.

    Raises:
        InputError: If the preset is not one to be trained.
    """
    if preset not in _RECIPES:
        raise InputError(f"no recipe for preset {preset!r}; there is one for {', '.join(_RECIPES)}")
    return _RECIPES[preset]


_CPU = {
    "prompt": OptimConfig(learning_rate=2e-3, batch=64, warmup_steps=30, ema_decay=0.99),
    "video_vae": OptimConfig(learning_rate=1.5e-3, batch=8, warmup_steps=50, ema_decay=0.998),
    "audio_vae": OptimConfig(learning_rate=1e-3, batch=16, warmup_steps=50, ema_decay=0.995),
    "speech": OptimConfig(learning_rate=1e-3, muon=True, batch=64, cooldown=0.5, ema_decay=0.998),
    "teacher": OptimConfig(learning_rate=8e-4, muon=True, batch=32, ema_decay=0.998),
    "video_decoder": OptimConfig(learning_rate=5e-4, batch=8, warmup_steps=50, ema_decay=0.998),
    "audio_decoder": OptimConfig(learning_rate=5e-4, batch=16, warmup_steps=50, ema_decay=0.998),
}
_TINY = Recipe(
    hours=0.02,
    max_mb=12,
    passes=1,
    pool_clips=4,
    minutes=dict.fromkeys(STAGES, 0.2),
    settings={name: replace(each, batch=4, log_every=5) for name, each in _CPU.items()},
)
_MICRO = Recipe(
    hours=3,
    max_mb=100,
    passes=1,
    pool_clips=640,
    minutes={
        "prompt": 1.5,
        "video_vae": 34,
        "audio_vae": 12,
        "speech": 38,
        "teacher": 40,
        "video_decoder": 8,
        "audio_decoder": 8,
    },
    settings=_CPU,
)
_BASE = Recipe(
    hours=3,
    max_mb=100,
    passes=4,
    pool_clips=2_000,
    minutes={
        "prompt": 0.5,
        "video_vae": 3.5,
        "audio_vae": 3.8,
        "speech": 7,
        "teacher": 15,
        "video_decoder": 2,
        "audio_decoder": 2,
    },
    settings={
        name: replace(each, batch=batch, ema_decay=0.999)
        for (name, each), batch in zip(_CPU.items(), (256, 64, 64, 512, 256, 64, 64), strict=True)
    },
)
_RECIPES = {"tiny": _TINY, "micro": _MICRO, "paper_faithful": _MICRO, "base": _BASE}
