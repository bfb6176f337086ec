"""What a chunk looks back at, and what moves the transcript window."""

import numpy as np
import pytest
import torch

from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.dit import DitContext
from streamchar_ref.streaming.context import ContextOptions, dit_context, orchestrator_inputs
from streamchar_ref.streaming.pointers import ChunkObservation, fixed_rate
from streamchar_ref.streaming.state import initial_state
from streamchar_ref.streaming.transcript import Transcript
from tests.streamchar_ref.streaming.test_stream import (
    FIRST,
    PICTURE,
    SECOND,
    differ,
    is_same,
    play,
    talkative,
)
from tests.streamchar_ref.tiny import random, tiny_state, whole_texts


def shown(model: StreamChar) -> list[DitContext]:
    """Keeps every context that the model is shown from now on."""
    contexts: list[DitContext] = []
    encode = model.dit.encode_context

    def keep(context: DitContext, *, sound_only: bool) -> object:
        contexts.append(context)
        return encode(context, sound_only=sound_only)

    model.dit.encode_context = keep  # type: ignore[method-assign, assignment]
    return contexts


@pytest.mark.parametrize(
    ("look_back", "reference", "prompt", "sink"),
    [
        ("full", [True, True, True], [True, True, True], [True, True, True]),
        ("no_sink", [True, True, True], [True, True, True], [True, False, False]),
        ("motion_only", [True, False, False], [True, False, False], [True, False, False]),
    ],
)
def test_a_chunk_looks_back_at_no_more_than_it_may(
    look_back: str, reference: list[bool], prompt: list[bool], sink: list[bool]
) -> None:
    model = talkative()
    contexts, scripts = shown(model), []
    read = model.orchestrator.prefill
    model.orchestrator.prefill = lambda script: (scripts.append(script), read(script))[1]  # type: ignore
    play(model, count=3, options=ContextOptions(visible=look_back))
    assert [bool(context.has_reference) for context in contexts] == reference
    assert [bool(context.has_prompt) for context in contexts] == prompt
    assert [bool(script.has_prompt) for script in scripts] == prompt
    assert [bool(context.has_sink) for context in contexts] == sink
    assert [bool(context.has_motion) for context in contexts] == [True, True, True]


def test_contexts_differ_only_where_there_is_something_to_look_back_at() -> None:
    full, motion_only = (
        play(talkative(), count=2, options=ContextOptions(visible=name))
        for name in ("full", "motion_only")
    )
    assert is_same(full[0], motion_only[0])
    assert differ(full[1], motion_only[1])


def test_motion_may_carry_noise_but_not_before_the_first_chunk() -> None:
    model = talkative()
    contexts = shown(model)
    noisy = play(model, count=2, options=ContextOptions(motion_sigma=0.25))
    plain = play(model, count=2)
    assert [float(context.motion_sigma) for context in contexts] == [0, 0.25, 0, 0]
    assert is_same(noisy[0], plain[0])
    assert differ(noisy[1], plain[1])
    change = contexts[1].motion_video - 0.75 * contexts[3].motion_video
    assert float(change.std()) == pytest.approx(0.25, rel=0.3)


def test_half_precision_streams_nearly_the_same() -> None:
    model = talkative()
    full, half = (play(model, count=2, precision=name) for name in ("float32", "bfloat16"))
    for one, other in zip(full, half, strict=True):
        assert np.abs(one.frames.astype(int) - other.frames).mean() < 8
        assert np.isfinite(other.samples).all()


@pytest.mark.parametrize("wrong", [{"motion_sigma": 1.5}, {"visible": "half"}], ids=str)
def test_options_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"lies between|is one of full"):
        ContextOptions(**wrong)  # type: ignore[arg-type]


@torch.no_grad()
def test_the_transcript_window_begins_at_the_pointer() -> None:
    model, text = talkative(), Transcript(SECOND).text
    state = tiny_state(model).append(random(1, 4, 4, 4, 4), random(1, 16, 16), torch.tensor([2.75]))
    inputs = orchestrator_inputs(model.config, state, whole_texts(SECOND))
    behind = model.config.orchestrator.text_behind
    assert inputs.window[0, behind].tolist() == text.tokens[2].tolist()
    assert inputs.fraction.tolist() == [0.75]
    assert inputs.num_history.tolist() == [16]


@torch.no_grad()
def test_a_stream_opens_with_its_picture_held_still_in_silence() -> None:
    model = talkative()
    conditioning = model.conditioning(["a person"], [PICTURE])
    state = initial_state(model, conditioning, [0])
    context = dit_context(model.config, state)
    assert context.has_motion.tolist() == [True]
    assert context.has_sink.tolist() == [True]
    for latents in (context.motion_video, context.sink):
        assert torch.equal(latents, conditioning.reference.expand_as(latents))
    silence = model.silence(context.motion_audio.shape[1])  # as training windows have it
    torch.testing.assert_close(context.motion_audio, silence, atol=1e-4, rtol=1e-4)
    assert state.num_history.tolist() == [0]


def test_a_fixed_rate_moves_as_told_and_stops_at_the_end() -> None:
    model, length = talkative(), len(Transcript(SECOND).text)
    spoken = [chunk.spoken for chunk in play(model, SECOND, count=4, pointer=fixed_rate(5.0))]
    assert spoken == pytest.approx([min(3.2 * (index + 1), length) for index in range(4)])
    with pytest.raises(ValueError, match="positive"):
        fixed_rate(0.0)


def test_the_model_says_how_far_it_has_got() -> None:
    told = [chunk.spoken for chunk in play(talkative())]
    assert told == sorted(told)
    assert 0 < told[0] <= told[-1] <= len(Transcript(FIRST).text)


def test_without_a_pointer_the_window_stays_and_nothing_is_claimed() -> None:
    model, windows = talkative(), []
    read = model.orchestrator.prefill
    model.orchestrator.prefill = lambda s: (windows.append(s.window), read(s))[1]  # type: ignore
    chunks = play(model, SECOND, count=3, pointer=None)
    assert [chunk.spoken for chunk in chunks] == [None, None, None]
    assert all(torch.equal(window, windows[0]) for window in windows)


def test_a_pointer_hears_what_the_viewer_hears_and_cannot_go_back_or_too_far() -> None:
    answers, heard = iter([2.5, -7.0, 99.0]), []

    def pointer(chunk: ChunkObservation) -> float:
        heard.append(chunk)
        return next(answers)

    chunks = play(talkative(), SECOND, count=3, pointer=pointer)
    length = len(Transcript(SECOND).text)
    assert [chunk.spoken for chunk in chunks] == [2.5, 2.5, length]
    assert [each.position for each in heard] == [0, 2.5, 2.5]
    for each, chunk in zip(heard, chunks, strict=True):
        assert np.array_equal(each.samples, chunk.samples)
        assert each.length_s == 0.64
        assert len(each.text) == length
