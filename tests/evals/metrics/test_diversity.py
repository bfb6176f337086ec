"""Diversity over seeds: what counts, what does not, and where there is no number."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.extractors.face import LANDMARKS, landmark_columns
from evals.metrics.diversity import DIVERSITY, MotionDiversity, VoiceDiversity, motion_spread
from evals.metrics.take_signals import MOTION_SCALES, motion_signals
from evals.protocols.base import Unscored
from evals.protocols.takes_metric import SeedTake
from evals.recording.recording import Recording

MOTION, MOTION_RATIO, VOICE, VOICE_RATIO = DIVERSITY
NUM_FRAMES = 150
RECORDING = Recording(
    sample_id="a", system="s", suite="u", transcript="hello there", video_path=Path("none.mp4")
)


def take(seed: int, *, share: float = 1.0, lips: float = 0.0, tempo: float = 1.0) -> SeedTake:
    """A take whose head sways and whose pitch wanders by its seed, saying the same words."""
    rng = np.random.default_rng(seed)
    own = share * np.cumsum(rng.normal(size=(NUM_FRAMES, 3)), axis=0) * (0.5, 0.5, 0.02)
    face = np.random.default_rng(99).uniform(0, 100, (len(LANDMARKS), 2))
    points = np.broadcast_to(face, (NUM_FRAMES, len(LANDMARKS), 2)).copy()
    points[:, landmark_columns((4,))[0], 0] += own[:, 0]
    points[..., 1] += own[:, 1, None]
    points[:, landmark_columns((14,))[0], 1] += lips * rng.normal(size=NUM_FRAMES)
    seconds = tempo * (0.4 + 0.2 * np.arange(26))
    features: Mapping[str, Any] = {
        "face": {"has_mesh": np.ones(NUM_FRAMES, bool), "landmarks": points},
        "phonemes_hama": {
            "phonemes": np.array(list("abcdefghijklmnopqrstuvwxyz")), "start_s": seconds
        },
        "pitch": {"hz": 120 * 2 ** own[:, 2]},
        "audio_envelope": {"speech_db": np.full(NUM_FRAMES, -20.0)},
        "speech": {
            "start_s": np.array([0.0]), "end_s": np.array([6.0]), "duration_s": np.array(6.0)
        },
        "voice": {"embeddings": np.eye(2, 8)},
    }  # fmt: skip
    return SeedTake(recording=replace(RECORDING, seed=seed), features=features)


def failed(seed: int) -> SeedTake:
    recording = replace(RECORDING, seed=seed, error="out of memory")
    return SeedTake(recording=recording, features={})


@pytest.mark.parametrize("metric", DIVERSITY, ids=lambda metric: metric.name)
def test_one_seed_has_no_diversity_and_not_one_of_0(metric: MotionDiversity) -> None:
    score = metric.score_takes([take(0)])
    assert np.isnan(score.value)
    assert score.status == "not_applicable"
    assert "--seed" in score.reason


@pytest.mark.parametrize("metric", [MOTION, VOICE], ids=lambda metric: metric.name)
def test_the_same_take_for_every_seed_is_collapse(metric: MotionDiversity) -> None:
    score = metric.score_takes([take(0), take(0), take(0)])
    assert (score.value, score.components["num_takes"]) == (0.0, 3)


def test_half_of_the_deviations_is_half_of_the_diversity() -> None:
    whole = MOTION.score_takes([take(0), take(1), take(2)]).value
    half = MOTION.score_takes([take(0, share=0.5), take(1, share=0.5), take(2, share=0.5)]).value
    assert half == pytest.approx(whole / 2, rel=1e-3)
    assert whole > 0


def test_lips_do_not_count() -> None:
    assert MOTION.score_takes([take(0, share=0), take(1, share=0, lips=5)]).value == 0


def test_tempo_is_diversity_of_the_voice() -> None:
    score = VOICE.score_takes([take(0, share=0), take(1, share=0, tempo=1.1)])
    assert score.components["spread"]["tempo"] == pytest.approx(np.log2(1.1) / 2**0.5, rel=0.01)
    assert score.components["spread"]["pitch"] == pytest.approx(0, abs=1e-6)


def test_the_mean_of_the_ratios_is_the_ratio_of_the_means() -> None:
    prompts = [(take(0, share=0.2), take(1, share=0.2), take(2), take(3)),
               (take(4), take(5), take(6, share=2.0), take(7, share=2.0))]  # fmt: skip
    ratios = [MOTION_RATIO.score_takes([a, b], [c, d]) for a, b, c, d in prompts]
    own = sum(MOTION.score_takes([a, b]).value for a, b, *_ in prompts)
    truth = sum(MOTION.score_takes([c, d]).value for *_, c, d in prompts)
    mean = sum(r.value * r.weight for r in ratios) / sum(r.weight for r in ratios)
    assert mean == pytest.approx(own / truth)


def test_a_ratio_to_nothing_has_a_reason() -> None:
    lonely = VOICE_RATIO.score_takes([take(0), take(1)], [take(2)])
    assert (lonely.status, "--reference" in lonely.reason) == ("not_applicable", True)
    same = VOICE_RATIO.score_takes([take(0), take(1)], [take(2), take(2)])
    assert "all the same" in same.reason
    broken = VOICE_RATIO.score_takes([take(0), take(1)], [take(2), failed(3)])
    assert broken.reason.startswith("the reference system: 1 of 2 seeds failed")


def test_seeds_that_failed_are_the_system_s_failure_unless_two_are_left() -> None:
    assert MOTION.score_takes([take(0), take(1), failed(2)]).components["seeds"] == [0, 1]
    score = MOTION.score_takes([take(0), failed(1)])
    assert (score.status, "out of memory" in score.reason) == ("generation_failure", True)


def test_a_take_that_does_not_say_the_words_fails_the_voice() -> None:
    other = take(1)
    other.features["phonemes_hama"]["phonemes"][:] = np.array(list("zyxwvutsrqponmlkjihgfedcba"))
    assert MOTION.score_takes([take(0), other]).components["num_pairs_by_words"] == 0
    score = VOICE.score_takes([take(0), other])
    assert (score.status, "in common" in score.reason) == ("generation_failure", True)


def test_a_take_without_a_face_fails_the_motion() -> None:
    other = take(1)
    other.features["face"]["has_mesh"][:] = False
    assert MOTION.score_takes([take(0), other]).status == "generation_failure"


def test_motion_is_read_off_a_framed_head_in_distances_of_the_eyes() -> None:
    points = take(0).features["face"]["landmarks"]
    assert motion_signals(points).shape == (NUM_FRAMES, len(MOTION_SCALES))
    larger = motion_spread([motion_signals(2 * points), motion_signals(points)])
    assert larger == pytest.approx(0, abs=1e-9)


def test_protocols_say_all_that_decides() -> None:
    for metric in (MotionDiversity(), VoiceDiversity(is_relative=True)):
        assert metric.params["scales"] == dict(metric.scales)
        assert metric.params["min_anchors"] == 10
    with pytest.raises(Unscored):
        MOTION_RATIO.measure_takes([take(0), take(1)], [])
