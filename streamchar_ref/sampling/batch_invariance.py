"""Layers whose result for one sample does not depend on the others in its batch."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode


def batch_invariant(batch: int, device: torch.device) -> AbstractContextManager[object]:
    """Makes linear layers and activations compute each sample of a batch as if it were alone.

    On a CPU, BLAS chooses the order of a sum by the number of rows, and an activation computes the
    last numbers of a tensor by other instructions than the rest, so that a sample in a batch
    differs from the same sample alone in the last bit. Other devices are left as they are.

    Args:
        batch: Samples; the first dimension of what the layers read.
        device: Where they run.

    Returns:
        A context in which to run the networks; it does nothing for a single sample.
    """
    if batch == 1 or device.type != "cpu":
        return nullcontext()
    return _PerSample(batch)


_PER_SAMPLE = frozenset({F.linear, F.silu, F.gelu, F.softplus})


class _PerSample(TorchFunctionMode):
    def __init__(self, batch: int) -> None:
        super().__init__()
        self._batch = batch

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if func in _PER_SAMPLE and args[0].ndim > 1 and args[0].shape[0] == self._batch:
            return torch.cat([func(sample, *args[1:], **named) for sample in args[0].split(1)])
        return func(*args, **named)
