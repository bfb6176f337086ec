"""Shaking faces, flickering light, drift whatever its sign, and the voice that was asked for."""

import math
from pathlib import Path

import numpy as np
import pytest

from evals.calibration.faults import FAULTS, Take
from evals.extractors.face import LANDMARKS
from evals.metrics.absence import SPEECH
from evals.metrics.face_damage import FACE_DAMAGE, Flicker, MeshWobble, wobble
from evals.metrics.identity import IDENTITY_CONTRAST
from evals.metrics.voice_reference import VoiceReferenceSimilarity
from evals.protocols.base import Features, MetricContext, Score
from tests.evals.metrics.test_full_reference import faces, turned
from tests.evals.real_clips import recording


def shaken(deviation: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    points = faces(40)
    still = {33, 133, 362, 263}
    moving = np.array([point not in still for point in LANDMARKS])
    points[:, moving] += rng.normal(0, deviation * 80, (40, int(moving.sum()), 2))
    return points


def of_face(points: np.ndarray) -> Score:
    face = {"landmarks": points, "has_mesh": np.isfinite(points[:, 0, 0])}
    return MeshWobble().score(recording(), {"face": face}, MetricContext())


def test_a_head_that_moves_steadily_does_not_wobble() -> None:
    frames = np.concatenate([turned(faces(1), angle, 1 + angle / 90) for angle in range(40)])
    assert of_face(frames).value == pytest.approx(0, abs=1e-9)


def test_wobble_grows_with_the_shaking_in_eye_distances() -> None:
    light, heavy = (of_face(shaken(deviation)).value for deviation in (0.01, 0.04))
    assert heavy == pytest.approx(4 * light, rel=0.05)
    assert light == pytest.approx(0.01 * math.sqrt(1.5 * math.pi / 2), rel=0.1)


def test_gaps_and_few_frames_are_not_measured() -> None:
    points = shaken(0.01)
    points[10] = np.nan
    values = wobble(points)
    assert np.isnan(values[[0, 9, 10, 11, 39]]).all()
    assert np.isfinite(values[1:9]).all()
    points[29:] = np.nan
    assert of_face(points).reason == "24 frames in a row with a face, 25 needed"


def of_light(luma: np.ndarray) -> float:
    features: Features = {"appearance": {"exposure": luma.astype(np.float32)}}
    return Flicker().score(recording(), features, MetricContext()).value


def test_ramps_do_not_flicker_and_alternation_does() -> None:
    frames = np.arange(50)
    assert of_light(0.2 + 0.01 * frames) == pytest.approx(0, abs=1e-4)
    assert of_light(0.5 + 0.01 * (frames % 2)) == pytest.approx(1.0, abs=1e-4)
    cut = np.where(frames < 25, 0.2, 0.6)
    assert of_light(cut) == pytest.approx(40 / 48, rel=1e-3)  # one cut of 40 %, twice half of it
    assert math.isnan(of_light(frames[:20] / 50))


@pytest.mark.parametrize(("fault", "metric"), [("melt", "mesh_wobble"), ("flicker", "flicker")])
def test_calibration_has_a_fault_that_each_must_see(fault: str, metric: str) -> None:
    assert FAULTS[fault].direction_of(metric) == 1
    assert metric in {one.name for one in FACE_DAMAGE}


def clip(frames: np.ndarray) -> Take:
    return Take(
        clip_id="a", transcript="", samples=np.zeros(len(frames) * 640, np.float32), words=(),
        num_frames=len(frames), open_frames=lambda: iter([frames]),
    )  # fmt: skip


def test_a_melting_picture_moves_by_the_dose_and_anew_in_each_frame() -> None:
    row = np.linspace(0, 255, 256)
    frames = np.broadcast_to(row[None, None, :, None], (6, 256, 256, 3)).astype(np.uint8)
    faulted = FAULTS["melt"].apply(clip(frames), 2.0).frames
    assert faulted is not None
    moved = np.concatenate(list(faulted)).astype(float) - frames
    inside = moved[:, 20:-20, 20:-20]
    assert 0.8 < inside.std() < 2.2  # the ramp has a grey level a pixel
    assert np.abs(np.diff(inside, axis=0)).mean() > 0.3


def test_flicker_of_a_dose_is_measured_as_such() -> None:
    frames = np.full((60, 16, 16, 3), 128, np.uint8)
    faulted = FAULTS["flicker"].apply(clip(frames), 5.0).frames
    assert faulted is not None
    luma = np.concatenate(list(faulted)).mean(axis=(1, 2, 3)) / 255
    expected = 5.0 * 128 / 255 * math.sqrt(1.5 * 2 / math.pi)
    assert of_light(luma) == pytest.approx(expected, rel=0.3)


def drifting(start: float, end: float) -> Score:
    distances = np.r_[np.full(6, start), np.full(28, 0.4), np.full(6, end)]
    frames = np.array([(25 * row + 1) // 2 for row in range(40)], np.int32)
    embedding = np.zeros((40, 128), np.float32)
    embedding[:, 0] = distances
    features: Features = {
        "face": {"has_mesh": np.ones(500, bool)},
        "identity": {
            "embedding": embedding, "frame": frames, "sampled": frames,
            "num_faces": np.ones(40, np.int32), "sharpness": np.full(40, 50.0),
        },
    }  # fmt: skip
    references = {"reference_identity": {"embedding": np.zeros((1, 128), np.float32)}}
    sample = recording(reference_path=Path("reference.png"))
    return IDENTITY_CONTRAST[1].score(sample, {**features, **references}, MetricContext())


def test_the_size_of_a_drift_forgets_its_sign_and_keeps_it_in_the_components() -> None:
    away, back = drifting(0.2, 0.5), drifting(0.5, 0.2)
    assert (away.value, back.value) == pytest.approx((0.3, 0.3))
    assert away.components["signed"] == pytest.approx(0.3)
    assert back.components["signed"] == pytest.approx(-0.3)
    assert not any(metric.is_default for metric in IDENTITY_CONTRAST)


def voices(own: np.ndarray, reference: np.ndarray, spoken_s: float = 60.0) -> Score:
    def voice(embeddings: np.ndarray) -> dict[str, np.ndarray]:
        return {"embeddings": embeddings, "start_s": 0.8 * np.arange(len(embeddings))}

    def speech(until_s: float) -> dict[str, np.ndarray]:
        return {"start_s": np.array([0.0]), "end_s": np.array([until_s])}

    features: Features = {
        "voice": voice(own), SPEECH: speech(60.0),
        "voice_reference": voice(reference), "speech_reference": speech(spoken_s),
    }  # fmt: skip
    return VoiceReferenceSimilarity().score(recording(), features, MetricContext())


def test_a_voice_is_compared_with_the_mean_of_the_reference() -> None:
    one, other = np.eye(4, dtype=np.float32)[:2]
    same = voices(np.tile(one, (5, 1)), np.tile(one, (4, 1)))
    assert same.value == pytest.approx(1)
    assert same.components["num_reference_windows"] == 4
    assert voices(np.tile(one, (5, 1)), np.tile(other, (4, 1))).value == pytest.approx(0)
    half = voices(np.tile(one, (5, 1)), np.stack([one, other]))
    assert half.value == pytest.approx(math.sqrt(0.5))
    assert len(half.windows) == 5


def test_a_reference_without_speech_is_refused() -> None:
    one = np.eye(4, dtype=np.float32)[:1]
    score = voices(np.tile(one, (5, 1)), np.tile(one, (4, 1)), spoken_s=0.5)
    assert math.isnan(score.value)
    assert score.reason.startswith("voice_reference_path: 0 windows with speech")
