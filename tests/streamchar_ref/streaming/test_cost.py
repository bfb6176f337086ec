import pytest
import torch

from streamchar_ref.loop.flops import FlopCounter
from streamchar_ref.model.config import override, preset
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.streaming.cost import (
    ChunkCost,
    count_chunk,
    make_chunk,
    one_text,
    random_streams,
    student_sampler,
)
from streamchar_ref.streaming.timing import time_chunks
from tests.streamchar_ref.tiny import tiny_config, tiny_model

MICRO_FLOPS = {
    "prefill": 324_621_120,
    "context": 411_205_632,
    "orchestrator": 457_359_360,
    "dit": 3_551_789_056,
    "progress": 106_874_880,
    "video_decode": 5_067_767_808,
    "audio_decode": 383_975_424,
    "rest": 0,
}


DIT_PRODUCTS = 15 + 7 * tiny_config().dit.num_blocks
"""Of one pass of `tiny`: both passes of guidance in one batch launch as many."""


@pytest.fixture(scope="module")
def tiny() -> ChunkCost:
    return count_chunk(tiny_config(), student_sampler(4))


def test_what_is_counted_without_weights_is_what_a_chunk_computes(tiny: ChunkCost) -> None:
    model = tiny_model()
    with torch.no_grad(), FlopCounter() as counter:
        make_chunk(model, random_streams(model, 1), one_text(model, 1), student_sampler(4))
    assert tiny.total.flops == counter.total
    assert tiny.parts["rest"].flops == 0


def test_work_is_linear_in_steps_and_in_streams(tiny: ChunkCost) -> None:
    more = count_chunk(tiny_config(), student_sampler(8), batch=3).parts
    for name, work in tiny.parts.items():
        rounds = 2 if name in ("dit", "orchestrator") else 1
        assert more[name].flops == 3 * rounds * work.flops
        assert more[name].weight_bytes == pytest.approx(rounds * work.weight_bytes, rel=0.01)


@pytest.mark.parametrize("is_exact", [True, False])
def test_guidance_is_a_second_pass_of_the_dit_in_one_batch_or_not(
    tiny: ChunkCost, is_exact: bool
) -> None:
    sampler = student_sampler(4, guidance=3.0)
    guided, plain = count_chunk(tiny_config(), sampler, is_exact=is_exact).parts, tiny.parts
    times = 2 if is_exact else 1
    assert (plain["dit"].calls, plain["dit"].products) == (4, 4 * DIT_PRODUCTS)
    assert guided["dit"].calls == times * 4
    assert guided["dit"].products == times * 4 * DIT_PRODUCTS
    weights = pytest.approx(times * plain["dit"].weight_bytes, rel=0.01)
    assert guided["dit"].weight_bytes == weights
    assert guided["dit"].cache_bytes == 2 * plain["dit"].cache_bytes
    assert guided["dit"].flops == 2 * plain["dit"].flops
    others = [name for name in guided if name != "dit"]
    assert all(guided[name].flops == plain[name].flops for name in others)


def test_caches_are_read_in_every_pass_and_written_once(tiny: ChunkCost) -> None:
    config, parts = tiny_config(), tiny.parts
    tokens = len(config.geometry.context_positions(config.dit.patch))
    context = 2 * 2 * config.dit.num_blocks * tokens * config.dit.width
    assert parts["context"].cache_bytes == context
    assert parts["dit"].cache_bytes == 4 * context
    language = config.orchestrator
    prefix = 2 * 2 * language.num_layers * language.prefix_length * language.width
    assert parts["prefill"].cache_bytes == parts["progress"].cache_bytes == prefix
    assert tiny.state_bytes == context + prefix


def test_operations_of_a_chunk_of_micro() -> None:
    """Whoever changes these numbers changes how fast the model can be: say why."""
    parts = count_chunk(preset("micro"), student_sampler(4)).parts
    assert {name: work.flops for name, work in parts.items()} == MICRO_FLOPS


def test_the_paper_sizes_fit_into_80_gb() -> None:
    config = preset("paper")
    with torch.device("meta"):
        networks = StreamChar(config).named_children()
        weights = {name: sum(w.numel() for w in network.parameters()) for name, network in networks}
    assert 5.0e9 < weights["dit"] < 5.4e9
    assert 2.7e9 < weights["orchestrator"] < 3.1e9
    shallow = override(config, ["dit.num_blocks=1", "orchestrator.num_layers=1"])
    cost = count_chunk(shallow, student_sampler(1))
    caches = 36 * cost.state_bytes  # the most layers that one of the two has
    assert 2 * sum(weights.values()) + caches + cost.peak_bytes < 80e9


def test_times_of_parts_add_up_to_the_chunk() -> None:
    times = time_chunks(tiny_model(), student_sampler(1), num_chunks=1)
    assert all(ms > 0 for ms in times.part_ms.values())
    assert sum(times.part_ms.values()) == pytest.approx(times.median_ms)
    assert times.launches is None
    assert times.peak_bytes is None


def test_shared_keys_and_values_make_the_prefix_smaller(tiny: ChunkCost) -> None:
    shared = tiny_config("orchestrator.num_key_value_heads=1")
    smaller = count_chunk(shared, student_sampler(1)).parts["progress"].cache_bytes
    assert 2 * smaller == tiny.parts["progress"].cache_bytes
