"""VBench-2.0's human identity and LV-Bench's drift error, on cases computed by hand."""

import math

import numpy as np
import pytest
import torch

from evals.extractors import face18
from evals.extractors.face18 import Face18Extractor, cut_box
from evals.extractors.networks.door import WrongConvention
from evals.extractors.networks.face18 import Face18, embed_face, grey_pair, load_face18
from evals.metrics.drift_error import SharpnessDriftError, SubjectDriftError
from evals.metrics.human_identity import HumanIdentity, like_first
from evals.metrics.subject import SubjectConsistency
from evals.numerics.drift_error import drift_error_of, video_drift_error
from evals.protocols.base import MetricContext, Score
from tests.evals.real_clips import recording

NO_CONTEXT = MetricContext()


def turning(radians: float, count: int = 251) -> np.ndarray:
    """A face whose embedding turns evenly by an angle from the first frame to the last."""
    angle = np.linspace(0, radians, count)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def identity_of(embedding: np.ndarray, frames: np.ndarray | None = None) -> Score:
    frames = np.arange(len(embedding)) if frames is None else frames
    features = {
        "face18": {"embedding": embedding, "frame": frames},
        "face": {"has_mesh": np.ones(int(frames.max(initial=0)) + 1, bool)},
    }
    return HumanIdentity().score(recording(), features, NO_CONTEXT)


def test_on_a_drift_of_one_radian_each_definition_hides_something_else() -> None:
    faces = turning(1.0)
    assert identity_of(faces).value == 1.0  # VBench-2.0: the cosine to the start is still 0.54
    cosines = faces @ faces[0]
    assert cosines.mean() == pytest.approx(math.sin(1), abs=2e-3)  # CSIM to the first frame: 0.84
    end = round(0.15 * len(faces))
    contrast = cosines[:end].mean() - cosines[-end:].mean()  # FramePack: the only one that is large
    by_hand = (math.sin(0.15) - math.sin(1) + math.sin(0.85)) / 0.15
    assert contrast == pytest.approx(by_hand, abs=5e-3)
    assert contrast == pytest.approx(0.395, abs=5e-3)
    features = {"dino": {"embedding": faces}}
    whole = SubjectConsistency().score(recording(), features, NO_CONTEXT)
    assert whole.value == pytest.approx((1 + math.sin(1)) / 2, abs=2e-3)  # VBench: 0.92
    drift = SubjectDriftError().score(recording(), features, NO_CONTEXT)
    assert drift.value == pytest.approx(0, abs=1e-4)  # VDE: each chunk starts anew
    assert len(drift.windows) == 10
    assert drift.windows[-1].t1_s == 10.0


def test_human_identity_is_the_share_of_later_frames_above_a_cosine_of_two_fifths() -> None:
    threshold = math.acos(0.4)
    faces = turning(2 * threshold, 101)
    assert identity_of(faces).value == pytest.approx(0.5, abs=0.011)
    assert like_first(np.array([[2, 0], [0.81, 1.83], [0.79, 1.84]])).tolist() == [
        True, True, False,
    ]  # fmt: skip
    known = np.repeat(np.eye(2, dtype=np.float32), (21, 10), axis=0)
    score = identity_of(known)
    assert (score.value, score.components["num_frames"]) == (20 / 30, 30)
    assert score.windows[0].value == pytest.approx(20 / 30)


def test_videos_that_vbench_2_leaves_out_have_no_value() -> None:
    late = identity_of(turning(0.1, 40), np.arange(1, 41))
    assert late.reason == "the first frame does not show exactly one face"
    assert identity_of(np.zeros((0, 2), np.float32)).reason == late.reason
    few = identity_of(turning(0.1, 20))
    assert few.reason == "19 frames after the first show exactly one face, 20 are needed"
    assert identity_of(turning(0.1, 21)).value == 1.0


def test_the_drift_error_weighs_early_changes_most_and_is_blind_to_their_sign() -> None:
    assert video_drift_error(np.array([2.0, 3.0, 1.0])) == 2 * 0.5 + 1 * 0.5
    assert video_drift_error(np.array([2.0, 3.0, 1.0]), weights="log") == math.log(2) * 0.5
    linear = np.linspace(1, 0.75, 10)
    assert video_drift_error(linear) == pytest.approx(4.58, abs=0.01)  # as published notes have it
    assert video_drift_error(np.linspace(1, 0.75, 20)) == pytest.approx(17.5, abs=0.05)
    assert video_drift_error(2 - linear) == pytest.approx(video_drift_error(linear))
    assert video_drift_error(np.array([1.0] * 9 + [0.75])) == 0.25
    assert video_drift_error(np.array([0.0, 1.0])) == math.inf
    assert video_drift_error(np.array([1.0])) == 0.0
    with pytest.raises(ValueError, match="linear or log"):
        video_drift_error(linear, weights="even")


def test_frames_after_the_tenth_chunk_are_dropped() -> None:
    seen: list[tuple[int, int]] = []
    drift_error_of(29, lambda start, stop: float(len(seen.append((start, stop)) or "x")))
    assert (seen[0], seen[-1]) == ((0, 2), (18, 20))
    sharpness = np.repeat(np.linspace(1, 0.75, 10), 3).astype(np.float32)
    metric = SharpnessDriftError()
    for more in (0, 9):
        features = {"appearance": {"sharpness": np.append(sharpness, [9.0] * more)}}
        found = metric.score(recording(), features, NO_CONTEXT)
        if not more:
            assert found.value == pytest.approx(4.58, abs=0.01)
            assert found.components["signed_change"] == pytest.approx(-0.25)
    black = {"appearance": {"sharpness": np.zeros(30, np.float32)}}
    assert "infinite" in metric.score(recording(), black, NO_CONTEXT).reason
    short = {"appearance": {"sharpness": np.ones(9, np.float32)}}
    assert metric.score(recording(), short, NO_CONTEXT).reason.startswith("9 frames make 10 chunks")


@pytest.fixture(scope="module")
def network() -> Face18:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Face18().eval()


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_the_state_dict_has_the_official_keys_and_sizes() -> None:
    with torch.device("meta"):
        state = Face18().state_dict()
    assert state["layer1.0.bn0.weight"].shape == (64,)
    assert state["layer2.0.downsample.0.weight"].shape == (128, 64, 1, 1)
    assert "layer1.0.downsample.0.weight" not in state
    assert state["layer4.1.prelu.weight"].shape == (1,)
    assert state["fc5.weight"].shape == (512, 512 * 8 * 8)
    learnt = [key for key in state if key.endswith(("weight", "bias"))]
    assert sum(state[key].numel() for key in learnt) == 25_627_081


def test_the_network_is_given_signed_grey_and_its_mirror_image(network: Face18) -> None:
    face = np.zeros((50, 40, 3), np.uint8)
    face[:, :20] = 255
    pair = grey_pair(face)
    assert pair.shape == (2, 1, 128, 128)
    assert (float(pair.min()), float(pair.max())) == (-1.0, 1.0)
    torch.testing.assert_close(pair[0], pair[1].flip(-1))
    assert float(pair[0, 0, 64, 0]) == 1.0
    found = embed_face(network, face)
    assert found.shape == (1024,)
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-5)
    turned = embed_face(network, np.ascontiguousarray(face[:, ::-1]))
    np.testing.assert_allclose(np.roll(turned, 512), found, atol=1e-5)


def test_other_ranges_are_refused(network: Face18) -> None:
    with pytest.raises(WrongConvention, match="takes 8-bit pixels"):
        embed_face(network, noise(40, 40, 3) / np.float32(255))
    with pytest.raises(WrongConvention, match="mapped by 2 x - 1 first"):
        network(torch.rand(1, 1, 128, 128))
    with pytest.raises(WrongConvention, match=r"takes values in \[-1, 1\]"):
        network(255 * torch.rand(1, 1, 128, 128))


def test_only_frames_with_one_face_are_embedded(
    network: Face18, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    path = f"{tmp_path}/resnet18_110.pth"
    state = {f"module.{key}": value for key, value in network.state_dict().items()}
    torch.save(state, path)
    monkeypatch.setattr(face18, "own_weights", lambda name: path)
    extractor = Face18Extractor()
    boxes = np.array([(4, 4, 20, 24), (4, 4, 20, 24), (np.nan,) * 4, (-5, -5, 8, 40)], np.float32)
    faces = {
        "num_faces": np.array([1, 2, 1, 1]),
        "has_mesh": np.array([True, True, False, True]),
        "box": boxes,
    }
    frames = noise(4, 32, 32, 3)
    extractor.update(frames, {"face": faces})
    found = extractor.finish()
    assert found["frame"].tolist() == [0, 3]
    expected = embed_face(load_face18(path), cut_box(frames[3], boxes[3]))
    assert cut_box(frames[3], boxes[3]).shape == (32, 8, 3)
    np.testing.assert_allclose(found["embedding"][1], expected, atol=1e-6)
