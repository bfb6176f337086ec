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

from streamchar_ref.core.errors import InputError
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.streaming.denoiser import GREY
from streamchar_ref.streaming.engine import Engine
from streamchar_ref.streaming.engine_config import EngineConfig
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


@pytest.mark.parametrize("sampler", [SAMPLERS["guided"], SAMPLERS["renoise"]])
@torch.no_grad()
def test_a_recorded_chunk_is_the_chunk_whatever_it_reads(sampler: SamplerConfig) -> None:
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
    assert not copied_from_the_host(tracer.made[0])


def copied_from_the_host(recorded: GraphModule) -> list[str]:
    """Numbers that were made of Python's on the way: a GPU would have to wait for them."""
    return [node.name for node in recorded.graph.nodes if "lift_fresh" in str(node.target)]


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
def test_the_engine_streams_in_half_precision_what_it_streams_in_full() -> None:
    model = talkative()
    full, half = (
        Engine(model, EngineConfig(precision=precision)).stream(
            Transcript(FIRST), prompt="a man", reference=GREY
        )
        for precision in ("float32", "bfloat16")
    )
    for one, other in islice(zip(full, half, strict=True), 2):
        wrong = one.samples - other.samples
        assert 0 < np.abs(wrong).mean() < 0.1 * np.abs(one.samples).mean()
