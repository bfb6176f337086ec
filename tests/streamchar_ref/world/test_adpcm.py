import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamchar_ref.world.adpcm import BLOCK_SAMPLES, Packed, decode, encode
from streamchar_ref.world.speech import speak


def signal_to_noise_db(samples: np.ndarray, heard: np.ndarray) -> float:
    return float(10 * np.log10((samples**2).sum() / ((samples - heard) ** 2).sum()))


@pytest.mark.parametrize(("voice", "least_db"), [("joe", 22), ("kira", 20), ("uma", 15)])
def test_speech_comes_back_with_noise_far_below_it(voice: str, least_db: float) -> None:
    samples = speak("She laughed because the puppy had stolen his shoe.", voice=voice).samples
    assert signal_to_noise_db(samples, decode(encode(samples), len(samples))) > least_db


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3 * BLOCK_SAMPLES), st.integers(0, 99))
def test_any_length_comes_back_with_its_length_and_first_sample(length: int, seed: int) -> None:
    samples = np.random.default_rng(seed).uniform(-1, 1, length).astype(np.float32)
    heard = decode(encode(samples), length)
    assert heard.shape == samples.shape
    assert heard[0] == pytest.approx(samples[0], abs=1 / 32_000)
    assert np.abs(heard).max() <= 32_768 / 32_767


def test_silence_comes_back_silent() -> None:
    heard = decode(encode(np.zeros(2000, np.float32)), 2000)
    assert np.abs(heard).max() < 2 / 32_768


def test_blocks_decode_alone_as_among_others() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 4 * BLOCK_SAMPLES).astype(np.float32)
    packed = encode(samples)
    own = Packed(first=packed.first[2:3], step=packed.step[2:3], codes=packed.codes[2:3])
    whole = decode(packed, len(samples))[2 * BLOCK_SAMPLES : 3 * BLOCK_SAMPLES]
    assert decode(own, BLOCK_SAMPLES).tobytes() == whole.tobytes()


def test_codes_are_those_of_the_standard_library() -> None:
    """The module audioop has the same steps; it packs the earlier sample in the upper half."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        audioop = pytest.importorskip("audioop", reason="gone in Python 3.13")
    samples = np.random.default_rng(1).normal(0, 0.1, BLOCK_SAMPLES).astype(np.float32)
    packed = encode(samples)
    swapped = ((packed.codes[0] & 15) << 4) | (packed.codes[0] >> 4)
    state = (int(packed.first[0]), int(packed.step[0]))
    theirs = np.frombuffer(audioop.adpcm2lin(swapped.tobytes(), 2, state)[0], np.int16)
    ours = np.round(decode(packed, BLOCK_SAMPLES)[1:] * 32_767)
    # They shift by parts of a step, rounding each; the recommendation multiplies once.
    assert np.abs(ours - theirs).max() <= 0.05 * np.abs(ours).max()
