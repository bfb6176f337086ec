"""Speaker embeddings against Resemblyzer, and voice metrics on known changes of voice."""

import json
from pathlib import Path

import numpy as np
import pytest

from evals.extractors.mel import mel_spectrogram
from evals.extractors.voice import VoiceExtractor, raised_volume, speech_frames
from evals.metrics.voice import VoiceDrift, VoiceSimilarity, similarity_to_start
from evals.protocols.base import MetricContext, Unscored
from evals.recording.recording import Recording
from streamchar_ref.weights import registry
from tests.evals.speech import SAMPLE_RATE, voiced

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "speech_features.json").read_text())
ALL_SPEECH = {
    "start_s": np.zeros(1), "end_s": np.full(1, 1e3), "duration_s": np.array(1e3)
}  # fmt: skip
RECORDING = Recording(
    sample_id="a", system="s", suite="t", transcript="x", video_path=Path("a.mp4")
)
needs_weights = pytest.mark.skipif(
    not registry()["resemblyzer"].is_present(),
    reason="weights 'resemblyzer' are not on this machine",
)


def test_mel_agrees_with_librosa() -> None:
    golden = GOLDEN["resemblyzer_mel"]
    samples = raised_volume(voiced(golden["seconds"]))
    ours = mel_spectrogram(samples, fft_size=400, hop=160, num_mels=40)
    assert ours.shape == (1201, 40)
    reference = np.array(golden["values"])
    np.testing.assert_allclose(ours[golden["frames"]], reference, atol=1e-5 * reference.max())


@needs_weights
def test_embeddings_agree_with_resemblyzer() -> None:
    golden = GOLDEN["resemblyzer_embeddings"]
    found = VoiceExtractor().extract(voiced(golden["seconds"]))
    rows = [found["start_s"].tolist().index(start) for start in golden["start_s"]]
    np.testing.assert_allclose(found["embeddings"][rows], golden["values"], atol=1e-5)


@needs_weights
def test_silence_has_no_windows_and_speech_keeps_its_place() -> None:
    samples = np.concatenate([np.zeros(4 * SAMPLE_RATE, np.float32), voiced(4.0)])
    found = VoiceExtractor().extract(samples)
    assert found["start_s"].min() >= 3.2
    assert float(found["duration_s"]) == 8.0
    silent = VoiceExtractor().extract(np.zeros(3 * SAMPLE_RATE, np.float32))
    assert silent["embeddings"].shape == (0, 256)
    assert VoiceExtractor().extract(np.zeros(10, np.float32))["embeddings"].shape == (0, 256)


@needs_weights
def test_a_change_of_voice_shows() -> None:
    same = {"voice": VoiceExtractor().extract(voiced(24.0)), "speech": ALL_SPEECH}
    changed_samples = np.concatenate([voiced(12.0), voiced(12.0, pitch_hz=260.0)])
    changed = {"voice": VoiceExtractor().extract(changed_samples), "speech": ALL_SPEECH}
    values = [
        [metric.score(RECORDING, found, MetricContext()).value for found in (same, changed)]
        for metric in (VoiceSimilarity(), VoiceDrift())
    ]
    assert values[0][0] > values[0][1] + 0.1
    assert abs(values[1][0]) < 0.05 < 0.2 < values[1][1]


def test_quiet_sound_is_raised_and_loud_sound_is_left() -> None:
    quiet = np.full(100, 0.001, np.float32)
    assert 20 * np.log10(raised_volume(quiet)[0]) == pytest.approx(-30, abs=1e-4)
    loud = np.full(100, 0.5, np.float32)
    np.testing.assert_array_equal(raised_volume(loud), loud)
    nothing = np.zeros(100, np.float32)
    np.testing.assert_array_equal(raised_volume(nothing), nothing)


def test_speech_is_what_is_near_the_loudest() -> None:
    samples = np.concatenate([np.full(1600, level, np.float32) for level in (0.1, 0.01, 0.001)])
    speech = speech_frames(samples, range_db=30, floor_dbfs=-55)
    assert speech.reshape(3, 10).all(axis=1).tolist() == [True, True, False]


def drifting(num_windows: int, angle_a_window: float) -> tuple[np.ndarray, np.ndarray]:
    angles = angle_a_window * np.arange(num_windows)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1), 0.8 * np.arange(num_windows)


def test_similarity_is_the_cosine_to_the_start() -> None:
    embeddings, start_s = drifting(20, 0.02)
    similarity, num_anchors = similarity_to_start(embeddings, start_s)
    assert num_anchors == 5
    # The mean of directions 0 to 4 points to step 2; window 5 still shares sound with the last.
    np.testing.assert_allclose(similarity[6:], np.cos(0.02 * (np.arange(6, 20) - 2)), atol=1e-12)
    # Window 0 is compared with steps 2, 3 and 4.
    assert similarity[0] == pytest.approx(np.cos(0.02 * 3), abs=1e-12)


def test_drift_is_start_minus_end() -> None:
    embeddings, start_s = drifting(40, 0.02)
    voice = {"embeddings": embeddings, "start_s": start_s, "duration_s": np.array(32.8)}
    found = {"voice": voice, "speech": ALL_SPEECH}
    similarity, _ = similarity_to_start(embeddings, start_s)
    score = VoiceDrift().score(RECORDING, found, MetricContext())
    expected = similarity[:6].mean() - similarity[-6:].mean()
    assert score.value == pytest.approx(expected, abs=0.02)
    assert VoiceSimilarity().score(RECORDING, found, MetricContext()).value < 1


def test_too_little_speech_is_not_measured() -> None:
    with pytest.raises(Unscored, match="no speech"):
        similarity_to_start(np.zeros((0, 2)), np.zeros(0))
    embeddings, start_s = drifting(2, 0.1)
    with pytest.raises(Unscored, match="2 windows"):
        similarity_to_start(embeddings, start_s)
    embeddings, start_s = drifting(6, 0.0)
    voice = {"embeddings": embeddings, "start_s": start_s, "duration_s": np.array(5.6)}
    found = {"voice": voice, "speech": ALL_SPEECH}
    assert "no speech after" in VoiceSimilarity().score(RECORDING, found, MetricContext()).reason
    assert "are needed" in VoiceDrift().score(RECORDING, found, MetricContext()).reason
