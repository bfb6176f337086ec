import pytest
import torch

from streamchar_ref.sampling import flow


def test_sample_recovers_data_when_the_velocity_is_exact() -> None:
    x0, noise = torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(0)).unbind()
    (out,) = flow.sample(lambda x, sigma: (noise - x0,), (noise,), flow.shifted_sigmas(4, 2.0))
    torch.testing.assert_close(out, x0)


def test_sample_moves_every_modality() -> None:
    first, second = torch.randn(2, 3, 4), torch.randn(2, 5)
    out = flow.sample(lambda xs, sigma: xs, (first, second), (1.0, 0.5, 0.0))
    torch.testing.assert_close(out, (first / 4, second / 4))


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
