"""How good the VAEs are on characters and utterances that they have not learned from.

Shape letters: T frames, H and W pixels, S samples, F spectrum frames.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

from streamchar_ref.networks.vae.audio import AudioVae
from streamchar_ref.networks.vae.convert import reconstruct_audio, reconstruct_video
from streamchar_ref.networks.vae.video import VideoVae
from streamchar_ref.train.clips import DrawnClip
from streamchar_ref.train.spectral import mel_loss, spectral_loss
from streamchar_ref.world.clips import Clip
from streamchar_ref.world.motion import MAX_GAP

AIMS = {"face_psnr_db": 32.0, "mouth_psnr_db": 28.0}
"""From here on, a VAE is no longer what limits the picture."""
_CALM = {"rounding": 0.0, "tuck": 0.0, "tongue": 0.0, "blink": 0.0, "brows": -1.0, "gaze": -1.0}
_LIVELY = {"blink": 1.0, "brows": 1.0, "gaze": 1.0}
_SHUT, _OPEN = _CALM | {"gap": 0.0}, _CALM | {"gap": MAX_GAP}
_NARROW, _WIDE = {"width": -1.0}, {"width": 1.0}
_SAME = 2
"""Grey levels: smaller changes are rounding."""

_PITCH_SAMPLES, _PITCH_HOP, _PITCH_HERTZ = 1024, 160, (60.0, 600.0)
_IS_VOICED, _OCTAVE_COST, _QUIET = 0.6, 0.02, 0.01


def video_quality(vae: VideoVae, drawn: Sequence[DrawnClip]) -> dict[str, float]:
    """Measures what is lost of a picture from encoder to decoder.

    Args:
        vae: Networks.
        drawn: Clips of characters that it has not learned from.

    Returns:
        Peak signal-to-noise ratio of the whole picture, the face, the mouth and the lips in dB:
        of all pixels of a clip together, then the mean over clips. See `regions` and `AIMS`.
    """
    found: dict[str, list[float]] = {}
    for clip in drawn:
        seen, _ = reconstruct_video(vae, clip.frames)
        true = clip.frames[: len(seen)]
        for name, region in regions(clip.clip, num_frames=len(true), size=true.shape[1]).items():
            found.setdefault(f"{name}_psnr_db", []).append(psnr_db(seen[region], true[region]))
    return {name: float(np.mean(values)) for name, values in found.items()}


def psnr_db(seen: UInt8[np.ndarray, " *shape"], true: UInt8[np.ndarray, " *shape"]) -> float:
    """Returns the peak signal-to-noise ratio of bytes in dB; infinite if they are the same."""
    error = float(np.square(seen.astype(np.float64) - true).mean())
    return 10 * math.log10(255**2 / error) if error else math.inf


def regions(clip: Clip, *, num_frames: int, size: int) -> dict[str, Bool[np.ndarray, "T H W"]]:
    """Finds face and mouth by drawing the clip again with another face.

    Args:
        clip: Of any style.
        num_frames: How many of its first frames.
        size: Width and height in pixels.

    Returns:
        ``picture``: all pixels. ``face``: the box around what changes in a frame when mouth, eyes
        and brows move. ``mouth``: what changes when the mouth alone does, from shut to as wide
        open as it gets, which the jaw follows. ``lips``: the box around what changes when lips
        widen, be they shut or open, with the jaw at rest. The last two with a hundredth of the
        picture around them.
    """

    def drawn(changes: Mapping[str, float]) -> np.ndarray:
        motion = clip.motion[:num_frames]
        held = {name: np.full(num_frames, value, np.float32) for name, value in changes.items()}
        other = replace(clip, motion=replace(motion, **held))
        return other.window(0, num_frames, size=size).astype(np.int16)

    shut, open_ = ((drawn(gap | _NARROW), drawn(gap | _WIDE)) for gap in (_SHUT, _OPEN))
    lively = drawn(_SHUT | _NARROW | _LIVELY)
    lips = _differ(*shut) | _differ(*open_)
    mouth = lips | _differ(shut[0], open_[0]) | _differ(shut[1], open_[1])
    around = math.ceil(size / 100)
    return {
        "picture": np.ones_like(mouth),
        "face": _boxed(mouth | _differ(shut[0], lively)),
        "mouth": _grown(mouth, around),
        "lips": _grown(_boxed(lips), around),
    }


def audio_quality(vae: AudioVae, sounds: Sequence[Float32[np.ndarray, " _"]]) -> dict[str, float]:
    """Measures what is lost of speech from encoder to decoder.

    Args:
        vae: Networks.
        sounds: Utterances that it has not learned from, each at least 0.1 s long.

    Returns:
        Means over utterances of ``mel_distance``, of log-mel spectrograms in nats, and
        ``spectral_distance``, see `spectral.spectral_loss`; over all frames, ``pitch_cents``, the
        median error of the pitch where both are voiced, and ``voicing_errors``, the share in
        which one of them is voiced and the other is not.
    """
    rows, cents, flips = [], [], []
    for sound in sounds:
        said = torch.from_numpy(reconstruct_audio(vae, sound))
        true = torch.from_numpy(sound[: len(said)])
        rows.append((_mel_distance(vae, said, true), float(spectral_loss(said[None], true[None]))))
        (said_hertz, is_said), (true_hertz, is_true) = pitch_of(said), pitch_of(true)
        cents.append((1200 * (said_hertz / true_hertz).log2()).abs()[is_said & is_true])
        flips.append((is_said != is_true).float())
    mel, spectral = np.mean(rows, axis=0)
    off = torch.cat(cents)
    return {
        "mel_distance": float(mel),
        "spectral_distance": float(spectral),
        "pitch_cents": float(off.median()) if len(off) else math.nan,
        "voicing_errors": float(torch.cat(flips).mean()),
    }


def pitch_of(
    samples: Float[Tensor, " S"], *, sample_rate: int = 16_000
) -> tuple[Float[Tensor, " F"], Bool[Tensor, " F"]]:
    """Finds the pitch of speech every 10 ms.

    Args:
        samples: Clean sound of one voice, at least 64 ms.
        sample_rate: Of the sound.

    Returns:
        Hertz of each frame, and whether it is voiced; the pitch of others means nothing.

    Source:
        Boersma, Accurate short-term analysis of the fundamental frequency, 1993, without the
        search for a path through the frames.
    """
    window = torch.hann_window(_PITCH_SAMPLES)
    frames = samples.unfold(0, _PITCH_SAMPLES, _PITCH_HOP)
    frames = frames - frames.mean(dim=1, keepdim=True)
    low, high = (round(sample_rate / hertz) for hertz in reversed(_PITCH_HERTZ))
    alike = _autocorrelation(frames * window) / _autocorrelation(window[None])
    lags = torch.arange(low, high + 1)
    best = (alike[:, lags] - _OCTAVE_COST * (lags / low).log2()).argmax(dim=1) + low
    before, peak, after = (alike.gather(1, (best + d)[:, None])[:, 0] for d in (-1, 0, 1))
    curve = before - 2 * peak + after
    shift = torch.where(curve < 0, 0.5 * (before - after) / curve.clamp(max=-1e-9), 0.0)
    is_loud = frames.square().mean(dim=1).sqrt() > _QUIET * samples.abs().max()
    return sample_rate / (best + shift.clamp(-1, 1)), (peak > _IS_VOICED) & is_loud


def _autocorrelation(frames: Float[Tensor, "F W"]) -> Float[Tensor, "F W"]:
    """Autocorrelation at all lags, 1 at none; 0 where there is no sound."""
    length = frames.shape[1]
    spectrum = torch.fft.rfft(frames, n=2 * length)
    found = torch.fft.irfft(spectrum.abs().square())[:, :length]
    return found / found[:, :1].clamp_min(1e-9)


def _mel_distance(vae: AudioVae, said: Float[Tensor, " S"], true: Float[Tensor, " S"]) -> float:
    device = vae.whitening.mean.device
    return float(mel_loss(vae.encoder.mel, said[None].to(device), true[None].to(device)))


def _differ(a: np.ndarray, b: np.ndarray) -> Bool[np.ndarray, "T H W"]:
    return (np.abs(a - b) > _SAME).any(axis=-1)


def _boxed(region: Bool[np.ndarray, "T H W"]) -> Bool[np.ndarray, "T H W"]:
    """Returns the smallest upright box around the region of each frame."""
    rows, columns = (_filled(np.asarray(region.any(axis=axis))) for axis in (2, 1))
    return rows[:, :, None] & columns[:, None, :]


def _filled(line: Bool[np.ndarray, "T N"]) -> Bool[np.ndarray, "T N"]:
    """Fills from the first to the last that is set."""
    begun = np.logical_or.accumulate(line, axis=1)
    return begun & np.logical_or.accumulate(line[:, ::-1], axis=1)[:, ::-1]


def _grown(region: Bool[np.ndarray, "T H W"], pixels: int) -> Bool[np.ndarray, "T H W"]:
    near = F.max_pool2d(torch.from_numpy(region).float(), 2 * pixels + 1, 1, pixels)
    return near.numpy() > 0
