"""The published crops: S3FD, cuts, tracks, re-encode; what several tracks become."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from evals.extractors import EXTRACTORS, syncnet_s3fd
from evals.extractors.face_crop import TrackRule
from evals.extractors.networks.door import WrongConvention, require_range
from evals.extractors.networks.s3fd import S3fd, detect
from evals.extractors.networks.syncnet import SyncNet
from evals.extractors.reencode import reencoded
from evals.extractors.scenes import CutDetector
from evals.extractors.syncnet import embed_sound, mouth_embedder
from evals.extractors.syncnet_s3fd import SyncNetS3fd, detected_tracks
from evals.metrics.sync_protocols import BY_RECIPE
from evals.numerics.syncnet import score_embeddings, shifted_distances
from evals.protocols.base import MetricContext
from streamchar_ref.core.device import VARIABLE
from streamchar_ref.media.encode import write_mp4
from tests.evals.metrics.test_published import embeddings, recording


@pytest.fixture(scope="module")
def detector() -> S3fd:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = S3fd().eval()
    for head in network.conf:
        head.bias.data[-1] += 0.5
    return network


def picture(height: int = 96, width: int = 128) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 9)


def test_the_detector_has_the_official_keys_and_sizes() -> None:
    with torch.device("meta"):
        state = S3fd().state_dict()
    assert state["vgg.31.weight"].shape == (1024, 512, 3, 3)
    assert state["L2Norm3_3.weight"].shape == (256,)
    assert state["extras.3.weight"].shape == (256, 128, 3, 3)
    assert [state[f"conf.{row}.weight"].shape[0] for row in range(6)] == [4, 2, 2, 2, 2, 2]
    # The official file has 89,844,381 bytes: 4 a number, and the rest is keys and framing.
    num_bytes = sum(tensor.numel() * 4 for tensor in state.values())
    assert 0 < 89_844_381 - num_bytes < 30_000


def test_boxes_are_anchors_in_pixels_of_the_frame_where_nothing_is_shifted(
    detector: S3fd,
) -> None:
    for head in detector.loc:
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    boxes = detect(detector, picture(), scale=0.5, min_score=0.0)
    sizes = boxes[:, 2] - boxes[:, 0]
    assert len(boxes) > 1
    np.testing.assert_allclose(sizes, boxes[:, 3] - boxes[:, 1], rtol=1e-5)
    steps = np.log2(sizes / 2)  # four strides at half size
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-4)
    assert len(detect(detector, picture(), scale=0.5, min_score=1.0)) == 0


def test_the_detector_refuses_what_are_not_pixels(detector: S3fd) -> None:
    for wrong in (picture() / np.float32(255), picture().transpose(2, 0, 1)):
        with pytest.raises(WrongConvention, match="S3FD takes"):
            detect(detector, wrong, scale=0.5, min_score=0.5)


def test_pixels_in_the_unit_range_are_told_from_signed_ones() -> None:
    pixels = torch.linspace(0, 1, 50)
    assert require_range(2 * pixels - 1, -1, 1, "a network") is not None
    with pytest.raises(WrongConvention, match="2 x - 1 first"):
        require_range(pixels, -1, 1, "a network")
    with pytest.raises(WrongConvention, match=r"these are in \[0, 255\]"):
        require_range(255 * pixels, -1, 1, "a network")


def test_cuts_are_where_the_picture_changes_and_not_too_near() -> None:
    cuts = CutDetector()
    for level in [10] * 20 + [200] * 5 + [10] * 5 + [120] * 20:
        cuts.push(np.full((8, 8, 3), level, np.uint8))
    assert cuts.scenes() == [(0, 20), (20, 50)]


def test_tracks_end_at_cuts_and_two_faces_have_two() -> None:
    one, other = np.array([0.0, 0, 200, 200]), np.array([300.0, 0, 450, 160])
    faces = [np.array([one, other] if frame % 2 else [one], np.float32) for frame in range(130)]
    rule = TrackRule(min_track_frames=50)
    tracks = detected_tracks(faces, [(0, 110), (110, 130)], rule)
    assert [(track.start_frame, track.stop_frame) for track in tracks] == [(0, 110), (1, 110)]
    assert [track.number for track in tracks] == [0, 1]
    assert tracks[1].box[3].tolist() == other.tolist()
    assert detected_tracks(faces, [(0, 49), (49, 98), (98, 130)], rule) == []


def still(path: Path, num_frames: int = 24) -> Path:
    frames = np.repeat(picture()[None], num_frames, axis=0)
    rows = np.arange(num_frames)
    frames[rows, 40:60, 40:60] = (rows * 6)[:, None, None, None]
    write_mp4(path, [frames], None, fps=25, sample_rate=16_000)
    return path


@pytest.mark.parametrize("encode", ["mpeg4 qscale 2", "h264 crf 23"])
def test_an_encode_keeps_every_frame_in_its_place(tmp_path: Path, encode: str) -> None:
    path = still(tmp_path / "a.mp4")
    coded = np.concatenate(list(reencoded(path, encode)))  # type: ignore[arg-type]
    assert coded.shape == (24, 96, 128, 3)
    levels = coded[:, 45:55, 45:55].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(levels, np.arange(24) * 6, atol=7)


def test_a_file_goes_through_detector_tracks_and_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = SyncNet().eval()
    box = np.array([[10.0, 5, 115, 110]], np.float32)
    monkeypatch.setattr(syncnet_s3fd, "locate", lambda name: tmp_path)
    monkeypatch.setattr(syncnet_s3fd, "load_syncnet", lambda path: network)
    monkeypatch.setattr(syncnet_s3fd, "load_s3fd", lambda path: None)
    monkeypatch.setattr(syncnet_s3fd, "detect", lambda network, frame, **settings: box)
    path = still(tmp_path / "a.mp4", 14)
    samples = np.random.default_rng(0).uniform(-0.3, 0.3, 14 * 640).astype(np.float32)
    found = SyncNetS3fd(encode="mpeg4 qscale 2", min_track_frames=10).extract(path, samples, {})
    assert found["num_windows"].tolist() == [9]
    assert found["start_frame"].tolist() == [0]
    assert np.isfinite(found["distance"]).all()


def test_syncnet_is_placed_on_the_device_and_the_detector_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed: list[str] = []
    monkeypatch.setattr(syncnet_s3fd, "locate", lambda name: tmp_path)
    monkeypatch.setattr(syncnet_s3fd, "load_syncnet", lambda path: "syncnet")
    monkeypatch.setattr(syncnet_s3fd, "load_s3fd", lambda path: "s3fd")
    monkeypatch.setattr(syncnet_s3fd, "placed", placed.append)
    SyncNetS3fd(encode="mpeg4 qscale 2", min_track_frames=10)
    assert placed == ["syncnet"]
    monkeypatch.setenv(VARIABLE, "cuda")
    assert EXTRACTORS["syncnet-s3fd-50"].protocol()["device"] == "cuda"


def test_syncnet_refuses_other_pixels_and_samples() -> None:
    with torch.device("meta"):
        network = SyncNet()
    mouth = mouth_embedder(network, windows_at_once=1)
    *first, last = np.random.default_rng(0).random((5, 224, 224, 3), np.float32)
    for crop in first:
        mouth.push(crop)
    with pytest.raises(WrongConvention, match="SyncNet takes 8-bit pixels"):
        mouth.push(last)
    with pytest.raises(WrongConvention, match="16-bit integers, not of float32"):
        embed_sound(network, np.zeros(16_000, np.float32), 5)


def test_scripts_make_different_numbers_of_the_same_tracks() -> None:
    pairs = [embeddings(0, 120, early=5), embeddings(1, 80, early=-2)]
    distances = [shifted_distances(*pair) for pair in pairs]
    features = {
        "distance": np.concatenate(distances),
        "num_windows": np.array([120, 80]),
    }
    found = {}
    for metric in BY_RECIPE:
        score = metric.score(recording(), {metric.needs[0]: features}, MetricContext())
        found[metric.protocol] = score.value
        assert score.weight == (2 if "joonson" in metric.protocol else 1)
        assert not metric.is_default
    one, two = (score_embeddings(*pair) for pair in pairs)
    mean = (one.sync_c + two.sync_c) / 2
    assert found == pytest.approx({
        "sync_c/joonson-s3fd@1": mean,
        "sync_d/joonson-s3fd@1": (one.sync_d + two.sync_d) / 2,
        "av_offset_frames/joonson-s3fd@1": 1.5,
        "sync_c/latentsync-s3fd@1": mean,
        "av_offset_frames/latentsync-s3fd@1": 1,
        "sync_c/mocha-s3fd@1": max(one.sync_c, two.sync_c),
        "sync_d/mocha-s3fd@1": min(one.sync_d, two.sync_d),
        "av_offset_frames/mocha-s3fd@1": 5 if one.sync_c > two.sync_c else -2,
    })  # fmt: skip


def test_no_track_is_no_number() -> None:
    empty = {"distance": np.zeros((0, 31), np.float32), "num_windows": np.zeros(0, int)}
    score = BY_RECIPE[0].score(recording(), {BY_RECIPE[0].needs[0]: empty}, MetricContext())
    assert np.isnan(score.value)
    assert "S3FD finds no face track" in score.reason
