import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from streamchar_ref.networks.pointer import (
    SILENCE,
    PointerOutput,
    ProgressPointer,
    alignment_loss,
    pointer_loss,
)
from tests.streamchar_ref.tiny import random

WIDTH, BEHIND, WINDOW = 16, 3, 10
ALL = torch.tensor([True])


def pointer(kind: str = "progress") -> ProgressPointer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ProgressPointer(WIDTH, kind=kind, behind=BEHIND)  # type: ignore[arg-type]


def inputs(scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    return scale * random(2, 8, WIDTH), random(2, WINDOW, WIDTH, seed=1), torch.tensor([0.0, 0.6])


@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0])
@torch.no_grad()
def test_progress_never_falls(scale: float) -> None:
    progress = pointer()(*inputs(scale))
    assert progress.position.shape == (2, 8)
    assert bool((progress.position[:, 0] >= 0).all())
    assert bool((progress.position.diff(dim=1) >= 0).all())


@torch.no_grad()
def test_progress_is_the_sum_of_softplus_advances() -> None:
    reader, (states, text, fraction) = pointer(), inputs()
    steps = F.softplus(states @ reader.advance.weight[0] + reader.advance.bias)
    expected = torch.stack([steps[:, : n + 1].sum(dim=1) for n in range(8)], dim=1)
    torch.testing.assert_close(reader(states, text, fraction).position, expected)


@torch.no_grad()
def test_a_fresh_pointer_says_ten_phonemes_a_second() -> None:
    reader, (_, text, fraction) = pointer(), inputs()
    second = reader(torch.zeros(2, 25, WIDTH), text, fraction).position
    torch.testing.assert_close(second[:, -1], torch.full((2,), 10.0))


@torch.no_grad()
def test_a_soft_position_is_where_the_attention_lies() -> None:
    reader, (states, text, fraction) = pointer("soft_position"), inputs()
    found = reader(states, text, fraction)
    weights = found.alignment[..., 1:].softmax(dim=-1)
    # row BEHIND is the phoneme about to be said: when it has been, one phoneme is spoken
    places = torch.arange(WINDOW) - BEHIND + 1.0
    offset = F.softplus(reader.advance(states))[..., 0] - 0.4
    torch.testing.assert_close(found.position, (weights * places).sum(dim=-1) + offset)


@torch.no_grad()
def test_alignment_scores_silence_and_every_row_of_the_window() -> None:
    reader, (states, text, fraction) = pointer("soft_position"), inputs()
    found = reader(states, text, fraction).alignment
    assert found.shape == (2, 8, 1 + WINDOW)
    scale = math.sqrt(WIDTH)
    for row, seen in ((1 + 4, text[1, 4]), (SILENCE, reader.silence)):
        expected = reader.query(states[1, 2]) @ reader.key(seen) / scale
        torch.testing.assert_close(found[1, 2, row], expected)


@torch.no_grad()
def test_alignment_prefers_the_row_that_the_progress_is_in() -> None:
    reader, (states, text, fraction) = pointer(), inputs()
    found, plain = (reader(states, text, fraction), pointer("soft_position"))
    bonus = found.alignment - plain(states, text, fraction).alignment
    steps = found.position.diff(dim=1, prepend=torch.zeros(2, 1))
    middle = found.position - steps / 2 + fraction[:, None]
    assert not bonus[..., SILENCE].any()
    assert torch.equal(bonus[..., 1:].argmax(dim=-1), BEHIND + middle.floor().long())
    # two phonemes away costs what two deviations cost
    torch.testing.assert_close(
        bonus[..., 1:], -0.5 * ((torch.arange(WINDOW) - BEHIND + 0.5 - middle[..., None]) / 2) ** 2
    )


@torch.no_grad()
def test_what_is_said_is_gathered_by_the_alignment() -> None:
    reader, (states, text, fraction) = pointer(), inputs()
    found = reader(states, text, fraction)
    weights = found.alignment.softmax(dim=-1)
    said, silent = reader.value(text), reader.value(reader.silence)
    expected = weights[..., 1:] @ said + weights[..., :1] * silent
    torch.testing.assert_close(found.text, expected)


def said(position: list[float]) -> PointerOutput:
    count = len(position)
    return PointerOutput(
        position=torch.tensor([position]),
        alignment=random(1, count, 1 + WINDOW),
        text=random(1, count, WIDTH),
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # errors 0.5 and 3: smooth-L1 is 0.5 e^2 within 1 and |e| - 0.5 beyond
        ("progress", 2.5 + (0.125 + 2.5) / 2 / 4),
        ("soft_position", 2.5),
    ],
)
def test_pointer_loss_is_smooth_l1_to_the_true_positions(kind: str, expected: float) -> None:
    loss = pointer_loss(said([1.5, 5.0]), torch.tensor([[1.0, 8.0]]), ALL, kind=kind)  # type: ignore[arg-type]
    assert float(loss) == pytest.approx(expected, abs=1e-6)


def test_a_true_pointer_costs_nothing() -> None:
    assert float(pointer_loss(said([1.5, 5.0]), torch.tensor([[1.5, 5.0]]), ALL)) == 0


def test_samples_that_do_not_count_cost_nothing() -> None:
    one, two = said([1.5, 5.0]), said([9.0, 9.0])
    both = PointerOutput(
        **{name: torch.cat([getattr(one, name), getattr(two, name)]) for name in vars(one)}
    )
    true, counts = torch.tensor([[1.0, 8.0], [0.0, 0.0]]), torch.tensor([True, False])
    torch.testing.assert_close(
        pointer_loss(both, true, counts), pointer_loss(one, true[:1], counts[:1])
    )
    assert float(pointer_loss(both, true, counts & False)) == 0
    nothing = torch.full((2, 2), -1)
    assert float(alignment_loss(both, nothing)) == 0


def test_alignment_loss_is_the_cross_entropy_of_latents_inside_the_window() -> None:
    progress = said([0.0, 1.0, 2.0])
    log_probabilities = progress.alignment[0].log_softmax(dim=-1)
    expected = -(log_probabilities[0, SILENCE] + log_probabilities[2, 1 + BEHIND]) / 2
    found = alignment_loss(progress, torch.tensor([[SILENCE, -1, 1 + BEHIND]]))
    torch.testing.assert_close(found, expected)
