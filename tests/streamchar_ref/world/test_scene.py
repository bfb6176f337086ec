from dataclasses import replace

import numpy as np
import pytest
import torch

from streamchar_ref.world.canvas import VIEW, Canvas
from streamchar_ref.world.character import draw_character
from streamchar_ref.world.light import light_up
from streamchar_ref.world.motion import MAX_GAP, move, still
from streamchar_ref.world.render import portrait, render
from streamchar_ref.world.scene import (
    MAX_YAW,
    NEUTRAL,
    Scene,
    blend_scenes,
    draw_reference_scene,
    draw_scene,
    resting,
)
from streamchar_ref.world.speech import TimedPhoneme


def test_a_seed_names_one_scene() -> None:
    assert draw_scene(4) == draw_scene(4) != draw_scene(5)


def test_streams_differ_from_references_in_light_framing_and_pose() -> None:
    streams = [draw_scene(seed) for seed in range(50)]
    references = [draw_reference_scene(seed) for seed in range(50)]
    assert max(r.light_strength for r in references) < np.median(
        [s.light_strength for s in streams]
    )
    assert min(r.zoom for r in references) > max(s.zoom for s in streams)
    assert np.std([s.turn for s in streams]) > 0.3
    assert {r.backdrop for r in references} == {0}
    assert 0 not in {s.backdrop for s in streams}


def test_the_reference_hides_the_side_that_wears_a_detail() -> None:
    assert (
        draw_reference_scene(1, hidden_side=1).turn
        > 0
        > draw_reference_scene(1, hidden_side=-1).turn
    )


def test_framing_moves_and_magnifies() -> None:
    wide = Canvas.blank(1, 64, torch.device("cpu"))
    near = Canvas.blank(1, 64, torch.device("cpu"), Scene(zoom=np.log(2), shift_x=0.1))
    assert near.pixel == pytest.approx(wide.pixel / 2)
    assert near.x.mean() == pytest.approx(-0.1, abs=1e-6)
    assert wide.x.max() + wide.pixel / 2 == pytest.approx(VIEW)
    part = near.crop(-0.3, 0.1, -0.2, 0.2)
    assert part.x.min() >= -0.3 - near.pixel
    assert part.x.max() <= 0.1 + near.pixel


def test_a_neutral_scene_leaves_the_middle_tones_alone() -> None:
    canvas = Canvas.blank(1, 8, torch.device("cpu"))
    canvas.rgb.fill_(0.5)
    light_up(canvas, NEUTRAL)
    torch.testing.assert_close(canvas.rgb, torch.full_like(canvas.rgb, 0.5))


@pytest.mark.parametrize("seed", range(20))
def test_light_keeps_pictures_in_range(seed: int) -> None:
    canvas = Canvas.blank(1, 16, torch.device("cpu"), draw_scene(seed))
    canvas.rgb.fill_(1.0)
    light_up(canvas, draw_scene(seed))
    assert 0.15 < canvas.rgb.min() <= canvas.rgb.max() <= 1.0


def test_warm_light_is_warmer_and_exposure_brighter() -> None:
    character = draw_character(3)
    plain, warm, bright = (
        render(character, still(), size=48, scene=scene)[0].astype(float).mean((0, 1))
        for scene in (NEUTRAL, Scene(warmth=0.8), Scene(exposure=0.3))
    )
    assert warm[0] / warm[2] > 1.15 * plain[0] / plain[2]
    assert bright.mean() > 1.08 * plain.mean()


def test_the_resting_pose_turns_the_head_within_bounds() -> None:
    motion = resting(move([], num_frames=200, seed=1), Scene(turn=0.95, nod=0.2))
    assert 0.4 < motion.yaw.mean() < motion.yaw.max() <= MAX_YAW
    assert motion.yaw.dtype == np.float32


def test_the_ends_of_mixed_scenes_are_the_two() -> None:
    a, b = draw_scene(1), draw_scene(2)
    assert blend_scenes(a, b, 0).backdrop == a.backdrop
    assert blend_scenes(a, b, 1).turn == pytest.approx(b.turn)


@pytest.mark.parametrize("seed", range(6))
def test_the_reference_differs_from_the_stream_and_from_another_reference(seed: int) -> None:
    character, scene = draw_character(seed), draw_scene(seed)
    streamed = render(character, resting(still(), scene), size=64, scene=scene)[0].astype(float)
    reference = portrait(character, size=64)
    assert np.abs(streamed - reference).mean() > 12
    assert (portrait(character, size=64, seed=1) != reference).any()
    assert portrait(character, size=64).tobytes() == reference.tobytes()


@pytest.mark.parametrize("phone", ["P", "B", "M"])
@pytest.mark.parametrize("seed", range(4))
def test_lips_close_on_p_b_and_m_in_any_scene(phone: str, seed: int) -> None:
    names = ("_", "AA", phone, "AA", "_")
    said = [
        TimedPhoneme(phone=name, t0_s=0.12 * i, t1_s=0.12 * (i + 1), word_index=0)
        for i, name in enumerate(names)
    ]
    scene = draw_scene(seed)
    motion = resting(move(said, num_frames=15, seed=seed), scene)
    assert motion.gap[6:9].min() < 0.02 * MAX_GAP
    assert motion.gap.max() > 0.4 * MAX_GAP


@pytest.mark.parametrize("seed", range(8))
def test_a_scene_does_not_change_with_the_batch(seed: int) -> None:
    character, scene = draw_character(seed), draw_scene(seed)
    motion = resting(move([], num_frames=6, fps=3, seed=seed), scene)
    whole = render(character, motion, size=48, scene=scene)
    single = [render(character, motion[i : i + 1], size=48, scene=scene) for i in range(6)]
    assert whole.tobytes() == np.concatenate(single).tobytes()


def test_a_turned_head_shows_one_ear() -> None:
    character = replace(draw_character(19), has_earrings=False, side_detail="")  # bald
    front, turned = (
        render(character, resting(still(), scene), size=128, scene=scene)[0].astype(int)
        for scene in (NEUTRAL, Scene(turn=1.0))
    )
    assert np.abs(front - turned)[30:80].max(-1).mean() > 5
