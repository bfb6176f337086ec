import pytest
import torch
import torch.nn.functional as F

from streamchar_ref.model.config import preset
from streamchar_ref.model.count import DeviceRates, Work, WorkCounter
from streamchar_ref.model.streamchar import StreamChar


@pytest.fixture(scope="module")
def model() -> StreamChar:
    with torch.device("meta"):
        return StreamChar(preset("tiny"))


def test_a_linear_layer_reads_weights_and_rows_and_writes_rows(model: StreamChar) -> None:
    counter, rows = WorkCounter(model, number_bytes=2), torch.empty(7, 16, device="meta")
    with counter.counting(model):
        model.dit.audio_in(rows)  # 16 channels to a width of 64, with a bias
    work = counter.parts["rest"]
    assert work.flops == 2 * 7 * 16 * 64
    assert work.weight_bytes == 2 * (16 * 64 + 64)
    assert work.activation_bytes == 2 * (7 * 16 + 7 * 64)
    assert work.cache_bytes == 0


def test_weights_are_read_once_a_call_however_often_they_are_used(model: StreamChar) -> None:
    counter, rows = WorkCounter(model, number_bytes=2), torch.empty(7, 16, device="meta")
    with counter.counting(model):
        model.dit.audio_in(rows)
        model.dit.audio_in(rows)
    assert counter.parts["rest"].weight_bytes == 2 * (16 * 64 + 64)
    assert counter.parts["rest"].flops == 2 * (2 * 7 * 16 * 64)


def test_attention_counts_scores_and_mixing_and_keeps_no_scores(model: StreamChar) -> None:
    counter = WorkCounter(model, number_bytes=2)
    query, key, value = (torch.empty(2, 4, n, 8, device="meta") for n in (3, 500, 500))
    with counter.counting(model):
        mixed = F.scaled_dot_product_attention(query, key, value)
    work = counter.parts["rest"]
    assert mixed.shape == query.shape
    assert work.flops == 2 * 4 * 3 * 500 * (2 * 8 + 2 * 8)
    assert work.activation_bytes == 2 * (2 * 2 * 4 * 3 * 8)
    assert counter.peak_bytes == 2 * (2 * 4 * 3 * 8)


def test_the_peak_is_what_is_held_at_once(model: StreamChar) -> None:
    counter = WorkCounter(model, number_bytes=2)
    with counter.counting(model):
        first = torch.empty(1000, device="meta")
        second = first + 1
        del first
        third = second[:10] * 2  # 10 numbers, beside the 1000 of the second
        del second, third
        torch.empty(1500, dtype=torch.int64, device="meta")
    assert counter.peak_bytes == 8 * 1500
    counter = WorkCounter(model, number_bytes=2)
    with counter.counting(model):
        first = torch.empty(1000, device="meta")
        torch.add(first, 1).add(1)  # three at once, for a moment
    assert counter.peak_bytes == 2 * 3000


def test_the_floor_of_a_part_is_the_slower_of_arithmetic_and_memory() -> None:
    rates = DeviceRates(flop_per_s=100.0, bytes_per_s=10.0)
    assert rates.floor_s(Work(flops=300, weight_bytes=20)) == 3
    assert rates.floor_s(Work(flops=300, weight_bytes=20, activation_bytes=30)) == 5


def test_counting_leaves_the_model_as_it_was(model: StreamChar) -> None:
    with WorkCounter(model, number_bytes=2).counting(model):
        pass
    parts = (model.dit, model.orchestrator, model.video_vae, model.audio_vae)
    assert not [name for part in parts for name in vars(part) if name in ("forward", "decode")]
