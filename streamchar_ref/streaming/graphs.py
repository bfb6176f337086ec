"""A chunk as one CUDA graph: all of its kernels are launched by a single call.

A small model spends most of a chunk on launching thousands of kernels. A graph is recorded once for
each size of a batch, and replayed on the same memory: what a chunk reads is copied in, what it says
is copied out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from streamchar_ref.core.errors import InputError
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.causal import CausalDiT
from streamchar_ref.sampling.orders import JOINT

Compute = Callable[..., tuple[Tensor, ...]]
WARM_UP_RUNS = 3
"""Before recording, so that libraries have allocated what they keep."""
Recorded = Callable[[], Sequence[Tensor]]
"""What has been recorded: each call computes anew from what its inputs then hold, and returns the
outputs, which the next call overwrites."""
Record = Callable[[Callable[[], tuple[Tensor, ...]]], Recorded]


@dataclass(frozen=True)
class _Entry:
    inputs: list[Tensor]
    replay: Recorded


class ChunkGraphs:
    """Recorded chunks of one model, one for each shape of what is read.

    Batches are filled up to the next power of two with copies of their first stream, so that few
    are recorded.

    Args:
        record: How; replaced in tests.
    """

    def __init__(self, record: Record | None = None) -> None:
        self._record = record or cuda_graph
        self._entries: dict[tuple[Any, ...], _Entry] = {}

    @property
    def num_recorded(self) -> int:
        """Graphs that there are."""
        return len(self._entries)

    def run(self, compute: Compute, *arguments: Any) -> tuple[Tensor, ...]:
        """Computes a chunk, by recording it when its shapes are new.

        Args:
            compute: Function of the arguments; always the same one.
            *arguments: Tensors, tuples of them, or dataclasses of nothing else; batch first.

        Returns:
            What ``compute`` returns, in memory of its own.
        """
        given = list(_tensors(arguments))
        size = len(given[0])
        filled = sizes_up_to(size)[-1]
        given = [_fill_up(each, filled) for each in given]
        key = tuple((each.shape, each.dtype) for each in given)
        if key not in self._entries:
            kept = [each.clone() for each in given]
            again = _with_tensors(arguments, iter(kept))
            self._entries[key] = _Entry(kept, self._record(lambda: compute(*again)))
        entry = self._entries[key]
        for held, new in zip(entry.inputs, given, strict=True):
            held.copy_(new)
        return tuple(each[:size].clone() for each in entry.replay())


def sizes_up_to(batch: int) -> list[int]:
    """Returns the sizes of batches that are recorded: powers of two, up to one that is enough."""
    return [1 << exponent for exponent in range((batch - 1).bit_length() + 1)]


def chunk_graphs(model: StreamChar) -> ChunkGraphs:
    """Returns where chunks of a model are to be recorded.

    Args:
        model: The networks.

    Returns:
        None of them yet.

    Raises:
        InputError: If its device is no GPU of CUDA, modalities are not sampled together, or what is
            computed depends on how old a stream is.
    """
    if model.device.type != "cuda":
        raise InputError(
            f"engine: graphs=true needs device=cuda, not {model.device.type}: launching a kernel "
            "costs nothing on a CPU that a graph could save"
        )
    if model.config.order != JOINT or isinstance(model.dit, CausalDiT):
        raise InputError(
            f"engine: graphs=true is for order={JOINT} and a DiT that keeps no keys of past chunks"
        )
    return ChunkGraphs()


def cuda_graph(compute: Callable[[], tuple[Tensor, ...]]) -> Recorded:
    """Records a CUDA graph.

    Args:
        compute: Launches kernels, always the same ones, and neither waits for the device nor
            copies from the host.

    Returns:
        Replays it.
    """
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(WARM_UP_RUNS):
            compute()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # others decode meanwhile
        outputs = compute()

    def replay() -> Sequence[Tensor]:
        graph.replay()
        return outputs

    return replay


def _fill_up(x: Tensor, size: int) -> Tensor:
    return x if len(x) == size else torch.cat([x, x[:1].expand(size - len(x), *x.shape[1:])])


def _tensors(value: Any) -> Iterator[Tensor]:
    """Tensors in tuples and dataclasses, in their order."""
    if isinstance(value, Tensor):
        yield value
    else:
        parts = value if isinstance(value, tuple) else _parts(value).values()
        for part in parts:
            yield from _tensors(part)


def _with_tensors(value: Any, tensors: Iterator[Tensor]) -> Any:
    """The same with other tensors in place of its own."""
    if isinstance(value, Tensor):
        return next(tensors)
    if isinstance(value, tuple):
        return tuple(_with_tensors(part, tensors) for part in value)
    parts = _parts(value).items()
    return type(value)(**{name: _with_tensors(part, tensors) for name, part in parts})


def _parts(value: Any) -> dict[str, Any]:
    return {each.name: getattr(value, each.name) for each in fields(value)}
