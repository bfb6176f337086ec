"""Counts the operations of a training step while it runs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

FLOP_FORMULAS: Mapping[Any, Callable[..., int]] = flop_registry | {  # it lacks attention on the CPU
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: (
        lambda q, k, v, *rest, **named: sdpa_flop_count(q.shape, k.shape, v.shape)
    ),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda gradient, q, k, v, *rest, **named: sdpa_backward_flop_count(
            gradient.shape, q.shape, k.shape, v.shape
        )
    ),
}
"""Multiplications and additions of an operation, from its arguments."""


class FlopCounter(TorchDispatchMode):
    """Adds up the products of matrices, convolutions and attention, forward and backward.

    Torch's own `FlopCounterMode` takes some operations apart, which rounds gradients in another
    way; with this one a step gives the same bits, counted or not.

    Attributes:
        total: Multiplications and additions so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Runs an operation and counts it."""
        named = dict(kwargs or {})
        out = func(*args, **named)
        formula = FLOP_FORMULAS.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **named, out_val=out)
        return out
