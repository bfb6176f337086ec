import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from streamchar_ref.networks.vae.video import VideoVae, VideoVaeConfig
from tests.streamchar_ref.tiny import awake, random


def video_vae(first_latent_frames: int = 4) -> VideoVae:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = VideoVaeConfig(
            channels=4, widths=(8, 12, 16), first_latent_frames=first_latent_frames
        )
        vae = awake(VideoVae(config))
    vae.whitening.measure(random(100, 4) * 2 + 1)
    return vae


@pytest.mark.parametrize("first_latent_frames", [1, 4])
@given(cuts=st.sets(st.integers(1, 6)))
@settings(max_examples=8, deadline=None)
@torch.no_grad()
def test_decoding_in_pieces_gives_the_whole(first_latent_frames: int, cuts: set[int]) -> None:
    vae, latents = video_vae(first_latent_frames), random(2, 7, 4, 2, 3)
    whole, _ = vae.decode(latents)
    past, parts = None, []
    for piece in latents.tensor_split(sorted(cuts), dim=1):
        part, past = vae.decode(piece, past)
        parts.append(part)
    assert whole.shape == (2, first_latent_frames + 24, 3, 16, 24)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)


@torch.no_grad()
def test_what_was_decoded_before_is_remembered() -> None:
    vae, latents = video_vae(), random(1, 4, 4, 2, 2)
    _, past = vae.decode(latents[:, :2])
    carried, _ = vae.decode(latents[:, 2:], past)
    alone, _ = vae.decode(latents[:, 2:])
    assert not torch.allclose(carried, alone)


@torch.no_grad()
def test_a_later_latent_changes_no_earlier_picture() -> None:
    vae, latents = video_vae(), random(1, 5, 4, 2, 2)
    changed = latents.clone()
    changed[:, 3:] += 1
    before, after = vae.decode(latents)[0], vae.decode(changed)[0]
    assert torch.equal(before[:, :12], after[:, :12])
    assert not torch.allclose(before[:, 12], after[:, 12])


@torch.no_grad()
def test_a_latent_is_made_of_its_own_four_frames() -> None:
    vae, frames = video_vae(), random(1, 12, 3, 16, 16)
    whole = vae.encode(frames)
    for index in range(3):
        alone = vae.encode(frames[:, 4 * index : 4 * index + 4])
        torch.testing.assert_close(alone, whole[:, index : index + 1])


@torch.no_grad()
def test_a_video_may_begin_with_a_latent_of_one_frame() -> None:
    vae, frames = video_vae(1), random(1, 9, 3, 16, 24)
    latents = vae.encode(frames)
    assert latents.shape == (1, 3, 4, 2, 3)
    torch.testing.assert_close(latents[:, :1], vae.encode_picture(frames[:, 0]))
    assert vae.decode(latents)[0].shape == frames.shape


@torch.no_grad()
def test_a_picture_is_a_video_in_which_nothing_moves() -> None:
    vae, picture = video_vae(), random(2, 3, 16, 16)
    still = picture[:, None].expand(-1, 4, -1, -1, -1)
    torch.testing.assert_close(vae.encode_picture(picture), vae.encode(still))


@torch.no_grad()
def test_latents_far_outside_those_of_training_are_softened() -> None:
    vae, far = video_vae(), torch.full((1, 1, 4, 2, 2), 1e3)
    torch.testing.assert_close(vae.decode(far)[0], vae.decode(10 * far)[0])


@pytest.mark.parametrize(
    ("first", "frames", "latents"), [(4, 32, 8), (4, 4, 1), (1, 33, 9), (1, 1, 1)]
)
def test_frames_that_fill_latents(first: int, frames: int, latents: int) -> None:
    assert VideoVaeConfig(first_latent_frames=first).num_latents(frames) == latents


@pytest.mark.parametrize(("first", "frames"), [(4, 33), (1, 32), (4, 3)])
def test_frames_that_fill_no_whole_latents_are_refused(first: int, frames: int) -> None:
    with pytest.raises(ValueError, match=f"{frames} frames are not {first} plus"):
        VideoVaeConfig(first_latent_frames=first).num_latents(frames)


def test_a_first_latent_of_two_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="first_latent_frames is 1 or 4, not 2"):
        VideoVaeConfig(first_latent_frames=2)
