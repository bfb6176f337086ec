from dataclasses import replace

import numpy as np
import pytest

from evals.extractors import EXTRACTORS
from streamchar_ref.world import drawing
from streamchar_ref.world import motion as painted
from streamchar_ref.world.clips import make_clip
from streamchar_ref.world.flat import motion as flat
from streamchar_ref.world.flat.character import draw_character
from streamchar_ref.world.flat.motion import MAX_GAP, PHONE_SHAPES, SHAPES, move
from streamchar_ref.world.flat.render import portrait, render
from streamchar_ref.world.motion import Motion, still
from streamchar_ref.world.scene import draw_scene
from streamchar_ref.world.speech import SILENCE, TimedPhoneme
from streamchar_ref.world.styles import STYLES
from streamchar_ref.world.tables import TABLES
from streamchar_ref.world.voices import VOICES

GAP, WIDTH, ROUNDING, TUCK, TONGUE = range(5)


def said(*phones: str, each_s: float = 0.1, t0_s: float = 0.0) -> list[TimedPhoneme]:
    edges = t0_s + np.arange(len(phones) + 1) * each_s
    return [
        TimedPhoneme(phone=phone, t0_s=t0, t1_s=t1, word_index=-1 if phone == SILENCE else 0)
        for phone, t0, t1 in zip(phones, edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]


def shaped(name: str, **others: float) -> Motion:
    gap, width, rounding, tuck, tongue = SHAPES[name]
    values = {"gap": gap * MAX_GAP, "width": width, "rounding": rounding, "tuck": tuck}
    values |= {"tongue": tongue} | others
    return replace(still(), **{name: np.array([v], np.float32) for name, v in values.items()})


def middle_gap(phone: str, seed: int = 0) -> float:
    return float(move(said(SILENCE, phone, SILENCE), num_frames=30, fps=100, seed=seed).gap[14])


def test_every_phone_has_a_shape_within_bounds_and_there_are_ten_shapes() -> None:
    assert set(PHONE_SHAPES) == set(TABLES["symbols"]) | {SILENCE}
    assert {shape for shapes in PHONE_SHAPES.values() for shape in shapes} == set(SHAPES)
    assert len(SHAPES) == 10
    for phone in TABLES["symbols"]:
        motion = move(said(SILENCE, phone, SILENCE), num_frames=8)
        assert np.all((motion.gap >= 0) & (motion.gap <= MAX_GAP))
        assert np.all(np.abs(motion.width) <= 1)


@pytest.mark.parametrize("phone", ["P", "B", "M"])
@pytest.mark.parametrize("offset_s", [0.0, 0.013, 0.027])
@pytest.mark.parametrize("seed", range(4))
def test_lips_touch_for_p_b_and_m_at_25_fps(phone: str, offset_s: float, seed: int) -> None:
    phonemes = said(SILENCE, "AA", phone, "AA", SILENCE, each_s=0.08, t0_s=offset_s)
    inside = move(phonemes, num_frames=11, seed=seed).gap[3:8]
    assert inside.min() == pytest.approx(0, abs=1e-6)
    assert inside.max() > 0.3 * MAX_GAP


@pytest.mark.parametrize("seed", range(6))
def test_gap_follows_the_openness_of_vowels(seed: int) -> None:
    gaps = {phone: middle_gap(phone, seed) for phone in ("AA", "EH", "IY", "UW", "M")}
    assert gaps["AA"] > gaps["EH"] > gaps["UW"] > gaps["M"] == pytest.approx(0)
    vowels = ["AA", "AE", "AH", "AO", "EH", "ER", "IH", "IY", "UH", "UW"]
    openness = [painted._TARGETS[phone][0][GAP] for phone in vowels]
    assert np.corrcoef(openness, [middle_gap(phone, seed) for phone in vowels])[0, 1] > 0.7


def test_the_styles_share_no_mouth_shapes() -> None:
    """Where lips touch or rest there is one way to do it; no other shape has the same numbers."""
    shut = {*VISEMES_SHUT}
    for phone, targets in painted._TARGETS.items():
        if phone in shut:
            continue
        own = [SHAPES[shape] for shape in PHONE_SHAPES[phone]]
        assert not set(own) & set(targets)
        assert abs(own[0][GAP] * MAX_GAP - targets[0][GAP] * painted.MAX_GAP) > 1e-4
    assert len(set(PHONE_SHAPES.values())) < len(set(painted._TARGETS.values()))


VISEMES_SHUT = (SILENCE, "P", "B", "M")


def test_the_two_styles_move_differently_and_together() -> None:
    phonemes = said(
        "HH", "AH", "L", "OW", SILENCE, "M", "AY", "F", "R", "EH", "N", "D", each_s=0.09
    )
    own, other = (style.move(phonemes, num_frames=27, seed=1) for style in STYLES.values())
    assert np.abs(own.gap - other.gap).max() > 0.1 * MAX_GAP
    assert np.corrcoef(own.gap, other.gap)[0, 1] > 0.5


def test_a_take_is_fixed_by_its_seed_and_differs_from_others() -> None:
    phonemes = said("HH", "AH", "L", "OW")
    first, again, other = (move(phonemes, num_frames=50, seed=seed) for seed in (1, 1, 2))
    for name in ("gap", "yaw", "blink"):
        same, new = getattr(first, name).tobytes(), getattr(other, name).tobytes()
        assert getattr(again, name).tobytes() == same != new


def test_silence_has_closed_lips_and_a_living_face() -> None:
    motion = move([], num_frames=400, seed=3)
    assert motion.gap.max() == 0
    assert motion.blink.max() > 0.7
    for moving in (motion.yaw, motion.pitch, motion.roll, motion.gaze, motion.breath):
        assert moving.std() > 0.001
    assert len(move(said("AA"), num_frames=0)) == 0


@pytest.mark.parametrize("seed", range(24))
def test_every_shape_is_drawn_in_full(seed: int) -> None:
    """No part of the picture is missing, and the shapes of the open mouth differ."""
    character = draw_character(seed)
    pictures = [render(character, shaped(name), size=64)[0].astype(int) for name in SHAPES]
    assert all((picture == 0).all(axis=-1).mean() < 0.2 for picture in pictures)
    rest, wide = pictures[0], pictures[1]
    changed = np.abs(rest - wide).max(axis=-1) > 8
    assert 0.002 < changed.mean() < 0.12


@pytest.mark.parametrize("seed", range(24))
def test_shut_lips_look_like_lips_that_hardly_part(seed: int) -> None:
    character = draw_character(seed)
    shut, near = (render(character, shaped("rest", gap=g), size=64).astype(int) for g in (0, 1e-4))
    assert np.abs(shut - near).max() <= 8


@pytest.mark.parametrize("seed", range(0, 24, 3))
def test_the_mouth_changes_more_the_wider_it_opens(seed: int) -> None:
    character = draw_character(seed)
    levels = np.linspace(0, MAX_GAP, 5).tolist()
    mouths = [render(character, shaped("rest", gap=g), size=96)[0].astype(float) for g in levels]
    changes = [np.abs(mouth - mouths[0]).sum() for mouth in mouths]
    assert all(np.diff(changes) > 0)


def test_frames_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(6):
        character, motion = draw_character(seed), move(said("AA", "M", "L"), num_frames=5, seed=1)
        scene = draw_scene(seed)
        monkeypatch.setattr(drawing, "BATCH_PIXELS", 2**18)
        whole = render(character, motion, size=48, scene=scene)
        monkeypatch.setattr(drawing, "BATCH_PIXELS", 2 * 48**2)
        assert whole.tobytes() == render(character, motion, size=48, scene=scene).tobytes()
        single = [render(character, motion[i : i + 1], size=48, scene=scene) for i in range(5)]
        assert whole.tobytes() == np.concatenate(single).tobytes()
        assert portrait(character, size=48).tobytes() == portrait(character, size=48).tobytes()


def test_no_frames_give_an_empty_array() -> None:
    assert render(draw_character(0), still(0), size=32).shape == (0, 32, 32, 3)


def test_characters_look_different() -> None:
    pictures = [
        render(draw_character(seed), still(), size=48)[0].astype(float) for seed in range(12)
    ]
    for index, first in enumerate(pictures):
        for second in pictures[index + 1 :]:
            assert np.abs(first - second).mean() > 12


@pytest.mark.parametrize("name", STYLES)
def test_every_style_draws_moves_and_has_voices(name: str) -> None:
    style = STYLES[name]
    character = style.draw_character(7)
    motion = style.move(said("HH", "AY"), num_frames=5, fps=25.0, seed=2)
    frames = np.concatenate(list(style.render_batches(character, motion, size=32)))
    assert style.name == name
    assert frames.shape == (5, 32, 32, 3)
    assert style.portrait(character, size=32, seed=1).shape == (32, 32, 3)
    assert character.caption.endswith(".")
    assert style.voices
    assert set(style.voices) <= set(VOICES)


def test_styles_share_no_voice() -> None:
    assert not set(STYLES["painted"].voices) & set(STYLES["flat"].voices)
    assert flat.move is not painted.move


def test_face_mesh_finds_most_faces() -> None:
    found = []
    for seed in range(10):
        extractor = EXTRACTORS["face"].make()
        extractor.update(render(draw_character(seed), shaped("etc"), size=256), {})
        found.append(bool(extractor.finish()["has_mesh"][0]))
    assert np.mean(found) >= 0.8


@pytest.mark.parametrize(("seed", "at_least"), [(1, 0.5), (5, 0.5)])
def test_face_mesh_follows_the_true_lip_gap(seed: int, at_least: float) -> None:
    clip = make_clip("My brother would move the box.", identity=seed, seed=seed, style="flat")
    extractor = EXTRACTORS["face"].make()
    for frames in clip.frames(size=256):
        extractor.update(frames, {})
    face = extractor.finish()
    seen = face["has_mesh"]
    assert seen.mean() > 0.8
    assert np.corrcoef(face["lip_aperture"][seen], clip.motion.gap[seen])[0, 1] > at_least
