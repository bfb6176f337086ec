"""One chunk of a batch of streams: the same alone and in company, with and without gradients."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from streamchar_ref.model.streamchar import Conditioning, StreamChar
from streamchar_ref.networks.reader import as_orchestrator
from streamchar_ref.sampling.condition import prefill
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.streaming.context import dit_context, orchestrator_inputs
from streamchar_ref.streaming.cost import student_sampler
from streamchar_ref.streaming.rollout import (
    OVER_LATENTS,
    RolloutChunk,
    read_progress,
    rollout_chunk,
)
from streamchar_ref.streaming.state import StreamState, initial_state
from streamchar_ref.streaming.transcript import Transcript, TranscriptBatch
from tests.streamchar_ref.streaming.test_stream import FIRST, OTHER, SECOND, talkative
from tests.streamchar_ref.tiny import random, tiny_model, tiny_state, whole_texts

TEXTS = (FIRST, SECOND, OTHER)
SAMPLERS = {
    "euler": SamplerConfig(num_steps=2),
    "guided": SamplerConfig(num_steps=2, guidance=2.0, picture_guidance=1.5),
    "ab2": SamplerConfig(num_steps=3, kind="ab2"),
    "renoise": SamplerConfig(num_steps=2, kind="renoise"),
}


def tensors_of(state: StreamState) -> dict[str, Tensor]:
    return {name: value for name, value in vars(state).items() if isinstance(value, Tensor)}


def one_of(state: StreamState, row: int) -> StreamState:
    """One stream of a batch, alone."""
    part = slice(row, row + 1)
    conditioning = Conditioning(
        prompt=state.conditioning.prompt[part], reference=state.conditioning.reference[part]
    )
    noise = replace(
        state.noise, states=state.noise.states[part], num_chunks=state.noise.num_chunks[part]
    )
    own = {name: value[part] for name, value in tensors_of(state).items()}
    return replace(state, conditioning=conditioning, noise=noise, **own)


def run(
    model: StreamChar,
    state: StreamState,
    texts: Sequence[str],
    sampler: SamplerConfig,
    count: int = 3,
) -> list[RolloutChunk]:
    chunks, text = [], whole_texts(*texts)
    for _ in range(count):
        chunks.append(rollout_chunk(model, state, text, sampler))
        state = chunks[-1].state
    return chunks


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
@torch.no_grad()
def test_a_batch_of_streams_is_its_streams_one_by_one(sampler: SamplerConfig) -> None:
    model = talkative()
    state = tiny_state(model, batch=3)
    together = run(model, state, TEXTS, sampler)
    for row, text in enumerate(TEXTS):
        alone = run(model, one_of(state, row), [text], sampler)
        for ours, own in zip(together, alone, strict=True):
            for both, single in zip(ours.latents, own.latents, strict=True):
                assert torch.equal(both[row : row + 1], single)
            assert torch.equal(ours.advance[row : row + 1], own.advance)
            for name, value in tensors_of(own.state).items():
                assert torch.equal(getattr(ours.state, name)[row : row + 1], value), name


def test_a_gradient_reaches_the_weights_through_two_chunks() -> None:
    model, text = tiny_model(), whole_texts(SECOND)
    sampler = SamplerConfig(num_steps=2, kind="renoise")
    first = rollout_chunk(model, tiny_state(model), text, sampler, gradient_step=1)
    with torch.no_grad():
        plain = rollout_chunk(model, tiny_state(model), text, sampler)
    torch.testing.assert_close(first.latents[0].detach(), plain.latents[0])
    second = rollout_chunk(model, first.state, text, sampler, gradient_step=0)
    assert first.latents[0].requires_grad
    second.latents[0].square().sum().backward(inputs=[first.latents[0], model.dit.video_out.weight])
    assert first.latents[0].grad is not None
    assert bool(first.latents[0].grad.abs().sum() > 0), "through sink and motion of the first chunk"
    assert bool(model.dit.video_out.weight.grad.abs().sum() > 0)  # type: ignore[union-attr]


def test_without_a_gradient_step_every_step_carries_gradient() -> None:
    model = tiny_model()
    chunk = rollout_chunk(model, tiny_state(model), whole_texts(SECOND), SamplerConfig(num_steps=2))
    chunk.latents[1].sum().backward()
    weight = as_orchestrator(model.orchestrator).condition_out.weight
    assert weight.grad is not None
    assert bool(weight.grad.abs().sum() > 0)


@torch.no_grad()
def test_a_stream_that_has_ended_changes_nothing() -> None:
    model, text = talkative(), whole_texts(FIRST, SECOND)
    state = rollout_chunk(model, tiny_state(model, batch=2), text, SAMPLERS["euler"]).state
    ended = replace(state, has_ended=torch.tensor([True, False]))
    after = rollout_chunk(model, ended, text, SAMPLERS["euler"]).state
    going_on = rollout_chunk(model, state, text, SAMPLERS["euler"]).state
    for name, value in tensors_of(after).items():
        assert torch.equal(value[0], getattr(ended, name)[0]), name
        assert torch.equal(value[1], getattr(going_on, name)[1]), name
    assert after.num_chunks.tolist() == [1, 2]


@torch.no_grad()
def test_a_stream_ends_when_it_is_over_and_its_transcript_is_final() -> None:
    model, text = talkative(is_over=True), whole_texts(FIRST, SECOND)
    text = replace(text, is_final=torch.tensor([True, False]))
    chunk = rollout_chunk(model, tiny_state(model, batch=2), text, SAMPLERS["euler"])
    assert chunk.is_over.tolist() == [True, True]
    assert chunk.state.has_ended.tolist() == [True, False]


@torch.no_grad()
def test_a_rollout_branches_from_any_point() -> None:
    model, text = talkative(), whole_texts(SECOND)
    state = rollout_chunk(model, tiny_state(model), text, SAMPLERS["euler"]).state
    one, again = (rollout_chunk(model, state, text, SAMPLERS["renoise"]) for _ in range(2))
    assert torch.equal(one.latents[0], again.latents[0])
    other = rollout_chunk(model, one.state, text, SAMPLERS["renoise"])
    assert not torch.equal(one.latents[0], other.latents[0])


@torch.no_grad()
def test_a_chunk_does_not_depend_on_how_many_came_before() -> None:
    model, text = talkative(), whole_texts(SECOND)
    state = rollout_chunk(model, tiny_state(model), text, SAMPLERS["euler"]).state
    late = replace(state, num_chunks=state.num_chunks + 999)
    one, other = (rollout_chunk(model, each, text, SAMPLERS["euler"]) for each in (state, late))
    assert torch.equal(one.latents[0], other.latents[0])
    assert torch.equal(one.latents[1], other.latents[1])


@torch.no_grad()
def test_a_hasty_pointer_waits_for_text_that_has_not_arrived() -> None:
    model, text = talkative(), whole_texts(SECOND)
    as_orchestrator(model.orchestrator).pointer.advance.bias.fill_(9.0)
    state = tiny_state(model)
    for _ in range(2):
        state = rollout_chunk(model, state, text, SAMPLERS["euler"]).state
        assert state.position.tolist() == text.lengths.tolist()


@torch.no_grad()
def test_all_is_said_only_if_a_third_of_a_second_says_so() -> None:
    model, state, text = talkative(is_over=True), None, whole_texts(SECOND)
    state = tiny_state(model)
    condition = prefill(
        model, orchestrator_inputs(model.config, state, text), dit_context(model.config, state)
    )
    audio, unsaid = random(1, 16, 16), torch.tensor([99.0])
    output = as_orchestrator(model.orchestrator).decode(
        condition.prefix, audio, torch.zeros(1), infer_alignment=True
    )
    progress, is_over = read_progress(condition, audio, unsaid)
    assert is_over.tolist() == [True]
    torch.testing.assert_close(progress, output.progress.position)
    model.orchestrator.decode = lambda *args, **kwargs: output  # type: ignore[method-assign]
    output.is_over[0, -OVER_LATENTS] = -1
    assert read_progress(condition, audio, unsaid)[1].tolist() == [False]
    output.is_over[0, -OVER_LATENTS:] = 1
    output.is_over[0, :-OVER_LATENTS] = -1
    assert read_progress(condition, audio, unsaid)[1].tolist() == [True]


@torch.no_grad()
def test_text_that_is_not_known_yet_has_no_place_in_a_batch() -> None:
    model = talkative()
    known = whole_texts(FIRST)
    none = TranscriptBatch(
        tokens=known.tokens, lengths=torch.tensor([0]), is_final=torch.tensor([False])
    )
    chunk = rollout_chunk(model, tiny_state(model), none, SAMPLERS["euler"])
    assert chunk.advance.tolist() == [0.0]
    assert chunk.state.position.tolist() == [0.0]


def test_states_of_one_seed_are_alike() -> None:
    model = tiny_model()
    conditioning = Conditioning(prompt=random(1, 4, 32), reference=random(1, 1, 4, 4, 4))
    one, other, third = (initial_state(model, conditioning, [seed]) for seed in (5, 5, 6))
    assert torch.equal(one.noise.states[0], other.noise.states[0])
    assert not torch.equal(one.noise.states[0], third.noise.states[0])


class Calls(TorchDispatchMode):
    """Counts operations; a number read from the device is one for which the host waits."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        self.counts[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("settings", [(), ("orchestrator.mode=once",)], ids=["in_loop", "once"])
def test_the_host_never_waits_for_the_device_within_a_chunk(settings: tuple[str, ...]) -> None:
    model = tiny_model(*settings)
    state, text = tiny_state(model), TranscriptBatch.of([Transcript("Hello.").prefix(0)])
    with torch.no_grad(), Calls() as calls:
        rollout_chunk(model, state, text, SamplerConfig(num_steps=2))
        assert calls.counts["_local_scalar_dense"] + calls.counts["nonzero"] == 0
        float(state.position[0])
    assert calls.counts["_local_scalar_dense"] == 1  # it does count


def test_a_chunk_launches_as_many_matrix_products_as_it_did() -> None:
    model = tiny_model()
    state, text = tiny_state(model), TranscriptBatch.of([Transcript("Hello.").prefix(0)])

    def products(num_steps: int) -> int:
        with torch.no_grad(), Calls() as calls:
            rollout_chunk(model, state, text, student_sampler(num_steps))
        return sum(calls.counts[name] for name in ("mm", "addmm", "bmm"))

    assert products(1) == 132
    assert products(3) - products(2) == products(2) - products(1) == 57
