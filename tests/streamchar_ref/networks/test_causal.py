"""Chunk by chunk from kept keys and values, against the whole sequence under an explicit mask."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from streamchar_ref.model.config import override, preset
from streamchar_ref.networks import layers
from streamchar_ref.networks.causal import CachedContext, CausalDiT, packed, without_cache
from streamchar_ref.networks.dit import DitContext, Velocities
from streamchar_ref.networks.geometry import WindowGeometry
from streamchar_ref.networks.layers import Kind, Segment, TimestepEmbedding, rotary, rotate
from tests.streamchar_ref.tiny import awake, random, random_context, tiny_config

CACHED = 2
CONFIG = tiny_config(f"dit.cached_chunks={CACHED}")
SIZE = CONFIG.geometry
HEAD = CONFIG.dit.width // CONFIG.dit.num_heads
PAST = 5


@pytest.fixture(scope="module")
def dit() -> CausalDiT:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return awake(CausalDiT(CONFIG.dit, SIZE))


def past(count: int, batch: int = 2) -> DitContext:
    """A context with so many past chunks."""
    geometry = replace(
        SIZE,
        motion_latents=count * SIZE.chunk_latents,
        motion_audio_latents=count * SIZE.chunk_audio_latents,
    )
    return random_context(geometry, CONFIG.dit.prompt_width, batch)


def noisy(batch: int = 2) -> tuple[Tensor, ...]:
    cells = (SIZE.video_channels, *SIZE.video_cells)
    return (
        random(batch, SIZE.chunk_latents, *cells),
        random(batch, SIZE.chunk_audio_latents, SIZE.audio_channels, seed=1),
        torch.linspace(0.3, 0.9, batch),
        torch.linspace(0.8, 0.2, batch),
        random(batch, SIZE.chunk_audio_latents, CONFIG.dit.condition_width, seed=2),
    )


class WholeSequence:
    """Attention of all chunks at once; each sees still context, itself and the two before it."""

    def __init__(self, still: WindowGeometry, count: int) -> None:
        patch = CONFIG.dit.patch
        self.count, self.still = count, still.context_positions(patch)
        self.chunk = still.chunk_positions(patch)

    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        num_still, size = len(self.still), len(self.chunk)
        number = torch.arange(-1, self.count).repeat_interleave(
            torch.tensor([num_still, *[size] * self.count])
        )  # -1 is still context
        done = []
        for own in range(-1, self.count):
            moved = self.chunk.repeat(self.count, 1)
            moved[:, 0] += SIZE.chunk_audio_latents * (number[num_still:] - max(own, 0))
            seen_at = rotary(torch.cat([self.still, moved]), HEAD)
            is_seen = (number == -1) | ((number <= own) & (number >= own - CACHED))
            mine = rotate(query, seen_at)[:, :, number == own]
            scores = mine @ rotate(key, seen_at).transpose(-1, -2) / HEAD**0.5
            scores = scores.masked_fill(~is_seen, -torch.inf)
            done.append(scores.softmax(dim=-1) @ value)
        return torch.cat(done, dim=2)


def whole_sequence(dit: CausalDiT, context: DitContext, patched: pytest.MonkeyPatch) -> Velocities:
    """Velocities of a noisy chunk behind clean ones, by one forward of everything."""
    bare = replace(
        context, motion_video=context.motion_video[:, :0], motion_audio=context.motion_audio[:, :0]
    )
    clean = torch.zeros(2)
    segments = [dit._always_segments(bare)[0], *dit._video_segments(bare)[:2]]
    videos = context.motion_video.split(SIZE.chunk_latents, 1)
    audios = context.motion_audio.split(SIZE.chunk_audio_latents, 1)
    for video, audio in zip(videos, audios, strict=True):
        kinds: tuple[tuple[Kind, Tensor, TimestepEmbedding], ...] = (
            ("video", dit._video_tokens(video), dit.sigma_video),
            ("audio", dit.audio_in(audio)[:, None], dit.sigma_audio),
        )
        for kind, x, level in kinds:
            x = x + dit._role(f"motion_{kind}")
            segments.append(Segment(x=x, modulation=dit._modulation(level, clean), kind=kind))
    through = dit._through

    def with_everything(own: list[Segment], rotation: Tensor, nothing: Any) -> Any:
        everything = [*segments, *own]
        count = sum(segment.num_tokens for segment in everything)
        unturned = torch.stack([torch.ones(count, HEAD // 2), torch.zeros(count, HEAD // 2)])
        none = torch.zeros(2, CONFIG.dit.num_heads, 0, HEAD)
        done, hidden = through(everything, unturned, [(none, none)] * CONFIG.dit.num_blocks)
        return done[-2:], hidden[-2:]

    patched.setattr(layers, "attention", WholeSequence(dit.geometry, len(videos) + 1))
    patched.setattr(dit, "_through", with_everything)
    found: Velocities = dit(*noisy(), [])
    return found


@torch.no_grad()
def test_chunk_by_chunk_is_the_whole_sequence_under_the_block_causal_mask(
    dit: CausalDiT, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = past(PAST)
    ours = dit(*noisy(), dit.encode_context(context))
    nearer = dit(*noisy(), dit.encode_context(past(CACHED)))
    with monkeypatch.context() as patched:
        whole = whole_sequence(dit, context, patched)
    torch.testing.assert_close(ours.video, whole.video, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(ours.audio, whole.audio, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(ours.hidden_states[1], whole.hidden_states[1], atol=2e-5, rtol=1e-4)
    assert not torch.allclose(ours.video, nearer.video, atol=1e-3), "chunks differ"


@torch.no_grad()
def test_two_chunks_are_kept_of_any_number_and_both_are_seen(dit: CausalDiT) -> None:
    tokens = len(SIZE.context_positions(CONFIG.dit.patch))
    for count in (1, CACHED, PAST):
        cache = packed(dit.encode_context(past(count)))
        size = len(SIZE.chunk_positions(CONFIG.dit.patch))
        assert cache.shape[4] == tokens - max(0, CACHED - count) * size
    context = past(CACHED)
    expected = dit(*noisy(), dit.encode_context(context)).video
    for chunk in range(CACHED):
        changed = context.motion_audio.clone()
        changed[:, chunk * SIZE.chunk_audio_latents] += 1
        seen = dit.encode_context(replace(context, motion_audio=changed))
        assert not torch.allclose(dit(*noisy(), seen).video, expected)


@torch.no_grad()
def test_keys_and_values_that_were_kept_are_taken_as_they_are(dit: CausalDiT) -> None:
    context = past(CACHED)
    known = dit.encode_context(context)
    kept = CachedContext(**vars(replace(context, sink=context.sink + 9)), cache=packed(known))
    for (key, value), (own_key, own_value) in zip(dit.encode_context(kept), known, strict=True):
        assert torch.equal(key, own_key)
        assert torch.equal(value, own_value)
    assert type(without_cache(kept)) is DitContext
    again = dit.encode_context(without_cache(replace(kept, sink=context.sink)))
    assert torch.equal(packed(again), kept.cache)


@torch.no_grad()
def test_past_chunks_that_are_absent_do_not_matter(dit: CausalDiT) -> None:
    gone = replace(past(CACHED), has_motion=torch.tensor([True, False]))
    video, audio = gone.motion_video.clone(), gone.motion_audio.clone()
    video[1], audio[1] = torch.nan, torch.nan
    spoiled = replace(gone, motion_video=video, motion_audio=audio)
    ours, theirs = (packed(dit.encode_context(each)) for each in (gone, spoiled))
    assert torch.equal(ours, theirs)


@torch.no_grad()
def test_sound_alone_looks_back_on_sound_alone(dit: CausalDiT) -> None:
    context, (_, audio, _, sigma, condition) = past(CACHED), noisy()

    def said(seen: DitContext) -> Tensor:
        heard = dit.encode_context(seen, sound_only=True)
        return dit.forward_audio(audio, sigma, condition, heard)[0]

    whole = said(context)
    unseen = {name: 1 + getattr(context, name) for name in ("reference", "sink", "motion_video")}
    assert torch.equal(said(replace(context, **unseen)), whole)
    assert not torch.equal(said(replace(context, motion_audio=context.motion_audio + 1)), whole)


def test_every_weight_is_trained_in_the_pass_over_past_chunks_too(dit: CausalDiT) -> None:
    half = torch.tensor([True, False])
    absent = dict.fromkeys(("has_prompt", "has_reference", "has_sink", "has_motion"), half)
    seen = dit.encode_context(replace(past(CACHED), **absent))
    *given, condition = noisy()
    found = dit(*given, torch.where(half[:, None, None], condition, dit.no_condition), seen)
    (found.video.square().mean() + found.audio.square().mean()).backward()
    still = [n for n, p in dit.named_parameters() if p.grad is None or not p.grad.any()]
    dit.zero_grad()
    assert still == []


@pytest.mark.parametrize(
    ("assignments", "text"),
    [
        (("dit.cached_chunks=-1",), "cached_chunks cannot be -1"),
        (("dit.cached_chunks=2", "order=sound_first"), "an orchestrator and order=joint"),
    ],
)
def test_configs_that_cannot_be_are_refused(assignments: tuple[str, ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        override(preset("tiny"), assignments)
