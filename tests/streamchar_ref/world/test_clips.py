import inspect
from typing import Any

import numpy as np
import pytest

from streamchar_ref.world.character import draw_character
from streamchar_ref.world.clips import HIGH_VOICE, make_clip, own_voice
from streamchar_ref.world.scene import NEUTRAL
from streamchar_ref.world.speech import SILENCE
from streamchar_ref.world.styles import STYLES
from streamchar_ref.world.visemes import GROUPS, VISEMES
from streamchar_ref.world.voices import VOICES

TEXT = "Please leave a lamp in the window."


@pytest.mark.parametrize("fps", [25, 50, 20])
def test_sound_and_picture_are_equally_long(fps: int) -> None:
    clip = make_clip(TEXT, identity=2, fps=fps)
    assert len(clip.samples) == clip.num_frames * clip.frame_samples
    assert clip.phonemes[-1].t1_s == pytest.approx(len(clip.samples) / 16_000)
    assert clip.frame_samples == 16_000 // fps


def test_at_24_fps_edges_are_rounded_down_and_whole_samples_refused() -> None:
    clip = make_clip(TEXT, identity=2, fps=24)
    edges = clip.frame_edges
    assert edges[1:4].tolist() == [666, 1333, 2000]
    assert len(clip.samples) == edges[-1] == clip.num_frames * 16_000 // 24
    with pytest.raises(ValueError, match="24 fps"):
        assert clip.frame_samples


def test_bad_style_and_frame_rate_are_named() -> None:
    with pytest.raises(ValueError, match="unknown style 'oil'"):
        make_clip(TEXT, identity=2, style="oil")
    with pytest.raises(ValueError, match="fps must be a whole number of at least 1, got 0"):
        make_clip(TEXT, identity=2, fps=0)


def test_negative_and_broken_numbers_are_named() -> None:
    with pytest.raises(ValueError, match="identity must be a whole number of at least 0, got -1"):
        make_clip(TEXT, identity=-1)
    with pytest.raises(ValueError, match=r"seed must be .* got -3"):
        make_clip(TEXT, identity=2, seed=-3)
    unchecked: Any = inspect.unwrap(make_clip)  # as for users, whose calls nobody checks
    with pytest.raises(ValueError, match=r"fps must be a whole number .* got 23\.976"):
        unchecked(TEXT, identity=2, fps=23.976)
    for style in STYLES.values():
        with pytest.raises(ValueError, match=r"seed must be .* got -1"):
            style.draw_character(-1)


def test_frames_come_in_pieces_that_make_the_whole() -> None:
    clip = make_clip(TEXT, identity=2)
    pieces = list(clip.frames(size=32, chunk_frames=20))
    assert [len(piece) for piece in pieces[:-1]] == [20] * (len(pieces) - 1)
    whole = np.concatenate(list(clip.frames(size=32, chunk_frames=1000)))
    assert np.concatenate(pieces).tobytes() == whole.tobytes()
    assert len(whole) == clip.num_frames


def test_phonemes_spoken_rise_to_all_of_them() -> None:
    clip = make_clip(TEXT, identity=2)
    spoken = clip.phonemes_spoken
    assert len(spoken) == clip.num_frames
    assert spoken[0] == 0
    assert np.all(np.diff(spoken) >= 0)
    assert spoken[-1] == sum(p.phone != SILENCE for p in clip.phonemes)


def test_the_mouth_is_open_in_speech_and_closed_around_it() -> None:
    clip = make_clip(TEXT, identity=2, tail_frames=10)
    first, last = (round(t * 25) for t in (clip.words[0].t0_s, clip.words[-1].t1_s))
    assert clip.motion.gap[first:last].mean() > 8 * clip.motion.gap[-12:].mean()


def test_words_and_characters_rise_to_all_of_them() -> None:
    clip = make_clip(TEXT, identity=2)
    for spoken, total in (
        (clip.words_spoken, len(clip.words)),
        (clip.characters_spoken, len(clip.spoken_text)),
    ):
        assert len(spoken) == clip.num_frames
        assert np.all(np.diff(spoken) >= 0)
        assert (spoken[0], spoken[-1]) == (0, total)


def test_visemes_name_the_sound_in_the_middle_of_a_frame() -> None:
    clip = make_clip(TEXT, identity=2)
    for frame in range(0, clip.num_frames, 7):
        now = (frame + 0.5) / clip.fps
        phone = next(p.phone for p in clip.phonemes if p.t0_s <= now < p.t1_s)
        assert phone in GROUPS[VISEMES[clip.visemes[frame]]]


def test_voice_and_scene_are_the_identitys_own_unless_given() -> None:
    clip = make_clip(TEXT, identity=2)
    assert clip.voice == own_voice(2) == make_clip(TEXT, identity=2, seed=1).voice
    assert len({own_voice(identity) for identity in range(200)}) == len(STYLES["painted"].voices)
    assert clip.scene != make_clip(TEXT, identity=2, seed=1).scene
    assert make_clip(TEXT, identity=2, scene=NEUTRAL).scene == NEUTRAL


def test_a_window_is_cut_from_the_whole() -> None:
    clip = make_clip(TEXT, identity=2)
    whole = np.concatenate(list(clip.frames(size=32)))
    assert clip.window(5, 8, size=32).tobytes() == whole[5:13].tobytes()


def test_the_caption_is_that_of_the_character() -> None:
    assert make_clip(TEXT, identity=2).caption == draw_character(2).caption


def test_own_voices_fit_who_is_told_of() -> None:
    for identity in range(60):
        told = draw_character(identity).caption.split()
        voice = VOICES[own_voice(identity)]
        if "woman" in told:
            assert voice.pitch * voice.formant >= HIGH_VOICE
        elif "man" in told:
            assert voice.pitch * voice.formant < HIGH_VOICE
