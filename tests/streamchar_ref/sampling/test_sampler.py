"""The chunk sampler: settings, guidance, temperature, and what it asks of the networks."""

import math
from dataclasses import replace

import pytest
import torch

from streamchar_ref.model.config import override
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.sampling import flow
from streamchar_ref.sampling.condition import Condition, GivenSound, prefill
from streamchar_ref.sampling.config import DEFAULT, SamplerConfig
from streamchar_ref.sampling.flow import Latents
from streamchar_ref.sampling.sampler import sample_chunk, velocity
from streamchar_ref.streaming.context import dit_context, orchestrator_inputs
from streamchar_ref.streaming.rollout import chunk_noise
from tests.streamchar_ref.streaming.test_stream import (
    FIRST,
    SECOND,
    differ,
    is_same,
    play,
    talkative,
)
from tests.streamchar_ref.tiny import random, tiny_state, whole_texts


def prefilled(model: StreamChar, *, sound_only: bool = False) -> Condition:
    state, text = tiny_state(model), whole_texts(SECOND)
    inputs = orchestrator_inputs(model.config, state, text)
    return prefill(model, inputs, dit_context(model.config, state), sound_only=sound_only)


def noise() -> Latents:
    return random(1, 4, 4, 4, 4), random(1, 16, 16)


def unconditioned() -> StreamChar:
    """A model whose learned absence of a condition says something."""
    model = talkative()
    with torch.no_grad():
        model.dit.no_condition.copy_(random(32))
    return model


def test_guidance_of_one_is_no_guidance_whatever_the_checkpoint_says() -> None:
    plain, guided = talkative(), talkative("sampler.guidance=2.0")
    assert differ(play(plain, count=1)[0], play(guided, count=1)[0])
    for model, guidance in ((guided, 1.0), (plain, 2.0)):
        other = guided if model is plain else plain
        chosen = play(model, count=1, sampler=SamplerConfig(guidance=guidance))
        assert is_same(chosen[0], play(other, count=1)[0])


@torch.no_grad()
def test_guidance_of_zero_is_the_model_without_condition() -> None:
    model = unconditioned()
    condition, sigma = prefilled(model), torch.tensor([0.6])
    nothing = model.dit.no_condition.expand(1, 16, -1)
    free = model.dit(*noise(), sigma, sigma, nothing, condition.context)
    video, audio = velocity(condition, noise(), sigma, (0.0, 0.0))
    torch.testing.assert_close((video, audio), (free.video, free.audio))


@torch.no_grad()
def test_guidance_goes_on_in_a_straight_line_through_the_conditioned_velocity() -> None:
    condition, sigma = prefilled(unconditioned()), torch.tensor([0.6])
    plain, guided, strong = (
        velocity(condition, noise(), sigma, (scale, scale)) for scale in (1.0, 2.0, 3.0)
    )
    for one, two, three in zip(plain, guided, strong, strict=True):
        torch.testing.assert_close(three - one, 2 * (two - one))
        assert not torch.equal(one, two)


@pytest.mark.parametrize("given", [(), ("sound_only",), ("sound",)])
@torch.no_grad()
def test_both_passes_of_guidance_in_one_batch_give_the_same(given: tuple[str, ...]) -> None:
    model = unconditioned()
    state, text = tiny_state(model, batch=2), whole_texts(FIRST, SECOND)
    start = random(2, 4, 4, 4, 4), random(2, 16, 16)
    what = {"sound_only": True, "sound": GivenSound(start[1], random(2, 16, 16, seed=5))}
    condition = prefill(
        model,
        orchestrator_inputs(model.config, state, text),
        dit_context(model.config, state),
        **{name: what[name] for name in given},  # type: ignore[arg-type]
    )
    config = replace(DEFAULT, num_steps=3, kind="ab2", guidance=3.0, picture_guidance=2.0)
    apart, together = (
        sample_chunk(
            condition, config, lambda: start[condition.modalities], in_one_batch=in_one_batch
        )
        for in_one_batch in (False, True)
    )
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-5)
    unguided = sample_chunk(
        condition, replace(DEFAULT, num_steps=3, kind="ab2"), lambda: start[condition.modalities]
    )
    assert all(
        float((one - other).abs().max()) > 1e-3 for one, other in zip(apart, unguided, strict=True)
    )


@torch.no_grad()
def test_audio_and_video_are_guided_apart() -> None:
    condition, sigma = prefilled(unconditioned()), torch.tensor([0.6])
    plain, sound, picture = (
        velocity(condition, noise(), sigma, scales) for scales in ((1, 1), (1, 2.0), (2.0, 1))
    )
    assert torch.equal(plain[0], sound[0])
    assert not torch.equal(plain[1], sound[1])
    assert not torch.equal(plain[0], picture[0])
    assert torch.equal(plain[1], picture[1])


@torch.no_grad()
def test_temperatures_scale_the_starting_noise_of_audio_and_video(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    starts: list[Latents] = []

    def euler(velocity_fn: flow.VelocityFn, start: Latents, sigmas: object) -> Latents:
        starts.append(start)
        return start

    monkeypatch.setattr(flow, "euler", euler)
    cool = replace(DEFAULT, temperature=0.5, picture_temperature=0.75)
    sample_chunk(prefilled(talkative()), cool, noise)
    video, audio = noise()
    assert torch.equal(starts[0][0], 0.75 * video)
    assert torch.equal(starts[0][1], 0.5 * audio)


@torch.no_grad()
def test_audio_alone_is_sampled_with_its_own_guidance_and_temperature() -> None:
    condition, sigma = prefilled(unconditioned(), sound_only=True), torch.tensor([0.6])
    audio = noise()[1:]
    (plain,), (picture,), (sound,) = (
        velocity(condition, audio, sigma, scales) for scales in ((1, 1), (2.0, 1), (1, 2.0))
    )
    assert torch.equal(plain, picture)
    assert not torch.equal(plain, sound)
    few = replace(DEFAULT, num_steps=2, picture_temperature=9.0)
    (latents,) = sample_chunk(condition, few, lambda: audio)
    assert latents.shape == (1, 16, 16)
    (again,) = sample_chunk(condition, replace(few, picture_temperature=1.0), lambda: audio)
    assert torch.equal(latents, again)


@pytest.mark.parametrize("mode", ["in_loop", "once"])
@torch.no_grad()
def test_only_an_orchestrator_in_the_loop_sees_the_noise(mode: str) -> None:
    condition, sigma = prefilled(talkative(f"orchestrator.mode={mode}")), torch.tensor([0.7])
    one, other = (
        condition.orchestrate(random(1, 16, 16, seed=seed), sigma).condition for seed in (0, 1)
    )
    assert torch.equal(one, other) is (mode == "once")


@pytest.mark.parametrize("name", ["guidance", "temperature", "picture_temperature", "shift"])
def test_without_a_choice_the_checkpoint_s_settings_hold(name: str) -> None:
    model = talkative()
    chosen = play(model, count=1, sampler=SamplerConfig(**{name: 2.0}))[0]
    assert not is_same(play(model, count=1)[0], chosen)
    model.config = override(model.config, [f"sampler.{name}=2.0"])
    assert is_same(play(model, count=1)[0], chosen)


@pytest.mark.parametrize(("kind", "passes"), [("euler", 7), ("ab2", 7), ("renoise", 7)])
def test_every_kind_calls_the_dit_once_a_step(kind: str, passes: int) -> None:
    model, calls = talkative(), []
    forward = model.dit.forward
    model.dit.forward = lambda *args: (calls.append(0), forward(*args))[1]  # type: ignore
    play(model, count=1, sampler=SamplerConfig(num_steps=7, kind=kind))  # type: ignore[arg-type]
    assert len(calls) == passes
    play(model, count=1)
    assert len(calls) == passes + (model.config.sampler.num_steps or 0)


def test_renoise_draws_fresh_noise_a_step_and_no_more() -> None:
    model, draws = talkative(), []

    def counted() -> Latents:
        draws.append(0)
        return noise()

    with torch.no_grad():
        sample_chunk(prefilled(model), replace(DEFAULT, num_steps=4, kind="renoise"), counted)
    assert len(draws) == 4
    with torch.no_grad():
        sample_chunk(prefilled(model), replace(DEFAULT, num_steps=4), counted)
    assert len(draws) == 5


def test_a_sampler_that_is_not_complete_or_has_no_gradient_step_is_refused() -> None:
    condition = prefilled(talkative())
    with pytest.raises(ValueError, match=r"sampler\.num_steps is not set"):
        sample_chunk(condition, replace(DEFAULT, num_steps=None), noise)
    with pytest.raises(ValueError, match="gradient_step is for the sampler renoise, not euler"):
        sample_chunk(condition, DEFAULT, noise, gradient_step=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_steps": 0},
        {"num_steps": True},
        {"shift": 0.0},
        {"kind": "heun"},
        {"guidance": -0.5},
        {"guidance": math.nan},
        {"picture_guidance": -1.0},
        {"temperature": 0.0},
        {"picture_temperature": -0.1},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SamplerConfig(**wrong)  # type: ignore[arg-type]


def test_settings_of_one_config_lie_over_those_of_another() -> None:
    over = SamplerConfig(guidance=0.0, kind="ab2").over(DEFAULT)
    assert over == replace(DEFAULT, guidance=0.0, kind="ab2")


def test_noise_of_a_chunk_is_that_of_its_stream_alone() -> None:
    model = talkative()
    both, one = tiny_state(model, batch=2), tiny_state(model, batch=1)
    for ours, own in zip(
        chunk_noise(model, both.noise.open()), chunk_noise(model, one.noise.open()), strict=True
    ):
        assert torch.equal(ours[:1], own)
        assert not torch.equal(ours[0], ours[1])
