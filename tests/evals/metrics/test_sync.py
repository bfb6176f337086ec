import math

import numpy as np
import pytest

from evals.extractors.audio_envelope import AudioEnvelope
from evals.metrics.mesh_sync import (
    SYNC,
    EnvelopeSync,
    MeshOffset,
    MeshSync,
    MeshSyncAtZero,
)
from evals.metrics.sync import (
    LEAD_SPREAD_MS,
    LOUDNESS_LEAD_MS,
    MIN_FACE_PX,
    PHONEME_BAND_HZ,
    PHONEME_LEAD_MS,
    SyncParams,
)
from evals.metrics.sync_curve import (
    offset_in_words,
)
from evals.metrics.sync_signals import (
    OPENNESS,
    shape_tracks,
)
from evals.protocols.base import MetricContext, Score, Unscored
from tests.evals.real_clips import (
    SAMPLE_RATE,
    recording,
)

MESH_SYNC, MESH_SYNC_AT_ZERO, MESH_OFFSET, ENVELOPE_SYNC = SYNC
FRAME_SAMPLES = SAMPLE_RATE // 25


def face(lip_aperture: np.ndarray, mouth_width: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Features of a video that shows one face throughout."""
    num = len(lip_aperture)
    width = np.full(num, 0.3, np.float32) if mouth_width is None else mouth_width
    return {
        "has_mesh": np.isfinite(lip_aperture),
        "lip_aperture": lip_aperture,
        "mouth_width": width,
        "num_faces": np.ones(num, np.int32),
        "face_px": np.full(num, 200, np.float32),
    }


def synthetic(
    *,
    num_frames: int = 250,
    delay_s: float = 0.0,
    domain: str = "real",
    seed: int = 0,
    noise: float = 0.0,
) -> dict[str, dict[str, np.ndarray]]:
    """A mouth that does what the phonemes say, with sound that comes later by ``delay_s``.

    ``noise`` is that of the mesh, in standard deviations of the mouth's own movement.
    """
    rng = np.random.default_rng(seed)
    centres = 0.5 + np.cumsum(rng.uniform(0.06, 0.14, num_frames))
    centres = centres[centres < num_frames / 25 - 0.5]
    phonemes = rng.choice(list(OPENNESS), len(centres)).tolist()
    lead_s = PHONEME_LEAD_MS[domain] / 1000
    sure = np.ones(len(centres))
    tracks = shape_tracks(phonemes, centres, sure, num_frames=num_frames, lead_s=lead_s)
    tracks += noise * tracks.std(axis=1, keepdims=True) * rng.normal(size=tracks.shape)
    opening, width = (0.1 * tracks + [[0.0], [0.3]]).astype(np.float32)
    return {
        "face": face(opening, width),
        "phonemes_hama": {
            "phonemes": np.array(phonemes),
            "start_s": centres + delay_s,
            "end_s": centres + delay_s + 0.06,
            "likely": np.array(phonemes),
            "likely_s": centres + delay_s,
            "posterior": sure.astype(np.float32),
        },
    }


def measure(metric: object, features: dict[str, dict[str, np.ndarray]]) -> Score:
    return metric.measure(recording(), features, MetricContext())


@pytest.mark.parametrize("delay_ms", [-320, -100, 0, 40, 250])
def test_offset_is_positive_when_the_audio_is_early(delay_ms: int) -> None:
    score = measure(MESH_OFFSET, synthetic(delay_s=delay_ms / 1000))
    assert score.value == pytest.approx(-delay_ms, abs=4)


def test_components_say_the_offset_in_words_and_what_was_taken_off() -> None:
    late = measure(MESH_OFFSET, synthetic(delay_s=0.08)).components
    assert late["offset_in_words"].startswith("audio late by ")
    assert late["uncorrected_offset_ms"] == pytest.approx(
        late["offset_ms"] - PHONEME_LEAD_MS["real"]
    )
    early = measure(MESH_OFFSET, synthetic(delay_s=-0.08)).components
    assert early["offset_in_words"].startswith("audio early by ")
    assert offset_in_words(0.2) == "audio in time"


def test_a_perfect_mouth_scores_high_at_zero_and_low_when_the_sound_is_late() -> None:
    in_time, late = synthetic(), synthetic(delay_s=0.2)
    assert measure(MESH_SYNC, in_time).value > 0.9
    assert measure(MESH_SYNC_AT_ZERO, in_time).value > 0.9
    assert measure(MESH_SYNC, late).value > 0.9
    assert measure(MESH_SYNC_AT_ZERO, late).value < 0.3


def test_each_domain_has_its_own_lead() -> None:
    features = synthetic(domain="world")
    score = MESH_OFFSET.measure(recording(groups={"domain": "world"}), features, MetricContext())
    assert score.value == pytest.approx(0, abs=4)


def test_windows_show_where_sync_is_lost() -> None:
    good, bad = synthetic(num_frames=300), synthetic(num_frames=300, seed=1)
    mouth = {
        name: np.concatenate([good["face"][name][:150], bad["face"][name][150:]])
        for name in good["face"]
    }
    score = measure(MESH_SYNC, good | {"face": mouth})
    assert [(window.t0_s, window.t1_s) for window in score.windows] == [
        (0.0, 4.0), (2.0, 6.0), (4.0, 8.0), (6.0, 10.0), (8.0, 12.0),
    ]  # fmt: skip
    assert score.windows[0].value > 0.8
    assert score.windows[-1].value < 0.6


def test_a_still_mouth_is_not_measured() -> None:
    still = synthetic() | {"face": face(np.full(250, 0.05, np.float32))}
    for metric in (MESH_SYNC, MESH_SYNC_AT_ZERO, MESH_OFFSET):
        score = metric.score(recording(), still, MetricContext())
        assert math.isnan(score.value)
        assert score.reason.startswith("no mouth motion")


def test_missing_lips_count_against_a_system_that_was_to_speak() -> None:
    asked, unasked = recording(transcript="Hello there."), recording(transcript="")
    declared = recording(transcript="Hello there.", is_still=True)
    for aperture, reason in ((np.nan, "no face in any frame"), (0.05, "no mouth motion")):
        lost = synthetic() | {"face": face(np.full(250, aperture, np.float32))}
        for subject, status in (
            (asked, "generation_failure"),
            (unasked, "not_applicable"),
            (declared, "not_applicable"),
        ):
            score = MESH_SYNC.score(subject, lost, MetricContext())
            assert score.status == status
            assert score.reason.startswith(reason)


def test_no_face_no_speech_and_short_videos_are_not_measured() -> None:
    features = synthetic()
    no_face = features | {"face": face(np.full(250, np.nan, np.float32))}
    with pytest.raises(Unscored, match="no face"):
        measure(MESH_SYNC, no_face)
    silence = {name: values[:0] for name, values in features["phonemes_hama"].items()}
    with pytest.raises(Unscored, match="no phonemes"):
        measure(MESH_SYNC, features | {"phonemes_hama": silence})
    for num_frames in (1, 2, 20):
        short = face(features["face"]["lip_aperture"][20 : 20 + num_frames])
        with pytest.raises(Unscored, match=r"no mouth motion|less than 1 s"):
            measure(MESH_SYNC, features | {"face": short})


@pytest.mark.parametrize(("domain", "limit"), MIN_FACE_PX.items())
def test_lips_of_a_face_too_small_for_its_domain_are_not_read(domain: str, limit: float) -> None:
    features = synthetic(domain=domain)
    sized = recording(groups={"domain": domain})
    for metric in SYNC[:3]:
        features["face"]["face_px"][:] = limit
        assert math.isfinite(metric.score(sized, features, MetricContext()).value)
        features["face"]["face_px"][:] = limit - 1
        small = metric.score(sized, features, MetricContext())
        assert small.status == "not_applicable"
        assert f"{limit - 1:.0f} px; lip-sync needs {limit:.0f} px" in small.reason


def unrelated(seed: int, num_frames: int) -> dict[str, dict[str, np.ndarray]]:
    """The mouth of one speaker and the sound of another."""
    sound = synthetic(num_frames=num_frames, seed=seed)
    return sound | {"face": synthetic(num_frames=num_frames, seed=1000 + seed)["face"]}


@pytest.mark.parametrize("num_frames", [75, 200])
def test_p_values_of_unrelated_sound_are_uniform(num_frames: int) -> None:
    """A share of 0.05 in 60 pairs has a standard error of 0.03, one of 0.5 of 0.06."""
    p = np.array(
        [
            measure(MESH_SYNC, unrelated(seed, num_frames)).components["p_value"]
            for seed in range(60)
        ]
    )
    assert (p <= 0.05).mean() <= 0.12
    assert (p <= 0.5).mean() == pytest.approx(0.5, abs=0.2)


def test_unrelated_sound_has_no_offset_and_the_reason_says_the_p_value() -> None:
    scores = [
        MESH_OFFSET.score(recording(), unrelated(seed, 250), MetricContext()) for seed in range(20)
    ]
    assert sum(math.isfinite(score.value) for score in scores) <= 3
    assert {score.reason.split(" = ")[0] for score in scores} <= {
        "", "no clear peak: p", "the best shift is at the edge of +-600 ms",
    }  # fmt: skip
    assert any(score.reason.startswith("no clear peak: p = 0.") for score in scores)


def test_three_seconds_are_enough_for_a_verdict() -> None:
    """Of sound in time and of sound 160 ms late, seen through a mesh with noise."""
    for delay_s in (0.0, 0.16):
        scores = [
            MESH_OFFSET.score(
                recording(),
                synthetic(num_frames=75, delay_s=delay_s, seed=seed, noise=0.7),
                MetricContext(),
            )
            for seed in range(20)
        ]
        found = np.array([score.value for score in scores])
        assert np.isfinite(found).mean() >= 0.8
        assert float(np.nanmedian(np.abs(found + 1000 * delay_s))) <= 20


def test_uncertainty_covers_the_scatter_of_offsets_and_adds_that_of_the_lead() -> None:
    """Most errors lie within the statistical part, which is not far too wide either."""
    scores = [
        measure(MESH_SYNC, synthetic(num_frames=150, seed=seed, noise=1.0)).components
        for seed in range(20)
    ]
    half_widths = np.array([score["offset_uncertainty_ms"] for score in scores])
    lead = 1.96 * LEAD_SPREAD_MS["real"]
    assert half_widths.min() > lead
    statistical = np.sqrt(half_widths**2 - lead**2)
    errors = np.abs([score["offset_ms"] for score in scores])
    assert (errors <= statistical).mean() >= 0.85
    assert statistical.mean() < 8 * errors.mean()


def test_more_video_makes_the_p_value_smaller_and_chance_lower() -> None:
    short, long = (
        measure(MESH_SYNC, synthetic(num_frames=num, noise=2.5)).components for num in (100, 500)
    )
    assert long["p_value"] <= short["p_value"]
    assert long["chance_score"] < 0.75 * short["chance_score"]


def test_a_mouth_that_only_widens_is_in_sync_too() -> None:
    """Rounded against spread vowels: the opening alone says little, the width much."""
    rng = np.random.default_rng(5)
    centres = np.arange(0.5, 9.5, 0.2)
    phonemes = rng.choice(["u", "i", "s", "w"], len(centres)).tolist()
    sure = np.ones(len(centres))
    _, width = shape_tracks(phonemes, centres, sure, num_frames=250, lead_s=0.015)
    features = synthetic() | {
        "face": face(
            (0.1 * rng.normal(size=250)).astype(np.float32), (0.3 + 0.1 * width).astype(np.float32)
        ),
        "phonemes_hama": {
            "phonemes": np.array(phonemes), "start_s": centres, "end_s": centres + 0.1,
            "likely": np.array(phonemes), "likely_s": centres, "posterior": np.ones(len(centres)),
        },
    }  # fmt: skip
    assert measure(MESH_SYNC, features).components["p_value"] <= 0.05


def test_short_gaps_of_the_mesh_are_bridged_and_long_ones_left_out() -> None:
    features = synthetic()
    mouth = features["face"]["lip_aperture"].copy()
    mouth[60:63] = np.nan
    mouth[100:130] = np.nan
    score = measure(MESH_SYNC, features | {"face": face(mouth, features["face"]["mouth_width"])})
    whole = measure(MESH_SYNC, features)
    assert score.components["num_frames"] == whole.components["num_frames"] - 30
    assert score.value == pytest.approx(whole.value, abs=0.1)


def test_envelope_is_centred_on_frames_and_in_decibels() -> None:
    samples = np.zeros(SAMPLE_RATE, np.float32)
    times = np.arange(FRAME_SAMPLES) / SAMPLE_RATE
    samples[10 * FRAME_SAMPLES : 11 * FRAME_SAMPLES] = 0.5 * np.sin(2 * np.pi * 1000 * times)
    levels = AudioEnvelope().extract(samples)
    assert len(levels["db"]) == 25
    assert int(np.argmax(levels["speech_db"])) == 10
    assert levels["db"][10] == pytest.approx(20 * np.log10(0.5 / math.sqrt(2)), abs=0.01)
    assert levels["db"][0] == -100
    assert len(AudioEnvelope().extract(np.zeros(0, np.float32))["db"]) == 0


def test_envelope_sync_follows_a_mouth_that_opens_with_loudness() -> None:
    track = synthetic()["face"]["lip_aperture"]
    levels = {"speech_db": (np.roll(track, 2) * 100 - 30).astype(np.float32)}
    score = measure(ENVELOPE_SYNC, {"face": face(track), "audio_envelope": levels})
    assert score.value > 0.8
    assert score.components["offset_ms"] == pytest.approx(-80 + LOUDNESS_LEAD_MS["real"], abs=25)


def test_sync_metrics_are_told_apart_by_their_settings() -> None:
    other = SyncParams(
        band_hz=PHONEME_BAND_HZ,
        lead_ms={"real": 1.0, "world": 1.0},
        lead_spread_ms=LEAD_SPREAD_MS,
        width_weight=0.5,
    )
    for kind in (MeshSync, MeshSyncAtZero, MeshOffset, EnvelopeSync):
        assert kind(params=other, protocol="x").params["lead_ms"] != PHONEME_LEAD_MS
