import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from evals.metrics.sync_signals import (
    OPENNESS,
    SPREADING,
    bandpass,
    shape_of,
    shape_tracks,
    speech_frames,
)


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
