import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from evals.extractors.audio_envelope import AudioEnvelope
from evals.metrics.base import Context, NotMeasured, Score
from evals.metrics.sync import (
    MIN_FACE_PX,
    PHONEME_BAND_HZ,
    PHONEME_LEAD_MS,
    SYNC,
    EnvelopeSync,
    MeshOffset,
    MeshSync,
    MeshSyncAtZero,
    SyncParams,
)
from evals.metrics.sync_curve import (
    MAX_SHIFT,
    SyncCurve,
    SyncSignals,
    chance_deviation,
    offset_in_words,
)
from evals.metrics.sync_signals import (
    OPENNESS,
    bandpass,
    openness_of,
    openness_track,
    speech_frames,
)
from tests.evals.real_clips import (
    SAMPLE_RATE,
    recording,
)

MESH_SYNC, MESH_SYNC_AT_ZERO, MESH_OFFSET, ENVELOPE_SYNC = SYNC
FRAME_SAMPLES = SAMPLE_RATE // 25


def face(lip_aperture: np.ndarray) -> dict[str, np.ndarray]:
    """Features of a video that shows one face throughout."""
    num = len(lip_aperture)
    return {
        "lip_aperture": lip_aperture,
        "num_faces": np.ones(num, np.int32),
        "face_px": np.full(num, 200, np.float32),
    }


def synthetic(
    *, num_frames: int = 250, delay_s: float = 0.0, domain: str = "real", seed: int = 0
) -> dict[str, dict[str, np.ndarray]]:
    """A mouth that does what the phonemes say, with sound that comes later by ``delay_s``."""
    rng = np.random.default_rng(seed)
    centres = 0.5 + np.cumsum(rng.uniform(0.06, 0.14, num_frames))
    centres = centres[centres < num_frames / 25 - 0.5]
    phonemes = rng.choice(list(OPENNESS), len(centres)).tolist()
    lead_s = PHONEME_LEAD_MS[domain] / 1000
    mouth = openness_track(phonemes, centres, num_frames=num_frames, lead_s=lead_s)
    return {
        "face": face((0.1 * mouth).astype(np.float32)),
        "phonemes_hama": {
            "phonemes": np.array(phonemes),
            "start_s": centres + delay_s,
            "end_s": centres + delay_s + 0.06,
        },
    }


def measure(metric: object, features: dict[str, dict[str, np.ndarray]]) -> Score:
    return metric.measure(recording(), features, Context())


@pytest.mark.parametrize(
    ("phoneme", "openness"),
    [("p", 0.0), ("b", 0.0), ("m", 0.0), ("f", 0.1), ("v", 0.1), ("ɑː", 1.0), ("ˈæ", 1.0)],
)
def test_openness_of_closed_and_open_sounds(phoneme: str, openness: float) -> None:
    assert openness_of(phoneme) == openness


def test_marks_do_not_hide_a_phoneme_and_unknown_signs_have_no_openness() -> None:
    assert openness_of("d͡ʒ") == OPENNESS["dʒ"]
    assert openness_of("æ̃") == OPENNESS["æ"]
    assert openness_of("aə") == OPENNESS["a"]
    assert openness_of("‿") is None
    assert openness_of("?") is None


def test_track_is_closed_at_a_bilabial_open_at_a_vowel_and_at_rest_in_a_pause() -> None:
    centres = np.array([0.5, 0.7, 0.9, 3.0])
    track = openness_track(["ɑ", "m", "ɑ", "ɑ"], centres, num_frames=100, lead_s=0.0)
    assert track[12] > 0.8
    assert track[17] < 0.3
    assert track[22] > 0.8
    assert track[40:60] == pytest.approx(0.2, abs=1e-6)
    assert track[74] > 0.8


def test_a_lead_moves_the_track_ahead_of_the_sound() -> None:
    phonemes, centres = ["m", "ɑ", "m", "ɑ"], np.array([0.5, 0.7, 0.9, 1.1])
    late = openness_track(phonemes, centres, num_frames=50, lead_s=0.0)
    early = openness_track(phonemes, centres, num_frames=50, lead_s=0.08)
    assert early[:-2] == pytest.approx(late[2:], abs=1e-9)


def test_speech_frames_are_those_near_phonemes() -> None:
    frames = speech_frames(np.array([1.0]), np.array([1.1]), num_frames=50, lead_s=0.0)
    assert np.flatnonzero(frames).tolist() == list(range(21, 31))


def test_bandpass_matches_a_butterworth_filter_run_both_ways() -> None:
    """The reference runs a Butterworth twice; tolerance for its start-up at both ends."""
    signal = np.random.default_rng(0).normal(size=500)
    low = sosfiltfilt(butter(4, 8.0, "low", fs=25, output="sos"), signal)
    both = sosfiltfilt(butter(4, 1.5, "high", fs=25, output="sos"), low)
    ours = bandpass(signal, (1.5, 8.0))
    assert np.corrcoef(ours[50:-50], both[50:-50])[0, 1] > 0.98


def test_bandpass_drops_lines_and_keeps_the_place_of_a_syllable() -> None:
    frames = np.arange(200)
    assert bandpass(0.3 * frames + 7.0, (1.5, 8.0)) == pytest.approx(np.zeros(200), abs=1e-9)
    syllable = np.exp(-0.5 * ((frames - 90) / 2) ** 2)
    assert int(np.argmax(bandpass(syllable, (1.5, 8.0)))) == 90


def signals(sound: np.ndarray, mouth: np.ndarray) -> SyncSignals:
    ok = np.ones(len(mouth), bool)
    return SyncSignals(mouth=mouth, has_mouth=ok, sound=sound, has_sound=ok)


@pytest.mark.parametrize("shift", [-15, -3, 0, 7, 15])
def test_curve_matches_numpy_corrcoef_at_each_shift(shift: int) -> None:
    sound, mouth = np.random.default_rng(1).normal(size=(2, 120))
    curve = signals(sound, mouth).curve(0, 120, min_frames=25)
    frames = np.arange(max(0, shift), min(120, 120 + shift))
    expected = np.corrcoef(mouth[frames], sound[frames - shift])[0, 1]
    assert curve.correlations[shift + MAX_SHIFT] == pytest.approx(expected, abs=1e-12)


def test_a_window_borrows_sound_from_its_neighbours() -> None:
    sound = np.random.default_rng(2).normal(size=300)
    whole = signals(sound, np.roll(sound, 6))
    curve = whole.curve(100, 200, min_frames=100)
    assert curve.num_frames == 100
    assert curve.correlations.max() == pytest.approx(1.0)
    assert int(np.argmax(curve.correlations)) - MAX_SHIFT == 6


def curve_with(values: Sequence[float]) -> SyncCurve:
    return SyncCurve(correlations=np.array(values), num_frames=200, chance=0.1)


def test_an_edge_is_flagged_and_the_best_true_peak_is_scored() -> None:
    values = np.zeros(31)
    values[0], values[20] = 0.9, 0.4
    curve = curve_with(values.tolist())
    assert curve.is_edge
    assert curve.score == pytest.approx(0.4)
    assert curve.offset_frames == pytest.approx(5.0)


def test_a_curve_without_a_peak_scores_nothing() -> None:
    curve = curve_with(np.linspace(0, 1, 31).tolist())
    assert curve.is_edge
    assert curve.score == 0
    assert math.isnan(curve.offset_frames)


@pytest.mark.parametrize("delay_ms", [-320, -100, 0, 40, 250])
def test_offset_is_positive_when_the_audio_is_early(delay_ms: int) -> None:
    score = measure(MESH_OFFSET, synthetic(delay_s=delay_ms / 1000))
    assert score.value == pytest.approx(-delay_ms, abs=4)


def test_components_say_the_offset_in_words_and_what_was_taken_off() -> None:
    late = measure(MESH_OFFSET, synthetic(delay_s=0.08)).components
    assert late["offset_in_words"].startswith("audio late by ")
    assert late["uncorrected_offset_ms"] == pytest.approx(late["offset_ms"] - 110)
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
    score = MESH_OFFSET.measure(recording(groups={"domain": "world"}), features, Context())
    assert score.value == pytest.approx(0, abs=4)


def test_windows_show_where_sync_is_lost() -> None:
    good, bad = synthetic(num_frames=300), synthetic(num_frames=300, seed=1)
    mouth = np.concatenate([good["face"]["lip_aperture"][:150], bad["face"]["lip_aperture"][150:]])
    score = measure(MESH_SYNC, good | {"face": face(mouth)})
    assert [(window.t0_s, window.t1_s) for window in score.windows] == [
        (0.0, 4.0), (2.0, 6.0), (4.0, 8.0), (6.0, 10.0), (8.0, 12.0),
    ]  # fmt: skip
    assert score.windows[0].value > 0.8
    assert score.windows[-1].value < 0.6


def test_a_still_mouth_is_not_measured() -> None:
    still = synthetic() | {"face": face(np.full(250, 0.05, np.float32))}
    for metric in (MESH_SYNC, MESH_SYNC_AT_ZERO, MESH_OFFSET):
        score = metric.score(recording(), still, Context())
        assert math.isnan(score.value)
        assert score.reason == "no mouth motion"


def test_no_face_no_speech_and_short_videos_are_not_measured() -> None:
    features = synthetic()
    no_face = features | {"face": face(np.full(250, np.nan, np.float32))}
    with pytest.raises(NotMeasured, match="no face"):
        measure(MESH_SYNC, no_face)
    silence = {name: values[:0] for name, values in features["phonemes_hama"].items()}
    with pytest.raises(NotMeasured, match="no phonemes"):
        measure(MESH_SYNC, features | {"phonemes_hama": silence})
    for num_frames in (1, 2, 20):
        short = face(features["face"]["lip_aperture"][20 : 20 + num_frames])
        with pytest.raises(NotMeasured, match=r"no mouth motion|less than 1 s"):
            measure(MESH_SYNC, features | {"face": short})


@pytest.mark.parametrize(("domain", "limit"), MIN_FACE_PX.items())
def test_lips_of_a_face_too_small_for_its_domain_are_not_read(domain: str, limit: float) -> None:
    features = synthetic(domain=domain)
    sized = recording(groups={"domain": domain})
    for metric in SYNC[:3]:
        features["face"]["face_px"][:] = limit
        assert math.isfinite(metric.score(sized, features, Context()).value)
        features["face"]["face_px"][:] = limit - 1
        small = metric.score(sized, features, Context())
        assert small.status == "not_applicable"
        assert f"{limit - 1:.0f} px; lip-sync needs {limit:.0f} px" in small.reason


def test_unrelated_sound_rarely_has_an_offset() -> None:
    """Chance is 3 deviations at the best of 31 shifts, so a few in a hundred may have one."""
    scores = [
        MESH_OFFSET.score(
            recording(),
            synthetic(seed=seed) | {"face": synthetic(seed=100 + seed)["face"]},
            Context(),
        )
        for seed in range(60)
    ]
    assert sum(math.isfinite(score.value) for score in scores) <= 6
    assert {score.reason.split(":")[0] for score in scores} <= {
        "", "no clear peak", "the best shift is at the edge of +-600 ms",
    }  # fmt: skip


def test_chance_deviation_is_that_of_unrelated_smooth_signals() -> None:
    """Tolerance 20 %: the formula is for long signals, and 400 draws scatter by 4 %."""
    rng = np.random.default_rng(0)
    pairs = [
        [bandpass(noise, (1.5, 8.0)) for noise in rng.normal(size=(2, 200))] for _ in range(400)
    ]
    found = float(np.std([np.corrcoef(first, second)[0, 1] for first, second in pairs]))
    said = float(np.mean([chance_deviation(first, second, 200) for first, second in pairs]))
    assert said == pytest.approx(found, rel=0.2)


def test_short_gaps_of_the_mesh_are_bridged_and_long_ones_left_out() -> None:
    features = synthetic()
    mouth = features["face"]["lip_aperture"].copy()
    mouth[60:63] = np.nan
    mouth[100:130] = np.nan
    score = measure(MESH_SYNC, features | {"face": face(mouth)})
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
    assert score.components["offset_ms"] == pytest.approx(-80 + 90, abs=25)


def test_sync_metrics_are_told_apart_by_their_settings() -> None:
    other = SyncParams(band_hz=PHONEME_BAND_HZ, lead_ms={"real": 0.0, "world": 0.0})
    for kind in (MeshSync, MeshSyncAtZero, MeshOffset, EnvelopeSync):
        assert kind(params=other, protocol="x").params["lead_ms"] != PHONEME_LEAD_MS
