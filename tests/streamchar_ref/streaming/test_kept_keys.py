"""Streams of a DiT that keeps keys and values: a pass a chunk, rows of any age, the engine."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.flops import FlopCounter
from streamchar_ref.model.config import override, preset
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.causal import CausalDiT, packed
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.streaming.context import ContextOptions
from streamchar_ref.streaming.cost import count_chunk, random_streams, student_sampler
from streamchar_ref.streaming.engine import Engine
from streamchar_ref.streaming.engine_config import EngineConfig
from streamchar_ref.streaming.rollout import RolloutChunk, rollout_chunk
from streamchar_ref.streaming.state import StreamState, encodable, encoded_past
from streamchar_ref.streaming.stream import stream
from streamchar_ref.streaming.transcript import Transcript
from tests.streamchar_ref.streaming.test_stream import FIRST, OTHER, PICTURE, SECOND, talkative
from tests.streamchar_ref.tiny import tiny_state, whole_texts

CACHED = "dit.cached_chunks=2"
SAMPLER = SamplerConfig(num_steps=2, guidance=2.0)


@pytest.fixture(scope="module")
def model() -> StreamChar:
    return talkative(CACHED)


def rolled(model: StreamChar, state: StreamState, text: str, count: int = 3) -> list[RolloutChunk]:
    chunks = []
    for _ in range(count):
        chunks.append(rollout_chunk(model, state, whole_texts(text), SAMPLER))
        state = chunks[-1].state
    return chunks


@torch.no_grad()
def test_what_is_kept_is_what_the_whole_past_would_give() -> None:
    model = talkative(CACHED, "stream.sink_latents=0")  # a sink changes after the first chunk
    dit, start = model.dit, tiny_state(model)
    assert isinstance(dit, CausalDiT)
    past = encodable(model.config, start)
    made = [chunk.latents for chunk in rolled(model, start, SECOND)]
    whole = replace(
        past,
        motion_video=torch.cat([past.motion_video, *(video for video, _ in made)], dim=1),
        motion_audio=torch.cat([past.motion_audio, *(audio for _, audio in made)], dim=1),
    )
    kept = rolled(model, start, SECOND)[-1].state.cache
    torch.testing.assert_close(kept, packed(dit.encode_context(whole)), atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_the_first_chunk_becomes_the_sink_and_stays_it(model: StreamChar) -> None:
    dit, start = model.dit, tiny_state(model)
    assert isinstance(dit, CausalDiT)
    first, *_, last = rolled(model, start, SECOND)
    still = packed(dit.encode_still(encodable(model.config, first.state)))
    count = still.shape[4]
    assert torch.equal(first.state.cache[:, :, :, :, :count], still)
    assert torch.equal(last.state.cache[:, :, :, :, :count], still)
    assert not torch.allclose(start.cache[:, :, :, :, :count], still)
    assert first.state.cache.shape == start.cache.shape


@torch.no_grad()
def test_streams_of_different_ages_share_a_batch_bit_for_bit(model: StreamChar) -> None:
    states = tiny_state(model, batch=2)
    young, old = states.row(0), rolled(model, states.row(1), SECOND, 2)[-1].state
    text = whole_texts(FIRST, OTHER)
    together = rollout_chunk(model, StreamState.stack([young, old]), text, SAMPLER).state
    for row, (state, said) in enumerate(((young, FIRST), (old, OTHER))):
        alone = rolled(model, state, said, 1)[-1].state
        assert torch.equal(together.cache[row : row + 1], alone.cache)
        assert torch.equal(together.row(row).motion_video, alone.motion_video)
    branch = replace(old, position=old.position + 1)
    assert torch.equal(branch.cache, old.cache)
    ended = replace(old, has_ended=torch.ones_like(old.has_ended))
    assert torch.equal(rolled(model, ended, OTHER, 1)[-1].state.cache, old.cache)


def test_the_engine_serves_what_the_plain_path_streams(model: StreamChar) -> None:
    texts = (SECOND, OTHER)
    engine = Engine(model, EngineConfig(batch=2, first_latents=0), clock=lambda: 0.0)
    made: dict[int, list[np.ndarray]] = {}
    for begin in (True, True, False):  # the second joins a stream that has begun
        if begin:
            number = len(made)
            transcript = Transcript(texts[number])
            made[engine.open(transcript, prompt="a", reference=PICTURE, seed=number)] = []
        for each in engine.step():
            made[each.stream].append(each.chunk.samples)
    assert min(map(len, made.values())) >= 1
    for number, samples in made.items():
        request = {"prompt": "a", "reference": PICTURE, "seed": number}
        chunks = stream(model, Transcript(texts[number]), **request)  # type: ignore[arg-type]
        for mine, chunk in zip(samples, chunks, strict=False):
            assert np.array_equal(mine, chunk.samples)


def test_the_engine_serves_in_half_precision_nearly_what_it_serves_in_full(
    model: StreamChar,
) -> None:
    made = []
    for precision in ("float32", "bfloat16"):
        config = EngineConfig(first_latents=0, precision=precision)
        engine = Engine(model, config, clock=lambda: 0.0)
        number = engine.open(Transcript(SECOND), prompt="a", reference=PICTURE, seed=0)
        cache = engine._streams[number].state.cache
        assert cache.dtype == torch.float32
        made.append((cache, torch.from_numpy(engine.step()[0].chunk.samples)))
    for full, half in zip(*made, strict=True):
        error = (half - full).abs().max() / full.std()
        assert 0 < error < 0.2


@pytest.mark.parametrize(
    "options", [ContextOptions(visible="no_sink"), ContextOptions(motion_sigma=0.2)]
)
def test_what_was_kept_cannot_be_hidden_afterwards(
    model: StreamChar, options: ContextOptions
) -> None:
    with pytest.raises(InputError, match=r"keeps the keys and values .* give context=full"):
        rollout_chunk(model, tiny_state(model), whole_texts(FIRST), SAMPLER, options=options)


def test_operations_of_a_chunk_of_micro_with_a_cache() -> None:
    """Without one, see `test_cost`: 411 M for the context, and 3,552 M for four steps."""
    config = override(preset("micro"), [CACHED])
    parts = count_chunk(config, student_sampler(4)).parts
    assert (parts["context"].flops, parts["dit"].flops) == (938_704_896, 4_377_542_656)


@torch.no_grad()
def test_operations_that_a_stream_of_micro_with_a_cache_needs_once() -> None:
    """Its opening encodes two chunks, and the first chunk the still context once more."""
    config = override(preset("micro"), [CACHED])
    with torch.device("meta"):
        model = StreamChar(config)
    dit, state = model.dit, random_streams(model, 1)
    assert isinstance(dit, CausalDiT)
    with FlopCounter() as opening:
        encoded_past(model, state)
    with FlopCounter() as first:
        dit.encode_still(encodable(config, state))
    assert (opening.total, first.total) == (1_818_279_936, 235_782_144)
