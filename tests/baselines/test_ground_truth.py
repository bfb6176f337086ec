from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from baselines.ground_truth import FrozenPicture, GroundTruth, ShiftedSound
from baselines.static_portrait import StaticPortrait
from evals.recording.system import Prompt, System, installed_systems, problems_with
from evals.suites import load_suite

ALL: tuple[Callable[..., System], ...] = (GroundTruth, ShiftedSound, FrozenPicture, StaticPortrait)
SMALL = {"size": 32}


@pytest.fixture(scope="module")
def prompt() -> Prompt:
    return load_suite("smoke")[0]


def sound(system: System, prompt: Prompt, seed: int = 0) -> np.ndarray:
    return np.concatenate([chunk.samples for chunk in system.stream(prompt, seed=seed)])


def pictures(system: System, prompt: Prompt, seed: int = 0) -> np.ndarray:
    return np.concatenate([chunk.frames for chunk in system.stream(prompt, seed=seed)])


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.name)
def test_it_keeps_the_contract_and_is_installed_under_its_name(
    make: Callable[..., System], prompt: Prompt
) -> None:
    system = make() if make is StaticPortrait else make(**SMALL)
    assert problems_with(system, prompt) == []
    assert installed_systems()[system.name].load() is make


def test_chunks_are_32_frames_but_the_last(prompt: Prompt) -> None:
    chunks = list(GroundTruth(**SMALL).stream(prompt, seed=0))
    assert {len(chunk.frames) for chunk in chunks[:-1]} == {32}
    assert {len(chunk.samples) for chunk in chunks[:-1]} == {20_480}
    assert len(chunks[-1].samples) == 640 * len(chunks[-1].frames)


def test_shifted_sound_is_the_true_sound_late_with_the_same_picture(prompt: Prompt) -> None:
    true, late = sound(GroundTruth(**SMALL), prompt), sound(ShiftedSound(**SMALL), prompt)
    assert len(late) == len(true) + 8 * 640
    assert not late[: 8 * 640].any()
    assert np.array_equal(late[8 * 640 :], true)
    seen = pictures(GroundTruth(**SMALL), prompt)
    mouth = np.s_[:, 16:24, 11:21]
    shifted = pictures(ShiftedSound(**SMALL), prompt)[: len(seen)]
    assert np.abs(shifted[mouth].astype(int) - seen[mouth]).mean() < 1


def test_a_shift_of_nothing_is_the_truth(prompt: Prompt) -> None:
    assert np.array_equal(
        sound(ShiftedSound(size=32, shift_frames=0), prompt), sound(GroundTruth(**SMALL), prompt)
    )


def test_frozen_picture_has_the_true_sound_and_one_frame(prompt: Prompt) -> None:
    system = FrozenPicture(**SMALL)
    assert np.array_equal(sound(system, prompt), sound(GroundTruth(**SMALL), prompt))
    frames = pictures(system, prompt)
    assert np.array_equal(frames, np.repeat(frames[:1], len(frames), axis=0))
    assert np.array_equal(frames[0], pictures(GroundTruth(**SMALL), prompt)[0])


def test_another_seed_is_another_take(prompt: Prompt) -> None:
    system = GroundTruth(**SMALL)
    assert not np.array_equal(
        sound(system, prompt, seed=0)[:20_000], sound(system, prompt, seed=1)[:20_000]
    )


@pytest.mark.parametrize("make", [GroundTruth, ShiftedSound, FrozenPicture], ids=lambda m: m.name)
def test_a_prompt_without_a_character_says_what_to_do(
    make: Callable[..., System], prompt: Prompt
) -> None:
    stranger = replace(prompt, groups={"identity": "ann", "domain": "real"})
    with pytest.raises(ValueError, match="use a suite whose prompts have a 'character'"):
        list(make().stream(stranger, seed=0))


def test_static_portrait_lasts_as_long_as_its_words(prompt: Prompt) -> None:
    twenty = replace(prompt, transcript="word " * 20)
    system = StaticPortrait()
    assert len(pictures(system, twenty)) == 8 * 25
    assert not sound(system, twenty).any()
    assert np.array_equal(pictures(system, twenty)[-1], prompt.reference)


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (GroundTruth, {"size": 0}),
        (ShiftedSound, {"shift_frames": -1}),
        (StaticPortrait, {"words_per_s": 0}),
    ],
)
def test_impossible_settings_are_refused(make: Callable[..., System], settings: dict) -> None:
    with pytest.raises(ValueError, match="must"):
        make(**settings)
