import numpy as np
import pytest

from streamchar_ref.world.clips import make_clip
from streamchar_ref.world.speech import SILENCE

TEXT = "Please leave a lamp in the window."


@pytest.mark.parametrize("fps", [25, 50, 20])
def test_sound_and_picture_are_equally_long(fps: int) -> None:
    clip = make_clip(TEXT, identity=2, fps=fps)
    assert len(clip.samples) == clip.num_frames * clip.frame_samples
    assert clip.phonemes[-1].t1_s == pytest.approx(len(clip.samples) / 16_000)
    assert clip.frame_samples == 16_000 // fps


def test_a_frame_rate_without_whole_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="24 fps"):
        make_clip(TEXT, identity=2, fps=24)


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


def test_the_caption_is_that_of_the_character() -> None:
    assert make_clip(TEXT, identity=2).caption.startswith("A friendly person with ")
