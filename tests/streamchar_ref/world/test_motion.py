import numpy as np
import pytest

from streamchar_ref.world.lexicon import VOWELS
from streamchar_ref.world.motion import MAX_GAP, Motion, move, still
from streamchar_ref.world.speech import SILENCE, TimedPhoneme
from streamchar_ref.world.tables import TABLES


def said(*phones: str, each_s: float = 0.1) -> list[TimedPhoneme]:
    edges = np.arange(len(phones) + 1) * each_s
    return [
        TimedPhoneme(phone=phone, t0_s=t0, t1_s=t1, word_index=-1 if phone == SILENCE else 0)
        for phone, t0, t1 in zip(phones, edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]


def lips(*phones: str, each_s: float = 0.1, fps: float = 100) -> Motion:
    phonemes = said(*phones, each_s=each_s)
    return move(phonemes, num_frames=round(len(phones) * each_s * fps), fps=fps)


def middle(values: np.ndarray, index: int, each: int = 10) -> float:
    return float(values[index * each + each // 2])


@pytest.mark.parametrize("phone", TABLES["symbols"])
def test_every_phone_has_a_mouth_shape_within_bounds(phone: str) -> None:
    motion = lips(SILENCE, phone, SILENCE)
    assert np.all((motion.gap >= 0) & (motion.gap <= MAX_GAP))
    assert np.all(np.abs(motion.width) <= 1)


@pytest.mark.parametrize("phone", ["P", "B", "M"])
@pytest.mark.parametrize("offset_s", [0.0, 0.013, 0.027])
def test_lips_touch_for_p_b_and_m_at_25_fps(phone: str, offset_s: float) -> None:
    phonemes = said(SILENCE, "AA", phone, "AA", SILENCE, each_s=0.08)
    moved = [
        TimedPhoneme(
            phone=p.phone, t0_s=p.t0_s + offset_s, t1_s=p.t1_s + offset_s, word_index=p.word_index
        )
        for p in phonemes
    ]
    motion = move(moved, num_frames=11)
    inside = motion.gap[3:8]
    assert inside.min() == pytest.approx(0, abs=1e-6)
    assert inside.max() > 0.3 * MAX_GAP


def test_open_vowels_are_more_open_than_close_ones_and_consonants() -> None:
    gaps = {phone: middle(lips(SILENCE, phone, SILENCE).gap, 1) for phone in TABLES["symbols"]}
    assert gaps["AA"] > gaps["EH"] > gaps["IY"] > gaps["UW"] > gaps["M"] == pytest.approx(0)
    consonants = [gap for phone, gap in gaps.items() if phone not in VOWELS]
    assert max(consonants) < gaps["AH"]


def test_the_lower_lip_meets_the_teeth_for_f_and_v_alone() -> None:
    assert middle(lips(SILENCE, "AA", "F", "AA").tuck, 2) > 0.8
    assert lips(SILENCE, "AA", "S", "AA").tuck.max() < 0.01


def test_rounding_is_anticipated() -> None:
    plain, round_after = lips("AA", "S", "IY").rounding, lips("AA", "S", "UW").rounding
    assert middle(round_after, 1) > middle(plain, 1) + 0.1
    after, before = lips("UW", "S", "AA").rounding, lips("AA", "S", "UW").rounding
    assert middle(before, 1) > middle(after, 1)


def test_glides_move_from_one_shape_to_the_other() -> None:
    gap = lips("HH", "AY", "D", each_s=0.2).gap
    assert gap[20:30].max() > 1.4 * gap[38]


def test_short_silences_inside_speech_do_not_close_the_mouth() -> None:
    phonemes = [
        TimedPhoneme(phone="AA", t0_s=0.0, t1_s=0.3, word_index=0),
        TimedPhoneme(phone=SILENCE, t0_s=0.3, t1_s=0.35, word_index=-1),
        TimedPhoneme(phone="AA", t0_s=0.35, t1_s=0.6, word_index=1),
    ]
    assert move(phonemes, num_frames=15).gap.min() > 0.9 * MAX_GAP


def test_silence_has_closed_lips_and_a_living_face() -> None:
    motion = move([], num_frames=250, seed=3)
    assert motion.gap.max() == 0
    assert motion.blink.max() > 0.9
    for moving in (motion.yaw, motion.pitch, motion.roll, motion.gaze, motion.breath):
        assert moving.std() > 0.001


def test_movement_has_no_jumps() -> None:
    motion = move([], num_frames=2500, fps=100, seed=1)
    for name in ("yaw", "pitch", "roll", "gaze", "brows", "blink"):
        assert np.abs(np.diff(getattr(motion, name))).max() < 0.3


def test_the_same_seed_gives_the_same_movement() -> None:
    phonemes = said("HH", "AH", "L", "OW")
    first, again, other = (move(phonemes, num_frames=50, seed=seed) for seed in (1, 1, 2))
    assert first.yaw.tobytes() == again.yaw.tobytes() != other.yaw.tobytes()
    assert first.gap.tobytes() == other.gap.tobytes()


def test_blocks_of_a_long_movement_meet_without_a_seam() -> None:
    phonemes = said(*(["AA", "M", "IY", "S"] * 60), each_s=0.09)
    motion = move(phonemes, num_frames=520)
    late = move(phonemes, num_frames=260)
    np.testing.assert_allclose(motion.gap[:260], late.gap, atol=1e-4)


def test_no_frames_and_one_frame() -> None:
    assert len(move(said("AA"), num_frames=0)) == 0
    assert len(move([], num_frames=1)) == 1
    assert still().gap.tolist() == [0.0]
