"""The control for diversity: one take for every seed, or a known share of the truth's spread."""

from dataclasses import replace

import numpy as np
import pytest

from baselines.ground_truth import GroundTruth, world_clip
from baselines.one_take import OneTake, _towards
from evals.recording.system import Prompt
from evals.suites import load_suite
from streamchar_ref.world.motion import IDLE, Motion


@pytest.fixture(scope="module")
def prompt() -> Prompt:
    return replace(load_suite("smoke")[0], transcript="Good morning.")


def frames(system: GroundTruth | OneTake, prompt: Prompt, seed: int) -> np.ndarray:
    return np.concatenate([chunk.frames for chunk in system.stream(prompt, seed=seed)])


def test_every_seed_gives_the_take_of_seed_0(prompt: Prompt) -> None:
    truth = frames(GroundTruth(size=32), prompt, 0)
    assert (frames(OneTake(size=32), prompt, 0) == truth).all()
    assert (frames(OneTake(size=32), prompt, 3) == truth).all()
    assert (frames(OneTake(size=32, share=1.0), prompt, 0) == truth).all()


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_seeds_keep_the_share_of_their_idle_motion(prompt: Prompt, share: float) -> None:
    clip = world_clip(prompt, seed=0)

    def motion(share: float) -> Motion:
        return _towards(clip, prompt.seed + 1, share).motion

    for name in IDLE:
        here, own, other = (getattr(m, name) for m in (motion(share), motion(0), motion(1)))
        assert here - own == pytest.approx(share * (other - own), abs=1e-6)
    assert (motion(share).gap == clip.motion.gap).all()


def test_a_share_is_a_share() -> None:
    with pytest.raises(ValueError, match="share must be from 0 to 1"):
        OneTake(share=1.5)
