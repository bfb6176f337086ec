import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from streamchar_ref.networks.durations import (
    DurationPredictor,
    PhonemeTimes,
    duration_loss,
    length_regulate,
    phoneme_times,
)
from streamchar_ref.networks.text import END, FIRST_PHONE, PAD
from tests.streamchar_ref.tiny import random

BEHIND, NEVER = 2, torch.inf


def logs(pauses: list[float], lengths: list[float]) -> Tensor:
    return torch.tensor([pauses, lengths]).T[None].log1p()


def phones(count: int, *after: int) -> Tensor:
    return torch.tensor([[FIRST_PHONE] * count + list(after)])


def test_times_add_up_from_the_pointer_on() -> None:
    durations = logs([9, 9, 1.5, 0, 2], [9, 9, 2, 3, 1])
    times = phoneme_times(durations, phones(5), behind=BEHIND)
    torch.testing.assert_close(times.start, torch.tensor([[NEVER, NEVER, 1.5, 3.5, 8.5]]))
    torch.testing.assert_close(times.end, torch.tensor([[NEVER, NEVER, 3.5, 6.5, 9.5]]))


@pytest.mark.parametrize("stop", [PAD, END])
def test_nothing_is_said_after_the_text_ends(stop: int) -> None:
    times = phoneme_times(logs([0] * 5, [1] * 5), phones(3, stop, FIRST_PHONE), behind=BEHIND)
    assert times.start.isfinite().tolist() == [[False, False, True, False, False]]
    frame_alignment = length_regulate(times, num_latents=4)
    assert frame_alignment.shares[0, :, 0].tolist() == [0, 1, 1, 1]


def test_a_latent_is_shared_by_what_is_said_in_it() -> None:
    times = PhonemeTimes(
        start=torch.tensor([[-3.0, 0.5, 2.0]]), end=torch.tensor([[0.25, 1.75, 9.0]])
    )
    frame_alignment = length_regulate(times, num_latents=3)
    expected = [[0.25, 0.25, 0.5, 0], [0.25, 0, 0.75, 0], [0, 0, 0, 1]]
    torch.testing.assert_close(frame_alignment.shares[0], torch.tensor(expected))
    # since what is said began, until it ends, at the middle of the latent
    torch.testing.assert_close(frame_alignment.phase[0, 2], torch.tensor([0.5, 6.5]))


@given(
    pauses=st.lists(st.floats(0, 5), min_size=6, max_size=6),
    lengths=st.lists(st.floats(0, 6), min_size=6, max_size=6),
)
def test_shares_of_a_latent_add_up_to_one_and_phonemes_keep_their_order(
    pauses: list[float], lengths: list[float]
) -> None:
    frame_alignment = length_regulate(
        phoneme_times(logs(pauses, lengths), phones(6), behind=0), num_latents=40
    )
    torch.testing.assert_close(frame_alignment.shares.sum(dim=-1), torch.ones(1, 40))
    assert bool(frame_alignment.phase.isfinite().all())
    # what is said adds up to its length, but for what lies behind the chunk
    said = frame_alignment.shares[0, :, 1:].sum(dim=0)
    end = (torch.tensor(pauses) + torch.tensor(lengths)).cumsum(dim=0)
    inside = end < 40
    torch.testing.assert_close(said[inside], torch.tensor(lengths)[inside], atol=1e-3, rtol=1e-3)


def test_true_durations_cost_nothing_and_give_the_true_times() -> None:
    true = PhonemeTimes(
        start=torch.tensor([[-9.0, -2.0, -1.0, 2.0, NEVER]]),
        end=torch.tensor([[-2.0, -1.0, 1.5, 4.0, NEVER]]),
    )
    durations = logs([5, 5, 0, 0.5, 7], [5, 5, 1.5, 2, 7])
    assert float(duration_loss(durations, true, behind=BEHIND)) == pytest.approx(0, abs=1e-6)
    found = phoneme_times(durations, phones(4, PAD), behind=BEHIND)
    torch.testing.assert_close(found.end[:, 2:], true.end[:, 2:])
    assert float(duration_loss(durations + 0.1, true, behind=BEHIND)) > 0.01


def test_where_no_time_is_known_there_is_no_loss() -> None:
    never = torch.full((1, 4), NEVER)
    loss = duration_loss(random(1, 4, 2), PhonemeTimes(start=never, end=never), behind=BEHIND)
    assert float(loss) == 0


def test_a_fresh_predictor_says_twelve_phonemes_a_second_without_a_pause() -> None:
    found = DurationPredictor(8)(random(1, 3, 8))
    torch.testing.assert_close(
        found.expm1(), torch.tensor([0.0, 2.004]).expand(1, 3, 2), atol=1e-3, rtol=0
    )
