"""What may be chosen for a stream: steps, guidance, what is looked back at, and the pointer."""

import math

import numpy as np
import pytest
import torch
from streamchar_ref.sampling.denoise import Denoiser

from streamchar_ref.model.config import override
from streamchar_ref.model.streamchar import Conditioning, StreamChar
from streamchar_ref.networks.dit import DitContext
from streamchar_ref.sampling.config import ChunkObservation, Sampling, fixed_rate
from streamchar_ref.streaming.state import empty_state
from streamchar_ref.streaming.transcript import Transcript, TranscriptPrefix
from tests.streamchar_ref.streaming.test_generate import (
    FIRST,
    SECOND,
    differ,
    is_same,
    play,
    talkative,
)
from tests.streamchar_ref.tiny import random


def shown(model: StreamChar) -> list[DitContext]:
    """Keeps every context that the model is shown from now on."""
    contexts: list[DitContext] = []
    encode = model.dit.encode_context

    def keep(context: DitContext) -> object:
        contexts.append(context)
        return encode(context)

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
    read = model.orchestrator.read
    model.orchestrator.read = lambda script: (scripts.append(script), read(script))[1]  # type: ignore
    play(model, count=3, sampling=Sampling(context=look_back))
    assert [bool(context.has_reference) for context in contexts] == reference
    assert [bool(context.has_prompt) for context in contexts] == prompt
    assert [bool(script.has_prompt) for script in scripts] == prompt
    assert [bool(context.has_sink) for context in contexts] == sink
    assert [bool(context.has_motion) for context in contexts] == [True, True, True]


def test_contexts_differ_only_where_there_is_something_to_look_back_at() -> None:
    full, motion_only = (
        play(talkative(), count=2, sampling=Sampling(context=name))
        for name in ("full", "motion_only")
    )
    assert is_same(full[0], motion_only[0])
    assert differ(full[1], motion_only[1])


def test_motion_may_carry_noise_but_not_before_the_first_chunk() -> None:
    model = talkative()
    contexts = shown(model)
    noisy = play(model, count=2, sampling=Sampling(motion_sigma=0.25))
    plain = play(model, count=2)
    assert [float(context.motion_sigma) for context in contexts] == [0, 0.25, 0, 0]
    assert is_same(noisy[0], plain[0])
    assert differ(noisy[1], plain[1])
    change = contexts[1].motion_video - 0.75 * contexts[3].motion_video
    assert float(change.std()) == pytest.approx(0.25, rel=0.3)


def test_guidance_of_one_is_no_guidance_whatever_the_checkpoint_says() -> None:
    plain, guided = talkative(), talkative("stream.guidance=2.0")
    assert differ(play(plain, count=1)[0], play(guided, count=1)[0])
    for model, guidance in ((guided, 1.0), (plain, 2.0)):
        other = guided if model is plain else plain
        told = play(model, count=1, sampling=Sampling(guidance=guidance))
        assert is_same(told[0], play(other, count=1)[0])


@torch.no_grad()
def test_guidance_goes_on_in_a_straight_line_through_the_conditioned_velocity() -> None:
    model = talkative()
    model.dit.no_condition.copy_(random(32))
    memory = empty_state(model.config, batch=1, device=torch.device("cpu"))
    cast = Conditioning(prompt=random(1, 4, 32), reference=random(1, 1, 4, 4, 4))
    known, sigma = (
        TranscriptPrefix(text=Transcript(SECOND).text, is_final=True),
        torch.tensor([0.6]),
    )
    plain, guided, strong = (
        Denoiser(
            model,
            cast,
            memory,
            [known],
            torch.Generator().manual_seed(0),
            Sampling(guidance=scale, picture_guidance=scale),
        )
        for scale in (1.0, 2.0, 3.0)
    )
    latents = plain.noise()
    each = (denoise(latents, sigma) for denoise in (plain, guided, strong))
    for one, two, three in zip(*each, strict=True):
        torch.testing.assert_close(three - one, 2 * (two - one))
        assert not torch.equal(one, two)


@torch.no_grad()
def test_sound_and_picture_are_guided_apart() -> None:
    model = talkative()
    model.dit.no_condition.copy_(random(32))
    cast = Conditioning(prompt=random(1, 4, 32), reference=random(1, 1, 4, 4, 4))
    memory = empty_state(model.config, batch=1, device=torch.device("cpu"))
    known, sigma = (
        TranscriptPrefix(text=Transcript(SECOND).text, is_final=True),
        torch.tensor([0.6]),
    )

    def velocities(**scales: float) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(0)
        denoise = Denoiser(model, cast, memory, [known], generator, Sampling(**scales))
        video, audio = denoise(denoise.noise(), sigma)
        return video, audio

    plain, sound = velocities(), velocities(guidance=2.0)
    picture = velocities(picture_guidance=2.0)
    assert torch.equal(plain[0], sound[0])
    assert not torch.equal(plain[1], sound[1])
    assert not torch.equal(plain[0], picture[0])
    assert torch.equal(plain[1], picture[1])


@torch.no_grad()
def test_temperatures_scale_the_noise_of_sound_and_picture() -> None:
    model = talkative()
    cast = Conditioning(prompt=random(1, 4, 32), reference=random(1, 1, 4, 4, 4))
    memory = empty_state(model.config, batch=1, device=torch.device("cpu"))
    known = TranscriptPrefix(text=Transcript(SECOND).text, is_final=True)

    def noise(**scales: float) -> tuple[torch.Tensor, ...]:
        generator = torch.Generator().manual_seed(0)
        return Denoiser(model, cast, memory, [known], generator, Sampling(**scales)).noise()

    whole, cooler = noise(), noise(temperature=0.5, picture_temperature=0.75)
    assert torch.equal(cooler[0], 0.75 * whole[0])
    assert torch.equal(cooler[1], 0.5 * whole[1])


@pytest.mark.parametrize("name", ["guidance", "temperature", "picture_temperature"])
def test_without_a_choice_the_checkpoint_s_settings_hold(name: str) -> None:
    model = talkative()
    chosen = play(model, count=1, sampling=Sampling(**{name: 2.0}))[0]
    assert not is_same(play(model, count=1)[0], chosen)
    model.config = override(model.config, [f"stream.{name}=2.0"])
    assert is_same(play(model, count=1)[0], chosen)


def test_the_number_of_steps_may_be_chosen() -> None:
    model, calls = talkative(), []
    forward = model.dit.forward
    model.dit.forward = lambda *args: (calls.append(0), forward(*args))[1]  # type: ignore
    play(model, count=1, sampling=Sampling(num_steps=7))
    assert len(calls) == 7
    play(model, count=1)
    assert len(calls) == 7 + model.config.stream.num_steps


def test_half_precision_streams_nearly_the_same() -> None:
    model = talkative()
    full, half = (
        play(model, count=2, sampling=Sampling(precision=name)) for name in ("float32", "bfloat16")
    )
    for one, other in zip(full, half, strict=True):
        assert np.abs(one.frames.astype(int) - other.frames).mean() < 8
        assert np.isfinite(other.samples).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_steps": -1},
        {"guidance": -0.5},
        {"guidance": math.nan},
        {"picture_guidance": -1.0},
        {"temperature": -0.1},
        {"motion_sigma": 1.5},
        {"context": "half"},
        {"precision": "int8"},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sampling(**wrong)  # type: ignore[arg-type]


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
    read = model.orchestrator.read
    model.orchestrator.read = lambda s: (windows.append(s.window), read(s))[1]  # type: ignore
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
