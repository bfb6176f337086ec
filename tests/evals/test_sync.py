import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from evals.extractors.audio_envelope import AudioEnvelope
from evals.metrics.base import Context, NotMeasured, Score
from evals.metrics.sync import (
    LEAD_SPREAD_MS,
    LOUDNESS_LEAD_MS,
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
    offset_in_words,
    surrogates,
)
from evals.metrics.sync_signals import (
    OPENNESS,
    SPREADING,
    bandpass,
    shape_of,
    shape_tracks,
    speech_frames,
)
from tests.evals.real_clips import (
    SAMPLE_RATE,
    recording,
)

MESH_SYNC, MESH_SYNC_AT_ZERO, MESH_OFFSET, ENVELOPE_SYNC = SYNC
FRAME_SAMPLES = SAMPLE_RATE // 25


def face(lip_aperture: np.ndarray, mouth_width: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Features of a video that shows one face throughout."""
    width = np.full(len(lip_aperture), 0.3, np.float32) if mouth_width is None else mouth_width
    return {
        "lip_aperture": lip_aperture,
        "mouth_width": width,
        "num_faces": np.ones(len(lip_aperture), np.int32),
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
    return metric.measure(recording(), features, Context())


@pytest.mark.parametrize(
    ("phoneme", "openness"),
    [("p", 0.0), ("b", 0.0), ("m", 0.0), ("f", 0.05), ("v", 0.05), ("ɑː", 1.0), ("ˈæ", 1.0)],
)
def test_openness_of_closed_and_open_sounds(phoneme: str, openness: float) -> None:
    assert shape_of(phoneme)[0] == openness


def test_marks_do_not_hide_a_phoneme_and_unknown_signs_have_no_shape() -> None:
    assert shape_of("d͡ʒ") == (OPENNESS["dʒ"], SPREADING["dʒ"])
    assert shape_of("æ̃") == (OPENNESS["æ"], SPREADING["æ"])
    assert shape_of("aə") == (OPENNESS["a"], SPREADING["a"])
    assert shape_of("‿") is None
    assert shape_of("?") is None


def test_both_tables_have_the_same_phonemes() -> None:
    assert set(OPENNESS) == set(SPREADING)


def test_a_rounded_vowel_is_narrow_and_nearly_closed_though_the_tongue_is_as_high_as_for_i() -> (
    None
):
    assert OPENNESS["u"] < OPENNESS["i"]
    assert SPREADING["u"] < 0 < SPREADING["i"]


def tracks_of(phonemes: list[str], centres: np.ndarray, **more: float) -> np.ndarray:
    options = {"num_frames": 100, "lead_s": 0.0} | more
    return shape_tracks(phonemes, centres, np.ones(len(centres)), **options)


def test_track_is_closed_at_a_bilabial_open_at_a_vowel_and_at_rest_in_a_pause() -> None:
    opening, width = tracks_of(["ɑ", "m", "ɑ", "u"], np.array([0.5, 0.7, 0.9, 3.0]))
    assert opening[12] > 0.8
    assert opening[17] < 0.3
    assert opening[22] > 0.8
    assert opening[40:60] == pytest.approx(0.2, abs=1e-6)
    assert width[40:60] == pytest.approx(0.0, abs=1e-6)
    assert width[74] < -0.8


def test_a_doubtful_sound_moves_the_mouth_by_its_posterior() -> None:
    """Of two sounds at one time the mean is taken; a shadow of a sound leaves the mouth at rest."""
    times = np.array([1.0, 1.0])
    options = {"num_frames": 50, "lead_s": 0.0}
    sure, doubtful, faint = (
        shape_tracks(["ɑ", "m"], times, np.array(weights), **options)[0][24]
        for weights in ([1.0, 0.0], [0.5, 0.5], [0.001, 0.0])
    )
    assert sure > 0.85
    assert doubtful == pytest.approx(0.5, abs=0.05)
    assert faint == pytest.approx(0.2, abs=0.02)


def test_a_lead_moves_the_track_ahead_of_the_sound() -> None:
    phonemes, centres = ["m", "ɑ", "m", "ɑ"], np.array([0.5, 0.7, 0.9, 1.1])
    late = tracks_of(phonemes, centres, num_frames=50)
    early = tracks_of(phonemes, centres, num_frames=50, lead_s=0.08)
    assert early[:, :-2] == pytest.approx(late[:, 2:], abs=1e-9)


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
    return SyncSignals(
        mouth=mouth[None], has_mouth=ok, sound=sound[None], has_sound=ok, weights=(1.0,)
    )


@pytest.mark.parametrize("shift", [-15, -3, 0, 7, 15])
def test_curve_matches_numpy_corrcoef_at_each_shift(shift: int) -> None:
    sound, mouth = np.random.default_rng(1).normal(size=(2, 120))
    curve = signals(sound, mouth).curve(min_frames=25)
    frames = np.arange(max(0, shift), min(120, 120 + shift))
    expected = np.corrcoef(mouth[frames], sound[frames - shift])[0, 1]
    assert curve.correlations[shift + MAX_SHIFT] == pytest.approx(expected, abs=1e-12)


def test_channels_are_averaged_by_their_weights_and_a_constant_one_counts_as_zero() -> None:
    mouth, sound = np.random.default_rng(3).normal(size=(2, 2, 120))
    ok = np.ones(120, bool)

    def at_zero(mouth: np.ndarray) -> float:
        both = SyncSignals(mouth=mouth, has_mouth=ok, sound=sound, has_sound=ok, weights=(1.0, 0.5))
        return float(both.curve(min_frames=25).correlations[MAX_SHIFT])

    first, second = (np.corrcoef(mouth[c], sound[c])[0, 1] for c in (0, 1))
    assert at_zero(mouth) == pytest.approx((first + 0.5 * second) / 1.5, abs=1e-12)
    still = np.stack([mouth[0], np.full(120, 0.3)])
    assert at_zero(still) == pytest.approx(first / 1.5, abs=1e-12)


def test_a_window_borrows_sound_from_its_neighbours() -> None:
    sound = np.random.default_rng(2).normal(size=300)
    shifted = signals(sound, np.roll(sound, 6))
    whole = shifted.curve(min_frames=100)
    curve = shifted.window(100, 200, whole=whole, min_frames=100)
    assert curve.num_frames == 100
    assert curve.correlations.max() == pytest.approx(1.0)
    assert int(np.argmax(curve.correlations)) - MAX_SHIFT == 6


@pytest.mark.parametrize("length", [74, 75])
def test_surrogates_keep_the_power_at_each_rate_and_the_phases_between_channels(
    length: int,
) -> None:
    mouth = np.random.default_rng(4).normal(size=(2, length))
    (found,) = surrogates(mouth, num=3)
    ours, theirs = (np.fft.rfft(x)[..., 1:-1] for x in (mouth, found))
    assert np.abs(theirs) == pytest.approx(np.abs(np.broadcast_to(ours, theirs.shape)), rel=1e-9)
    between = np.angle(theirs[:, 0] / theirs[:, 1])
    assert np.exp(1j * between) == pytest.approx(
        np.exp(1j * np.broadcast_to(np.angle(ours[0] / ours[1]), between.shape)), abs=1e-9
    )
    assert abs(np.corrcoef(found[0, 0], mouth[0])[0, 1]) < 0.5


def curve_with(values: Sequence[float]) -> SyncCurve:
    return SyncCurve(
        correlations=np.array(values), num_frames=200, chance=0.1, unrelated=np.zeros((0, 31))
    )


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


def test_of_two_peaks_that_fit_alike_the_nearer_one_is_taken_and_a_clear_one_anywhere() -> None:
    values = np.zeros(31)
    values[2], values[16] = 0.25, 0.24
    assert curve_with(values.tolist()).peak == 16
    values[2] = 0.6
    assert curve_with(values.tolist()).peak == 2


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
    score = MESH_OFFSET.measure(recording(groups={"domain": "world"}), features, Context())
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
    scores = [MESH_OFFSET.score(recording(), unrelated(seed, 250), Context()) for seed in range(20)]
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
                Context(),
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
    opening, width = tracks_of(phonemes, centres, num_frames=250, lead_s=0.015)
    features = synthetic() | {
        "face": face(
            (0.1 * rng.normal(size=250)).astype(np.float32), (0.3 + 0.1 * width).astype(np.float32)
        ),
        "phonemes_hama": {
            "phonemes": np.array(phonemes), "start_s": centres, "end_s": centres + 0.1,
            "likely": np.array(phonemes), "likely_s": centres, "posterior": np.ones(len(centres)),
        },
    }  # fmt: skip
    assert opening.std() > 0
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
