"""Samples of a stage that a person can look at and listen to, with nothing but numpy and zlib.

Shape letters: T frames, H and W pixels, S samples, N clips or windows.
"""

import csv
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from streamchar_ref.media.wav import write_wav
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.networks.vae.audio import AudioVae
from streamchar_ref.networks.vae.convert import (
    reconstruct_audio,
    reconstruct_video,
    to_uint8,
    to_wave,
)
from streamchar_ref.networks.vae.mel import LogMel
from streamchar_ref.networks.vae.video import VideoVae
from streamchar_ref.sampling.condition import prefill
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.sampling.flow import Latents
from streamchar_ref.sampling.orders import SOUND_GIVEN, sample_in_order
from streamchar_ref.sampling.sampler import sample_chunk
from streamchar_ref.train.augmentation import ContextAugmentation
from streamchar_ref.train.clips import DrawnClip
from streamchar_ref.train.quality import (
    audio_quality,
    video_quality,
)
from streamchar_ref.train.windows import TrainingWindow

CLEAN = ContextAugmentation(
    first_chunk=0,
    motion_noise=0,
    motion_drop=0,
    sink_drop=0,
    reference_drop=0,
    prompt_drop=0,
    history_sigma=0,
    history_drop=0,
    pointer_off=0,
    text_cut=0,
)
"""A stream whose past is perfect."""
NUM_STEPS = 12
"""Of a preview; with `ab2` about as close to the exact solution as 20 of Euler."""
_COLUMNS, _ROWS, _TILE = 8, 4, 160
_SOUNDS, _SECONDS = 3, 3
_GAP = 6
_PALETTE = np.array([(0, 0, 20), (70, 20, 110), (190, 50, 90), (250, 150, 40), (255, 255, 200)])


def video_samples(folder: Path, vae: VideoVae, drawn: Sequence[DrawnClip]) -> None:
    """Shows what comes back of clips, and how good it is.

    Args:
        folder: Gets ``samples.png``, where each clip is above what comes back of it, and
            ``quality.csv``.
        vae: Networks.
        drawn: Clips that it has not learned from; the figures are of all, the picture of the
            first. Without any, nothing is written.
    """
    if not drawn:
        return
    rows = []
    for clip in drawn[:_ROWS]:
        seen, _ = reconstruct_video(vae, clip.frames)
        rows += [_chosen(clip.frames[: len(seen)]), _chosen(seen)]
    write_png(folder / "samples.png", strip(rows))
    write_row(folder / "quality.csv", video_quality(vae, drawn))


def audio_samples(folder: Path, vae: AudioVae, sounds: Sequence[Float32[np.ndarray, " _"]]) -> None:
    """Lets hear what comes back of utterances, and says how good it is.

    Args:
        folder: Gets ``truth.wav``, ``sample.wav``, ``mel.png``, the truth above, and
            ``quality.csv``.
        vae: Networks.
        sounds: Utterances that it has not learned from; the figures are of all, the sound is of
            the first. Without any, nothing is written.
    """
    if not sounds:
        return
    true = [sound[: _SECONDS * vae.config.sample_rate] for sound in sounds[:_SOUNDS]]
    said = [reconstruct_audio(vae, sound) for sound in true]
    true = [sound[: len(same)] for sound, same in zip(true, said, strict=True)]
    _write_sounds(folder, vae, np.concatenate(true), np.concatenate(said))
    write_row(folder / "quality.csv", audio_quality(vae, sounds))


@torch.no_grad()
def chunk_samples(folder: Path, model: StreamChar, window: TrainingWindow) -> None:
    """Draws a chunk of each window and shows it below the truth.

    Args:
        folder: Gets ``samples.png``, whose first column is the reference picture, ``mel.png``,
            ``truth.wav`` and ``sample.wav``; the truth has gone through the VAEs, too.
        model: Networks.
        window: Of clips that the model has not learned from.
    """
    true = (window.video, window.audio)
    _, sample = sample_in_order(
        model,
        window.inputs,
        window.context,
        _sampler(model),
        partial(_noise, true),
        order=model.config.order,
        sound=window.audio if model.config.order == SOUND_GIVEN else None,
    )
    reference, _ = model.video_vae.decode(window.context.reference)
    truth, drawn = (_frames(model, window, x[0]) for x in (true, sample))
    rows = []
    for first, *both in zip(reference[:, -1:], truth, drawn, strict=True):
        rows += [np.concatenate([to_uint8(first), _chosen(to_uint8(x))]) for x in both]
    write_png(folder / "samples.png", strip(rows))
    _write_sounds(folder, model.audio_vae, *(_sound(model, window, x[1]) for x in (true, sample)))


@torch.no_grad()
def speech_samples(folder: Path, model: StreamChar, window: TrainingWindow) -> None:
    """Lets hear what is said in each window without a picture.

    Args:
        folder: Gets ``mel.png``, ``truth.wav`` and ``sample.wav``.
        model: Networks, trained on speech.
        window: Of clips that the model has not learned from.
    """
    condition = prefill(model, window.inputs, window.context, sound_only=True)
    (said,) = sample_chunk(condition, _sampler(model), partial(_noise, (window.audio,)))
    sounds = (_sound(model, window, latents) for latents in (window.audio, said))
    _write_sounds(folder, model.audio_vae, *sounds)


def strip(rows: Sequence[UInt8[np.ndarray, "T H W 3"]]) -> UInt8[np.ndarray, "_ _ 3"]:
    """Lays frames side by side, one row under the other, large enough to be looked at."""
    factor = max(1, -(-_TILE // rows[0].shape[1]))
    lines = [np.concatenate(list(row), axis=1) for row in rows]
    return np.concatenate(lines).repeat(factor, axis=0).repeat(factor, axis=1)


def mel_picture(
    mel: LogMel, sounds: Sequence[Float32[np.ndarray, " _"]]
) -> UInt8[np.ndarray, "_ _ 3"]:
    """Paints spectrograms one under the other, low tones at the bottom, on one scale."""
    device = mel.get_buffer("filters").device
    found = [mel(torch.from_numpy(sound)[None].to(device))[0].cpu().numpy() for sound in sounds]
    low, high = np.quantile(found[0], 0.02), found[0].max() + 1e-6
    lines: list[np.ndarray] = []
    for bands in found:
        height = np.clip((bands[::-1] - low) / (high - low), 0, 1) * (len(_PALETTE) - 1)
        knots = np.arange(len(_PALETTE))
        rgb = np.stack([np.interp(height, knots, channel) for channel in _PALETTE.T], axis=-1)
        lines += [rgb.repeat(2, axis=0), np.full((_GAP, rgb.shape[1], 3), 255)]
    return np.concatenate(lines[:-1]).round().astype(np.uint8)


def write_png(path: Path, picture: UInt8[np.ndarray, "H W 3"]) -> None:
    """Writes a PNG of RGB bytes."""
    height, width = picture.shape[:2]
    lines = np.zeros((height, 1 + 3 * width), np.uint8)  # each begins with its filter: none
    lines[:, 1:] = picture.reshape(height, -1)
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0),
        b"IDAT": zlib.compress(lines.tobytes(), 6),
        b"IEND": b"",
    }
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in parts.items():
        content += struct.pack(">I", len(data)) + name + data
        content += struct.pack(">I", zlib.crc32(name + data))
    path.write_bytes(content)


def write_row(path: Path, figures: Mapping[str, float]) -> None:
    """Writes figures as a CSV of one row."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, figures)
        writer.writeheader()
        writer.writerow({name: f"{value:.5g}" for name, value in figures.items()})


def _chosen(frames: UInt8[np.ndarray, "T H W 3"]) -> UInt8[np.ndarray, "_ H W 3"]:
    """Some of the frames, evenly spaced."""
    at = np.linspace(0, len(frames) - 1, min(_COLUMNS, len(frames)))
    return frames[at.round().astype(int)]


def _noise(like: Latents) -> Latents:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(x.shape, generator=generator).to(x) for x in like)


def _sampler(model: StreamChar) -> SamplerConfig:
    """The checkpoint's sampler at the cost of a preview: the same curve in fewer steps."""
    fewer = min(NUM_STEPS, model.config.sampler.required("num_steps"))
    return replace(model.config.sampler, kind="ab2", num_steps=fewer)


def _frames(
    model: StreamChar, window: TrainingWindow, video: Float[Tensor, "N F C h w"]
) -> Float[Tensor, "N T 3 H W"]:
    """Decodes chunks behind the true latents before them."""
    seen, _ = model.video_vae.decode(torch.cat([window.context.motion_video, video], dim=1))
    return seen[:, -model.config.stream.chunk_frames :]


def _sound(
    model: StreamChar, window: TrainingWindow, audio: Float[Tensor, "N A Ca"]
) -> Float32[np.ndarray, " S"]:
    """Decodes chunks behind the true latents before them; returns one after the other."""
    heard, _ = model.audio_vae.decode(torch.cat([window.context.motion_audio, audio], dim=1))
    return to_wave(heard[:, -model.config.chunk_samples :].flatten())


def _write_sounds(
    folder: Path,
    vae: AudioVae,
    true: Float32[np.ndarray, " S"],
    said: Float32[np.ndarray, " _"],
) -> None:
    rate = vae.config.sample_rate
    write_wav(folder / "truth.wav", true.clip(-1, 1), sample_rate=rate)
    write_wav(folder / "sample.wav", said.clip(-1, 1), sample_rate=rate)
    write_png(folder / "mel.png", mel_picture(vae.encoder.mel, [true, said]))
