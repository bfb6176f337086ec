"""A negative control for diversity: every seed gives the same take, or nearly so."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from baselines.ground_truth import chunks_of, world_clip
from evals.recording.role import Role
from evals.recording.system import Prompt
from streamchar_ref.media import AVChunk
from streamchar_ref.world.clips import Clip
from streamchar_ref.world.motion import IDLE
from streamchar_ref.world.scene import resting
from streamchar_ref.world.styles import STYLES


class OneTake:
    """The true clip of seed 0 whatever the seed, as of a model whose modes have collapsed.

    Args:
        size: Width and height of the picture.
        share: How much of its own idle motion each seed keeps: 0 for the same take, 1 for motion
            as diverse as the truth's. Sound and lips are those of seed 0.
    """

    name = "one_take"
    role = Role.NEGATIVE_CONTROL
    fps = 25
    sample_rate = 16_000

    def __init__(self, *, size: int = 256, share: float = 0.0) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"share must be from 0 to 1, not {share}")
        if size < 16:
            raise ValueError(f"size must be at least 16, not {size}")
        self.size, self.share = size, share
        if share:
            self.name = f"one_take_{share:g}"

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        """Yields the take of seed 0, its idle motion moved towards that of ``seed``."""
        clip = world_clip(prompt, seed=0)
        yield from chunks_of(_towards(clip, prompt.seed + seed, self.share), self.size)


def _towards(clip: Clip, seed: int, share: float) -> Clip:
    """Moves the idle motion of a clip by a share of the way to that of another seed."""
    if not share:
        return clip
    moved = STYLES[clip.style].move(
        clip.phonemes, num_frames=clip.num_frames, fps=clip.fps, seed=seed
    )
    other = resting(moved, clip.scene)
    idle = {
        name: (1 - np.float32(share)) * getattr(clip.motion, name)
        + np.float32(share) * getattr(other, name)
        for name in IDLE
    }
    return replace(clip, motion=replace(clip.motion, **idle))
