"""Lip-sync on real clips and on a drawn character, with phonemes heard by the recogniser."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest

from evals.extractors import EXTRACTORS
from evals.extractors.audio_envelope import AudioEnvelope
from evals.metrics.mesh_sync import SYNC
from evals.protocols.base import MetricContext, Score, Unscored
from streamchar_ref.world.character import draw_character
from streamchar_ref.world.motion import move
from streamchar_ref.world.render import render
from streamchar_ref.world.speech import speak
from tests.evals.real_clips import (
    HALF_BODY,
    SAMPLE_RATE,
    TALKING_HEAD,
    clip_face,
    clip_frames,
    clip_samples,
    face_features,
    recording,
)

MESH_SYNC, MESH_SYNC_AT_ZERO, MESH_OFFSET, ENVELOPE_SYNC = SYNC
IN_SYNC = ("grid_bbaf2n.mpg", "grid_pwij3p.mpg")
"""Studio recordings of 3 s, in sync by how they were made."""
FRAME_SAMPLES = SAMPLE_RATE // 25


@cache
def recogniser() -> Any:
    return EXTRACTORS["phonemes_hama"].make()


def heard(samples: np.ndarray) -> Mapping[str, np.ndarray]:
    return recogniser().extract(samples)


def delayed(samples: np.ndarray, num_frames: int) -> np.ndarray:
    """Sound that comes later by some frames; earlier if negative; as long as before."""
    room = abs(num_frames) * FRAME_SAMPLES
    padded = np.pad(samples, room)
    start = room - num_frames * FRAME_SAMPLES
    return padded[start : start + len(samples)]


def measure(metric: object, features: dict[str, dict[str, np.ndarray]]) -> Score:
    return metric.measure(recording(), features, MetricContext())


@cache
def mismatched_speech() -> tuple[np.ndarray, ...]:
    other = clip_samples(HALF_BODY)
    return tuple(
        other[start * SAMPLE_RATE : (start + 8) * SAMPLE_RATE] for start in (0, 3, 6, 9, 12)
    )


@cache
def aligned_phonemes() -> Mapping[str, np.ndarray]:
    return heard(clip_samples(TALKING_HEAD))


def test_true_sound_scores_at_least_twice_as_high_as_other_speech() -> None:
    face = clip_face(TALKING_HEAD)
    aligned = measure(MESH_SYNC, {"face": face, "phonemes_hama": aligned_phonemes()})
    others = [
        measure(MESH_SYNC, {"face": face, "phonemes_hama": heard(samples)})
        for samples in mismatched_speech()
    ]
    inside = [score.value for score in others if not score.components["is_edge"]]
    assert len(inside) >= 3
    assert aligned.value >= 2 * float(np.median(inside))


def test_true_sound_scores_higher_than_other_speech_by_loudness_alone() -> None:
    face, levels = clip_face(TALKING_HEAD), AudioEnvelope().extract
    aligned = levels(clip_samples(TALKING_HEAD))
    others = [
        measure(ENVELOPE_SYNC, {"face": face, "audio_envelope": levels(samples)}).value
        for samples in mismatched_speech()
    ]
    score = measure(ENVELOPE_SYNC, {"face": face, "audio_envelope": aligned})
    assert score.value > float(np.median(others))


def own_features(name: str) -> dict[str, Mapping[str, np.ndarray]]:
    return {"face": clip_face(name), "phonemes_hama": heard(clip_samples(name))}


@pytest.mark.parametrize("name", IN_SYNC)
def test_three_seconds_in_sync_have_an_offset_near_zero(name: str) -> None:
    score = MESH_OFFSET.score(recording(), own_features(name), MetricContext())
    assert score.reason == ""
    assert abs(score.value) <= 40
    assert score.components["p_value"] <= 0.05
    assert abs(score.value) <= score.components["offset_uncertainty_ms"]


@pytest.mark.parametrize("name", IN_SYNC)
def test_at_zero_three_seconds_in_sync_beat_all_other_speech(name: str) -> None:
    own = own_features(name)
    foreign = [
        measure(MESH_SYNC_AT_ZERO, own | {"phonemes_hama": heard(samples)}).value
        for samples in mismatched_speech()
    ]
    assert measure(MESH_SYNC_AT_ZERO, own).value > max(foreign)


def test_other_speech_has_no_offset_and_says_its_p_value() -> None:
    face = clip_face(IN_SYNC[0])
    scores = [
        MESH_OFFSET.score(
            recording(), {"face": face, "phonemes_hama": heard(samples)}, MetricContext()
        )
        for samples in mismatched_speech()
    ]
    assert sum(bool(score.reason) for score in scores) >= len(scores) - 1
    assert any(score.reason.startswith("no clear peak: p = ") for score in scores)


def test_the_likely_phonemes_hold_the_best_path() -> None:
    found = aligned_phonemes()
    rows = set(zip(found["likely"].tolist(), np.round(found["likely_s"], 3), strict=True))
    best = list(zip(found["phonemes"].tolist(), np.round(found["start_s"], 3), strict=True))
    assert len([phoneme for phoneme in best if phoneme in rows]) == len(best)
    assert found["posterior"].max() <= 1.0
    assert found["posterior"].min() >= 0.001
    assert len(rows) > len(best)


@pytest.mark.slow
def test_offset_moves_with_the_sound() -> None:
    face, samples = clip_face(TALKING_HEAD), clip_samples(TALKING_HEAD)
    unmoved = measure(MESH_OFFSET, {"face": face, "phonemes_hama": aligned_phonemes()}).value
    moves = {
        shift: (
            unmoved
            - measure(
                MESH_OFFSET, {"face": face, "phonemes_hama": heard(delayed(samples, shift))}
            ).value
        )
        / 40
        for shift in range(-8, 9)
    }
    assert moves == pytest.approx({shift: shift for shift in range(-8, 9)}, abs=1)


def test_a_frozen_copy_has_no_mouth_motion() -> None:
    frozen = np.repeat(clip_frames(TALKING_HEAD)[60:61], 75, axis=0).astype(np.int16)
    noise = np.random.default_rng(0).integers(-2, 3, frozen.shape, np.int16)
    face = face_features(np.clip(frozen + noise, 0, 255).astype(np.uint8))
    with pytest.raises(Unscored, match="no mouth motion"):
        measure(MESH_SYNC, {"face": face, "phonemes_hama": aligned_phonemes()})


@pytest.mark.slow
def test_in_the_world_the_mouth_is_seen_and_the_offset_is_near_zero() -> None:
    """Half a frame: recogniser, mesh and drawing together."""
    spoken = speak("We always remember how people move their mouths when they talk.", seed=1)
    motion = move(spoken.phonemes, num_frames=int(spoken.length_s * 25), seed=1)
    face = face_features(render(draw_character(1), motion, size=256))
    assert face["has_mesh"].all()
    assert np.corrcoef(face["lip_aperture"], motion.gap)[0, 1] > 0.85
    score = MESH_OFFSET.measure(
        recording(groups={"domain": "world"}),
        {"face": face, "phonemes_hama": heard(spoken.samples)},
        MetricContext(),
    )
    assert abs(score.value) <= 20
    assert score.components["peak_correlation"] > 0.6
