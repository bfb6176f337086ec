import math

import pytest
import torch
from torch import Generator, Tensor

from streamchar_ref.sampling.flow import Latents, add_noise, shifted
from streamchar_ref.train.distill import matching


def latents(seed: int, requires_grad: bool = False) -> Latents:
    """Picture and sound of three samples."""
    generator = Generator().manual_seed(seed)
    shapes = ((3, 2, 4, 5, 5), (3, 8, 6))
    return tuple(
        torch.randn(shape, generator=generator).requires_grad_(requires_grad) for shape in shapes
    )


def trailing(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *(1,) * (like.ndim - 1))


def test_the_loss_pulls_each_sample_along_the_normalised_difference_of_the_scores() -> None:
    x0, real, fake = latents(0, requires_grad=True), latents(1), latents(2)
    gradient, _ = matching.matching_gradient(x0, real=real, fake=fake)
    torch.stack(matching.matching_loss(x0, gradient)).sum().backward()
    for x, to_real, to_fake in zip(x0, real, fake, strict=True):
        distance = (x.detach() - to_real).abs().flatten(1).mean(1)
        expected = (to_fake - to_real) / trailing(distance, x) / x.numel()
        assert x.grad is not None
        torch.testing.assert_close(x.grad, expected)


def test_a_gradient_has_no_graph_and_vanishes_where_the_scores_agree() -> None:
    x0, real = latents(0, requires_grad=True), latents(1, requires_grad=True)
    gradient, ratio = matching.matching_gradient(x0, real=real, fake=real)
    assert not any(part.requires_grad or part.any() for part in gradient)
    assert [float(part) for part in ratio] == [0.0, 0.0]


def test_gradient_and_ratio_do_not_depend_on_the_scale_of_a_modality() -> None:
    triple = latents(0), latents(1), latents(2)
    scaled = [(picture * 50, sound / 50) for picture, sound in triple]
    plain = matching.matching_gradient(triple[0], real=triple[1], fake=triple[2])
    other = matching.matching_gradient(scaled[0], real=scaled[1], fake=scaled[2])
    torch.testing.assert_close(other, plain)


def test_the_ratio_is_a_mean_over_samples() -> None:
    x0, real = (torch.zeros(2, 4),), (torch.tensor([[1.0], [2.0]]).expand(2, 4),)
    fake = (torch.tensor([[1.5], [4.0]]).expand(2, 4),)
    _, (ratio,) = matching.matching_gradient(x0, real=real, fake=fake)
    assert float(ratio) == pytest.approx((0.5 / 1 + 2.0 / 2) / 2)


def test_a_sample_does_not_depend_on_the_others() -> None:
    x0, real, fake = latents(0), latents(1), latents(2)
    whole, _ = matching.matching_gradient(x0, real=real, fake=fake)
    one = slice(1, 2)
    alone, _ = matching.matching_gradient(
        tuple(x[one] for x in x0),
        real=tuple(x[one] for x in real),
        fake=tuple(x[one] for x in fake),
    )
    torch.testing.assert_close(alone, tuple(part[one] for part in whole))


def test_a_sample_at_the_real_prediction_is_not_divided_by_zero() -> None:
    x0, fake = latents(0), latents(1)
    gradient, _ = matching.matching_gradient(x0, real=x0, fake=fake)
    torch.testing.assert_close(
        gradient, tuple((f - x) / 1e-3 for f, x in zip(fake, x0, strict=True))
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_entries_that_are_not_finite_do_not_pull_and_show_in_the_ratio(bad: float) -> None:
    x0, real, fake = latents(0), latents(1), latents(2)
    clean, _ = matching.matching_gradient(x0, real=real, fake=fake)
    fake[0][0, 0, 0, 0, 0] = bad
    (picture, sound), ratio = matching.matching_gradient(x0, real=real, fake=fake)
    assert picture[0, 0, 0, 0, 0] == 0
    assert int((picture != clean[0]).sum()) == 1
    torch.testing.assert_close(sound, clean[1])
    assert not ratio[0] <= 1e9
    real[1][2, 0, 0] = bad
    (_, sound), ratio = matching.matching_gradient(x0, real=real, fake=fake)
    assert not sound[2].any()
    torch.testing.assert_close(sound[:2], clean[1][:2])
    assert not ratio[1] <= 1e9


def test_losses_and_gradients_are_float32_for_bfloat16_predictions() -> None:
    x0, real, fake = (tuple(x.bfloat16() for x in latents(seed)) for seed in range(3))
    found = matching.matching_gradient(x0, real=real, fake=fake)
    losses = matching.matching_loss(x0, found.gradient) + matching.critic_loss(x0, real, fake)
    assert {part.dtype for part in (*found.gradient, *found.ratio, *losses)} == {torch.float32}


def test_the_critic_learns_the_velocity_of_the_path() -> None:
    x0, noise = latents(0), latents(1)
    early, late = (
        tuple(add_noise(x, n, torch.full((3,), sigma)) for x, n in zip(x0, noise, strict=True))
        for sigma in (0.25, 0.75)
    )
    velocity = tuple((after - before) / 0.5 for before, after in zip(early, late, strict=True))
    assert max(float(part) for part in matching.critic_loss(velocity, noise, x0)) < 1e-10
    off_by_2 = tuple(v + 2 for v in velocity)
    losses = matching.critic_loss(off_by_2, noise, x0)
    assert [float(part) for part in losses] == pytest.approx([4.0, 4.0], rel=1e-5)


def test_no_gradient_of_the_critic_reaches_the_student() -> None:
    x0, velocity = latents(0, requires_grad=True), latents(2, requires_grad=True)
    torch.stack(matching.critic_loss(velocity, latents(1), x0)).sum().backward()
    assert all(x.grad is None for x in x0)
    assert all(v.grad is not None for v in velocity)


@pytest.mark.parametrize("shift", [1.0, 1.4, 5.0])
def test_score_levels_follow_the_shifted_even_law_within_their_range(shift: float) -> None:
    sigma = matching.score_sigma(20_000, Generator().manual_seed(0), shift)
    for share in (0.1, 0.5, 0.9):
        expected = min(max(shifted(share, shift), 0.02), 0.98)
        assert float(sigma.quantile(share)) == pytest.approx(expected, abs=0.01)
    assert (float(sigma.min()), float(sigma.max())) == pytest.approx(
        (0.02, 0.98), abs=0.005 * shift
    )


def test_score_levels_come_from_the_generator() -> None:
    first, second = (matching.score_sigma(4, Generator().manual_seed(3), 1.0) for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_modalities_must_match() -> None:
    x0 = latents(0)
    with pytest.raises(ValueError, match="shorter"):
        matching.matching_gradient(x0, real=x0[:1], fake=x0)
