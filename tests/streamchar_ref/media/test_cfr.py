"""Frames that FFmpeg shows with ``-r 25``, against what FFmpeg 9.0.2 wrote for numbered frames."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from streamchar_ref.media.cfr import ConstantRate
from streamchar_ref.media.decode import frames
from streamchar_ref.media.encode import write_mp4

BY_FFMPEG = {
    24: [*range(12), 11, 12, 13, 14],
    25: list(range(16)),
    30: [*range(12), 13, 14, 15, 16],
    50: [0, 1, 2, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27],
    60: [0, 1, 2, 4, 6, 9, 11, 14, 16, 18, 21, 23, 26, 28, 30, 33],
    15: [0, 0, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6, 7, 8, 8, 9],
}
"""``ffmpeg -i FILE -qscale:v 2 -async 1 -r 25 video.avi``: the input frame that each of the first
16 output frames shows."""


def shown(fps: int, count: int) -> list[int]:
    clock, found = ConstantRate(rate=Fraction(25)), list[int]()
    for frame in range(count):
        before, own = clock.repeats(Fraction(frame, fps), Fraction(1, fps))
        found += [frame - 1] * before + [frame] * own
    return found


@pytest.mark.parametrize("fps", BY_FFMPEG)
def test_frames_are_those_of_the_program(fps: int) -> None:
    assert shown(fps, 40)[:16] == BY_FFMPEG[fps]


def test_a_faster_video_is_late_by_one_and_a_half_frames() -> None:
    found = shown(30, 100)
    assert len(found) == 85
    late = [index - frame * 25 / 30 for index, frame in enumerate(found)]
    assert np.mean(late[20:]) == pytest.approx(1.5, abs=0.01)


def test_a_gap_is_filled_with_the_frame_before() -> None:
    clock = ConstantRate(rate=Fraction(25))
    clock.repeats(Fraction(0), Fraction(1, 25))
    assert clock.repeats(Fraction(5, 25), Fraction(1, 25)) == (3, 2)
    assert clock.done == 6


def test_a_file_is_decoded_by_that_rule(tmp_path: Path) -> None:
    levels = np.arange(20, 20 + 5 * 24, 5, dtype=np.uint8)
    pictures = np.broadcast_to(levels[:, None, None, None], (24, 32, 32, 3))
    path = tmp_path / "a.mp4"
    write_mp4(path, [np.ascontiguousarray(pictures)], None, fps=30, sample_rate=16_000)
    batches = list(frames(path, fps=25, rule="ffmpeg -r"))
    found = np.concatenate(batches)[:, 16, 16].mean(axis=1)
    expected = levels[shown(30, 24)].astype(float)
    assert len(found) == len(expected)
    np.testing.assert_allclose(found, expected, atol=2.4)
    with pytest.raises(ValueError, match="needs a rate"):
        next(frames(path, rule="ffmpeg -r"))
