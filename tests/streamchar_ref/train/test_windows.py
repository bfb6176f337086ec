from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from streamchar_ref.loop.stage import Draw, Stage
from streamchar_ref.model.config import Config, override, preset
from streamchar_ref.networks.dit import JointDiT
from streamchar_ref.networks.durations import length_regulate
from streamchar_ref.networks.orchestrator import Orchestrator
from streamchar_ref.networks.vae.audio import AudioVae
from streamchar_ref.networks.vae.video import VideoVae
from streamchar_ref.networks.vae.whitening import LatentNormalizer
from streamchar_ref.train.augmentation import ContextAugmentation
from streamchar_ref.train.latent_cache import load_latents, save_latents, timing_of
from streamchar_ref.train.latent_losses import draw_sigma
from streamchar_ref.train.pool import VideoBatch
from streamchar_ref.train.stages.audio_vae import AudioVaeStage
from streamchar_ref.train.stages.speech import SpeechStage
from streamchar_ref.train.stages.teacher import TeacherStage
from streamchar_ref.train.stages.video_vae import VideoVaeStage
from streamchar_ref.train.windows import TrainingWindow, WindowPool
from streamchar_ref.world.speech import SILENCE, TimedPhoneme
from tests.streamchar_ref.train.latent_clips import clip, store_of

LATENT_S = 0.04
CLEAN = ContextAugmentation(
    first_chunk=0, motion_noise=0, motion_drop=0, sink_drop=0, reference_drop=0, prompt_drop=0,
    history_sigma=0, history_drop=0, pointer_off=0, text_cut=0,
)  # fmt: skip


def phonemes() -> tuple[TimedPhoneme, ...]:
    rows = [
        (SILENCE, 0.08, -1),
        ("HH", 0.08, 0),
        ("AY", 0.16, 0),
        (SILENCE, 0.08, -1),
        ("Y", 0.08, 1),
    ]
    found, t0_s = [], 0.0
    for phone, length_s, word in rows:
        found.append(TimedPhoneme(phone=phone, t0_s=t0_s, t1_s=t0_s + length_s, word_index=word))
        t0_s += length_s
    return tuple(found)


def window(
    config: Config, augmentation: ContextAugmentation = CLEAN, *, seed: int = 0, batch: int = 6
) -> TrainingWindow:
    clips = [clip(config, seed=number, num_latents=12 + number) for number in range(3)]
    pool = WindowPool(store_of(config, clips), config, augmentation)
    return pool(Draw(step=0, batch=batch, seed=seed))


def test_timing_counts_phonemes_with_the_fraction_that_is_said() -> None:
    timing = timing_of(phonemes(), num_latents=13, latent_s=LATENT_S)
    np.testing.assert_allclose(
        timing.position, [0, 0, 0.5, 1, 1.25, 1.5, 1.75, 2, 2, 2, 2.5, 3, 3], atol=1e-5
    )
    np.testing.assert_allclose(timing.start, [2, 4, 10], atol=1e-5)
    np.testing.assert_allclose(timing.end, [4, 8, 12], atol=1e-5)
    assert timing.row.tolist() == [-1, -1, 0, 0, 1, 1, 1, 1, -1, -1, 2, 2, -1]
    assert (timing.phone == 0).tolist() == (timing.row < 0).tolist()


def test_a_bank_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    config = preset("tiny")
    clips = [clip(config, seed=seed, num_latents=8 + seed) for seed in range(3)]
    save_latents(tmp_path / "a.npz", clips[:2])
    save_latents(tmp_path / "b.npz", clips[2:])
    found = load_latents([tmp_path / "a.npz", tmp_path / "b.npz"])
    for one, other in zip(clips, found, strict=True):
        assert (one.prompt, one.identity) == (other.prompt, other.identity)
        for name in ("tokens", "start", "end", "position", "row", "video", "audio", "reference"):
            assert np.array_equal(getattr(one, name), getattr(other, name))


def test_a_window_knows_the_truth_about_its_chunk() -> None:
    config = preset("tiny")
    found = window(config)
    behind = config.orchestrator.text_behind
    assert found.context.has_motion.all()
    for row in range(6):
        place = found.alignment[row][found.alignment[row] > 0] - 1 - behind
        assert (place >= 0).all()
        assert (place.diff() >= 0).all()
    moved = found.position.diff(dim=1)
    assert ((moved >= 0) & (moved <= 0.5 + 1e-4)).all()
    assert found.mouth.shape == (6, config.geometry.chunk_latents, *config.geometry.video_cells)


@pytest.mark.parametrize("pointer_off", [0.0, 1.0])
def test_times_and_alignment_agree(pointer_off: float) -> None:
    config = preset("tiny")
    found = window(config, replace(CLEAN, pointer_off=pointer_off, pointer_phonemes=3))
    shares = length_regulate(found.times, num_latents=found.audio.shape[1]).shares
    inside = found.alignment >= 0
    assert bool(inside.any(dim=1).all())
    assert torch.equal(shares.argmax(dim=-1)[inside], found.alignment[inside])


def test_the_same_draw_gives_the_same_window() -> None:
    config = preset("tiny")
    one = window(config, ContextAugmentation(), seed=3)
    other = window(config, ContextAugmentation(), seed=3)
    for name in ("video", "audio", "position", "alignment", "is_over"):
        assert torch.equal(getattr(one, name), getattr(other, name))
    assert torch.equal(one.context.motion_video, other.context.motion_video)


def test_the_first_chunk_has_its_picture_held_still_in_silence_for_a_past() -> None:
    found = window(preset("tiny"), replace(CLEAN, first_chunk=1.0))
    for shown in (found.context.reference, found.context.motion_video, found.context.sink):
        assert torch.equal(shown, found.video[:, :1].expand_as(shown))  # what comes goes on from it
    assert (found.context.motion_audio == 7).all()
    assert found.context.has_motion.all()
    assert found.context.has_sink.all()
    assert not found.inputs.num_history.any()
    assert not found.inputs.fraction.any()


def test_cut_text_still_holds_all_that_is_said_in_the_chunk() -> None:
    config = preset("tiny")
    found = window(config, replace(CLEAN, text_cut=1.0), batch=12)
    said = (found.alignment.amax(dim=1) - 1).clamp(min=0)
    tokens = torch.gather(found.inputs.window[..., 0], 1, said[:, None])
    assert (tokens > 0).all()


def stages(config: Config) -> list[Stage]:
    geometry = config.geometry
    torch.manual_seed(0)
    orchestrator = Orchestrator(
        config.orchestrator,
        audio_channels=geometry.audio_channels,
        chunk_audio_latents=geometry.chunk_audio_latents,
    )

    def windows(draw: Draw) -> TrainingWindow:
        return window(config, ContextAugmentation(), seed=draw.step, batch=draw.batch)

    def sounds(draw: Draw, num_samples: int) -> torch.Tensor:
        return 0.1 * torch.randn(draw.batch, num_samples, generator=draw.generator())

    def frames(draw: Draw, num_frames: int) -> VideoBatch:
        rgbi = torch.rand(draw.batch, num_frames, 4, 32, 32, generator=draw.generator())
        return VideoBatch(frames=rgbi[:, :, :3] * 2 - 1, interest=rgbi[:, :, 3:])

    return [
        AudioVaeStage(AudioVae(config.audio_vae), sounds),
        VideoVaeStage(VideoVae(config.video_vae), frames),
        SpeechStage(orchestrator, JointDiT(config.dit, geometry), windows),
        TeacherStage(
            orchestrator,
            JointDiT(config.dit, geometry),
            config,
            windows,
            sensitivity=torch.eye(geometry.video_channels),
        ),
    ]


@pytest.mark.parametrize("number", range(4), ids=["audio_vae", "video_vae", "speech", "teacher"])
def test_a_stage_has_a_finite_loss_that_moves_its_weights(number: int) -> None:
    stage = stages(preset("tiny"))[number]
    loss, parts = stage(Draw(step=0, batch=4, seed=0))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(part) for name, part in parts.items() if name[-1] not in "0123")
    moved = [p for p in stage.parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    assert len(moved) > 5


@pytest.mark.parametrize("number", [0, 1], ids=["audio_vae", "video_vae"])
def test_latents_are_white_once_a_vae_is_finished(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stages(preset("tiny"))[number]
    whitening = stage.get_submodule(stage.name).get_submodule("whitening")
    assert isinstance(whitening, LatentNormalizer)
    measure, raw = whitening.measure, []
    monkeypatch.setattr(
        whitening, "measure", lambda latents: (raw.append(latents), measure(latents))
    )
    stage.finish()
    white = whitening.whiten(raw[0])
    assert white.mean(dim=0).abs().max() < 1e-3
    assert torch.allclose(white.std(dim=0), torch.ones(white.shape[1]), atol=1e-3)


@pytest.mark.parametrize("number", [2, 3], ids=["speech", "teacher"])
def test_a_chunk_may_hear_nothing_of_the_one_before(number: int) -> None:
    stage = stages(override(preset("tiny"), ["stream.motion_audio_latents=0"]))[number]
    loss, _ = stage(Draw(step=0, batch=2, seed=0))
    assert torch.isfinite(loss)


def test_noise_levels_lie_between_0_and_1_and_higher_with_a_shift() -> None:
    plain, shifted = (
        draw_sigma(2000, torch.Generator().manual_seed(0), shift) for shift in (1.0, 3.0)
    )
    assert 0 < plain.min() < plain.max() < 1
    assert shifted.mean() > plain.mean() + 0.1
