from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.ground_truth import GroundTruth
from baselines.known_bad import CascadeOracle, ShuffledAudio, shuffled_words
from evals.recording.system import Prompt, System, installed_systems, problems_with
from evals.suites import load_suite

SIZE = 32
WORDS = st.lists(st.sampled_from(["tide", "Anna,", "went", "home."]), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def prompt() -> Prompt:
    return load_suite("smoke")[0]


def streamed(system: System, prompt: Prompt) -> tuple[np.ndarray, np.ndarray]:
    chunks = list(system.stream(prompt, seed=0))
    return (
        np.concatenate([chunk.frames for chunk in chunks]),
        np.concatenate([chunk.samples for chunk in chunks]),
    )


@pytest.mark.parametrize("make", [CascadeOracle, ShuffledAudio], ids=lambda make: make.name)
def test_it_keeps_the_contract_and_is_installed_under_its_name(
    make: Callable[..., System], prompt: Prompt
) -> None:
    system = make(size=SIZE)
    assert problems_with(system, prompt) == []
    assert installed_systems()[system.name].load() is make


def test_the_cascade_has_the_true_sound_and_another_picture(prompt: Prompt) -> None:
    (true_frames, true_samples), (frames, samples) = (
        streamed(make(size=SIZE), prompt) for make in (GroundTruth, CascadeOracle)
    )
    assert np.array_equal(samples, true_samples)
    assert frames.shape == true_frames.shape
    assert not np.array_equal(frames, true_frames)


def test_shuffled_audio_has_the_true_picture_and_another_sound(prompt: Prompt) -> None:
    (true_frames, true_samples), (frames, samples) = (
        streamed(make(size=SIZE), prompt) for make in (GroundTruth, ShuffledAudio)
    )
    assert np.array_equal(frames, true_frames)
    assert samples.shape == true_samples.shape
    assert not np.array_equal(samples, true_samples)


@given(WORDS, st.integers(0, 99))
def test_a_shuffle_keeps_the_words(words: list[str], seed: int) -> None:
    shuffled = shuffled_words(" ".join(words), seed=seed).split()
    assert Counter(shuffled) == Counter(words)


@given(st.integers(2, 30), st.integers(0, 99))
def test_no_word_of_several_stays_in_its_place(count: int, seed: int) -> None:
    words = [f"w{number}" for number in range(count)]
    shuffled = shuffled_words(" ".join(words), seed=seed).split()
    assert all(old != new for old, new in zip(words, shuffled, strict=True))


@pytest.mark.parametrize("make", [CascadeOracle, ShuffledAudio], ids=lambda make: make.name)
def test_one_word_alone_is_said_as_it_is(make: Callable[..., System], prompt: Prompt) -> None:
    assert problems_with(make(size=SIZE), replace(prompt, transcript="Hello.")) == []
