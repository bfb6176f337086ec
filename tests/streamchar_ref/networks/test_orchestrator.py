import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, LlamaModel

from streamchar_ref.networks.durations import PhonemeTimes, length_regulate
from streamchar_ref.networks.orchestrator import (
    Orchestrator,
    OrchestratorConfig,
    OrchestratorInputs,
    OrchestratorOutput,
)
from streamchar_ref.networks.prefix import cache_argument
from streamchar_ref.networks.text import END, NUM_TOKENS, PAD
from tests.streamchar_ref.tiny import awake, random, tiny_config

BATCH, CHANNELS, LATENTS = 2, 16, 16


def orchestrator(*assignments: str) -> Orchestrator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = tiny_config(*assignments).orchestrator
        made = Orchestrator(config, audio_channels=CHANNELS, chunk_audio_latents=LATENTS)
        return awake(made).eval()


def script(config: OrchestratorConfig) -> OrchestratorInputs:
    generator = torch.Generator().manual_seed(7)
    rows = torch.tensor([NUM_TOKENS, 2, 3, 7])
    window = (torch.rand(BATCH, config.window, 4, generator=generator) * rows).long()
    return OrchestratorInputs(
        prompt=random(BATCH, config.prompt_tokens, config.prompt_width, seed=1),
        has_prompt=torch.tensor([True, False]),
        window=window,
        fraction=torch.tensor([0.0, 0.7]),
        history=random(BATCH, config.history_latents, CHANNELS, seed=2),
        num_history=torch.tensor([config.history_latents, 6]),
    )


def noisy() -> tuple[Tensor, Tensor]:
    return random(BATCH, LATENTS, CHANNELS, seed=3), torch.tensor([0.2, 0.9])


def values(plan: OrchestratorOutput) -> tuple[Tensor, ...]:
    progress = plan.progress
    return plan.condition, plan.phones, plan.is_over, progress.position, progress.alignment


def assert_same(one: OrchestratorOutput, other: OrchestratorOutput) -> None:
    # keys of the prefix are the same numbers; only the shapes of the products differ
    torch.testing.assert_close(values(one), values(other), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("mode", ["in_loop", "once"])
@pytest.mark.parametrize("timing", ["predicted", "emergent"])
@torch.no_grad()
def test_one_pass_equals_prefix_and_chunk_pass(mode: str, timing: str) -> None:
    model = orchestrator(f"orchestrator.mode={mode}", f"orchestrator.timing={timing}")
    given = script(model.config)
    latents = noisy() if mode == "in_loop" else (None, None)
    prefix = model.prefill(given)
    assert (prefix.frame_alignment is None) == (timing == "emergent")
    assert_same(
        model(given, *latents, frame_alignment=prefix.frame_alignment),
        model.decode(prefix, *latents),
    )
    assert_same(model(given, *latents), model.decode(prefix, *latents, infer_alignment=True))


@torch.no_grad()
def test_times_that_are_told_change_the_plan_of_those_who_are_told() -> None:
    model = orchestrator()
    given = script(model.config)
    one, other = (
        length_regulate(PhonemeTimes(start=x, end=x + 2), num_latents=LATENTS)
        for x in (2.0 * torch.arange(model.config.window).expand(BATCH, -1) + d for d in (0, 1))
    )
    told = torch.tensor([True, False])
    plain = model(given, *noisy()).condition
    first, second = (
        model(given, *noisy(), frame_alignment=each, is_teacher_forced=told).condition
        for each in (one, other)
    )
    assert not torch.allclose(first[0], second[0], atol=1e-3)
    torch.testing.assert_close(first[1], second[1])
    torch.testing.assert_close(first[1], plain[1])


@torch.no_grad()
def test_the_predicted_times_are_those_of_the_transcript_and_history() -> None:
    model = orchestrator()
    given = script(model.config)
    expected = model.prefill(given).encoding.states
    assert torch.equal(expected, model.prefill(given).encoding.states)
    changed = replace(given, history=given.history + 1)
    found = model.durations(model.prefill(changed).encoding.states)
    assert not torch.allclose(found, model.durations(expected), atol=1e-4)


@torch.no_grad()
def test_a_plan_has_a_row_for_every_audio_latent() -> None:
    model = orchestrator()
    plan = model(script(model.config), *noisy())
    assert plan.condition.shape == (BATCH, LATENTS, model.config.condition_width)
    assert plan.phones.shape == (BATCH, LATENTS, 40)
    assert plan.is_over.shape == plan.progress.position.shape == (BATCH, LATENTS)
    assert plan.progress.alignment.shape == (BATCH, LATENTS, 1 + model.config.window)


@torch.no_grad()
def test_planning_does_not_change_the_prefix() -> None:
    model = orchestrator()
    prefix = model.prefill(script(model.config))
    kept = [(key.clone(), value.clone()) for key, value in prefix.layers]
    first = model.decode(prefix, *noisy())
    model.decode(prefix, noisy()[0] + 1, noisy()[1])
    again = model.decode(prefix, *noisy())
    assert all(torch.equal(a, b) for a, b in zip(values(first), values(again), strict=True))
    for (key, value), (old_key, old_value) in zip(prefix.layers, kept, strict=True):
        assert torch.equal(key, old_key)
        assert torch.equal(value, old_value)
    assert prefix.get_seq_length() == model.config.prefix_length


@torch.no_grad()
def test_history_that_was_never_heard_does_not_matter() -> None:
    model = orchestrator()
    given = script(model.config)
    history = given.history.clone()
    history[1, :-6] = float("nan")
    assert_same(model(replace(given, history=history), *noisy()), model(given, *noisy()))
    history = given.history.clone()
    history[:, -1] += 1
    assert not torch.allclose(
        model(replace(given, history=history), *noisy()).condition,
        model(given, *noisy()).condition,
    )


@torch.no_grad()
def test_a_prompt_that_is_absent_does_not_matter() -> None:
    model = orchestrator()
    given = script(model.config)
    changed = model(replace(given, prompt=given.prompt + 1), *noisy()).condition
    expected = model(given, *noisy()).condition
    torch.testing.assert_close(changed[1], expected[1])
    assert not torch.allclose(changed[0], expected[0])


@torch.no_grad()
def test_planning_once_does_not_see_the_noise() -> None:
    model = orchestrator("orchestrator.mode=once")
    given = script(model.config)
    blind = torch.tensor([True, True])
    expected = model(given, None, None)
    for latents, sigma in (noisy(), (noisy()[0] + 9, noisy()[1] / 2)):
        assert_same(model(given, latents, sigma, is_audio_dropped=blind), expected)


@torch.no_grad()
def test_some_samples_of_a_batch_may_be_blind() -> None:
    model = orchestrator()
    given = script(model.config)
    mixed = model(given, *noisy(), is_audio_dropped=torch.tensor([True, False])).condition
    torch.testing.assert_close(mixed[0], model(given, None, None).condition[0])
    torch.testing.assert_close(mixed[1], model(given, *noisy()).condition[1])


@pytest.mark.parametrize("what", ["latents", "level", "window", "fraction"])
@torch.no_grad()
def test_the_plan_follows(what: str) -> None:
    model = orchestrator()
    given, (latents, sigma) = script(model.config), noisy()
    expected = model(given, latents, sigma).condition
    window = given.window.clone()
    window[:, model.config.text_behind + 3] = torch.tensor([END, 0, 0, 0])
    changed = {
        "latents": (given, latents + 0.1, sigma),
        "level": (given, latents, sigma + 0.05),
        "window": (replace(given, window=window), latents, sigma),
        "fraction": (replace(given, fraction=given.fraction + 0.2), latents, sigma),
    }
    assert not torch.allclose(model(*changed[what]).condition, expected, atol=1e-5)


@torch.no_grad()
def test_a_later_audio_latent_is_heard_by_earlier_ones_but_not_by_the_prefix() -> None:
    model = orchestrator()
    given, (latents, sigma) = script(model.config), noisy()
    changed = latents.clone()
    changed[:, -1] += 3
    before, after = model(given, latents, sigma), model(given, changed, sigma)
    assert not torch.allclose(before.condition[:, 0], after.condition[:, 0], atol=1e-5)


@torch.no_grad()
def test_samples_of_a_batch_do_not_see_each_other() -> None:
    model = orchestrator()
    given, (latents, sigma) = script(model.config), noisy()
    together = model(given, latents, sigma)
    for index in range(BATCH):
        part = slice(index, index + 1)
        alone = OrchestratorInputs(**{name: value[part] for name, value in vars(given).items()})
        found = model(alone, latents[part], sigma[part])
        torch.testing.assert_close(
            found.condition[0], together.condition[index], atol=1e-5, rtol=1e-4
        )


def test_every_parameter_gets_a_gradient_but_the_word_table_of_the_backbone() -> None:
    model = orchestrator()
    given = replace(script(model.config), window=script(model.config).window.clamp(min=PAD))
    times = torch.arange(model.config.window).expand(BATCH, -1)
    plan = model(
        given,
        *noisy(),
        is_audio_dropped=torch.tensor([True, False]),
        frame_alignment=length_regulate(
            PhonemeTimes(start=1.0 + times, end=2.0 + times), num_latents=LATENTS
        ),
        is_teacher_forced=torch.tensor([True, False]),
    )
    sum(value.square().mean() for value in (*values(plan), plan.durations)).backward()
    still = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert still == ["backbone.embed_tokens.weight"]


@torch.no_grad()
def test_another_backbone_of_its_width_fits() -> None:
    config = tiny_config().orchestrator
    shape = {"vocab_size": 3, "num_attention_heads": 2, "intermediate_size": 64}
    deeper = LlamaForCausalLM(LlamaConfig(hidden_size=48, num_hidden_layers=3, **shape)).model
    model = Orchestrator(
        config, audio_channels=CHANNELS, chunk_audio_latents=LATENTS, backbone=deeper
    )
    given = script(config)
    output = model.decode(model.prefill(given), *noisy(), infer_alignment=True)
    assert_same(model(given, *noisy()), output)
    narrow = LlamaForCausalLM(LlamaConfig(hidden_size=32, num_hidden_layers=1, **shape)).model
    with pytest.raises(ValueError, match="backbone is 32 wide, the config says 48"):
        Orchestrator(config, audio_channels=CHANNELS, chunk_audio_latents=LATENTS, backbone=narrow)


class OldName(LlamaModel):
    """A language model before transformers 5.24."""

    def forward(self, past_key_values: Any = None, **rest: Any) -> Any:
        return super().forward(**{cache_argument(LlamaModel(self.config)): past_key_values}, **rest)


class NewName(LlamaModel):
    """A language model from transformers 5.24 on."""

    def forward(self, cache: Any = None, **rest: Any) -> Any:
        return super().forward(**{cache_argument(LlamaModel(self.config)): cache}, **rest)


@pytest.mark.parametrize("kind", [OldName, NewName])
@torch.no_grad()
def test_the_cache_goes_by_the_name_that_the_language_model_has_for_it(
    kind: type[LlamaModel],
) -> None:
    model = orchestrator()
    given = script(model.config)
    renamed = orchestrator()
    renamed.backbone = kind(model.backbone.config)
    renamed.backbone.load_state_dict(model.backbone.state_dict())
    output = renamed.decode(renamed.prefill(given), *noisy())
    assert_same(model.decode(model.prefill(given), *noisy()), output)


@torch.no_grad()
def test_no_argument_of_the_language_model_is_deprecated() -> None:
    model = orchestrator()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.decode(model.prefill(script(model.config)), *noisy())
