"""FVD as others take it: clips, pixels, ranges; KVD; FID; sizes; networks that are had by path."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from evals.extractors import EXTRACTORS
from evals.extractors.by_path import own_weights
from evals.extractors.i3d import (
    I3dExtractor,
    OneClip,
    centre_square,
    dataset_square,
    logits,
    small_square,
    squashed,
    squashed_as_tensorflow,
)
from evals.extractors.inception import InceptionExtractor
from evals.extractors.networks.door import WrongConvention
from evals.extractors.networks.inception import (
    FidInception,
    embed_pictures,
    inception_input,
    tensorflow_resize,
)
from evals.judges.small_n import bias_table
from evals.metrics.video import KernelMetric
from evals.metrics.video_protocols import VIDEO_PROTOCOLS
from evals.numerics.frechet import kernel_distance
from evals.numerics.kernel import kernel_jackknife
from evals.protocols.info import Direction, MetricInfo
from evals.scoring.compare import compare
from evals.scoring.results import SET_ID, ScoreRow
from streamchar_ref.weights import WeightsAltered, WeightsMissing
from tests.evals.metrics.test_video_sets import toy_i3d, videos

__all__ = ["toy_i3d"]


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def start_of(seed: int, num_frames: int) -> int:
    draw = OneClip()
    frames = noise(seed, num_frames, 2, 2, 3)
    for frame in frames:
        draw.see(frame)
    for start in range(num_frames - 15):
        draw.offer(frames[start : start + 16])
    assert draw.clip is not None
    np.testing.assert_array_equal(draw.clip, frames[draw.start_frame : draw.start_frame + 16])
    return draw.start_frame


def test_every_start_of_the_one_clip_is_equally_likely() -> None:
    counts = Counter(start_of(seed, 20) for seed in range(500))
    assert sorted(counts) == [0, 1, 2, 3, 4]
    assert min(counts.values()) > 70
    assert start_of(3, 20) == start_of(3, 20)


@pytest.mark.usefixtures("toy_i3d")
@pytest.mark.parametrize("preprocess", ["stylegan-v-256", "cd-fvd", "tf-original"])
def test_one_clip_a_video_whatever_the_batch(preprocess: str) -> None:
    frames = noise(1, 40, 60, 80, 3)
    found = []
    for batch in (3, 32):
        extractor = I3dExtractor(preprocess=preprocess, clips="one at random")  # type: ignore[arg-type]
        for at in range(0, len(frames), batch):
            extractor.update(frames[at : at + batch], {})
        found.append(extractor.finish())
    assert found[0]["features"].shape == (1, 400)
    assert 0 <= found[0]["start_frame"][0] <= 24
    assert found[0]["features"].tobytes() == found[1]["features"].tobytes()
    short = I3dExtractor(clips="one at random")
    short.update(frames[:15], {})
    assert short.finish()["features"].shape == (0, 400)


def test_pixels_of_the_protocols_differ_in_size_crop_and_grid() -> None:
    frame = noise(2, 300, 420, 3)
    assert centre_square(frame).tobytes() == frame[:, 60:360].tobytes()
    assert dataset_square(frame).shape == (256, 256, 3)
    assert small_square(frame).shape == (128, 128, 3)
    clip = torch.from_numpy(noise(3, 1, 3, 2, 60, 80))
    for squash in (squashed, squashed_as_tensorflow):
        assert squash(clip).shape == (1, 3, 2, 224, 224)
        assert squash(torch.zeros(1, 3, 2, 60, 80, dtype=torch.uint8)).unique().tolist() == [-1]
    assert (squashed(clip) - squashed_as_tensorflow(clip)).abs().max() > 0.1


def test_tensorflows_grid_begins_at_the_corner() -> None:
    row = torch.tensor([[[[0.0, 8.0], [4.0, 12.0]]]])
    expected = [[0, 4, 8, 8], [2, 6, 10, 10], [4, 8, 12, 12], [4, 8, 12, 12]]
    assert tensorflow_resize(row, 4)[0, 0].tolist() == expected


def test_i3d_refuses_what_are_not_pixels() -> None:
    frames = noise(4, 16, 32, 32, 3)
    for wrong in (frames / np.float32(255), frames.transpose(3, 0, 1, 2)):
        with pytest.raises(WrongConvention, match="I3D takes"):
            logits(None, wrong, "common-metrics")


@pytest.fixture(scope="module")
def inception() -> FidInception:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FidInception().eval()


def test_inception_has_the_keys_of_the_file(inception: FidInception) -> None:
    state = inception.state_dict()
    assert state["Mixed_5b.branch5x5_2.conv.weight"].shape == (64, 48, 5, 5)
    assert state["Mixed_6e.branch7x7dbl_5.conv.weight"].shape == (192, 192, 1, 7)
    assert state["Mixed_7c.branch3x3dbl_3b.bn.running_var"].shape == (384,)
    weights = sum(p.numel() for p in inception.parameters())
    assert weights == 21_785_568  # Inception-v3 without its two classifiers


@torch.inference_mode()
def test_inception_takes_signed_pictures_only(inception: FidInception) -> None:
    picture = noise(5, 64, 96, 3)
    signed = inception_input(torch.from_numpy(picture), "pytorch-fid")
    assert inception(signed).shape == (1, 2048)
    with pytest.raises(WrongConvention, match="2 x - 1 first"):
        inception((signed + 1) / 2)
    with pytest.raises(WrongConvention, match="8-bit pixels"):
        embed_pictures(inception, picture[None] / np.float32(255), "pytorch-fid")
    bright = np.full((1, 64, 96, 3), 250, np.uint8)
    assert np.isfinite(embed_pictures(inception, bright, "torch-fidelity")).all()


def test_the_two_packages_scale_differently() -> None:
    picture = torch.from_numpy(noise(6, 64, 96, 3))
    fidelity = inception_input(picture, "torch-fidelity")
    assert fidelity.shape == (1, 3, 299, 299)
    assert fidelity.min() >= -1
    assert fidelity.max() <= 127 / 128
    assert (fidelity - inception_input(picture, "pytorch-fid")).abs().max() > 0.1


def test_a_file_by_path_is_named_checked_and_part_of_the_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inception: FidInception
) -> None:
    monkeypatch.delenv("STREAMCHAR_INCEPTION", raising=False)
    monkeypatch.delenv("STREAMCHAR_PUBLISHED", raising=False)
    spec = EXTRACTORS["inception-2fps"]
    with pytest.raises(WeightsMissing, match="set STREAMCHAR_PUBLISHED=FOLDER"):
        spec.verify_weights()
    assert spec.protocol()["own"] == {"inception": ""}
    path = tmp_path / "pt_inception-2015-12-05-6726825d.pth"
    torch.save({**inception.state_dict(), "fc.bias": torch.zeros(1008)}, path)
    monkeypatch.setenv("STREAMCHAR_PUBLISHED", str(tmp_path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert spec.protocol()["own"] == {"inception": digest}
    with pytest.raises(WeightsAltered, match="begins with 6726825d"):
        own_weights("inception")
    monkeypatch.setattr("evals.extractors.inception.own_weights", lambda name: path)
    extractor = InceptionExtractor(resize="torch-fidelity", frames_per_s=2.0)
    for at in (0, 5):
        extractor.update(noise(7, 15, 40, 40, 3)[at * 2 : at * 2 + 10], {})
    found = extractor.finish()
    assert found["frame"].tolist() == [0, 12]
    assert found["features"].shape == (2, 2048)


def test_the_kernel_interval_is_that_of_leaving_groups_out_one_by_one() -> None:
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(30, 5)), rng.normal(size=(24, 5)) + 0.4
    groups = np.arange(30) % 5, np.arange(24) % 4
    found = kernel_jackknife(x, y, *groups)
    assert found.value == pytest.approx(kernel_distance(x, y))
    variance = 0.0
    for side, labels in enumerate(groups):
        left_out = []
        for label in np.unique(labels):
            kept = [
                part[labels != label] if row == side else part for row, part in enumerate((x, y))
            ]
            left_out.append(kernel_distance(*kept))
        variance += (len(left_out) - 1) * np.var(left_out)
    assert found.high - found.value == pytest.approx(1.96 * np.sqrt(variance), rel=1e-4)
    with pytest.raises(ValueError, match="two groups"):
        kernel_jackknife(x, y, np.zeros(30, int), groups[1])


def test_kvd_is_a_metric_of_its_own_without_bias() -> None:
    metric = KernelMetric(name="kvd", protocol="kvd/toy@1", extractor="toy", counted="clip")
    same = [
        metric.score_set(videos(seed, 8, 6), videos(seed + 50, 8, 6), domain="real").value
        for seed in range(12)
    ]
    assert min(same) < 0 < max(same)
    far = metric.score_set(videos(1, 8, 6, shift=0.5), videos(60, 8, 6), domain="real")
    assert far.value > 10 * max(same)
    assert far.components["ci_low"] < far.value < far.components["ci_high"]
    assert far.components["n"] == 48
    assert "mmd2" not in far.components
    assert "ddof" not in metric.params


def test_published_sets_are_on_request_and_stand_ins_have_names_of_their_own() -> None:
    assert not any(metric.is_default for metric in VIDEO_PROTOCOLS)
    for metric in VIDEO_PROTOCOLS:
        assert metric.name.endswith("_world") == (metric.domain == "world")
        assert metric.direction is Direction.LOWER


def test_sets_of_different_sizes_are_not_compared() -> None:
    info = {"fvd": MetricInfo(unit="1", higher_is_better=False)}

    def row(system: str, size: int) -> ScoreRow:
        return ScoreRow(
            sample_id=SET_ID, system=system, suite="u", seed=0, metric="fvd",
            protocol="fvd/stylegan-v@1", protocol_hash="h", domain="real", value=9.0, weight=1.0,
            status="computed", reason="", components={"n": size},
        )  # fmt: skip

    (unequal,) = compare([row("a", 64), row("b", 48)], info)
    assert unequal.verdict == "not comparable"
    assert "sets of 64 and 48 features" in unequal.reason
    (equal,) = compare([row("a", 64), row("b", 64)], info)
    assert "no pairs" in equal.reason


def test_small_sets_are_far_apart_where_nothing_differs_and_kernels_are_not_fooled() -> None:
    features = np.random.default_rng(9).normal(size=(260, 24))
    rows = bias_table(features, sizes=(16, 32, 64, 128, 256), num_draws=8)
    assert [row["n"] for row in rows] == [16, 32, 64, 128]
    distances = [row["frechet"] for row in rows]
    assert distances[0] > 2 * distances[1] > 3 * distances[2]
    assert all(abs(row["mmd2"]) < 4 * row["mmd2_error"] for row in rows)
