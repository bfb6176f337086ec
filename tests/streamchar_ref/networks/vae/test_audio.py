from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from streamchar_ref.networks.vae.audio import AudioVae, AudioVaeConfig
from tests.streamchar_ref.tiny import random

TINY = AudioVaeConfig(channels=16, width=48, num_blocks=2, encoder_width=32, encoder_blocks=1)


def audio_vae(config: AudioVaeConfig = TINY) -> AudioVae:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vae = AudioVae(config)
    vae.whitening.measure(random(100, config.channels) * 2 + 1)
    return vae


@given(cuts=st.sets(st.integers(1, 9)))
@settings(max_examples=15, deadline=None)
@torch.no_grad()
def test_decoding_in_pieces_gives_the_whole(cuts: set[int]) -> None:
    vae, latents = audio_vae(), random(2, 10, 16)
    whole, _ = vae.decode(latents)
    past, parts = None, []
    for piece in latents.tensor_split(sorted(cuts), dim=1):
        part, past = vae.decode(piece, past)
        parts.append(part)
    assert whole.shape == (2, 6400)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)


@torch.no_grad()
def test_a_later_latent_changes_no_earlier_sample() -> None:
    vae, latents = audio_vae(), random(1, 10, 16)
    changed = latents.clone()
    changed[:, 6:] += 1
    before, after = vae.decode(latents)[0], vae.decode(changed)[0]
    assert torch.equal(before[:, : 6 * 640], after[:, : 6 * 640])
    assert not torch.allclose(before[:, 6 * 640 : 7 * 640], after[:, 6 * 640 : 7 * 640])


@pytest.mark.parametrize("look_ahead", [0, 8])
@pytest.mark.parametrize("latent", [0, 3])
@torch.no_grad()
def test_a_latent_hears_its_look_ahead_and_nothing_later(latent: int, look_ahead: int) -> None:
    vae, samples = audio_vae(replace(TINY, look_ahead=look_ahead)), 0.1 * random(1, 16_000)
    last_frame = 4 * latent + 3 + look_ahead
    end = 160 * last_frame + 640
    beyond, inside = samples.clone(), samples.clone()
    beyond[:, end:] = 0
    inside[:, end - 320 :] = 0
    found, same, other = (vae.encode(each) for each in (samples, beyond, inside))
    assert torch.equal(found[:, : latent + 1], same[:, : latent + 1])
    assert not torch.allclose(found[:, latent], other[:, latent])
    assert torch.equal(found[:, :latent], other[:, :latent]), "the frames before have ended"


@torch.no_grad()
def test_samples_that_fill_no_whole_latent_are_dropped() -> None:
    vae, samples = audio_vae(), random(2, 640 * 5 + 639)
    assert vae.encode(samples).shape == (2, 5, 16)
    torch.testing.assert_close(vae.encode(samples), vae.encode(samples[:, :3200]))


@pytest.mark.parametrize("sound", ["noise", "full-scale tone"])
@torch.no_grad()
def test_the_head_gives_back_a_sound_whose_spectrum_it_predicts(sound: str) -> None:
    tone = torch.sin(2 * torch.pi * 500 * torch.arange(8000) / 16_000)
    samples = 0.1 * random(2, 8000) if sound == "noise" else tone.expand(2, -1)
    decoder = audio_vae().decoder
    window = torch.hann_window(640)
    spectrum = torch.stft(samples, 640, 160, window=window, center=False, return_complex=True)
    predicted = torch.cat(
        [spectrum.abs().clamp_min(1e-9).log(), spectrum.angle()], dim=1
    ).transpose(1, 2)
    found, tail = decoder._overlap(decoder._pieces(predicted), None)
    # the first samples lie in fewer than four frames
    torch.testing.assert_close(found[:, 480:], samples[:, 480 : found.shape[1]], atol=1e-4, rtol=0)
    assert tail.shape == (2, 480)


@torch.no_grad()
def test_no_latent_is_too_loud_for_the_head() -> None:
    samples, _ = audio_vae().decode(1e4 * random(1, 6, 16))
    assert bool(samples.isfinite().all())


def test_the_rates_follow_from_the_hop() -> None:
    at_24_fps = AudioVaeConfig(hop=125)
    assert (TINY.latent_samples, TINY.window) == (640, 640)
    assert (at_24_fps.latent_samples, at_24_fps.window) == (500, 500)
    with torch.no_grad():
        vae = AudioVae(replace(TINY, hop=125))
        assert vae.encode(random(1, 22_000)).shape == (1, 44, 16)
        assert vae.decode(random(1, 44, 16))[0].shape == (1, 22_000)
