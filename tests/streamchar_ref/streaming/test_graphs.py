"""Recorded chunks. Where there is no GPU they are recorded by tracing, which freezes as much."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode

from streamchar_ref.core.errors import InputError
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.streaming import denoiser
from streamchar_ref.streaming.context import FULL
from streamchar_ref.streaming.cost import one_text, random_streams
from streamchar_ref.streaming.denoiser import GREY
from streamchar_ref.streaming.engine import Engine
from streamchar_ref.streaming.engine_config import EngineConfig, EnginePrecision
from streamchar_ref.streaming.graphs import ChunkGraphs
from streamchar_ref.streaming.rollout import rollout_chunk
from streamchar_ref.streaming.transcript import Transcript
from tests.streamchar_ref.streaming.test_rollout import SAMPLERS, TEXTS, tensors_of
from tests.streamchar_ref.streaming.test_stream import FIRST, talkative
from tests.streamchar_ref.tiny import tiny_model, tiny_state, whole_texts


class Tracer:
    """Records every operation once, and repeats them on what its inputs hold by then."""

    def __init__(self) -> None:
        self.made: list[GraphModule] = []

    def __call__(self, compute: Callable[[], tuple[Tensor, ...]]) -> Callable[[], Sequence[Tensor]]:
        self.made.append(make_fx(compute)())
        return self.made[-1]


@torch.no_grad()
def test_a_recorded_chunk_is_the_chunk_whatever_it_reads() -> None:
    sampler = SamplerConfig(num_steps=2, kind="renoise", guidance=2.0, picture_guidance=1.5)
    model, tracer, text = talkative(), Tracer(), whole_texts(*TEXTS)
    graphs = ChunkGraphs(tracer)
    ours = theirs = tiny_state(model, batch=3)
    for _ in range(3):
        ours = rollout_chunk(model, ours, text, sampler, is_exact=False, graphs=graphs).state
        theirs = rollout_chunk(model, theirs, text, sampler, is_exact=False).state
        for name, tensor in tensors_of(theirs).items():
            torch.testing.assert_close(tensors_of(ours)[name], tensor, rtol=1e-4, atol=1e-4)
    assert float(theirs.position.min()) > 0
    assert graphs.num_recorded == 1


class Watched(ChunkGraphs):
    """Computes on a device without numbers, and notes every operation on the CPU meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.from_the_host: list[str] = []

    def run(self, compute: Callable[..., tuple[Tensor, ...]], *arguments: Any) -> tuple[Any, ...]:
        with HostTensors(self.from_the_host):
            return compute(*arguments)


class HostTensors(TorchDispatchMode):
    """Notes operations that read or make a tensor on the CPU."""

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self._found = found

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        out = func(*args, **(kwargs or {}))
        tensors = [x for x in (out, *args) if isinstance(x, Tensor)]
        self._found += [str(func)] if any(x.device.type == "cpu" for x in tensors) else []
        return out


@pytest.mark.parametrize("settings", [(), ("orchestrator.mode=once",)], ids=["in_loop", "once"])
@torch.no_grad()
def test_nothing_of_a_chunk_comes_from_the_host_while_it_is_recorded(
    settings: tuple[str, ...],
) -> None:
    config = tiny_model(*settings).config
    with torch.device("meta"):
        model = StreamChar(config)
    graphs, state = Watched(), random_streams(model, 2)
    rollout_chunk(
        model, state, one_text(model, 2), SAMPLERS["guided"], is_exact=False, graphs=graphs
    )
    assert not graphs.from_the_host


def test_numbers_from_the_host_are_noticed() -> None:
    graphs = Watched()
    graphs.run(lambda x: (x + torch.ones(3).to(x.device),), torch.zeros(3, device="meta"))
    assert graphs.from_the_host


@torch.no_grad()
def test_the_engine_streams_in_float8_what_it_streams_in_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(denoiser, "check_fp8", lambda _: None)  # a CPU can, slowly
    assert 0 < relative_error("fp8") < 0.2


def test_the_engine_streams_in_half_precision_what_it_streams_in_full() -> None:
    assert 0 < relative_error("bfloat16") < 0.1


def relative_error(precision: EnginePrecision) -> float:
    """Of the samples of a second chunk."""
    full, other = (
        next(
            islice(
                Engine(talkative(), EngineConfig(precision=each)).stream(
                    Transcript(FIRST), prompt="a man", reference=GREY
                ),
                1,
                None,
            )
        ).samples
        for each in ("float32", precision)
    )
    return float(np.abs(full - other).mean() / np.abs(full).mean())


@torch.no_grad()
def test_few_sizes_are_recorded_and_each_gives_its_own_rows() -> None:
    graphs = ChunkGraphs(Tracer())
    for size in (1, 2, 3, 4, 3):
        x = torch.arange(float(size))
        (doubled,) = graphs.run(lambda each: (2 * each,), x)
        assert torch.equal(doubled, 2 * x)
    assert graphs.num_recorded == 3


@torch.no_grad()
def test_what_a_chunk_said_is_not_overwritten_by_the_next() -> None:
    graphs = ChunkGraphs(Tracer())
    (first,) = graphs.run(lambda x: (x + 1,), torch.zeros(2))
    graphs.run(lambda x: (x + 1,), torch.ones(2))
    assert torch.equal(first, torch.ones(2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"graphs": True}, "graphs=true needs device=cuda"), ({"precision": "fp8"}, "needs a GPU")],
)
def test_what_needs_a_gpu_says_so(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Engine(tiny_model(), EngineConfig(**settings))


@torch.no_grad()
def test_all_sizes_are_recorded_before_the_first_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = ChunkGraphs(lambda compute: compute)
    monkeypatch.setattr(denoiser, "chunk_graphs", lambda _: graphs)
    made = denoiser.Denoiser(
        talkative(), EngineConfig(graphs=True, exact=False), SAMPLERS["euler"], FULL
    )
    made.prepare(4)
    assert graphs.num_recorded == 3
    made(tiny_state(made.model, batch=3), whole_texts(*TEXTS))
    assert graphs.num_recorded == 3
