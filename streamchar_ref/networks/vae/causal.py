"""Layers that look back and never ahead, with their state handed in and out.

A layer is called with its input and what the previous call returned as ``past``; ``None`` starts
a stream, with zeros before it. So two streams can share a module, and a test can cut anywhere.

Shape letters: B batch, C channels, T steps in time, P steps of past, H and W pixels.
"""

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Past = tuple[Tensor, ...]
"""What a stack of layers carries from one call to the next, one tensor a layer."""


class CausalConv1d(nn.Conv1d):
    """Convolution in time whose output step sees itself and earlier steps only."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, groups: int = 1) -> None:
        super().__init__(channels_in, channels_out, kernel, groups=groups)

    def step(
        self, x: Float[Tensor, "B C T"], past: Float[Tensor, "B C P"] | None
    ) -> tuple[Float[Tensor, "B D T"], Float[Tensor, "B C P"]]:
        """Returns the output for new steps, and the last ones to pass with the next call."""
        num_past = self.kernel_size[0] - 1
        if past is None:
            past = x.new_zeros(*x.shape[:2], num_past)
        padded = torch.cat([past.to(x.dtype), x], dim=-1)
        return self(padded), padded[..., padded.shape[-1] - num_past :]


class ConvNeXt(nn.Module):
    """Residual block of a depthwise convolution in time and a pointwise bottleneck turned out.

    Args:
        width: C.
        kernel: Steps that one output step sees.
        expansion: Width inside, in units of C.

    Source:
        Liu et al., A ConvNet for the 2020s, arXiv:2201.03545; in time as in Vocos,
        arXiv:2306.00814.
    """

    def __init__(self, width: int, *, kernel: int = 7, expansion: int = 3) -> None:
        super().__init__()
        self.depthwise = CausalConv1d(width, width, kernel, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, expansion * width)
        self.project = nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.1))

    def step(
        self, x: Float[Tensor, "B C T"], past: Float[Tensor, "B C P"] | None
    ) -> tuple[Float[Tensor, "B C T"], Float[Tensor, "B C P"]]:
        """Returns the output for new steps, and the state."""
        y, past = self.depthwise.step(x, past)
        y = self.norm(y.transpose(1, 2))
        y = self.project(F.gelu(self.expand(y))) * self.scale
        return x + y.transpose(1, 2), past


class FrameBlock(nn.Module):
    """Residual block of frames, each seen with the features of the frame before it.

    Args:
        width: C.

    Source:
        The memory blocks of TAEHV (madebyollin/taehv, MIT) have this form.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(2 * width, width, 3, padding=1)
        self.refine = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.refine.weight)
        nn.init.zeros_(self.refine.bias)  # type: ignore[arg-type]

    def step(
        self, x: Float[Tensor, "B T C H W"], past: Float[Tensor, "B 1 C H W"] | None
    ) -> tuple[Float[Tensor, "B T C H W"], Float[Tensor, "B 1 C H W"]]:
        """Returns the output for new frames, and the last of them for the next call."""
        if past is None:
            past = torch.zeros_like(x[:, :1])
        before = torch.cat([past.to(x.dtype), x[:, :-1]], dim=1)
        y = torch.cat([x, before], dim=2).flatten(0, 1)
        y = self.refine(F.silu(self.mix(y)))
        return x + y.unflatten(0, x.shape[:2]), x[:, -1:]


@runtime_checkable
class Layer(Protocol):
    """What `run` asks of a layer."""

    def step(self, x: Tensor, past: Any) -> tuple[Tensor, Tensor]:
        """Returns the output for new steps, and the state."""
        ...


def run(layers: Iterable[Any], x: Tensor, past: Past | None) -> tuple[Tensor, Past]:
    """Runs layers that have a ``step``, one after the other.

    Args:
        layers: In order.
        x: Input of the first.
        past: State of each, from the last call; ``None`` at the start of a stream.

    Returns:
        Output of the last, and the states for the next call.
    """
    stack: list[Layer] = list(layers)
    states = []
    for layer, state in zip(stack, past or [None] * len(stack), strict=True):
        x, state = layer.step(x, state)
        states.append(state)
    return x, tuple(states)
