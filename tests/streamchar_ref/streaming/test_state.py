import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from streamchar_ref.streaming.state import StreamState
from tests.streamchar_ref.tiny import random, tiny_model, tiny_state


def chunk(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    return random(2, 4, 4, 4, 4, seed=seed), random(2, 16, 16, seed=seed), torch.tensor([3.5, 0.25])


def after(count: int, *assignments: str) -> StreamState:
    state = tiny_state(tiny_model(*assignments), batch=2)
    for index in range(count):
        state = state.append(*chunk(index))
    return state


def held_bytes(state: StreamState) -> int:
    """Bytes that stay allocated, also behind views."""
    tensors = [value for value in vars(state).values() if isinstance(value, Tensor)]
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return sum(storages.values())


def test_a_stream_begins_with_its_picture_and_nothing_said() -> None:
    state = after(0)
    assert state.num_chunks.tolist() == [0, 0]
    assert torch.equal(state.sink, state.conditioning.reference)
    assert state.num_history.tolist() == [0, 0]
    assert state.position.tolist() == [0, 0]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_sink_is_the_first_chunk_for_good(count: int) -> None:
    assert torch.equal(after(count).sink, chunk(0)[0][:, :1])


@pytest.mark.parametrize("count", [1, 2, 5])
def test_motion_is_the_end_of_the_last_chunk(count: int) -> None:
    assert torch.equal(after(count).motion_video, chunk(count - 1)[0][:, -1:])


@given(count=st.integers(0, 5), history=st.sampled_from([2, 10, 16, 40]))
@settings(max_examples=12, deadline=None)
def test_history_is_the_last_sound_with_silence_before_it(count: int, history: int) -> None:
    state = after(count, f"orchestrator.history_latents={history}")
    kept = max(history, 4)  # the motion's sound is cut out of it, too
    silence = after(0, f"orchestrator.history_latents={history}").history
    sound = [silence, *(chunk(index)[1] for index in range(count))]
    assert torch.equal(state.history, torch.cat(sound, dim=1)[:, -kept:])
    assert state.num_history.tolist() == [min(16 * count, kept)] * 2


def test_nothing_grows_with_the_stream() -> None:
    second, late = after(2), after(30)
    for name, value in vars(second).items():
        if isinstance(value, Tensor):
            assert getattr(late, name).shape == value.shape
    assert held_bytes(late) == held_bytes(second)


def test_the_position_adds_up_and_never_goes_back() -> None:
    state = after(4)
    assert state.position.tolist() == [14.0, 1.0]
    video, audio, _ = chunk(4)
    assert state.append(video, audio, torch.tensor([-2.0, 1.0])).position.tolist() == [14.0, 2.0]


def test_a_memory_is_not_changed_by_what_follows() -> None:
    branch = after(2)
    kept = {n: value.clone() for n, value in vars(branch).items() if isinstance(value, Tensor)}
    one, other = branch.append(*chunk(8)), branch.append(*chunk(9))
    assert not torch.equal(one.motion_video, other.motion_video)
    for name, value in kept.items():
        assert torch.equal(getattr(branch, name), value)


def test_sink_and_motion_may_be_configured_away() -> None:
    state = after(
        3, "stream.sink_latents=0", "stream.motion_latents=0", "stream.motion_audio_latents=0"
    )
    assert state.sink.shape[1] == state.motion_video.shape[1] == 0
