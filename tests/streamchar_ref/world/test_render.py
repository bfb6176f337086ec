from dataclasses import replace

import numpy as np
import pytest
import torch

from evals.extractors import EXTRACTORS
from streamchar_ref.world import drawing
from streamchar_ref.world.canvas import Canvas, capsule, convex, ellipse, meet, union
from streamchar_ref.world.character import draw_character
from streamchar_ref.world.clips import make_clip
from streamchar_ref.world.motion import MAX_GAP, Motion, move, still
from streamchar_ref.world.render import portrait, render


def opened(gap: float, **others: float) -> Motion:
    values = {"gap": gap, **others}
    return replace(still(), **{name: np.array([v], np.float32) for name, v in values.items()})


@pytest.mark.parametrize("seed", range(12))
def test_a_picture_is_rgb_of_the_asked_size_and_not_flat(seed: int) -> None:
    picture = portrait(draw_character(seed), size=64)
    assert picture.shape == (64, 64, 3)
    assert picture.std() > 25


def test_frames_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    character, motion = draw_character(3), move([], num_frames=7, seed=1)
    whole = render(character, motion, size=48)
    monkeypatch.setattr(drawing, "BATCH_PIXELS", 2 * 48**2)
    assert whole.tobytes() == render(character, motion, size=48).tobytes()
    single = [render(character, motion[i : i + 1], size=48) for i in range(7)]
    assert whole.tobytes() == np.concatenate(single).tobytes()


def test_a_larger_picture_shows_the_same() -> None:
    character = draw_character(4)
    small = portrait(character, size=64).astype(float)
    large = portrait(character, size=256).astype(float).reshape(64, 4, 64, 4, 3).mean((1, 3))
    assert np.abs(small - large).mean() < 2.5


def test_characters_look_different() -> None:
    pictures = [portrait(draw_character(seed), size=64).astype(float) for seed in range(8)]
    for index, first in enumerate(pictures):
        for second in pictures[index + 1 :]:
            assert np.abs(first - second).mean() > 8


@pytest.mark.parametrize("seed", range(0, 12, 2))
def test_the_dark_of_the_mouth_grows_with_the_gap(seed: int) -> None:
    character = draw_character(seed)
    levels = np.linspace(0, MAX_GAP, 6)
    mouths = [render(character, opened(g), size=128)[0, 70:92, 52:76].astype(float) for g in levels]
    changes = [np.abs(mouth - mouths[0]).sum() for mouth in mouths]
    assert all(np.diff(changes) > 0)


def test_speech_moves_the_mouth_and_not_the_background() -> None:
    character = draw_character(1)
    closed, wide = (render(character, opened(g), size=128)[0].astype(int) for g in (0, MAX_GAP))
    changed = np.argwhere(np.abs(closed - wide).max(axis=-1) > 8)
    assert changed[:, 0].min() > 0.4 * 128
    assert changed[:, 1].min() > 0.25 * 128
    assert changed[:, 1].max() < 0.75 * 128


def test_closed_eyes_hide_the_iris() -> None:
    character = draw_character(1)
    seen, hidden = (render(character, opened(0, blink=b), size=256)[0].astype(int) for b in (0, 1))
    eye = np.s_[100:122, 92:112]
    assert (hidden[eye].std() + 10) < seen[eye].std()


def test_no_frames_give_an_empty_array() -> None:
    assert render(draw_character(0), still(0), size=32).shape == (0, 32, 32, 3)


def test_distances_are_exact_on_circles_strokes_and_polygons() -> None:
    canvas = Canvas.blank(1, 64, torch.device("cpu"))
    x, y = canvas.x, canvas.y
    radius = (x * x + y * y).sqrt()
    torch.testing.assert_close(ellipse(x, y, 0.5, 0.5), radius - 0.5, atol=1e-5, rtol=0)
    stroke = capsule(x, y, (-0.2, 0.0), (0.2, 0.0))
    expected = ((x.abs() - 0.2).clamp(min=0) ** 2 + y * y).sqrt()
    torch.testing.assert_close(stroke, expected)
    square = convex(x, y, ((-0.3, -0.3), (0.3, -0.3), (0.3, 0.3), (-0.3, 0.3)))
    torch.testing.assert_close(square, torch.maximum(x.abs(), y.abs()) - 0.3)
    assert (union(stroke, square, 0.1) <= torch.minimum(stroke, square) + 1e-6).all()
    assert (meet(stroke, square, 0.1) >= torch.maximum(stroke, square) - 1e-6).all()


def test_a_crop_of_a_crop_is_the_same_place() -> None:
    canvas = Canvas.blank(1, 64, torch.device("cpu"))
    inner = canvas.crop(-0.5, 0.5, -0.4, 0.6).crop(-0.2, 0.3, 0.0, 0.4)
    once = canvas.crop(-0.2, 0.3, 0.0, 0.4)
    assert torch.equal(inner.x, once.x)
    assert torch.equal(inner.y, once.y)
    inner.paint(torch.ones_like(inner.x), (1.0, 0.5, 0.0))
    assert once.rgb.mean(dim=(0, 2, 3)).tolist() == [1.0, 0.5, 0.0]


@pytest.mark.parametrize(("seed", "at_least"), [(1, 0.9), (4, 0.85), (13, 0.9), (16, 0.9)])
def test_face_mesh_finds_every_face_and_follows_the_true_lip_gap(
    seed: int, at_least: float
) -> None:
    clip = make_clip("My brother would move the heavy blue box at home.", identity=seed, seed=seed)
    extractor = EXTRACTORS["face"].make()
    for frames in clip.frames(size=256):
        extractor.update(frames, {})
    face = extractor.finish()
    assert face["has_mesh"].all()
    assert np.corrcoef(face["lip_aperture"], clip.motion.gap)[0, 1] > at_least


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_pictures_on_a_gpu_differ_by_one_grey_level_at_most() -> None:
    character, motion = draw_character(2), move([], num_frames=4, seed=0)
    on_cpu, on_gpu = (render(character, motion, size=64, device=d) for d in ("cpu", "cuda"))
    assert np.abs(on_cpu.astype(int) - on_gpu.astype(int)).max() <= 1
