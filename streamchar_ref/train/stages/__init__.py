"""The stages of training, and their list.

A new stage is a file with a `StageSpec` and an entry in `STAGES`.
"""

from streamchar_ref.train.distill.config import DistillConfig
from streamchar_ref.train.stages import (
    audio_vae,
    distill_regress,
    dmd_chunk,
    dmd_rollout,
    prompt,
    speech,
    teacher,
    video_vae,
)
from streamchar_ref.train.stages.spec import StageSpec

TEACHER_STAGES: tuple[StageSpec, ...] = (
    prompt.SPEC,
    video_vae.SPEC,
    audio_vae.SPEC,
    speech.SPEC,
    teacher.SPEC,
    video_vae.DECODER_SPEC,
    audio_vae.DECODER_SPEC,
)
"""Of the many-step model, in the order of training."""


def distillation_stages(config: DistillConfig) -> tuple[StageSpec, ...]:
    """Returns the stages of distillation under these settings, in the order of training."""
    return distill_regress.spec(config), dmd_chunk.spec(config), dmd_rollout.spec(config)


def all_stages(config: DistillConfig) -> tuple[StageSpec, ...]:
    """Returns all stages in the order of training, those of distillation under these settings."""
    return TEACHER_STAGES + distillation_stages(config)


STAGES = all_stages(DistillConfig())
"""In the order of training; ``streamchar train all`` trains them one after the other."""
