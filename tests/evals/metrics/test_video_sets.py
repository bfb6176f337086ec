"""Frechet metrics of sets: networks against references, sizes, intervals, refusals."""

import dataclasses
import hashlib
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from evals.extractors.i3d import I3dExtractor, centred
from evals.extractors.lite0 import Lite0Extractor, network_input
from evals.extractors.networks.lite0 import Lite0, load_lite0
from evals.metrics.video import VIDEO_SETS, FrechetMetric
from evals.numerics.frechet import frechet_distance, jackknife_interval
from evals.protocols.base import Features, Score, Unscored
from streamchar_ref import weights
from streamchar_ref.weights import locate, registry

needs_weights = pytest.mark.skipif(
    not registry()["efficientnet-lite0"].is_present(),
    reason="weights 'efficientnet-lite0' are not on this machine",
)


def videos(
    seed: int, count: int, clips: int, *, size: int = 24, shift: float = 0.0
) -> list[Features]:
    rng = np.random.default_rng(seed)
    return [
        {"toy": {"features": (rng.normal(size=(clips, size)) + shift).astype(np.float32)}}
        for _ in range(count)
    ]


def toy_metric() -> FrechetMetric:
    return FrechetMetric(name="toy", protocol="toy@1", extractor="toy", counted="clip", ddof=1)


def scored(fake: list[Features], real: list[Features]) -> Score:
    return toy_metric().score_set(fake, real, domain="real")


def test_equal_sets_are_cut_to_one_size_and_counted() -> None:
    fake, real = videos(0, 8, 6), videos(1, 20, 6)
    score = scored(fake, real)
    assert score.status == "computed"
    counts = {name: score.components[name] for name in ("n", "n_real_clips", "n_fake_clips")}
    assert counts == {"n": 48, "n_real_clips": 120, "n_fake_clips": 48}
    assert score.components["ci_low"] < score.value < score.components["ci_high"]
    assert score.components["reference_halves"] == pytest.approx(score.value, rel=0.5)


def test_value_is_the_distance_when_sizes_agree() -> None:
    fake, real = videos(2, 8, 6, shift=0.5), videos(3, 6, 8)
    x, y = (np.concatenate([video["toy"]["features"] for video in s]) for s in (real, fake))
    assert scored(fake, real).value == frechet_distance(x, y)


def test_interval_leaves_out_whole_videos() -> None:
    fake, real = videos(12, 8, 6, shift=0.5), videos(13, 6, 8)
    x, y = (np.concatenate([video["toy"]["features"] for video in s]) for s in (real, fake))
    by_video = jackknife_interval(
        x, y, x_groups=np.repeat(np.arange(6), 8), y_groups=np.repeat(np.arange(8), 6)
    )
    components = scored(fake, real).components
    assert (components["ci_low"], components["ci_high"]) == (by_video.low, by_video.high)


def test_draws_are_the_same_each_time() -> None:
    fake, real = videos(4, 8, 6), videos(5, 30, 6)
    assert scored(fake, real) == scored(fake, real)


def test_small_or_missing_sets_are_not_measured() -> None:
    score = scored(videos(6, 4, 7), videos(7, 20, 6))
    assert np.isnan(score.value)
    assert "28 clips against 120" in score.reason
    assert "no reference set" in scored(videos(6, 9, 7), []).reason


class Unusable(dict[str, dict[str, np.ndarray]]):
    """Features of a recording whose extractor could not run."""

    def __missing__(self, name: str) -> dict[str, np.ndarray]:
        raise Unscored("weights are missing", "unavailable")


def test_unusable_videos_are_counted_and_say_why_if_none_is_left() -> None:
    fake, real = [*videos(8, 8, 6), Unusable()], videos(9, 8, 6)
    assert scored(fake, real).components["n_fake_unusable"] == 1
    nothing = scored([Unusable()], real)
    assert (nothing.status, nothing.reason) == ("unavailable", "weights are missing")


def test_few_videos_have_no_interval() -> None:
    score = scored(videos(10, 1, 40), videos(11, 8, 6))
    assert score.components["ci_low"] is None
    few = scored(videos(10, 4, 10), videos(11, 8, 6))
    assert (few.components["ci_low"], few.components["n"]) == (None, 40), "four are too few"


def test_protocols_are_told_apart() -> None:
    assert [(metric.name, metric.protocol) for metric in VIDEO_SETS] == [
        ("fid_lite0", "fid_lite0/2fps@1"),
        ("fvd_world", "fvd_world/16-frames@1"),
        ("fvd", "fvd/stylegan-v@1"),
        ("fvd", "fvd/common-metrics@1"),
    ]
    assert [metric.params["ddof"] for metric in VIDEO_SETS] == [1, 1, 0, 1]


@needs_weights
@torch.inference_mode()
def test_lite0_agrees_with_its_package() -> None:
    package = pytest.importorskip("efficientnet_lite_pytorch")
    path = locate("efficientnet-lite0") / "efficientnet-lite0.pth"
    theirs = package.EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(torch.load(path, weights_only=True))
    theirs.eval()
    ours = load_lite0(str(path))
    pictures = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    pooled = theirs.extract_features(pictures).mean(dim=(2, 3))
    torch.testing.assert_close(ours(pictures), pooled, atol=1e-5, rtol=1e-5)


def test_lite0_has_the_published_size() -> None:
    count = sum(parameter.numel() for parameter in Lite0().parameters())
    assert count + 1000 * 1281 == 4_652_008  # 4.7 M in the paper, classifier included


@needs_weights
def test_frames_are_picked_by_index_whatever_the_batch() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (40, 48, 64, 3), dtype=np.uint8)
    found = []
    for batch in (1, 7, 32):
        extractor = Lite0Extractor()
        for at in range(0, len(frames), batch):
            extractor.update(frames[at : at + batch], {})
        found.append(extractor.finish())
    assert found[0]["frame"].tolist() == [0, 13, 25, 38]
    assert found[0]["features"].shape == (4, 1280)
    assert all(other["features"].tobytes() == found[0]["features"].tobytes() for other in found)


def test_no_frames_give_no_features() -> None:
    if registry()["efficientnet-lite0"].is_present():
        assert Lite0Extractor().finish()["features"].shape == (0, 1280)


def test_network_input_is_standardised() -> None:
    grey = np.full((300, 500, 3), 128, np.uint8)
    picture = network_input(grey)
    assert picture.shape == (1, 3, 224, 224)
    expected = (128 / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(picture.mean(dim=(0, 2, 3)).numpy(), expected, atol=1e-5)


def test_fine_patterns_are_averaged_not_sampled() -> None:
    stripes = np.zeros((896, 896, 3), np.uint8)
    stripes[:, ::4] = 255
    inside = network_input(stripes)[..., 10:-10]
    assert inside.std(dim=(2, 3)).max() < 0.05


class ToyI3d(nn.Module):
    """Has the signature of the published file; 400 means of the picture at known places."""

    def forward(
        self,
        x: torch.Tensor,
        rescale: bool = False,
        resize: bool = False,
        return_features: bool = False,
    ) -> torch.Tensor:
        assert return_features
        assert rescale == (x.dtype == torch.uint8)
        y = x.float()
        if rescale:
            y = y * 2.0 / 255.0 - 1.0
        if resize:
            y = torch.nn.functional.interpolate(y, size=[16, 224, 224])
        return y.reshape(y.shape[0], 3, -1)[:, :, :1200].reshape(y.shape[0], -1, 9).mean(2)


@pytest.fixture
def toy_i3d(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "i3d" / "i3d_torchscript.pt"
    path.parent.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is what the file is
        torch.jit.script(ToyI3d()).save(str(path))
    official = registry()["i3d"]
    pin = dataclasses.replace(
        official.files[0],
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size=path.stat().st_size,
    )
    fake = registry() | {"i3d": dataclasses.replace(official, files=(pin,))}
    monkeypatch.setattr(weights, "registry", lambda: fake)
    monkeypatch.setenv("STREAMCHAR_WEIGHTS", str(tmp_path))


@pytest.mark.usefixtures("toy_i3d")
@pytest.mark.parametrize("preprocess", ["stylegan-v", "common-metrics"])
def test_clips_do_not_depend_on_batches_and_the_rest_is_dropped(preprocess: str) -> None:
    frames = np.random.default_rng(1).integers(0, 255, (40, 60, 80, 3), dtype=np.uint8)
    found = []
    for batch in (3, 32):
        extractor = I3dExtractor(preprocess=preprocess)
        for at in range(0, len(frames), batch):
            extractor.update(frames[at : at + batch], {})
        found.append(extractor.finish())
    assert found[0]["start_frame"].tolist() == [0, 16]
    assert found[0]["features"].shape == (2, 400)
    assert found[0]["features"].tobytes() == found[1]["features"].tobytes()


@pytest.mark.parametrize("shape", [(60, 80), (80, 60), (300, 255), (224, 224)])
def test_centred_clips_have_one_size_and_range(shape: tuple[int, int]) -> None:
    frames = np.zeros((1, 3, 16, *shape), np.uint8)
    frames[..., shape[0] // 2, shape[1] // 2] = 255
    clip = centred(torch.from_numpy(frames))
    assert clip.shape == (1, 3, 16, 224, 224)
    assert clip.min() == -1
    assert clip[0, 0, 0, 100:124, 100:124].max() > -0.9  # the middle stays in the middle


@needs_weights
def test_threads_do_not_change_a_bit_of_the_features() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 96, 96, 3), dtype=np.uint8)

    def features(num_threads: int) -> bytes:
        torch.set_num_threads(num_threads)
        extractor = Lite0Extractor()
        extractor.update(pixels, {})
        return extractor.finish()["features"].tobytes()

    before = torch.get_num_threads()
    try:
        assert len({features(count) for count in (1, 2, 3)}) == 1
    finally:
        torch.set_num_threads(before)
