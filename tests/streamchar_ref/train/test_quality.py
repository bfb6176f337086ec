import csv
import math
import wave
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from streamchar_ref.loop.stage import Draw
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.text import read_phonemes
from streamchar_ref.networks.vae.mel import LogMel
from streamchar_ref.train.clips import DrawnClip
from streamchar_ref.train.pool import VideoBatch
from streamchar_ref.train.quality import audio_quality, pitch_of, psnr_db, regions, video_quality
from streamchar_ref.train.samples import (
    audio_samples,
    chunk_samples,
    mel_picture,
    speech_samples,
    video_samples,
    write_png,
)
from streamchar_ref.train.stages.audio_vae import AudioVaeStage
from streamchar_ref.train.stages.video_vae import VideoVaeStage
from streamchar_ref.world.clips import make_clip
from tests.streamchar_ref.tiny import random, tiny_model
from tests.streamchar_ref.train.test_windows import window

RATE = 16_000


@pytest.fixture(scope="module")
def model() -> StreamChar:
    return tiny_model()


@pytest.fixture(scope="module")
def drawn() -> DrawnClip:
    clip = make_clip("Go on.", identity=1, style="flat")
    return DrawnClip(
        clip=clip,
        text=read_phonemes("Go on."),
        prompt=clip.caption,
        frames=clip.window(0, 6, size=64),
        references=np.zeros((1, 64, 64, 3), np.uint8),
    )


def tone(hertz: float, seconds: float = 0.5) -> torch.Tensor:
    """A voice-like sound: ten harmonics, the higher the softer."""
    time = torch.arange(int(seconds * RATE)) / RATE
    return sum(0.3 / k * torch.sin(2 * np.pi * k * hertz * time) for k in range(1, 11)) / 2


def read_row(path: Path) -> dict[str, float]:
    with path.open() as file:
        (row,) = csv.DictReader(file)
    return {name: float(value) for name, value in row.items()}


def size_of(path: Path) -> tuple[int, int]:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    return frame.width, frame.height


def test_psnr_is_that_of_bytes() -> None:
    true = np.full((4, 4), 100, np.uint8)
    assert psnr_db(true + np.uint8(5), true) == pytest.approx(20 * math.log10(255 / 5))
    assert psnr_db(true, true) == math.inf


def test_regions_lie_in_each_other_and_follow_only_what_moves(drawn: DrawnClip) -> None:
    found = regions(drawn.clip, num_frames=4, size=64)
    shares = {name: region.mean() for name, region in found.items()}
    assert shares["picture"] == 1
    assert 0.005 < shares["lips"] < 0.1
    assert shares["lips"] < shares["face"] < 0.6
    assert found["face"][found["mouth"]].mean() > 0.8
    rows = [np.nonzero(found[name].any(axis=(0, 2)))[0].mean() for name in ("lips", "face")]
    assert rows[0] > rows[1], "the mouth is in the lower half of a face"


def test_a_fault_in_the_mouth_costs_the_mouth_most(
    drawn: DrawnClip, model: StreamChar, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(vae: object, frames: np.ndarray) -> tuple[np.ndarray, None]:
        lips = regions(drawn.clip, num_frames=len(frames), size=64)["lips"]
        return np.where(lips[..., None], 255 - frames, frames).astype(np.uint8), None

    monkeypatch.setattr("streamchar_ref.train.quality.reconstruct_video", spoilt)
    found = video_quality(model.video_vae, [drawn])
    assert (
        found["lips_psnr_db"]
        <= found["mouth_psnr_db"]
        < found["face_psnr_db"]
        < found["picture_psnr_db"]
    )


@pytest.mark.parametrize("hertz", [90.0, 182.5, 330.0, 470.0])
def test_the_pitch_of_a_voice_is_found(hertz: float) -> None:
    found, is_voiced = pitch_of(tone(hertz))
    assert is_voiced.all()
    assert (1200 * (found / hertz).log2()).abs().max() < 10


def test_noise_and_silence_have_no_pitch() -> None:
    assert not pitch_of(torch.zeros(8000))[1].any()
    assert pitch_of(0.1 * random(8000))[1].float().mean() < 0.05


def test_sound_that_comes_back_unchanged_has_no_error_and_a_higher_one_has(
    model: StreamChar, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = tone(200.0).numpy()
    monkeypatch.setattr("streamchar_ref.train.quality.reconstruct_audio", lambda vae, sound: sound)
    same = audio_quality(model.audio_vae, [true])
    assert same == pytest.approx(dict.fromkeys(same, 0.0))
    higher = tone(200.0 * 2 ** (1 / 12)).numpy()
    monkeypatch.setattr("streamchar_ref.train.quality.reconstruct_audio", lambda vae, sound: higher)
    off = audio_quality(model.audio_vae, [true])
    assert off["pitch_cents"] == pytest.approx(100, abs=5)
    assert off["voicing_errors"] == 0
    assert off["mel_distance"] > 0.1


def test_a_png_gives_back_its_pixels(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    write_png(tmp_path / "a.png", picture)
    with av.open(str(tmp_path / "a.png")) as container:
        found = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.array_equal(found, picture)


def test_a_mel_picture_has_low_tones_at_the_bottom() -> None:
    mel = LogMel()
    picture = mel_picture(mel, [tone(150.0).numpy(), tone(150.0).numpy()])
    upper, lower = picture[:80].mean(), picture[80:160].mean()
    assert lower > upper
    assert picture.shape[0] == 2 * 160 + 6


def nothing(draw: Draw, count: int) -> VideoBatch:
    raise AssertionError("samples are drawn of what is held out")


def test_the_video_stage_shows_truth_above_what_comes_back(
    drawn: DrawnClip, model: StreamChar, tmp_path: Path
) -> None:
    show = partial(video_samples, vae=model.video_vae, drawn=[drawn, drawn])
    VideoVaeStage(model.video_vae, nothing, show=show).log_samples(tmp_path)
    assert size_of(tmp_path / "samples.png") == (4 * 3 * 64, 4 * 3 * 64)  # 4 of 6 frames are whole
    found = read_row(tmp_path / "quality.csv")
    assert set(found) == {f"{name}_psnr_db" for name in ("picture", "face", "mouth", "lips")}
    assert all(0 < value < 40 for value in found.values())


def test_the_audio_stage_lets_hear_truth_and_what_comes_back(
    model: StreamChar, tmp_path: Path
) -> None:
    sounds = [tone(200.0, 0.5).numpy(), tone(150.0, 0.7).numpy()]
    show = partial(audio_samples, vae=model.audio_vae, sounds=sounds)
    AudioVaeStage(model.audio_vae, lambda draw, count: random(1), show=show).log_samples(tmp_path)
    for name in ("truth", "sample"):
        with wave.open(str(tmp_path / f"{name}.wav")) as file:
            assert file.getnframes() == (12 + 17) * 640
    assert set(read_row(tmp_path / "quality.csv")) == {
        "mel_distance", "spectral_distance", "pitch_cents", "voicing_errors"
    }  # fmt: skip
    assert size_of(tmp_path / "mel.png")[1] == 2 * 160 + 6


def test_a_stage_without_anything_held_out_writes_nothing(
    model: StreamChar, tmp_path: Path
) -> None:
    video_samples(tmp_path, model.video_vae, [])
    audio_samples(tmp_path, model.audio_vae, [])
    VideoVaeStage(model.video_vae, nothing).log_samples(tmp_path)
    assert not list(tmp_path.iterdir())


def test_chunks_and_speech_are_sampled_beside_the_truth(model: StreamChar, tmp_path: Path) -> None:
    shown = window(model.config, batch=2)
    chunk_samples(tmp_path, model, shown)
    assert size_of(tmp_path / "samples.png") == (9 * 5 * 32, 4 * 5 * 32)
    samples = {}
    for made in ("chunk", "speech"):
        with wave.open(str(tmp_path / "sample.wav")) as file:
            assert file.getnframes() == 2 * model.config.chunk_samples
            samples[made] = file.readframes(10_000)
        speech_samples(tmp_path, model, shown)
    assert samples["chunk"] != samples["speech"]
