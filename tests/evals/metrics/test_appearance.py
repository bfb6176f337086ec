from pathlib import Path

import cv2
import numpy as np
import pytest

from evals.extractors.appearance import FIELDS, AppearanceExtractor
from evals.metrics.appearance import APPEARANCE, longest_run
from evals.protocols.base import MetricContext, Score, Unscored
from streamchar_ref.media import decode, encode
from tests.evals.real_clips import TALKING_HEAD, clip_frames, recording

COLOUR, EXPOSURE, SHARPNESS, DYNAMIC = APPEARANCE


def appearance(frames: np.ndarray, *, batch: int = 32) -> dict[str, np.ndarray]:
    extractor = AppearanceExtractor()
    for start in range(0, len(frames), batch):
        extractor.update(frames[start : start + batch], {})
    return extractor.finish()


def measure(metric: object, frames: np.ndarray) -> Score:
    return metric.measure(recording(), {"appearance": appearance(frames)}, MetricContext())


def texture(height: int = 160, width: int = 200, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 255, (height // 4, width // 4, 3), np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def test_lab_matches_the_definition_for_plain_colours() -> None:
    """CIE values of sRGB primaries under D65; tolerance for OpenCV's rounded constants."""
    known = {(255, 255, 255): (100, 0, 0), (255, 0, 0): (53.24, 80.09, 67.20)}
    for rgb, lab in known.items():
        plain = np.full((1, 64, 64, 3), rgb, np.uint8)
        assert appearance(plain)["lab_mean"][0] == pytest.approx(lab, abs=0.1)


def test_features_do_not_depend_on_how_frames_are_batched() -> None:
    frames = np.stack([np.roll(texture(), step, axis=1) for step in range(9)])
    whole, cut = appearance(frames, batch=9), appearance(frames, batch=2)
    assert all(whole[name].tobytes() == cut[name].tobytes() for name in FIELDS)


def test_features_do_not_depend_on_the_number_of_threads() -> None:
    frames = np.stack([np.roll(texture(), step, axis=1) for step in range(5)])
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = appearance(frames)
        cv2.setNumThreads(4)
        four = appearance(frames)
    finally:
        cv2.setNumThreads(before)
    assert all(one[name].tobytes() == four[name].tobytes() for name in FIELDS)


def test_flow_is_a_share_of_the_height() -> None:
    shifted = np.stack([np.roll(texture(256, 256), 4 * step, axis=1) for step in range(4)])
    flow = appearance(shifted)["flow_mean"]
    assert np.isnan(flow[0])
    assert flow[1:] == pytest.approx(np.full(3, 4 / 256), rel=0.1)


def test_a_steady_slide_has_its_speed_as_dynamic_degree() -> None:
    slide = np.stack([np.roll(texture(256, 256), 4 * step, axis=1) for step in range(26)])
    score = measure(DYNAMIC, slide)
    assert score.value == pytest.approx(100 * 4 / 256 * 25, rel=0.1)
    assert score.components["share_of_moving_frames"] == 1


@pytest.mark.parametrize("crf", [18, 28])
def test_an_encoded_frozen_copy_has_no_motion_and_is_all_duplicates(
    tmp_path: Path, crf: int
) -> None:
    frozen = np.repeat(clip_frames(TALKING_HEAD)[60:61], 60, axis=0)
    path = tmp_path / "frozen.mp4"
    encode.write_mp4(path, [frozen], None, fps=25, sample_rate=16_000, crf=crf)
    score = measure(DYNAMIC, np.concatenate(list(decode.frames(path))))
    assert score.value == 0
    assert score.components["share_of_duplicates"] == 1
    assert score.components["longest_freeze_s"] == pytest.approx(59 / 25)
    assert {window.value for window in score.windows} == {0}


def test_a_real_clip_moves_in_every_frame() -> None:
    score = measure(DYNAMIC, clip_frames(TALKING_HEAD))
    assert 2 < score.value < 20
    assert score.components["share_of_moving_frames"] == 1
    assert score.components["share_of_duplicates"] == 0


def test_a_still_video_does_not_drift() -> None:
    still = np.repeat(texture()[None], 20, axis=0)
    for metric in (COLOUR, SHARPNESS, EXPOSURE):
        assert measure(metric, still).value == pytest.approx(0, abs=1e-6)


def test_colour_drift_is_the_distance_of_start_and_end_in_lab() -> None:
    red, blue = np.array([(200, 30, 30), (30, 30, 200)], np.uint8)
    frames = np.array([red] * 10 + [blue] * 10, np.uint8)[:, None, None].repeat(64, 1).repeat(64, 2)
    lab = cv2.cvtColor(np.array([[red, blue]], np.float32) / 255, cv2.COLOR_RGB2Lab)[0]
    assert measure(COLOUR, frames).value == pytest.approx(np.linalg.norm(lab[0] - lab[1]), rel=1e-4)


def test_blurring_and_darkening_are_negative_drifts() -> None:
    sharp = texture(256, 256)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 3)
    assert measure(SHARPNESS, np.stack([sharp] * 5 + [blurred] * 5)).value < -0.5
    dark = np.stack([sharp] * 5 + [sharp // 2] * 5)
    [start], [end] = (measure(EXPOSURE, dark).components[name] for name in ("start", "end"))
    assert measure(EXPOSURE, dark).value == pytest.approx(end - start)
    assert end == pytest.approx(start / 2, abs=0.01)


def test_windows_show_when_the_colour_changed() -> None:
    frames = np.full((150, 64, 64, 3), 100, np.uint8)
    frames[100:] = 140
    values = [window.value for window in measure(COLOUR, frames).windows]
    assert values[:2] == pytest.approx([0, 0], abs=1e-6)
    assert values[2] > 10


def test_one_frame_and_a_plain_picture_are_not_measured() -> None:
    for metric in APPEARANCE:
        with pytest.raises(Unscored, match="fewer than two frames"):
            measure(metric, texture()[None])
    with pytest.raises(Unscored, match="without any detail"):
        measure(SHARPNESS, np.zeros((10, 64, 64, 3), np.uint8))


def test_no_frames_give_empty_features() -> None:
    features = AppearanceExtractor().finish()
    assert features["lab_mean"].shape == (0, 3)
    assert all(len(values) == 0 for values in features.values())


def test_a_video_of_half_a_second_has_one_window() -> None:
    frames = np.stack([np.roll(texture(), step, axis=1) for step in range(12)])
    assert len(measure(DYNAMIC, frames).windows) == 1


@pytest.mark.parametrize(
    ("flags", "length"), [([], 0), ([0, 0], 0), ([1], 1), ([1, 0, 1, 1], 2), ([1, 1, 1, 0, 1], 3)]
)
def test_longest_run(flags: list[int], length: int) -> None:
    assert longest_run(np.array(flags, bool)) == length
