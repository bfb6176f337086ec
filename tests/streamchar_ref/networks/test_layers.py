import math

import pytest
import torch
from torch import Tensor

from streamchar_ref.networks import layers
from streamchar_ref.networks.layers import (
    JointBlock,
    Segment,
    TimestepEmbedding,
    modulate,
    rotary,
    rotate,
)
from tests.streamchar_ref.tiny import awake, random

WIDTH, HEADS = 32, 2


def block() -> JointBlock:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return JointBlock(WIDTH, HEADS, (4, 2))


def segment(groups: int, tokens: int, kind: layers.Kind, seed: int) -> Segment:
    return Segment(
        x=random(2, groups, tokens, WIDTH, seed=seed),
        modulation=random(2, groups, 1, 6 * WIDTH, seed=seed + 1),
        kind=kind,
    )


def rotations(count: int) -> Tensor:
    return rotary(random(count, 3, seed=9) * 10, WIDTH // HEADS)


def test_scores_depend_on_differences_of_positions_only() -> None:
    query, key, places = random(1, 2, 6, 16), random(1, 2, 6, 16, seed=1), random(6, 3, seed=2) * 9

    def scores(moved_by: Tensor) -> Tensor:
        rotation = rotary(places + moved_by, 16)
        return rotate(query, rotation) @ rotate(key, rotation).transpose(2, 3)

    expected = scores(torch.zeros(3))
    for move in ((40.0, 0.0, 0.0), (0.0, 3.0, 0.0), (-7.5, 1.0, 2.0)):
        torch.testing.assert_close(scores(torch.tensor(move)), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_scores_change_with_the_distance_on_every_axis(axis: int) -> None:
    query, key = random(1, 1, 1, 16), random(1, 1, 1, 16, seed=1)
    here, there = torch.zeros(1, 3), torch.zeros(1, 3)
    there[0, axis] = 2
    near = rotate(query, rotary(here, 16)) * rotate(key, rotary(here, 16))
    far = rotate(query, rotary(here, 16)) * rotate(key, rotary(there, 16))
    assert abs(float(near.sum() - far.sum())) > 1e-3


def test_turning_keeps_lengths() -> None:
    x = random(1, 2, 6, 16)
    turned = rotate(x, rotary(random(6, 3) * 50, 16))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))


def test_turning_is_a_complex_product() -> None:
    x, places = random(1, 1, 4, 16), torch.arange(4)[:, None] * torch.tensor([1.0, 0.0, 0.0])
    rates = 1000.0 ** (-torch.arange(4) / 4)
    angles = torch.cat([places[:, :1] * rates, torch.zeros(4, 4)], dim=1)
    turned = torch.complex(x[..., :8], x[..., 8:]) * torch.polar(torch.ones(4, 8), angles)
    expected = torch.cat([turned.real, turned.imag], dim=-1)
    torch.testing.assert_close(rotate(x, rotary(places, 16)), expected)


def test_heads_that_cannot_share_three_axes_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        rotary(torch.zeros(1, 3), 12)


def test_modulation_of_zeros_only_normalises() -> None:
    x, zeros = random(2, 3, 4, WIDTH), torch.zeros(2, 1, 1, WIDTH)
    found = modulate(x, zeros, zeros)
    torch.testing.assert_close(found.square().mean(dim=-1), torch.ones(2, 3, 4))
    torch.testing.assert_close(modulate(x, zeros + 5, zeros + 1), 2 * found + 5)


def test_a_fresh_block_changes_nothing() -> None:
    given = [segment(3, 4, "video", 0), segment(1, 5, "audio", 2)]
    found, _ = block()(given, rotations(17))
    for before, after in zip(given, found, strict=True):
        assert torch.equal(before.x, after.x)


def test_cached_context_equals_one_masked_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, rotation = awake(block()), rotations(6 + 17)
    context = [segment(1, 6, "video", 4)]
    noisy = [segment(3, 4, "video", 0), segment(1, 5, "audio", 2)]
    context_alone, seen = layer(context, rotation[:, :6])
    cached, _ = layer(noisy, rotation[:, 6:], seen)

    def masked(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        scores[:, :, :6, 6:] = -math.inf
        return scores.softmax(dim=-1) @ value

    monkeypatch.setattr(layers, "attention", masked)
    together, _ = layer([*context, *noisy], rotation)
    for one, other in zip([*context_alone, *cached], together, strict=True):
        torch.testing.assert_close(one.x, other.x, atol=1e-5, rtol=1e-5)


def test_attention_is_the_same_in_training_and_out_of_it() -> None:
    query, key, value = (random(2, 3, length, 8, seed=length) for length in (5, 9, 9))
    trained = layers.attention(query, key, value)
    with torch.no_grad():
        torch.testing.assert_close(trained, layers.attention(query, key, value))


def test_kinds_have_feed_forward_layers_of_their_own() -> None:
    layer = awake(block())
    video, audio = segment(1, 4, "video", 0), segment(1, 5, "audio", 2)
    before, _ = layer([video, audio], rotations(9))
    with torch.no_grad():
        layer.feed_forward["audio"][0].weight.mul_(2)
    after, _ = layer([video, audio], rotations(9))
    assert torch.equal(before[0].x, after[0].x)
    assert not torch.allclose(before[1].x, after[1].x)


@torch.no_grad()
def test_noise_levels_are_told_apart() -> None:
    level = TimestepEmbedding(WIDTH)
    found = level(torch.linspace(0, 1, 51))
    assert found.shape == (51, WIDTH)
    assert level(torch.zeros(2, 3)).shape == (2, 3, WIDTH)
    assert float(torch.pdist(found).min()) > 1e-3
