import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from streamchar_ref.networks.vae.causal import CausalConv1d, ConvNeXt, FrameBlock, Layer, run
from tests.streamchar_ref.tiny import awake, random

LAYERS = {
    "convolution": lambda: CausalConv1d(4, 6, 3),
    "pointwise": lambda: CausalConv1d(4, 6, 1),
    "block": lambda: ConvNeXt(4),
    "frames": lambda: FrameBlock(4),
}


def a_layer(name: str) -> tuple[Layer, Tensor, int]:
    """A layer, an input of 9 steps, and the axis of time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = awake(LAYERS[name]())
    return (layer, random(2, 9, 4, 3, 5), 1) if name == "frames" else (layer, random(2, 4, 9), 2)


@pytest.mark.parametrize("name", LAYERS)
@given(cuts=st.sets(st.integers(1, 8)))
@settings(max_examples=10, deadline=None)
def test_pieces_give_the_whole(name: str, cuts: set[int]) -> None:
    layer, x, axis = a_layer(name)
    whole, _ = layer.step(x, None)
    past, parts = None, []
    for piece in x.tensor_split(sorted(cuts), dim=axis):
        part, past = layer.step(piece, past)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, dim=axis), whole)


@pytest.mark.parametrize("name", LAYERS)
def test_a_later_step_changes_no_earlier_output(name: str) -> None:
    layer, x, axis = a_layer(name)
    changed = x.clone()
    changed.narrow(axis, 5, 4).add_(1)
    before, after = layer.step(x, None)[0], layer.step(changed, None)[0]
    assert torch.equal(before.narrow(axis, 0, 5), after.narrow(axis, 0, 5))
    assert not torch.allclose(before.narrow(axis, 5, 1), after.narrow(axis, 5, 1))


def test_a_stack_needs_a_state_for_every_layer() -> None:
    layers = [CausalConv1d(4, 4, 3), CausalConv1d(4, 4, 3)]
    _, past = run(layers, random(1, 4, 5), None)
    assert len(past) == 2
    with pytest.raises(ValueError, match="zip"):
        run(layers, random(1, 4, 5), past[:1])


def test_a_fresh_frame_block_changes_nothing() -> None:
    x = random(1, 3, 4, 5, 5)
    assert torch.equal(FrameBlock(4).step(x, None)[0], x)
