"""DNSMOS against the numbers of Microsoft's code as packaged in speechmos."""

import json
from pathlib import Path

import numpy as np
import pytest

from evals.extractors.dnsmos import (
    DnsmosExtractor,
    covering_starts,
    log_mel,
    published_starts,
)
from evals.metrics.voice import DNSMOS, Dnsmos
from evals.protocols.base import MetricContext
from evals.recording.recording import Recording
from streamchar_ref.weights import registry
from tests.evals.speech import SAMPLE_RATE, voiced

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "speech_features.json").read_text())
RECORDING = Recording(
    sample_id="a", system="s", suite="t", transcript="x", video_path=Path("a.mp4")
)
needs_weights = pytest.mark.skipif(
    not registry()["dnsmos"].is_present(), reason="weights 'dnsmos' are not on this machine"
)


def test_mel_agrees_with_librosa() -> None:
    golden = GOLDEN["dnsmos_mel"]
    ours = log_mel(voiced(golden["seconds"])[:144_160])
    assert ours.shape == (900, 120)
    # Bands 60 dB down carry the rounding of librosa's single-precision transform.
    np.testing.assert_allclose(ours[golden["frames"]], golden["values"], atol=1e-3)


@needs_weights
@pytest.mark.parametrize("seconds", [5.0, 12.0, 19.5])
def test_ratings_agree_with_speechmos(seconds: float) -> None:
    found = DnsmosExtractor(windows="published").extract(voiced(seconds))
    for name, value in GOLDEN["speechmos"][str(seconds)].items():
        assert found[name].mean() == pytest.approx(value, abs=1e-4)


@needs_weights
def test_noise_lowers_ratings() -> None:
    extractor = DnsmosExtractor()
    quiet = extractor.extract(voiced(9.5, noise=0.0))
    noisy = extractor.extract(voiced(9.5, noise=0.05))
    for name in ("ovrl", "bak"):
        assert noisy[name].mean() < quiet[name].mean() - 0.1


@needs_weights
def test_same_sound_gives_the_same_bytes() -> None:
    first, second = (DnsmosExtractor().extract(voiced(9.5)) for _ in range(2))
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_covering_windows_reach_from_start_to_end() -> None:
    for seconds, starts in ((3, [0]), (9.01, [0]), (11, [0]), (14, [0, 4]), (20.04, [0, 6, 11])):
        assert covering_starts(int(seconds * SAMPLE_RATE), hop_s=5).tolist() == starts
    minutes = covering_starts(180 * SAMPLE_RATE, hop_s=5)
    assert (minutes[0], minutes[-1], len(minutes)) == (0, 170, 35)
    assert set(np.diff(minutes)) == {5}


def test_published_windows_are_those_of_the_loop() -> None:
    for num_samples in (144_160, 200_000, 30 * SAMPLE_RATE, 140 * SAMPLE_RATE + 7):
        audio = np.zeros(num_samples, np.int8)
        count = int(np.floor(len(audio) / SAMPLE_RATE) - 9.01) + 1
        whole = [
            second
            for second in range(count)
            if len(audio[int(second * 16000) : int((second + 9.01) * 16000)]) >= 144_160
        ]
        assert published_starts(num_samples).tolist() == whole


def features(level_dbfs: list[float]) -> dict[str, dict[str, np.ndarray]]:
    count = len(level_dbfs)
    ratings = {name: np.arange(1.0, count + 1) for name in ("ovrl", "sig", "bak", "p808")}
    times = {"start_s": 5.0 * np.arange(count), "duration_s": np.array(18.0)}
    speech = {"start_s": np.zeros(1), "end_s": np.full(1, 18.0), "duration_s": np.array(18.0)}
    return {"dnsmos": ratings | times | {"level_dbfs": np.array(level_dbfs)}, "speech": speech}


def test_silent_windows_do_not_count() -> None:
    score = Dnsmos(rating="ovrl").score(RECORDING, features([-20, -90, -20]), MetricContext())
    assert score.value == 2.0
    assert np.isnan(score.windows[1].value)
    assert [window.t1_s for window in score.windows] == [9.01, 14.01, 18.0]
    silent = Dnsmos(rating="ovrl").score(RECORDING, features([-90]), MetricContext())
    assert np.isnan(silent.value)
    assert "no window with 0.5 s of speech" in silent.reason


def test_windows_of_noise_do_not_count() -> None:
    found = features([-20, -20, -20])
    found["speech"] |= {"start_s": np.zeros(1), "end_s": np.full(1, 5.2)}
    score = Dnsmos(rating="ovrl").score(RECORDING, found, MetricContext())
    assert score.value == 1.0  # the second holds 0.2 s of speech, the third none
    assert score.components["num_without_speech"] == 2


@needs_weights
def test_no_sound_is_not_measured() -> None:
    nothing = {"start_s": np.zeros(0), "end_s": np.zeros(0), "duration_s": np.array(0.0)}
    found = {"dnsmos": DnsmosExtractor().extract(np.zeros(0, np.float32)), "speech": nothing}
    assert np.isnan(Dnsmos(rating="p808").score(RECORDING, found, MetricContext()).value)


def test_only_covering_windows_are_default() -> None:
    assert [metric.protocol for metric in DNSMOS if metric.is_default] == [
        f"dnsmos_{rating}/covering@1" for rating in ("ovrl", "sig", "bak", "p808")
    ]
