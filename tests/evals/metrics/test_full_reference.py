"""A video against its ground truth: from the manifest to rows; landmarks on hand-made faces."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from evals.extractors.face import LANDMARKS, landmark_columns
from evals.extractors.full_reference import FullReference, psnr, ssim
from evals.extractors.networks.door import WrongConvention
from evals.extractors.networks.lpips import LpipsAlex, load_lpips, lpips_distance
from evals.features.canonical import picture
from evals.features.companions import of_companions
from evals.features.missing import Missing
from evals.metrics.full_reference import (
    FULL_REFERENCE,
    MeshExpressionDistance,
    MeshLandmarkDistance,
    MeshLipDistance,
    MeshPoseDistance,
    MeshReference,
)
from evals.protocols.base import MetricContext, Score
from evals.recording.manifest import load_manifest
from evals.scoring.choice import choose_metrics
from evals.scoring.results import ScoreRow
from evals.scoring.score import Options, score
from streamchar_ref.media.encode import write_mp4
from tests.evals.real_clips import recording


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_psnr_and_ssim_agree_with_torchmetrics() -> None:
    functional = pytest.importorskip("torchmetrics.functional.image")
    truth = noise(0, 40, 50, 3)
    frame = np.clip(truth + np.random.default_rng(1).normal(0, 20, truth.shape), 0, 255)
    frame = frame.astype(np.uint8)
    ours, theirs = (
        torch.from_numpy(x.transpose(2, 0, 1)[None].astype(np.float64)) for x in (frame, truth)
    )
    _, whole = functional.structural_similarity_index_measure(
        ours, theirs, data_range=255.0, return_full_image=True
    )
    inside = whole[..., 5:-5, 5:-5].mean()  # without the mirrored rim
    assert ssim(frame, truth) == pytest.approx(float(inside), abs=1e-6)
    expected = functional.peak_signal_noise_ratio(ours, theirs, data_range=255.0)
    assert psnr(frame, truth, cap_db=100.0) == pytest.approx(float(expected), abs=1e-5)


def test_equal_frames_are_at_the_cap() -> None:
    same = FullReference(ssim="gaussian 11 px of deviation 1.5, per colour", cap_db=100.0)
    same.update(noise(2, 20, 20, 3), noise(2, 20, 20, 3))
    found = same.finish()
    assert found["psnr"].tolist() == [100.0]
    assert found["ssim"][0] == pytest.approx(1)
    with pytest.raises(ValueError, match="no SSIM"):
        FullReference(ssim="other", cap_db=1.0)


@pytest.fixture(scope="module")
def lpips() -> LpipsAlex:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = LpipsAlex().eval()
    for row in range(5):
        getattr(network, f"lin{row}").model[1].weight.data.abs_()
    return network


@torch.inference_mode()
def test_lpips_is_the_weighted_distance_of_unit_features(lpips: LpipsAlex, tmp_path: Path) -> None:
    first, second = noise(3, 64, 64, 3), noise(4, 64, 64, 3)
    assert lpips_distance(lpips, first, first) == 0
    x, y = (
        2 * torch.from_numpy(p.transpose(2, 0, 1)[None].copy()).float() / 255 - 1
        for p in (first, second)
    )
    shift = torch.tensor([-0.030, -0.088, -0.188])[:, None, None]
    scale = torch.tensor([0.458, 0.448, 0.450])[:, None, None]
    total, x, y = 0.0, (x - shift) / scale, (y - shift) / scale
    taps = iter(range(5))
    for layer in lpips.features:
        x, y = layer(x), layer(y)
        if isinstance(layer, torch.nn.ReLU):
            gap = (torch.nn.functional.normalize(x) - torch.nn.functional.normalize(y)) ** 2
            weights = getattr(lpips, f"lin{next(taps)}").model[1].weight
            total += float((gap * weights[0]).sum(dim=1).mean())
    assert lpips_distance(lpips, first, second) == pytest.approx(total, rel=1e-4)
    state = lpips.state_dict()
    for name, part in (("trunk", "features."), ("heads", "lin")):
        torch.save({k: v for k, v in state.items() if k.startswith(part)}, tmp_path / name)
    loaded = load_lpips(str(tmp_path / "trunk"), str(tmp_path / "heads"))
    assert lpips_distance(loaded, first, second) == lpips_distance(lpips, first, second)


def test_lpips_refuses_another_range(lpips: LpipsAlex) -> None:
    picture = torch.rand(1, 3, 64, 64)
    with pytest.raises(WrongConvention, match="LPIPS takes values in"):
        lpips(picture, picture)
    with pytest.raises(WrongConvention, match="8-bit pixels"):
        lpips_distance(lpips, noise(5, 64, 64, 3) / np.float32(255), noise(5, 64, 64, 3))


def video(path: Path, count: int, *, level: int = 0, width: int = 64) -> Path:
    x = np.linspace(0, 200, width, dtype=np.uint8)
    frames = np.broadcast_to(x[None, None, :, None], (count, 64, width, 3)) + np.uint8(level)
    write_mp4(path, [np.ascontiguousarray(frames)], None, fps=25, sample_rate=16_000)
    return path


def rows_of(folder: Path, lines: list[dict[str, str]]) -> dict[tuple[str, str], ScoreRow]:
    manifest = folder / "m.jsonl"
    manifest.write_text("\n".join(json.dumps(line) for line in lines))
    chosen, sets = choose_metrics(["psnr", "ssim"], "default")
    scored = score(load_manifest(manifest), metrics=chosen, set_metrics=sets, options=Options())
    return {(row.sample_id, row.metric): row for row in scored.rows}


def test_a_ground_truth_of_the_manifest_gives_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path / "cache"))
    video(tmp_path / "truth.mp4", 12)
    video(tmp_path / "copy.mp4", 10)
    video(tmp_path / "dark.mp4", 12, level=30)
    video(tmp_path / "wide.mp4", 12, width=128)
    lines = [
        {"sample_id": name, "system": "s", "video_path": f"{name}.mp4",
         "ground_truth_path": "truth.mp4"}
        for name in ("copy", "dark", "wide")
    ]  # fmt: skip
    lines.append({**lines[0], "sample_id": "gone", "ground_truth_path": "gone.mp4"})
    lines.append({"sample_id": "none", "system": "s", "video_path": "copy.mp4"})
    rows = rows_of(tmp_path, lines)
    copy = rows["copy", "psnr"]
    assert copy.components["num_compared"] == 10
    assert (copy.components["num_frames"], copy.components["num_truth_frames"]) == (10, 12)
    assert copy.value is not None
    assert copy.value > 45
    dark = rows["dark", "psnr"].value
    assert dark == pytest.approx(20 * math.log10(255 / 30), abs=0.7)
    assert rows["dark", "ssim"].value < rows["copy", "ssim"].value  # type: ignore[operator]
    statuses = {name: rows[name, "psnr"].status for name in ("wide", "gone", "none")}
    assert statuses == {
        "wide": "not_applicable", "gone": "evaluator_failure", "none": "not_applicable",
    }  # fmt: skip
    assert "pictures of 1024 x 512 against 512 x 512" in rows["wide", "psnr"].reason
    assert "ground_truth_path: there is no file gone.mp4" in rows["gone", "psnr"].reason
    assert "no ground truth" in rows["none", "psnr"].reason


PLACES = {
    33: (40, 50), 133: (60, 50), 362: (120, 50), 263: (140, 50), 4: (90, 80),
    61: (70, 110), 291: (110, 110), 13: (90, 108), 14: (90, 112),
    159: (50, 46), 145: (50, 54), 386: (130, 46), 374: (130, 54),
}  # fmt: skip
"""Eyes 80 pixels apart; the other points lie at (90, 60)."""


def faces(count: int = 30, **moved: tuple[float, float]) -> np.ndarray:
    points = np.full((count, len(LANDMARKS), 2), [90.0, 60.0])
    for point, place in {**PLACES, **{int(k[1:]): v for k, v in moved.items()}}.items():
        points[:, landmark_columns((point,))] = place
    return points


def turned(points: np.ndarray, degrees: float, scale: float = 1.0) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return scale * points @ np.array([[c, s], [-s, c]]) + [7.0, -3.0]


def measured(
    metric: MeshReference,
    own: np.ndarray,
    truth: np.ndarray,
    truth_size: tuple[int, int] = (512, 512),
) -> Score:
    def face(points: np.ndarray) -> dict[str, np.ndarray]:
        return {"landmarks": points, "has_mesh": np.isfinite(points[:, 0, 0])}

    sizes = np.array([(512, 512), truth_size])
    features = {"face": face(own), "truth_face": {**face(truth), "sizes": sizes}}
    return metric.score(recording(), features, MetricContext())


def test_landmarks_are_compared_in_eye_distances() -> None:
    truth = faces()
    assert measured(
        MeshLandmarkDistance(), truth + np.array([8.0, 0.0]), truth
    ).value == pytest.approx(0.1)
    lower = faces(_14=(90.0, 120.0))
    share = 1 / 40  # of the forty points of the lips
    assert measured(MeshLipDistance(), lower, truth).value == pytest.approx(0.1 * share)
    moved = turned(lower, 20, scale=1.5)
    assert measured(MeshLipDistance(), moved, truth).value == pytest.approx(0.1 * share)
    assert measured(MeshExpressionDistance(), moved, truth).value == pytest.approx(0.1 / 6)
    assert measured(MeshExpressionDistance(), turned(truth, 20), truth).value == pytest.approx(
        0, abs=1e-9
    )


def test_places_in_pictures_of_two_shapes_are_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMCHAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("evals.features.canonical.SHORT_SIDE", 64)
    found = measured(MeshLandmarkDistance(), faces(), faces(), (896, 512))
    assert math.isnan(found.value)
    assert found.reason == "pictures of 512 x 512 against 896 x 512: cut both to one shape"
    assert measured(MeshLipDistance(), faces(), faces(), (896, 512)).value == pytest.approx(0)
    wide = video(tmp_path / "wide.mp4", 2, width=116)
    subject = recording(video_path=video(tmp_path / "own.mp4", 2), ground_truth_path=wide)
    known = {0: {}, 1: {"face": {"num_faces": np.zeros(2)}}}
    for native, width in ((False, 96), (True, 116)):
        found_face = of_companions(
            subject, ["truth_face"], {"ground_truth_path": 1}, known, native=native
        )["truth_face"]
        assert not isinstance(found_face, Missing)
        (own_width, _), (true_width, _) = found_face["sizes"]
        assert (own_width, true_width) == (64, width)
        (shown,) = picture(replace(subject, video_path=wide), native=native)
        assert shown.shape[2] == width


def test_poses_differ_by_the_nose_and_the_line_of_the_eyes() -> None:
    truth = faces()
    tilted = measured(MeshPoseDistance(), turned(truth, 20), truth)
    assert tilted.value == pytest.approx(np.deg2rad(20) / 3)
    nodded = measured(MeshPoseDistance(), faces(_4=(94.0, 72.0)), truth)
    assert nodded.value == pytest.approx((4 + 8) / 80 / 3)
    upside_down = turned(truth, 175), turned(truth, -175)
    assert measured(MeshPoseDistance(), *upside_down).value == pytest.approx(np.deg2rad(10) / 3)


def test_frames_without_a_face_do_not_count_and_few_are_refused() -> None:
    truth, own = faces(40), faces(36)
    truth[:6], own[30:] = np.nan, np.nan
    score = measured(MeshLipDistance(), own, truth)
    assert math.isnan(score.value)
    assert score.reason.startswith("24 frames with a face in the video and in its ground truth")
    truth[5] = faces(1)
    components = measured(MeshLipDistance(), own, truth).components
    assert components["num_compared"] == 25
    assert (components["num_frames"], components["num_truth_frames"]) == (36, 40)


def test_stand_ins_do_not_bear_published_names() -> None:
    names = {metric.name for metric in FULL_REFERENCE}
    assert names == {
        "psnr", "ssim", "lpips", "mesh_lmd_face", "mesh_lmd_lips", "mesh_aed", "mesh_apd",
    }  # fmt: skip
    assert not any(metric.is_default for metric in FULL_REFERENCE)
    assert all(m.is_project_specific == m.name.startswith("mesh") for m in FULL_REFERENCE)
