"""What is known of a clip beside its latents."""

from dataclasses import replace

import numpy as np
import pytest

from streamchar_ref.train.clips import mouth_cover
from streamchar_ref.train.quality import regions
from streamchar_ref.world.clips import Clip, make_clip

CELLS = (8, 8)


@pytest.fixture(scope="module")
def clip() -> Clip:
    return make_clip("Go on.", identity=1, style="painted")


def in_cells(region: np.ndarray) -> np.ndarray:
    return region.reshape(len(region), 8, 8, 8, 8).mean(axis=(2, 4))


def test_the_mouth_covers_the_cells_in_which_lips_are_drawn(clip: Clip) -> None:
    lips = in_cells(regions(clip, num_frames=24, size=64)["lips"])[2::4]
    cover = mouth_cover(clip, CELLS)[: len(lips)]
    assert cover.shape == lips.shape
    assert cover[lips > 0].sum() > 0.95 * cover.sum()
    assert cover[lips > 0.6].min() > 0.1
    assert 0.01 < cover.mean() < 0.05


def test_the_cover_follows_the_head(clip: Clip) -> None:
    aside = replace(clip, motion=replace(clip.motion, sway=clip.motion.sway + 0.2))
    columns = [mouth_cover(c, CELLS).sum(axis=(0, 1)) @ np.arange(8) for c in (clip, aside)]
    assert columns[1] > columns[0]
