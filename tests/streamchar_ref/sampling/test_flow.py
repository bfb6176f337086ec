import math
from typing import Any

import pytest
import torch

from streamchar_ref.sampling import flow

INTEGRATORS = {"euler": flow.euler, "ab2": flow.adams_bashforth}


@pytest.mark.parametrize("integrate", INTEGRATORS.values(), ids=INTEGRATORS)
def test_integration_recovers_data_when_the_velocity_is_exact(integrate: Any) -> None:
    x0, noise = torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(0)).unbind()
    (out,) = integrate(lambda x, sigma: (noise - x0,), (noise,), flow.shifted_sigmas(4, 2.0))
    torch.testing.assert_close(out, x0)


def test_euler_moves_every_modality() -> None:
    first, second = torch.randn(2, 3, 4), torch.randn(2, 5)
    out = flow.euler(lambda xs, sigma: xs, (first, second), (1.0, 0.5, 0.0))
    torch.testing.assert_close(out, (first / 4, second / 4))


def rotation_error(integrate: Any, num_steps: int) -> float:
    """Distance from the closed form of dx/dsigma = A x, where A turns the plane."""
    start = torch.tensor([[1.0, 0.0]], dtype=torch.float64)

    def velocity(xs: flow.Latents, sigma: torch.Tensor) -> flow.Latents:
        return (2 * torch.stack([-xs[0][:, 1], xs[0][:, 0]], dim=1),)

    (out,) = integrate(velocity, (start,), flow.shifted_sigmas(num_steps, 1.8))
    exact = torch.tensor([[math.cos(-2.0), math.sin(-2.0)]], dtype=torch.float64)
    return float((out - exact).norm())


def test_adams_bashforth_is_of_second_order_on_an_uneven_grid_and_euler_of_first() -> None:
    for integrate, order in ((flow.euler, 1), (flow.adams_bashforth, 2)):
        coarse, fine = (rotation_error(integrate, steps) for steps in (40, 80))
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.15)
    assert rotation_error(flow.adams_bashforth, 16) < rotation_error(flow.euler, 80)


def test_renoise_predicts_data_and_adds_fresh_noise() -> None:
    draws = iter(torch.randn(3, 2, 5, generator=torch.Generator().manual_seed(0)))
    start, asked = next(draws), []
    fresh = [next(draws), next(draws)]
    left = iter(fresh)

    def velocity(xs: flow.Latents, sigma: torch.Tensor) -> flow.Latents:
        asked.append((xs[0], float(sigma[0])))
        return (xs[0] / 2,)

    sigmas = flow.shifted_sigmas(3)
    (out,) = flow.renoise(velocity, (start,), sigmas, fresh_noise=lambda: (next(left),))
    clean = start - sigmas[0] * start / 2
    for level, noise, (seen, sigma) in zip(sigmas[1:3], fresh, asked[1:], strict=True):
        assert sigma == pytest.approx(level)
        torch.testing.assert_close(seen, (1 - level) * clean + level * noise)
        clean = seen - level * seen / 2
    torch.testing.assert_close(out, clean)


@pytest.mark.parametrize("step", [0, 1, 2])
def test_one_step_of_renoise_carries_gradient_and_is_what_is_returned(step: int) -> None:
    weight = torch.nn.Parameter(torch.tensor(0.5))
    grads: list[bool] = []

    def velocity(xs: flow.Latents, sigma: torch.Tensor) -> flow.Latents:
        grads.append(torch.is_grad_enabled())
        return (weight * xs[0],)

    (out,) = flow.renoise(
        velocity,
        (torch.ones(1, 2),),
        flow.shifted_sigmas(3),
        fresh_noise=lambda: (torch.zeros(1, 2),),
        gradient_step=step,
    )
    out.sum().backward()
    assert grads == [False] * step + [True]
    assert weight.grad is not None
    with pytest.raises(ValueError, match="there are 3 steps"):
        flow.renoise(velocity, (out,), flow.shifted_sigmas(3), fresh_noise=tuple, gradient_step=3)


def test_shifted_sigmas_fall_from_1_to_0_and_lie_higher_with_a_shift() -> None:
    plain, shifted = flow.shifted_sigmas(8), flow.shifted_sigmas(8, 3.0)
    assert plain[0] == shifted[0] == 1.0
    assert plain[-1] == shifted[-1] == 0.0
    assert all(high > low for high, low in zip(shifted[1:-1], plain[1:-1], strict=True))


def test_no_step_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        flow.shifted_sigmas(0)


def test_x0_from_velocity_inverts_add_noise() -> None:
    x0, noise = torch.randn(2, 4, 3, 8, 8, generator=torch.Generator().manual_seed(0)).unbind()
    sigma = torch.tensor([0.1, 0.4, 0.7, 1.0])
    x = flow.add_noise(x0, noise, sigma)
    torch.testing.assert_close(flow.x0_from_velocity(x, noise - x0, sigma), x0)
