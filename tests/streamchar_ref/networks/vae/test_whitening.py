import pytest
import torch

from streamchar_ref.networks.vae.whitening import LatentNormalizer
from tests.streamchar_ref.tiny import random


def measured() -> tuple[LatentNormalizer, torch.Tensor]:
    latents = random(500, 3) * torch.tensor([0.1, 1.0, 30.0]) + torch.tensor([5.0, 0.0, -2.0])
    whitening = LatentNormalizer(3)
    whitening.measure(latents)
    return whitening, latents


def test_whitened_latents_have_mean_0_and_deviation_1() -> None:
    whitening, latents = measured()
    white = whitening.whiten(latents)
    torch.testing.assert_close(white.mean(dim=0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(white.std(dim=0), torch.ones(3))


@pytest.mark.parametrize("shape", [(3,), (7, 3), (2, 4, 5, 6, 3)], ids=str)
def test_colour_inverts_whiten(shape: tuple[int, ...]) -> None:
    whitening, _ = measured()
    latents = random(*shape)
    torch.testing.assert_close(
        whitening.colour(whitening.whiten(latents)), latents, atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("channel", [0, 2])
def test_a_constant_channel_is_refused(channel: int) -> None:
    latents = random(50, 3)
    latents[:, channel] = 0.7
    whitening = LatentNormalizer(3)
    with pytest.raises(ValueError, match="constant"):
        whitening.measure(latents)
    assert torch.equal(whitening.mean, torch.zeros(3)), "a refused measurement leaves no trace"


def test_one_latent_is_too_few() -> None:
    with pytest.raises(ValueError, match="constant"):
        LatentNormalizer(3).measure(random(1, 3))


def test_the_measurement_travels_with_the_weights() -> None:
    whitening, latents = measured()
    other = LatentNormalizer(3)
    other.load_state_dict(whitening.state_dict())
    assert torch.equal(other.whiten(latents), whitening.whiten(latents))
