"""Counts what a model computes and moves, part by part, and the least time that it can take.

Counted on the ``meta`` device, where tensors have shapes and no numbers, so that billions of
weights are counted in seconds. The rule: every product, convolution and attention reads its
operands from memory once and writes its result once; what lies between them is free.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any
from weakref import finalize

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from streamchar_ref.loop.flops import FLOP_FORMULAS
from streamchar_ref.model.streamchar import StreamChar

PARTS = (
    "prefill", "context", "orchestrator", "dit", "progress", "video_decode", "audio_decode",
)  # fmt: skip
"""Of a chunk: the orchestrator reads; the DiT reads its context; both at each step; the pointer
reads the finished audio; and the decoders."""


@dataclass(kw_only=True)
class Work:
    """What a part of a chunk does.

    Attributes:
        calls: How often it runs.
        products: Products, convolutions and attentions; a GPU launches a kernel for each.
        flops: Multiplications and additions of products, convolutions and attention.
        weight_bytes: Weights that are read, once a call.
        cache_bytes: Keys and values of context and prefix, written once and read in each call.
        activation_bytes: Other operands read, and results written.
    """

    calls: int = 0
    products: int = 0
    flops: int = 0
    weight_bytes: int = 0
    cache_bytes: int = 0
    activation_bytes: int = 0

    @property
    def bytes(self) -> int:
        """All that is read and written."""
        return self.weight_bytes + self.cache_bytes + self.activation_bytes

    def __add__(self, other: "Work") -> "Work":
        """Returns the work of both."""
        mine, more = asdict(self), asdict(other)
        return Work(**{name: mine[name] + more[name] for name in mine})


@dataclass(frozen=True, kw_only=True)
class DeviceRates:
    """What a device was measured to do.

    Attributes:
        flop_per_s: Of large products of matrices.
        bytes_per_s: Of a copy, read and written together.
    """

    flop_per_s: float
    bytes_per_s: float

    def floor_s(self, work: Work) -> float:
        """Returns the least time that work can take: that of its products or of its bytes."""
        return max(work.flops / self.flop_per_s, work.bytes / self.bytes_per_s)


@contextmanager
def watched(
    model: StreamChar, around: Callable[[str, Any], AbstractContextManager[Any]]
) -> Iterator[None]:
    """Runs something around every call of a part of a chunk.

    Args:
        model: Whose parts are watched.
        around: Gets the part's name and its keys and values, and returns a context.

    Yields:
        Nothing; afterwards the model is as before.
    """
    orchestrator, dit = model.orchestrator, model.dit
    places: Sequence[tuple[nn.Module, str, str]] = (
        (orchestrator, "prefill", "prefill"),
        (orchestrator, "decode", "orchestrator"),
        (dit, "hear", "progress"),
        (dit, "encode_context", "context"),
        (dit, "encode_chunk", "context"),
        (dit, "forward", "dit"),
        (dit, "forward_audio", "dit"),
        (model.video_vae, "decode", "video_decode"),
        (model.audio_vae, "decode", "audio_decode"),
    )
    with ExitStack() as stack:
        for module, method, part in places:
            if hasattr(module, method):  # what stands in the place of an orchestrator has less
                setattr(module, method, _around(getattr(module, method), part, around))
                stack.callback(delattr, module, method)
        yield


def _around(
    run: Callable[..., Any], part: str, around: Callable[[str, Any], AbstractContextManager[Any]]
) -> Callable[..., Any]:
    def call(*args: Any, **named: Any) -> Any:
        name = "progress" if named.get("infer_alignment") else part
        cached = args[0].layers if part == "orchestrator" else args[-1] if part == "dit" else ()
        with around(name, cached):
            return run(*args, **named)

    return call


class WorkCounter:
    """Counts the work of a model on the ``meta`` device, and the memory that it holds at most.

    Args:
        model: On that device.
        number_bytes: Of a weight and of an activation, such as 2 for half precision.

    Attributes:
        parts: Work by name; what belongs to no part is under ``rest``.
        peak_bytes: Most that was held at once beside the weights.
    """

    def __init__(self, model: StreamChar, *, number_bytes: int) -> None:
        self.parts = {name: Work() for name in (*PARTS, "rest")}
        self.number_bytes, self.peak_bytes = number_bytes, 0
        self._part, self._held, self._live = "rest", 0, set[int]()
        self._read = set[int]()
        weights = (*model.parameters(), *model.buffers())
        self._weights = {_storage(weight) for weight in weights}

    @contextmanager
    def counting(self, model: StreamChar) -> Iterator[None]:
        """Counts what the model does.

        Args:
            model: The one it was made for.

        Yields:
            Nothing.
        """
        with torch.no_grad(), watched(model, self._inside), _Attention(self), _Products(self):
            yield

    @contextmanager
    def _inside(self, part: str, cached: Any) -> Iterator[None]:
        before, self._part = self._part, part
        self._read.clear()
        self.parts[part].calls += 1
        self.parts[part].cache_bytes += sum(self.size(t) for t in tree_leaves(cached))
        yield
        self._part = before

    def size(self, value: Any) -> int:
        """Returns the bytes of a tensor; 0 if it is none."""
        if not isinstance(value, Tensor):
            return 0
        width = self.number_bytes if value.is_floating_point() else value.element_size()
        return value.numel() * width

    def product(self, flops: int, operands: Any, result: Any) -> None:
        """Adds an operation."""
        work = self.parts[self._part]
        work.flops += flops
        work.products += 1
        for tensor in tree_leaves(operands):
            if not isinstance(tensor, Tensor):
                continue
            if (key := _storage(tensor)) not in self._weights:
                work.activation_bytes += self.size(tensor)
            elif key not in self._read:  # each once a call
                self._read.add(key)
                work.weight_bytes += self.size(tensor)
        work.activation_bytes += sum(self.size(tensor) for tensor in tree_leaves(result))

    def hold(self, result: Any) -> None:
        """Keeps account of new tensors until they are freed."""
        for tensor in tree_leaves(result):
            if not isinstance(tensor, Tensor) or tensor.device.type != "meta":
                continue
            storage, key = tensor.untyped_storage(), _storage(tensor)
            if key in self._live or key in self._weights:
                continue
            width = self.number_bytes if tensor.is_floating_point() else tensor.element_size()
            size = storage.nbytes() // tensor.element_size() * width
            self._live.add(key)
            self._held += size
            self.peak_bytes = max(self.peak_bytes, self._held)
            finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._live.discard(key)
        self._held -= size


class _Attention(TorchFunctionMode):
    """Takes attention for one operation, which keeps no scores in memory."""

    def __init__(self, counter: WorkCounter) -> None:
        super().__init__()
        self._counter = counter

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        named = dict(kwargs or {})
        if func is not nn.functional.scaled_dot_product_attention:
            return func(*args, **named)
        query, key, value = args[:3]
        result = query.new_empty(*query.shape[:-1], value.shape[-1])
        pairs = query.shape[:-1].numel() * key.shape[-2]
        flops = 2 * pairs * (query.shape[-1] + value.shape[-1])
        self._counter.product(flops, query, result)  # keys and values count as cache
        return result


class _Products(TorchDispatchMode):
    """Hands products and convolutions to the counter, and every new tensor."""

    def __init__(self, counter: WorkCounter) -> None:
        super().__init__()
        self._counter = counter

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        named: Mapping[str, Any] = dict(kwargs or {})
        result = func(*args, **named)
        formula = FLOP_FORMULAS.get(func._overloadpacket)
        if formula is not None:
            flops = formula(*args, **named, out_val=result)
            self._counter.product(flops, (args, list(named.values())), result)
        self._counter.hold(result)
        return result


def _storage(tensor: Tensor) -> int:
    """Identifies memory, or what would be memory."""
    return int(tensor.untyped_storage()._cdata)
