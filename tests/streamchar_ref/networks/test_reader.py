"""A DiT that reads the transcript itself: what it sees, samples, learns and refuses."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from baselines.streamchar_ref import _is_plain
from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.stage import Draw
from streamchar_ref.model.config import (
    Config,
    micro,
    monolithic,
    override,
    preset,
    without_orchestrator,
)
from streamchar_ref.model.config_json import from_json, to_json
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.reader import TranscriptReader, as_orchestrator, as_reader
from streamchar_ref.sampling.condition import prefill
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.sampling.sampler import velocity
from streamchar_ref.streaming.context import dit_context, orchestrator_inputs
from streamchar_ref.streaming.cost import count_chunk
from streamchar_ref.streaming.engine import Engine
from streamchar_ref.streaming.pointers import fixed_rate
from streamchar_ref.streaming.rollout import rollout_chunk
from streamchar_ref.train.augmentation import ContextAugmentation
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.data_size import data_size
from streamchar_ref.train.distill.config import distill_config
from streamchar_ref.train.stages.distillation import distill_data
from streamchar_ref.train.stages.speech import ReadingSpeechStage
from streamchar_ref.train.stages.teacher import ReadingTeacherStage
from streamchar_ref.train.windows import WindowPool
from tests.streamchar_ref.streaming.test_stream import FIRST, SECOND, play
from tests.streamchar_ref.tiny import awake, random, tiny_config, tiny_state, whole_texts
from tests.streamchar_ref.train.latent_clips import clip, store_of

FEW = SamplerConfig(num_steps=2, guidance=2.0, picture_guidance=3.0)
LONG = " ".join(["Seven geese cross the road."] * 12)


def reading_config() -> Config:
    return without_orchestrator(tiny_config())


def reading_model(*, over: float = -5.0) -> StreamChar:
    """A model that never says that all is said, or always."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = awake(StreamChar(reading_config())).eval()
    with torch.no_grad():
        model.orchestrator.over_out.weight.zero_()
        model.orchestrator.over_out.bias.fill_(over)
    return model


def size_and_cost(config: Config) -> tuple[float, float]:
    """Weights of orchestrator and DiT, and their products for a chunk of guided steps."""
    cost = count_chunk(config, replace(config.sampler, num_steps=1))
    steps = {"dit": config.sampler.num_steps, "orchestrator": config.sampler.num_steps}
    parts = ("prefill", "context", "orchestrator", "dit", "progress")
    flops = sum(cost.parts[part].flops * (steps.get(part) or 1) for part in parts)
    weights = sum(cost.weight_bytes[name] for name in ("orchestrator", "dit")) / 2
    line = f"{config.orchestrator.mode}: {weights:,.0f} weights, {flops:,} FLOP a chunk"
    logging.getLogger(__name__).warning(line)
    return weights, flops


def test_it_has_about_as_many_weights_and_products_as_with_an_orchestrator() -> None:
    own, rival = (size_and_cost(config) for config in (micro(), without_orchestrator(micro())))
    assert rival[0] == pytest.approx(own[0], rel=0.02)
    assert rival[1] == pytest.approx(own[1], rel=0.1)


def test_its_preset_is_micro_without_an_orchestrator() -> None:
    config = preset("monolithic")
    assert config == monolithic() == replace(without_orchestrator(micro()), preset="monolithic")
    assert from_json(to_json(config)) == config
    assert "text_expansion" not in to_json(micro())["dit"], "so that digests stay the same"
    assert (config.can_be_distilled, micro().can_be_distilled) == (False, True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("orchestrator.mode=once", "go together"),
        ("dit.text_expansion=0", "go together"),
        ("orchestrator.text_behind=8", "read from its beginning"),
        ("order=sound_first", "the order is joint"),
    ],
)
def test_what_does_not_go_together_is_refused(change: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        override(reading_config(), [change])


def test_the_engine_refuses_it_and_says_what_streams_it() -> None:
    with pytest.raises(InputError, match="have an orchestrator; the others stream by path=plain"):
        Engine(reading_model())


@torch.no_grad()
def test_the_transcript_is_heard_in_every_token_and_guidance_is_by_the_transcript() -> None:
    model = reading_model()
    state, x = tiny_state(model), (random(1, 4, 4, 4, 4), random(1, 16, 16))
    sigma, guided, free = torch.ones(1), [], []
    for text in (FIRST, SECOND):
        inputs = orchestrator_inputs(model.config, state, whole_texts(text))
        condition = prefill(model, inputs, dit_context(model.config, state))
        guided.append(velocity(condition, x, sigma, (2.0, 2.0)))
        free.append(velocity(condition, x, sigma, (0.0, 0.0)))
    for one, other in zip(*guided, strict=True):
        assert (one - other).abs().amax() > 1e-4
    for one, other in zip(*free, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_batch_of_streams_is_its_streams_one_by_one() -> None:
    model = reading_model()
    both = rollout_chunk(model, tiny_state(model, batch=2), whole_texts(FIRST, SECOND), FEW)
    for row, words in enumerate((FIRST, SECOND)):
        own = tiny_state(model, batch=2).row(row)
        alone = rollout_chunk(model, own, whole_texts(words), FEW)
        for ours, theirs in zip(both.latents, alone.latents, strict=True):
            assert torch.equal(ours[row : row + 1], theirs)


def test_a_stream_ends_when_the_dit_says_so_and_claims_no_place_in_the_transcript() -> None:
    (chunk,) = play(reading_model(over=5.0), SECOND, sampler=FEW)
    assert chunk.spoken is None
    first, second = play(reading_model(), SECOND, sampler=FEW, count=2)
    assert (first.spoken, second.spoken) == (None, None)


def test_what_a_model_without_a_pointer_cannot_do_is_refused_in_words(tmp_path: Path) -> None:
    model = reading_model()
    with pytest.raises(InputError, match="reads at most 143 phonemes"):
        play(model, LONG, count=1)
    with pytest.raises(InputError, match="no transcript window for a pointer"):
        play(model, FIRST, pointer=fixed_rate(11.0), count=1)
    data = TrainingData(
        folder=tmp_path, config=model.config, data_size=data_size("tiny"), seed=0, jobs=1,
        progress=print,
    )  # fmt: skip
    with pytest.raises(InputError, match="without an orchestrator has no student"):
        distill_data(distill_config("tiny"), model, data)
    with pytest.raises(ValueError, match="have an orchestrator; take path=plain"):
        _is_plain("engine", "own", "float32", needs_plain=True)
    with pytest.raises(AssertionError, match="reads the transcript itself"):
        as_orchestrator(model.orchestrator)


def windows(config: Config) -> WindowPool:
    clips = [clip(config, seed=seed) for seed in range(3)]
    return WindowPool(store_of(config, clips), config, ContextAugmentation())


def test_training_windows_hold_the_transcript_from_its_beginning() -> None:
    config = reading_config()
    pool = windows(config)
    window = pool(Draw(step=0, batch=16, seed=0))
    texts = pool.store.tokens[:, :4, 0].tolist()
    assert window.inputs.window.shape == (16, 144, 4)
    assert all(row in texts for row in window.inputs.window[:, :4, 0].tolist())
    assert window.context.motion_audio.shape[1] == 12


@pytest.mark.parametrize("kind", [ReadingSpeechStage, ReadingTeacherStage])
def test_both_stages_train_all_that_streams(kind: type) -> None:
    model = reading_model()
    config, pool = model.config, windows(model.config)
    stage: ReadingSpeechStage | ReadingTeacherStage
    if kind is ReadingSpeechStage:
        stage = ReadingSpeechStage(model.orchestrator, model.dit, pool)
    else:
        metric = torch.eye(config.geometry.video_channels)
        stage = ReadingTeacherStage(model.orchestrator, model.dit, config, pool, sensitivity=metric)
    loss, parts = stage(Draw(step=0, batch=6, seed=3))
    loss.backward()
    assert {"audio", "over", "aid"} <= set(parts)
    assert not {"pointer", "alignment", "durations"} & set(parts)
    idle = [
        name
        for name, weight in stage.named_parameters()
        if weight.grad is None or not weight.grad.any()
    ]
    reader = as_reader(stage.orchestrator)
    assert isinstance(reader, TranscriptReader)
    assert not [name for name in idle if name.startswith("orchestrator.")]
    assert not [name for name in idle if "feed_forward.text" in name and ".1." not in name]
    if kind is ReadingTeacherStage:
        assert not [name for name in idle if "feed_forward.video" in name and ".1." not in name]
