from dataclasses import replace

import pytest
import torch
from torch import Tensor

from streamchar_ref.networks.dit import DitContext, JointDiT, Velocities
from tests.streamchar_ref.tiny import awake, random, random_context, tiny_config

ABSENT = {
    "has_prompt": ("prompt",),
    "has_reference": ("reference",),
    "has_sink": ("sink",),
    "has_motion": ("motion_video", "motion_audio"),
}


def fresh(*assignments: str) -> JointDiT:
    config = tiny_config(*assignments)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return JointDiT(config.dit, config.geometry)


def context(dit: JointDiT, batch: int = 2) -> DitContext:
    return random_context(dit.geometry, dit.config.prompt_width, batch)


def noisy(dit: JointDiT, batch: int = 2, seed: int = 0) -> tuple[Tensor, ...]:
    """Video, audio, their noise levels, and the condition."""
    size = dit.geometry
    cells = (size.video_channels, *size.video_cells)
    return (
        random(batch, size.chunk_latents, *cells, seed=seed),
        random(batch, size.chunk_audio_latents, size.audio_channels, seed=seed + 1),
        torch.linspace(0.3, 0.9, batch),
        torch.linspace(0.8, 0.2, batch),
        random(batch, size.chunk_audio_latents, dit.config.condition_width, seed=seed + 2),
    )


def velocities(dit: JointDiT, seen: DitContext) -> Velocities:
    return dit(*noisy(dit, len(seen.has_sink)), dit.encode_context(seen))


def assert_same(one: Velocities, other: Velocities, **tolerance: float) -> None:
    torch.testing.assert_close(one.video, other.video, **tolerance)
    torch.testing.assert_close(one.audio, other.audio, **tolerance)


def test_a_fresh_dit_predicts_zero_velocity() -> None:
    dit = fresh()
    found = velocities(dit, context(dit))
    assert not found.video.any()
    assert not found.audio.any()


def test_velocities_have_the_shapes_of_the_latents() -> None:
    dit = awake(fresh())
    video, audio, *_ = noisy(dit)
    found = velocities(dit, context(dit))
    assert found.video.shape == video.shape
    assert found.audio.shape == audio.shape
    assert found.hidden_states[0].shape == (2, 4, 4, 64)
    assert found.hidden_states[1].shape == (2, 16, 64)


@torch.no_grad()
def test_the_context_serves_every_step() -> None:
    dit = awake(fresh())
    cached = dit.encode_context(context(dit))
    kept = [(key.clone(), value.clone()) for key, value in cached]
    for step in range(3):
        given = noisy(dit, seed=10 * step)
        assert_same(dit(*given, cached), dit(*given, dit.encode_context(context(dit))))
    for (key, value), (old_key, old_value) in zip(cached, kept, strict=True):
        assert torch.equal(key, old_key)
        assert torch.equal(value, old_value)


@pytest.mark.parametrize("flag", ABSENT)
@torch.no_grad()
def test_what_is_absent_does_not_matter(flag: str) -> None:
    dit = awake(fresh())
    seen = context(dit)
    gone = replace(seen, **{flag: torch.tensor([True, False])})
    spoiled = {}
    for name in ABSENT[flag]:
        tensor = getattr(seen, name).clone()
        tensor[1] = float("nan")
        spoiled[name] = tensor
    assert_same(velocities(dit, replace(gone, **spoiled)), velocities(dit, gone))


@pytest.mark.parametrize("flag", ABSENT)
@torch.no_grad()
def test_what_is_present_matters(flag: str) -> None:
    dit = awake(fresh())
    seen = context(dit)
    expected = velocities(dit, seen)
    gone = velocities(dit, replace(seen, **{flag: torch.tensor([True, False])}))
    torch.testing.assert_close(gone.video[0], expected.video[0])
    assert not torch.allclose(gone.video[1], expected.video[1])
    for name in ABSENT[flag]:
        changed = velocities(dit, replace(seen, **{name: getattr(seen, name) + 1}))
        assert not torch.allclose(changed.video, expected.video)
        assert not torch.allclose(changed.audio, expected.audio)


@pytest.mark.parametrize("index", range(5))
@torch.no_grad()
def test_picture_and_sound_follow_latents_levels_and_condition(index: int) -> None:
    dit = awake(fresh())
    given = list(noisy(dit))
    seen = dit.encode_context(context(dit))
    before = dit(*given, seen)
    given[index] = given[index] + 0.1
    after = dit(*given, seen)
    assert not torch.allclose(before.video, after.video)
    assert not torch.allclose(before.audio, after.audio)


@torch.no_grad()
def test_a_latent_frame_hears_its_own_sound_in_a_fresh_block() -> None:
    dit = fresh()
    condition = random(1, 16, 32)
    changed = condition.clone()
    changed[:, 4:8] += 1
    before, after = dit._by_latent_frame(condition), dit._by_latent_frame(changed)
    assert (before != after).any(dim=-1)[0].tolist() == [False, True, False, False]


@torch.no_grad()
def test_samples_of_a_batch_do_not_see_each_other() -> None:
    dit = awake(fresh())
    seen = context(dit)
    together = velocities(dit, seen)
    for index in range(2):
        alone = {name: value[index : index + 1] for name, value in vars(seen).items()}
        given = (value[index : index + 1] for value in noisy(dit))
        found = dit(*given, dit.encode_context(DitContext(**alone)))
        torch.testing.assert_close(found.video[0], together.video[index], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(found.audio[0], together.audio[index], atol=1e-5, rtol=1e-4)


def test_every_parameter_gets_a_gradient() -> None:
    dit = awake(fresh())
    half = torch.tensor([True, False])
    seen = replace(context(dit), **dict.fromkeys(ABSENT, half))
    *given, condition = noisy(dit)
    drop_condition = torch.where(half[:, None, None], condition, dit.no_condition)
    found = dit(*given, drop_condition, dit.encode_context(seen))
    (found.video.square().mean() + found.audio.square().mean()).backward()
    still = [
        name
        for name, parameter in dit.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert still == []


@torch.no_grad()
def test_patches_go_back_to_their_cells() -> None:
    dit = fresh()
    video, *_ = noisy(dit)
    assert torch.equal(dit._cells(dit._patches(video)), video)


@torch.no_grad()
def test_patches_are_those_of_pixel_unshuffle() -> None:
    dit = fresh()
    video, *_ = noisy(dit)
    expected = torch.nn.functional.pixel_unshuffle(video[:, 1], 2).flatten(2).transpose(1, 2)
    assert torch.equal(dit._patches(video)[:, 1], expected)


@pytest.mark.parametrize(
    "assignments",
    [
        ("stream.sink_latents=0",),
        ("stream.motion_latents=0", "stream.motion_audio_latents=0"),
        ("stream.chunk_frames=17", "video_vae.first_latent_frames=1"),
    ],
    ids=str,
)
@torch.no_grad()
def test_other_windows_work(assignments: tuple[str, ...]) -> None:
    dit = awake(fresh(*assignments))
    found = velocities(dit, context(dit))
    assert found.video.shape[1] == dit.geometry.chunk_latents
    assert bool(found.video.isfinite().all())


@torch.no_grad()
def test_speaking_alone_hears_prompt_and_sound_and_sees_nothing() -> None:
    dit = awake(fresh())
    _, audio, _, sigma, condition = noisy(dit)
    whole = context(dit)

    def said(seen: DitContext) -> Tensor:
        heard = dit.encode_context(seen, sound_only=True)
        return dit.forward_audio(audio, sigma, condition, heard)[0]

    assert said(whole).shape == audio.shape
    unseen = {name: 1 + getattr(whole, name) for name in ("reference", "sink", "motion_video")}
    assert torch.equal(said(replace(whole, **unseen)), said(whole))
    for name in ("prompt", "motion_audio"):
        assert not torch.equal(
            said(replace(whole, **{name: 1 + getattr(whole, name)})), said(whole)
        )
