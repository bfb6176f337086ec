import csv
import math
import wave
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from streamchar_ref.train.audio_vae import AudioVaeStage
from streamchar_ref.train.clips import DrawnClip, prompt_of
from streamchar_ref.train.quality import (
    audio_quality,
    heard_again,
    pitch_of,
    psnr_db,
    regions,
    seen_again,
    video_quality,
)
from streamchar_ref.train.samples import (
    audio_samples,
    chunk_samples,
    mel_picture,
    speech_samples,
    strip,
    video_samples,
    write_png,
    write_sound,
)
from streamchar_ref.train.speech import FlowHead
from streamchar_ref.train.stages import _shown
from streamchar_ref.train.video_vae import VideoVaeStage
from streamchar_ref.text import read_phonemes
from streamchar_ref.vae.mel import LogMel
from streamchar_ref.world.clips import make_clip
from tests.streamchar_ref.tiny import random, tiny_model
from tests.streamchar_ref.train.test_windows import clip as latent_clip

RATE = 16_000


@pytest.fixture(scope="module")
def drawn() -> DrawnClip:
    clip = make_clip("Hello there.", identity=8_600, style="painted", voice="")
    return DrawnClip(
        clip=clip,
        text=read_phonemes("Hello there."),
        prompt=prompt_of(clip.caption, ""),
        frames=clip.window(0, 12, size=32),
        references=clip.reference(size=32)[None],
    )
