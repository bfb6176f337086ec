"""The stages of training, and their list.

A new stage is a file with a `StageSpec` and an entry in `STAGES`.
"""

from streamchar_ref.train.stages import audio_vae, prompt, speech, teacher, video_vae
from streamchar_ref.train.stages.spec import StageSpec

STAGES: tuple[StageSpec, ...] = (
    prompt.SPEC,
    video_vae.SPEC,
    audio_vae.SPEC,
    speech.SPEC,
    teacher.SPEC,
    video_vae.DECODER_SPEC,
    audio_vae.DECODER_SPEC,
)
"""In the order of training; ``streamchar train all`` trains them one after the other."""
