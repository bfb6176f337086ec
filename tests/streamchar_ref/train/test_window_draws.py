"""What is drawn for many windows, against the shares and ranges that the config names."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from streamchar_ref.train.augmentation import AugmentationDraws, ContextAugmentation
from streamchar_ref.train.latent_store import ClipTable, WindowChoice
from streamchar_ref.train.window_draws import draw_augmentation, draw_windows
from tests.streamchar_ref.tiny import tiny_config
from tests.streamchar_ref.train.latent_clips import clip

CONFIG, NORMAL = tiny_config(), ContextAugmentation()
Drawn = tuple[WindowChoice, AugmentationDraws]
COUNT = 20_000
NEAR = 4 / 2 / COUNT**0.5
"""Four standard errors of a share of one half, the largest."""


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    """Of three clips with 12, 13 and 5 latents; chunks have 4 and motion 1."""
    table = ClipTable.of([clip(CONFIG, num_latents=count) for count in (12, 13, 5)])
    rng = np.random.default_rng(0)
    choice = draw_windows(table, CONFIG, NORMAL.first_chunk, batch=COUNT, rng=rng)
    return choice, draw_augmentation(choice, CONFIG, NORMAL, rng=rng, device=torch.device("cpu"))


def assert_uniform(values: np.ndarray, expected: range) -> None:
    numbers, counts = np.unique(values, return_counts=True)
    assert numbers.tolist() == list(expected)
    share = 1 / len(expected)
    error = (share * (1 - share) / len(values)) ** 0.5
    assert np.abs(counts / len(values) - share).max() <= 4.5 * error


def test_every_clip_is_as_likely(drawn: Drawn) -> None:
    assert_uniform(drawn[0].clip, range(3))


def test_streams_begin_as_often_as_configured(
    drawn: Drawn,
) -> None:
    choice = drawn[0]
    is_first = (choice.start == 0)[choice.clip < 2]
    assert is_first.mean() == pytest.approx(NORMAL.first_chunk, abs=NEAR)
    assert not choice.start[choice.clip == 2].any()  # has no room for another one


def test_later_chunks_begin_anywhere(drawn: Drawn) -> None:
    choice = drawn[0]
    for number, last in ((0, 8), (1, 9)):
        later = choice.start[(choice.clip == number) & (choice.start > 0)]
        assert_uniform(later, range(1, last + 1))


def test_a_sink_lies_anywhere_a_chunk_before(drawn: Drawn) -> None:
    choice = drawn[0]
    for start in (4, 6, 9):
        assert_uniform(choice.sink[choice.start == start], range(start - 3))
    assert not choice.sink[choice.start < 4].any()


def test_any_reference_picture_is_as_likely(drawn: Drawn) -> None:
    assert_uniform(drawn[0].reference, range(2))


@pytest.mark.parametrize("role", ["prompt", "reference", "motion", "history"])
def test_roles_are_dropped_as_often_as_configured(drawn: Drawn, role: str) -> None:
    share = 1 - getattr(drawn[1], f"has_{role}").float().mean()
    assert float(share) == pytest.approx(getattr(NORMAL, f"{role}_drop"), abs=NEAR)


def test_a_sink_is_absent_within_the_first_chunk(
    drawn: Drawn,
) -> None:
    choice, draws = drawn
    within = (choice.start > 0) & (choice.start < 4)
    assert not draws.has_sink.numpy()[within].any()
    share = 1 - draws.has_sink.numpy()[~within].mean()
    assert share == pytest.approx(NORMAL.sink_drop, abs=1.2 * NEAR)


def test_noise_levels_are_uniform_and_0_without_motion(
    drawn: Drawn,
) -> None:
    draws = drawn[1]
    assert not draws.motion_sigma[~draws.has_motion].any()
    moved = draws.motion_sigma[draws.has_motion]
    assert float((moved > 0).float().mean()) == pytest.approx(NORMAL.motion_noise, abs=1.1 * NEAR)
    for levels, highest in (
        (moved[moved > 0], NORMAL.motion_sigma),
        (draws.history_sigma, NORMAL.history_sigma),
    ):
        bins = np.floor(levels.numpy() / highest * 8).astype(int)
        assert_uniform(bins, range(8))


def test_a_wrong_pointer_is_off_by_any_number_of_phonemes(
    drawn: Drawn,
) -> None:
    offset = drawn[1].pointer_offset.numpy()
    most = NORMAL.pointer_phonemes
    off = NORMAL.pointer_off * 2 * most / (2 * most + 1)  # one wrong pointer of seven is right
    assert (offset != 0).mean() == pytest.approx(off, abs=NEAR)
    wrong = offset[offset != 0]
    assert_uniform(wrong + most - (wrong > 0), range(2 * most))


def test_text_is_cut_as_often_as_configured_and_anywhere(
    drawn: Drawn,
) -> None:
    draws = drawn[1]
    assert float(draws.is_cut.float().mean()) == pytest.approx(NORMAL.text_cut, abs=NEAR)
    assert_uniform(draws.text_ahead.numpy(), range(1, CONFIG.orchestrator.text_ahead))


def test_decisions_do_not_depend_on_each_other(
    drawn: Drawn,
) -> None:
    choice, draws = drawn
    columns = [
        choice.clip,
        choice.reference,
        *(vars(draws)[name].numpy() for name in ("has_prompt", "has_motion", "has_history")),
        *(vars(draws)[name].numpy() for name in ("pointer_offset", "is_cut", "history_sigma")),
    ]
    others = np.corrcoef(np.array(columns, float)) - np.eye(len(columns))
    assert np.abs(others).max() < 4.5 / COUNT**0.5


def test_nothing_is_degraded_where_every_share_is_0() -> None:
    table = ClipTable.of([clip(CONFIG)])
    shares = {name: 0 for name, value in vars(NORMAL).items() if isinstance(value, float)}
    rng = np.random.default_rng(0)
    choice = draw_windows(table, CONFIG, 0.0, batch=64, rng=rng)
    clean = replace(NORMAL, **shares)
    draws = draw_augmentation(choice, CONFIG, clean, rng=rng, device=torch.device("cpu"))
    assert (choice.start > 0).all()
    assert draws.has_sink.tolist() == (choice.start >= 4).tolist()
    for name in ("has_prompt", "has_reference", "has_motion", "has_history"):
        assert getattr(draws, name).all()
    for name in ("is_cut", "pointer_offset", "motion_sigma", "history_sigma"):
        assert not getattr(draws, name).any()
