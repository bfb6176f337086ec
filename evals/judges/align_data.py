"""Examples for `align_world`: sentences in the voices of a style, some vocoded.

Shape letters: B stretches, H mel frames of 10 ms, M mel bands, S samples, P phonemes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from evals.extractors.mel import mel_filters
from evals.extractors.networks.align_world import NUM_MELS
from evals.extractors.networks.sound import damaged, log_mel, masked, mel_power
from evals.text.progress import FIRST_FRAME_S, FRAMES_PER_S, PHONES
from streamchar_ref.world.room import draw_room
from streamchar_ref.world.script import write_script
from streamchar_ref.world.speech import SILENCE, Speech, speak
from streamchar_ref.world.styles import STYLES

SHARE_OF_VOCODER = 0.35
SHARE_OF_ROOMS = 0.4
TRACT = 0.06  # its voices are known
LEAST_SNR_DB = 15.0
WORDS_A_SENTENCE = 12
_FFT, _HOP, _VOCODER_MELS = 1024, 256, 80


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """Mel power of speech with its phoneme labels.

    Attributes:
        power: Mel power, every 10 ms.
        phones: Classes of the recogniser, from 1.
        spans_s: Start and end of each phoneme.
    """

    power: Float32[np.ndarray, "H M"]
    phones: Int64[np.ndarray, " P"]
    spans_s: Float[np.ndarray, "P 2"]


def spoken_sentences(style: str, *, seed: int) -> Iterator[Sentence]:
    """Yields random texts without end, in the voices of a style in turn."""
    rng = np.random.default_rng([seed, 0xA1])
    voices = STYLES[style].voices
    number = 0
    while True:
        speech = speak(
            write_script(int(rng.integers(2**31)), num_words=WORDS_A_SENTENCE),
            voice=voices[number % len(voices)],
            seed=int(rng.integers(2**31)),
            rate_wpm=float(rng.uniform(110, 215)),
            room=draw_room(int(rng.integers(2**31))) if rng.random() < SHARE_OF_ROOMS else None,
        )
        number += 1
        samples = speech.samples
        if rng.random() < SHARE_OF_VOCODER:
            samples = vocoded(samples, rng, rounds=int(rng.integers(0, 6)))
        yield label_sentence(speech, samples)


def label_sentence(speech: Speech, samples: Float32[np.ndarray, " S"]) -> Sentence:
    """Computes mel power and the phoneme labels of a sentence."""
    sounds = [phoneme for phoneme in speech.phonemes if phoneme.phone != SILENCE]
    return Sentence(
        power=mel_power(samples, num_mels=NUM_MELS),
        phones=np.array([PHONES.index(sound.phone) + 1 for sound in sounds], np.int64),
        spans_s=np.array([(sound.t0_s, sound.t1_s) for sound in sounds]).reshape(-1, 2),
    )


@torch.inference_mode()
def vocoded(
    samples: Float32[np.ndarray, " S"], rng: np.random.Generator, *, rounds: int
) -> Float32[np.ndarray, " S"]:
    """Reconstructs speech from its mel spectrogram by Griffin-Lim, as a vocoder would.

    Args:
        samples: At 16 kHz.
        rng: Of the initial phases.
        rounds: Of Griffin-Lim; 0 leaves the phases random.

    Returns:
        As many samples.

    Source:
        Griffin and Lim, "Signal estimation from modified short-time Fourier transform", 1984.
    """
    window = torch.hann_window(_FFT)
    filters = torch.from_numpy(mel_filters(_FFT, _VOCODER_MELS)).float()

    def analyze(sound: Tensor) -> Tensor:
        return torch.stft(sound, _FFT, _HOP, window=window, return_complex=True)

    def synthesize(spectrum: Tensor) -> Tensor:
        return torch.istft(spectrum, _FFT, _HOP, window=window, length=len(samples))

    power = filters @ analyze(torch.from_numpy(samples)).abs().square()
    magnitude = (torch.linalg.pinv(filters) @ power).clamp_min(0).sqrt()
    phase = torch.from_numpy(rng.uniform(0, 2 * np.pi, magnitude.shape)).float()
    sound = synthesize(torch.polar(magnitude, phase))
    for _ in range(rounds):
        sound = synthesize(torch.polar(magnitude, analyze(sound).angle()))
    return sound.numpy()


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Stretches of equal length, with where each phoneme may be emitted.

    Attributes:
        features: Log-mel.
        phones: Classes, all stretches one after the other.
        num_phones: Of each stretch.
        may_emit: Whether a class may be emitted in a frame of 20 ms; blank always may.
        sounding: Class of the phoneme that sounds in each frame; 0 for silence.
    """

    features: Float[Tensor, "B H M"]
    phones: Int64[Tensor, " N"]
    num_phones: Int64[Tensor, " B"]
    may_emit: Tensor
    sounding: Int64[Tensor, "B T"]


def draw_batch(
    sentences: Sequence[Sentence],
    generator: torch.Generator,
    *,
    size: int,
    num_mel_frames: int,
    tolerance_s: float = 0.04,
    is_damaged: bool = True,
) -> Batch:
    """Draws stretches of sentences, each faster or slower and damaged in its own way.

    Args:
        sentences: To draw from; short ones are filled up with silence.
        generator: Of all random draws.
        size: Stretches.
        num_mel_frames: Of each.
        tolerance_s: By how much an emission may lie outside its phoneme.
        is_damaged: Whether to change them at all.

    Returns:
        A batch.
    """
    power, phones, masks, sounding = [], [], [], []
    for index in torch.randint(len(sentences), (size,), generator=generator).tolist():
        sentence = sentences[index]
        rate = float(0.85 + 0.3 * torch.rand((), generator=generator)) if is_damaged else 1.0
        longest = max(1, round(len(sentence.power) / rate) - num_mel_frames // 2)
        start = int(torch.randint(longest, (1,), generator=generator)) if is_damaged else 0
        power.append(_stretched(sentence.power, start, rate, num_mel_frames))
        spans_s = sentence.spans_s / rate - start / 100
        sounding.append(_sounding(sentence.phones, spans_s, num_mel_frames // 2))
        inside = (spans_s.mean(axis=1) > 0.02) & (spans_s.mean(axis=1) < num_mel_frames / 100)
        phones.append(torch.from_numpy(sentence.phones[inside]))
        masks.append(_may_emit(phones[-1], spans_s[inside], num_mel_frames // 2, tolerance_s))
    sound = torch.stack(power)
    if is_damaged:
        sound = damaged(sound, generator, tract=TRACT, least_snr_db=LEAST_SNR_DB)
    features = log_mel(sound)
    return Batch(
        features=masked(features, generator) if is_damaged else features,
        phones=torch.cat(phones),
        num_phones=torch.tensor([len(each) for each in phones]),
        may_emit=torch.stack(masks),
        sounding=torch.from_numpy(np.stack(sounding)),
    )


def _stretched(
    power: Float32[np.ndarray, "H M"], start: int, rate: float, num_frames: int
) -> Float[Tensor, "H2 M"]:
    """Cuts ``num_frames`` from what plays at another rate; silence after the end."""
    place = (start + np.arange(num_frames)) * rate
    low = np.floor(place).astype(int)
    share = (place - low)[:, None].astype(np.float32)
    padded = np.pad(power, ((0, max(0, int(low[-1]) + 2 - len(power))), (0, 0)))
    return torch.from_numpy(padded[low] * (1 - share) + padded[low + 1] * share)


def _sounding(
    phones: Int64[np.ndarray, " P"], spans_s: Float[np.ndarray, "P 2"], num_frames: int
) -> Int64[np.ndarray, " T"]:
    times_s = FIRST_FRAME_S + np.arange(num_frames) / FRAMES_PER_S
    place = np.searchsorted(spans_s[:, 0], times_s, side="right") - 1
    is_inside = (place >= 0) & (times_s < spans_s[place, 1])
    return np.where(is_inside, phones[place], 0)


def _may_emit(
    phones: Int64[Tensor, " P"],
    spans_s: Float[np.ndarray, "P 2"],
    num_frames: int,
    tolerance_s: float,
) -> Tensor:
    allowed = torch.zeros(num_frames, len(PHONES) + 1, dtype=torch.bool)
    allowed[:, 0] = True
    first = np.floor((spans_s[:, 0] - tolerance_s) * 50).clip(0)
    last = np.ceil((spans_s[:, 1] + tolerance_s) * 50) + 1
    for phone, start, stop in zip(phones.tolist(), first, last, strict=True):
        allowed[int(start) : int(stop), phone] = True
    return allowed
