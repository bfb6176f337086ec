"""Directions of the latents that show count for more than those that do not."""

import pytest
import torch

from streamchar_ref.networks.vae.video import VideoVae
from streamchar_ref.train.sensitivity import pixel_sensitivity
from tests.streamchar_ref.tiny import random, tiny_model


@pytest.fixture
def vae() -> VideoVae:
    return tiny_model().video_vae


def test_what_does_not_show_keeps_only_the_floor(vae: VideoVae) -> None:
    with torch.no_grad():
        vae.decoder.stages[0].layer.weight[:, 2] = 0
    found = pixel_sensitivity(vae, random(2, 3, 4, 4, 4), floor=0.25)
    torch.testing.assert_close(found[2], torch.tensor([0, 0, 0.5, 0]), rtol=0, atol=1e-4)
    assert found.diagonal()[[0, 1, 3]].min() > 0.5


def test_a_difference_without_direction_keeps_its_length(vae: VideoVae) -> None:
    found = pixel_sensitivity(vae, random(2, 3, 4, 4, 4), floor=0.1)
    torch.testing.assert_close(found, found.T)
    torch.testing.assert_close(found.square().sum(), torch.tensor(4.0))


def test_weighted_latents_are_as_far_apart_as_their_pictures(vae: VideoVae) -> None:
    latents = random(4, 3, 4, 4, 4)
    found = pixel_sensitivity(vae, latents, floor=0.0)
    ratios = []
    for number, direction in enumerate((*torch.eye(4), torch.full((4,), 0.5))):
        change = 0.1 * random(8, 4, 3, 1, 4, 4, seed=number) * direction[:, None, None]
        with torch.no_grad():
            moved = vae.decode((latents + change).flatten(0, 1))[0].unflatten(0, (8, 4))
            seen = (moved - vae.decode(latents)[0]).square().sum()
        ratios.append(seen / torch.einsum("nbfchw,cd->nbfdhw", change, found).square().sum())
    spread = torch.stack(ratios) / torch.stack(ratios).mean()
    assert (spread - 1).abs().max() < 0.15
