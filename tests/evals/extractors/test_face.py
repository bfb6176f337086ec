from pathlib import Path

import cv2
import numpy as np
import pytest

from evals.extractors.face import (
    FIELDS,
    LANDMARKS,
    LIPS_INNER,
    TABLE,
    FaceExtractor,
    landmark_columns,
)
from evals.extractors.face_detector import FaceDetector, anchor_centres, overlap
from evals.extractors.face_mesh import Mesh, Region
from evals.extractors.face_tracker import search_squares
from evals.features.canonical import source_scale
from streamchar_ref.media.encode import write_lossless
from tests.evals.real_clips import (
    GRID,
    HALF_BODY,
    HEAD,
    TALKING_HEAD,
    clip_face,
    clip_frames,
    face_features,
    recording,
)


def test_there_is_an_anchor_for_each_output_of_the_detector() -> None:
    anchors = anchor_centres()
    assert anchors.shape == (16 * 16 * 2 + 8 * 8 * 6, 2)
    assert anchors[0] == pytest.approx((1 / 32, 1 / 32))
    assert anchors[-1] == pytest.approx((15 / 16, 15 / 16))


def test_overlap_is_shared_area_over_joint_area() -> None:
    boxes = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]], np.float32)
    assert overlap(boxes[0], boxes) == pytest.approx([1, 1 / 3, 0])


@pytest.mark.parametrize("angle", [0.0, 0.4, -1.2])
def test_region_maps_its_middle_to_its_centre_and_its_edge_to_half_its_side(angle: float) -> None:
    to_frame = Region(centre=(30.0, 50.0), side=20.0, angle=angle).to_frame()
    assert to_frame @ (96, 96, 1) == pytest.approx((30, 50))
    right = (30 + 10 * np.cos(angle), 50 + 10 * np.sin(angle))
    assert to_frame @ (192, 96, 1) == pytest.approx(right)


@pytest.mark.parametrize("angle", [0.0, 0.5, np.pi / 2])
def test_aperture_and_mouth_width_do_not_change_when_the_head_is_tilted(angle: float) -> None:
    points = np.zeros((468, 3))
    points[[10, 152, 13, 14, 61, 291]] = [
        (0, 0, 0), (0, 100, 0), (0, 70, 0), (0, 80, 0), (-20, 75, 0), (20, 75, 0),
    ]  # fmt: skip
    turn = np.array([(np.cos(angle), -np.sin(angle), 0), (np.sin(angle), np.cos(angle), 0)])
    points[:, :2] = points @ turn.T
    mesh = Mesh(score=1.0, points=points.astype(np.float32))
    assert mesh.aperture == pytest.approx(0.1, abs=1e-6)
    assert mesh.mouth_width == pytest.approx(0.4, abs=1e-6)


def test_kept_landmarks_are_all_different_and_can_be_found_by_name() -> None:
    assert len(set(LANDMARKS)) == len(LANDMARKS)
    assert [LANDMARKS[column] for column in landmark_columns(LIPS_INNER)] == list(LIPS_INNER)


@pytest.mark.parametrize(("height", "width"), [(256, 256), (1920, 1080), (300, 1000)])
def test_search_squares_cover_the_frame_and_stay_inside(height: int, width: int) -> None:
    covered = np.zeros((height, width), bool)
    for left, top, side in search_squares(height, width):
        assert 0 <= left <= width - side
        assert 0 <= top <= height - side
        covered[round(top) : round(top + side), round(left) : round(left + side)] = True
    assert covered.all()


def test_a_picture_without_a_face_has_rows_without_a_mesh() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (12, 160, 120, 3), np.uint8)
    features = face_features(noise)
    assert not features["has_mesh"].any()
    assert features["num_faces"].tolist() == [0] * 12
    assert np.isnan(features["lip_aperture"]).all()
    assert features["landmarks"].shape == (12, len(LANDMARKS), 2)


def test_no_frames_give_empty_features() -> None:
    features = FaceExtractor().finish()
    assert set(features) == {*FIELDS, *TABLE}
    assert features["landmarks"].shape == (0, len(LANDMARKS), 2)
    assert all(len(values) == 0 for values in features.values())


def test_the_talking_head_has_one_face_in_every_frame() -> None:
    features = clip_face(TALKING_HEAD)
    assert features["has_mesh"].all()
    assert set(features["num_faces"]) == {1}
    assert features["score"].min() > 0.99
    assert 0.01 < features["lip_aperture"].std() < 0.05


def test_features_do_not_depend_on_how_frames_are_batched() -> None:
    frames = clip_frames(TALKING_HEAD)[:20]
    whole, cut = face_features(frames, batch=20), face_features(frames, batch=3)
    assert all(whole[name].tobytes() == cut[name].tobytes() for name in FIELDS)
    two = beside(frames, frames)
    whole, cut = face_features(two, batch=20), face_features(two, batch=3)
    assert all(whole[name].tobytes() == cut[name].tobytes() for name in FIELDS + TABLE)


def test_later_frames_do_not_change_earlier_features() -> None:
    frames = clip_frames(TALKING_HEAD)[:20]
    whole, start = face_features(frames), face_features(frames[:11])
    assert all(whole[name][:11].tobytes() == start[name].tobytes() for name in FIELDS)


def test_a_small_face_in_a_tall_frame_is_found_in_nearly_every_frame() -> None:
    features = clip_face(HALF_BODY, num=75)
    assert features["has_mesh"].mean() >= 0.95
    heights = (features["box"][:, 3] - features["box"][:, 1]) / 1920
    assert np.nanmax(heights) < 0.2


def test_a_face_too_small_for_the_whole_frame_is_found_in_its_parts() -> None:
    frame = np.full((1600, 1600, 3), 128, np.uint8)
    frame[1100:1228, 300:428] = clip_frames(TALKING_HEAD)[0, ::4, ::4]
    assert len(FaceDetector().detect(frame)) == 0
    features = face_features(np.stack([frame] * 2))
    assert features["has_mesh"].all()
    assert features["landmarks"][:, :, 1].min() > 1100
    assert features["landmarks"][:, :, 0].max() < 428


def test_of_two_faces_the_larger_is_followed_and_both_are_counted() -> None:
    large = clip_frames(TALKING_HEAD)[:10]
    small = np.full_like(large, 90)
    small[:, 128:384, 128:384] = large[:, ::2, ::2]
    features = face_features(np.concatenate([small, large], axis=2))
    assert set(features["num_faces"]) == {2}
    assert features["landmarks"][:, :, 0].min() > 512


def tile(name: str, side: int, *, num: int = 15) -> np.ndarray:
    """Squares of the middle of a clip, with the face in them."""
    frames = clip_frames(name, num=num)
    height, width = frames.shape[1:3]
    if name == HALF_BODY:  # 1080 x 1920: the head is in the upper half
        frames = frames[:, 200:1280]
    elif width > height:
        frames = frames[:, :, (width - height) // 2 : (width + height) // 2]
    method = cv2.INTER_AREA if side < frames.shape[1] else cv2.INTER_LINEAR
    return np.stack([cv2.resize(frame, (side, side), interpolation=method) for frame in frames])


def beside(*pictures: np.ndarray) -> np.ndarray:
    return np.concatenate(pictures, axis=2)


def on_grey(picture: np.ndarray, *, side: int) -> np.ndarray:
    """The picture in the middle of a grey square."""
    there = np.full((len(picture), side, side, 3), 90, np.uint8)
    start = (side - picture.shape[1]) // 2
    there[:, start : start + picture.shape[1], start : start + picture.shape[1]] = picture
    return there


@pytest.mark.parametrize("side", [220, 100])
def test_four_faces_are_counted_and_followed_in_every_frame(side: int) -> None:
    """Too small for the picture as a whole: it shows one of them or none."""
    names = (TALKING_HEAD, GRID, HEAD, TALKING_HEAD)
    frames = np.full((15, 512, 896, 3), 100, np.uint8)
    for column, name in enumerate(names):
        left = 224 * column
        frames[:, 180 : 180 + side, left : left + side] = tile(name, side)
    features = face_features(frames)
    assert set(features["num_faces"]) == {4}
    assert np.bincount(features["all_track"]).tolist() == [15] * 4
    for track in range(4):
        box = features["all_box"][features["all_track"] == track]
        assert np.ptp(box[:, 0] // 224) == 0  # each stays in its column


def test_a_small_face_beside_a_large_one_is_counted_from_the_first_frame() -> None:
    small = on_grey(tile(HEAD, 110), side=512)
    assert set(face_features(beside(tile(TALKING_HEAD, 512), small))["num_faces"]) == {2}


def test_a_small_face_that_comes_and_goes_is_counted_within_a_second() -> None:
    large = tile(TALKING_HEAD, 512, num=75)
    small = on_grey(tile(HEAD, 110, num=75), side=512)
    small[:10], small[50:] = 90, 90
    num_faces = face_features(beside(large, small))["num_faces"]
    assert set(num_faces[:10]) == {1}
    assert set(num_faces[35:50]) == {2}
    assert set(num_faces[55:]) == {1}


def test_a_picture_with_one_face_has_one_however_often_its_parts_are_searched() -> None:
    for name in (TALKING_HEAD, HALF_BODY, HEAD, GRID):
        features = clip_face(name, num=75)
        assert set(features["num_faces"]) == {1}
        assert len(features["all_frame"]) == 0


def test_at_a_cut_each_face_begins_a_new_track() -> None:
    one, other = tile(TALKING_HEAD, 256, num=8), tile(HEAD, 256, num=8)
    features = face_features(np.concatenate([beside(one, other), beside(other, one)]))
    assert set(features["num_faces"]) == {2}
    before = set(features["all_track"][features["all_frame"] < 8])
    after = set(features["all_track"][features["all_frame"] >= 8])
    assert len(before) == 2
    assert not before & after


def test_no_track_changes_over_to_another_face_when_two_cross() -> None:
    one, other = tile(TALKING_HEAD, 200, num=25), tile(HEAD, 200, num=25)
    frames = np.full((25, 256, 768, 3), 90, np.uint8)
    for index in range(25):
        left, right = 30 + 20 * index, 530 - 20 * index
        frames[index, 20:220, right : right + 200] = other[index]
        frames[index, 20:220, left : left + 200] = one[index]
    features = face_features(frames)
    assert features["num_faces"][[0, 24]].tolist() == [2, 2]
    for track in np.unique(features["all_track"]):
        rows = features["all_track"] == track
        path = features["all_box"][rows, 0]
        assert len(path) == 1 or (np.diff(path) > 0).all() or (np.diff(path) < 0).all()


def test_size_is_told_in_pixels_of_the_file_before_it_was_scaled_up() -> None:
    frames = clip_frames(TALKING_HEAD)[:1]
    whole = FaceExtractor().update(frames, {})["face_px"]
    scaled = FaceExtractor().update(frames, {"source": {"scale": np.array(0.25)}})["face_px"]
    assert scaled == pytest.approx(whole / 4)


def test_scale_of_the_source_counts_what_the_canonical_encode_adds(tmp_path: Path) -> None:
    for side, scale in ((64, 64 / 512), (512, 1.0), (640, 1.0)):
        path = tmp_path / f"{side}.mkv"
        write_lossless(path, [np.zeros((2, side, side + 64, 3), np.uint8)], fps=25)
        clip = recording(video_path=path)
        assert source_scale(clip, native=False) == pytest.approx(scale)
        assert source_scale(clip, native=True) == 1.0


def test_a_new_face_is_found_in_the_frame_of_the_cut() -> None:
    head = clip_frames(TALKING_HEAD)[:3]
    there = np.zeros((9, 512, 1024, 3), np.uint8)
    there[:3, :, :512], there[6:, :, 512:] = head, head
    features = face_features(there)
    assert features["has_mesh"].tolist() == [True] * 3 + [False] * 3 + [True] * 3
    assert features["landmarks"][6:, :, 0].min() > 512


def test_one_frame_is_seen_as_in_a_video() -> None:
    frames = clip_frames(TALKING_HEAD)
    alone = face_features(frames[10:11])["landmarks"][0]
    within = clip_face(TALKING_HEAD)["landmarks"][10]
    face_height = np.ptp(within[:, 1])
    assert np.abs(alone - within).mean() / face_height < 0.01
