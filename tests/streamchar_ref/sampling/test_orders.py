"""Sound before the picture, or given: what is sampled, what is trained, and what streams."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from streamchar_ref.core.errors import InputError
from streamchar_ref.loop.stage import Draw
from streamchar_ref.media import AVChunk
from streamchar_ref.model.config import override
from streamchar_ref.model.config_json import from_json, to_json
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.dit import DitContext, JointDiT
from streamchar_ref.networks.orchestrator import OrchestratorInputs
from streamchar_ref.networks.reader import as_orchestrator
from streamchar_ref.networks.vae.convert import to_wave
from streamchar_ref.sampling.condition import prefill
from streamchar_ref.sampling.config import DEFAULT, SamplerConfig
from streamchar_ref.sampling.flow import Latents
from streamchar_ref.sampling.orders import sample_in_order
from streamchar_ref.sampling.sampler import sample_chunk
from streamchar_ref.streaming.context import dit_context, orchestrator_inputs
from streamchar_ref.streaming.engine import Engine
from streamchar_ref.streaming.given_speech import GivenSpeech
from streamchar_ref.streaming.rollout import rollout_chunk
from streamchar_ref.streaming.state import StreamState
from streamchar_ref.streaming.stream import stream
from streamchar_ref.streaming.transcript import Transcript
from streamchar_ref.train.augmentation import ContextAugmentation
from streamchar_ref.train.data import TrainingData
from streamchar_ref.train.data_size import data_size
from streamchar_ref.train.distill.config import distill_config
from streamchar_ref.train.stages.distillation import distill_data
from streamchar_ref.train.stages.teacher import PictureAfterSoundStage
from streamchar_ref.train.windows import WindowPool
from tests.streamchar_ref.streaming.test_stream import FIRST, PICTURE, SECOND, each_s, talkative
from tests.streamchar_ref.tiny import random, tiny_state, whole_texts
from tests.streamchar_ref.train.latent_clips import clip, store_of

FEW = SamplerConfig(num_steps=2)
FIRST_ORDER, GIVEN_ORDER = "order=sound_first", "order=sound_given"
TEXTS = (FIRST, SECOND)
KINDS = {
    "euler": replace(DEFAULT, num_steps=2),
    "guided": replace(DEFAULT, num_steps=2, kind="ab2", guidance=2.0, picture_guidance=3.0),
    "student": replace(DEFAULT, num_steps=2, kind="renoise", temperature=0.5),
}


def noises() -> list[Latents]:
    return [(random(1, 4, 4, 4, 4, seed=n), random(1, 16, 16, seed=9 + n)) for n in range(9)]


def first_chunk(model: StreamChar) -> tuple[OrchestratorInputs, DitContext]:
    state, text = tiny_state(model), whole_texts(SECOND)
    return orchestrator_inputs(model.config, state, text), dit_context(model.config, state)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_sound_that_comes_first_is_that_of_the_model_without_a_picture(kind: str) -> None:
    model, draws, alone = talkative(), iter(noises()), iter(noises())
    seen = first_chunk(model)
    _, (_, sound) = sample_in_order(
        model, *seen, KINDS[kind], lambda: next(draws), order="sound_first"
    )
    speaking = prefill(model, *seen, sound_only=True)
    (expected,) = sample_chunk(speaking, KINDS[kind], lambda: next(alone)[1:])
    assert torch.equal(sound, expected)


@torch.no_grad()
def test_a_cascade_draws_to_its_own_sound_as_to_speech_from_elsewhere() -> None:
    model, sampler = talkative(), KINDS["guided"]
    seen, start = first_chunk(model), noises()[0]
    _, (video, sound) = sample_in_order(model, *seen, sampler, lambda: start, order="sound_first")
    _, (same, kept) = sample_in_order(
        model, *seen, sampler, lambda: start, order="sound_given", sound=sound
    )
    assert torch.equal(video, same)
    assert torch.equal(sound, kept)
    other = sample_in_order(
        model, *seen, sampler, lambda: start, order="sound_given", sound=random(1, 16, 16, seed=5)
    )[1]
    assert not torch.equal(other[0], video)


@torch.no_grad()
def test_the_picture_is_denoised_beside_clean_sound_with_its_own_guidance_and_noise() -> None:
    model, seen, sound = talkative(), [], random(1, 16, 16, seed=5)
    forward = model.dit.forward

    def watched(video: Tensor, audio: Tensor, *levels_and_more: Tensor) -> object:
        seen.append((video, audio, *levels_and_more[:2]))
        return forward(video, audio, *levels_and_more)  # type: ignore[arg-type]

    model.dit.forward = watched  # type: ignore[method-assign, assignment]
    sampler = replace(KINDS["guided"], num_steps=1, picture_temperature=0.5, temperature=3.0)
    sample_in_order(
        model, *first_chunk(model), sampler, lambda: noises()[0], order="sound_given", sound=sound
    )
    video, noise = noises()[0]
    heard, free = seen
    assert torch.equal(heard[0], 0.5 * video)
    assert torch.equal(heard[1], sound)
    assert [float(level) for level in heard[2:]] == [1.0, 0.0]
    assert torch.equal(free[1], noise), "guidance goes away from hearing nothing"
    assert [float(level) for level in free[2:]] == [1.0, 1.0]
    seen.clear()
    unguided = replace(sampler, picture_guidance=1.0, guidance=9.0)
    sample_in_order(
        model, *first_chunk(model), unguided, lambda: noises()[0], order="sound_given", sound=sound
    )
    assert len(seen) == 1


@torch.no_grad()
def test_a_batch_of_cascades_is_its_streams_one_by_one() -> None:
    model, text = talkative(FIRST_ORDER), whole_texts(*TEXTS)
    both = rollout_chunk(model, tiny_state(model, batch=2), text, FEW)
    states = tiny_state(model, batch=2)
    for row, words in enumerate(TEXTS):
        alone = rollout_chunk(model, states.row(row), whole_texts(words), FEW)
        for ours, own in zip(both.latents, alone.latents, strict=True):
            assert torch.equal(ours[row : row + 1], own)


@pytest.mark.parametrize("order", ["sound_first", "sound_given"])
def test_a_gradient_flows_through_both_networks(order: str) -> None:
    model = talkative(f"order={order}")
    sound = random(1, 16, 16, seed=5).requires_grad_() if order == "sound_given" else None
    chunk = rollout_chunk(model, tiny_state(model), whole_texts(SECOND), FEW, sound=sound)
    chunk.latents[0].square().sum().backward()
    for weight in (
        model.dit.video_out.weight,
        model.dit.audio_in.weight,
        as_orchestrator(model.orchestrator).condition_out.weight,
    ):
        assert weight.grad is not None
        assert weight.grad.abs().sum() > 0
    if sound is not None:
        assert sound.grad is not None
        assert sound.grad.abs().sum() > 0
    else:
        grad = model.dit.audio_out.weight.grad
        assert grad is not None
        assert grad.abs().sum() > 0, "through the sound that the picture is drawn to"


def speech(num: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, num).astype(np.float32)


def played(
    model: StreamChar, samples: np.ndarray | None, count: int | None = None
) -> list[AVChunk]:
    chunks = stream(
        model,
        Transcript(FIRST),
        prompt="a man",
        reference=PICTURE,
        speech=samples,
        sampler=FEW,
        clock=each_s(0.0),
    )
    return list(islice(chunks, count))


@torch.no_grad()
def test_given_speech_comes_out_unchanged_chunk_by_chunk_and_ends_the_stream() -> None:
    model = talkative(GIVEN_ORDER, is_over=True)
    samples = speech(25_000)
    chunks = played(model, samples)
    assert len(chunks) == 3, "of 10,240 samples each, whatever the model says of the end"
    padded = torch.from_numpy(np.pad(samples, (0, 3 * 10_240 - len(samples))))[None]
    latents = model.audio_vae.encode(padded)
    given = GivenSpeech.of(model, samples)
    assert torch.equal(given.chunks.flatten(0, 1), latents[0])
    whole = to_wave(model.audio_vae.decode(latents)[0][0])
    found = np.concatenate([chunk.samples for chunk in chunks])
    np.testing.assert_allclose(found, whole, atol=1e-5)
    state, text = tiny_state(model), whole_texts(FIRST)
    for index in range(3):
        chunk = rollout_chunk(model, state, text, FEW, sound=given.chunk(index))
        assert torch.equal(chunk.latents[1], given.chunk(index))
        state = chunk.state
    assert not state.has_ended.any(), "a stream that had ended would keep its motion"
    assert torch.equal(state.motion_video, chunk.latents[0][:, -1:])


@torch.no_grad()
def test_a_cascade_is_streamed_by_engine_and_plain_path_alike() -> None:
    model = talkative(FIRST_ORDER)
    plain = played(model, None, count=2)
    made = Engine(model, sampler=FEW).stream(Transcript(FIRST), prompt="a man", reference=PICTURE)
    frames = np.concatenate([each.frames for each in islice(made, 3)])
    made.close()
    assert np.array_equal(frames, np.concatenate([each.frames for each in plain]))


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    own, given = talkative(), talkative(GIVEN_ORDER)
    state: StreamState = tiny_state(own)
    text, sound = whole_texts(SECOND), random(1, 16, 16)
    data = TrainingData(
        folder=tmp_path, config=given.config, data_size=data_size("tiny"), seed=0, jobs=1,
        progress=print,
    )  # fmt: skip
    with pytest.raises(ValueError, match="speech that is given, and there is none"):
        rollout_chunk(given, state, text, FEW)
    with pytest.raises(ValueError, match="not to order=joint"):
        rollout_chunk(own, state, text, FEW, sound=sound)
    with pytest.raises(ValueError, match="gradient_step is for order=joint"):
        rollout_chunk(given, state, text, FEW, sound=sound, gradient_step=0)
    with pytest.raises(InputError, match="there is none: give it"):
        played(given, None)
    with pytest.raises(InputError, match="speaks itself, order=joint"):
        played(own, speech(100))
    for nothing in (speech(0), np.full(9, np.nan, np.float32)):
        with pytest.raises(InputError, match="not mono samples"):
            played(given, nothing)
    with pytest.raises(InputError, match="the engine streams models that speak themselves"):
        Engine(given)
    with pytest.raises(InputError, match="a teacher of order=sound_given has no student"):
        distill_data(distill_config("tiny"), given, data)
    with pytest.raises(InputError, match="order is one of joint, sound_first, sound_given"):
        override(own.config, ["order=picture_first"])


def test_the_order_is_kept_with_the_weights_and_a_joint_config_is_written_as_before() -> None:
    config = talkative(FIRST_ORDER).config
    assert from_json(to_json(config)) == config
    joint = override(config, ["order=joint"])
    assert "order" not in to_json(joint)
    assert from_json(to_json(joint)) == joint


def stage_of(order: str) -> PictureAfterSoundStage:
    model = talkative(f"order={order}")
    pool = WindowPool(
        store_of(model.config, [clip(model.config, seed=seed) for seed in range(3)]),
        model.config,
        ContextAugmentation(),
    )
    weight = torch.eye(model.config.geometry.video_channels)
    return PictureAfterSoundStage(
        model.orchestrator, model.dit, model.config, pool, sensitivity=weight
    )


@pytest.mark.parametrize("order", ["sound_first", "sound_given"])
def test_training_hears_clean_sound_or_none_and_learns_what_its_order_samples(
    order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, calls = stage_of(order), []
    forward = JointDiT.forward

    def watched(self: JointDiT, video: Tensor, audio: Tensor, *more: Tensor) -> object:
        calls.append((audio, more[1], more[2]))
        return forward(self, video, audio, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(JointDiT, "forward", watched)
    draw = Draw(step=0, batch=24, seed=3)
    loss, parts = stage(draw)
    loss.backward()
    audio, level, condition = calls[0]
    is_heard = level == 0
    assert {*level.tolist()} == {0.0, 1.0}
    assert torch.equal(audio[is_heard], stage._windows(draw).audio[is_heard])
    nothing = stage.dit.no_condition.expand_as(condition)
    assert torch.equal(condition[~is_heard], nothing[~is_heard])
    assert {"video", "pointer", "durations"} <= set(parts)
    assert ("audio" in parts) is (order == "sound_first")
    trained = {
        name: weight.grad is not None and float(weight.grad.abs().sum()) > 0
        for name, weight in stage.named_parameters()
    }
    assert trained["dit.video_out.weight"]
    assert trained["orchestrator.condition_out.weight"]
    assert trained["dit.audio_out.weight"] is (order == "sound_first")
