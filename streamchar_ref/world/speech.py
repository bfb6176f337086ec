"""Transcript to speech with exact phoneme and word times, by one of two engines."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from streamchar_ref.world import espeak, piper
from streamchar_ref.world.checks import check_integers
from streamchar_ref.world.lexicon import read_text
from streamchar_ref.world.room import Room, place
from streamchar_ref.world.take import SILENCE, EngineOutput, Span
from streamchar_ref.world.voices import VOICES, Voice

SAMPLE_RATE = 16_000
PEAK = 0.9
MIN_RATE_WPM, MAX_RATE_WPM = 100.0, 220.0


@dataclass(frozen=True, kw_only=True)
class TimedPhoneme:
    """One speech sound, or a silence, in a waveform.

    Attributes:
        phone: ARPAbet name without stress, ``_`` for silence.
        t0_s: Start.
        t1_s: End; the next one starts there.
        word_index: Into the words of the same `Speech`; -1 for silence.
    """

    phone: str
    t0_s: float
    t1_s: float
    word_index: int


@dataclass(frozen=True, kw_only=True)
class TimedWord:
    """One word in a waveform.

    Attributes:
        text: Lower case, as spoken.
        t0_s: Start of its first phoneme.
        t1_s: End of its last phoneme.
    """

    text: str
    t0_s: float
    t1_s: float


@dataclass(frozen=True, kw_only=True)
class Speech:
    """A spoken transcript.

    Attributes:
        samples: Mono at 16 kHz in [-1, 1].
        phonemes: They tile the waveform from 0 to its end.
        words: In order.
    """

    samples: Float32[np.ndarray, " S"]
    phonemes: tuple[TimedPhoneme, ...]
    words: tuple[TimedWord, ...]

    @property
    def length_s(self) -> float:
        """Playing time."""
        return len(self.samples) / SAMPLE_RATE


def speak(
    transcript: str,
    *,
    voice: str = "joe",
    seed: int = 0,
    rate_wpm: float | None = None,
    room: Room | None = None,
    variation: float = 1.0,
) -> Speech:
    """Synthesises a transcript; equal arguments give equal bytes on one machine and build.

    Args:
        transcript: English text.
        voice: One of `VOICES`.
        seed: Of the small variations in timing and tone, and of the room.
        rate_wpm: Words per minute from the first to the last word, including pauses; accurate to
            2 % for at least twenty words; 120 to 200 is common. None for the voice's default.
        room: Echo and noise; None for none.
        variation: How much of a take's variations it keeps, breath included; with 0 every seed
            gives the same.

    Returns:
        The waveform with the times of all phonemes and words.

    Raises:
        ValueError: If there is no such voice or seed, or the rate is out of range.
        UnreadableText: If the transcript has no speakable words.
        EngineMissing: If the voice's engine is not installed.
        WeightsMissing: If the voice or the dictionary is not on this machine.
    """
    if voice not in VOICES:
        raise ValueError(f"unknown voice {voice!r}; known: {', '.join(VOICES)}")
    if rate_wpm is not None and not MIN_RATE_WPM <= rate_wpm <= MAX_RATE_WPM:
        limits = f"{MIN_RATE_WPM:g} to {MAX_RATE_WPM:g}"
        raise ValueError(f"rate_wpm must be {limits} words a minute, got {rate_wpm:g}")
    check_integers(0, seed=seed)
    rng = np.random.default_rng(seed) if variation == 1 else _Damped(seed, variation)
    sentences = read_text(transcript)
    engine = piper.say if VOICES[voice].engine == "piper" else espeak.say
    output = engine(sentences, VOICES[voice], rng, rate_wpm=rate_wpm)
    samples = _sound(output, VOICES[voice], rng)
    if room is not None:
        samples = _normalised(place(samples, room, rate=SAMPLE_RATE, seed=seed))
    return _timed_speech(samples, output, [word.text for part in sentences for word in part])


class _Damped(np.random.Generator):
    """Draws what the generator of a seed does, with smaller normal numbers."""

    def __init__(self, seed: int, share: float) -> None:
        super().__init__(np.random.PCG64(seed))
        self._share = share

    def standard_normal(self, *args: Any, **named: Any) -> Any:
        """Draws normal numbers of a standard deviation below 1."""
        return self._share * super().standard_normal(*args, **named)


def _sound(
    output: EngineOutput, voice: Voice, rng: np.random.Generator
) -> Float32[np.ndarray, " S"]:
    """Resamples to 16 kHz and applies formants, tilt and breath of the voice."""
    import soxr  # local: corpora are read where it is not installed

    from streamchar_ref.world.effects import colour

    length = sum(span.num_samples for span in output.spans)
    num_samples = math.ceil(length * SAMPLE_RATE / output.rate)
    samples = soxr.resample(output.wave, output.rate, SAMPLE_RATE).astype(np.float32)[:num_samples]
    samples = np.pad(samples, (0, num_samples - len(samples)))
    is_piper = voice.engine == "piper"  # its formants shifted with the pitch; eSpeak's are set
    coloured = colour(
        samples,
        rate=SAMPLE_RATE,
        formant=voice.formant / voice.pitch if is_piper else 1.0,
        tilt_db=voice.tilt_db,
        breath=voice.breath,
        pitch=voice.pitch,
        rng=rng,
    )
    return _normalised(coloured)


def _normalised(samples: Float32[np.ndarray, " S"]) -> Float32[np.ndarray, " S"]:
    return samples * np.float32(PEAK / np.abs(samples).max())


def _timed_speech(
    samples: Float32[np.ndarray, " S"], output: EngineOutput, texts: list[str]
) -> Speech:
    """Converts sample counts to seconds."""
    edges = (np.cumsum([0, *(span.num_samples for span in output.spans)]) / output.rate).tolist()
    phonemes = _timed(output.spans, edges)
    starts: dict[int, float] = {}
    ends: dict[int, float] = {}
    for phoneme in phonemes:
        starts.setdefault(phoneme.word_index, phoneme.t0_s)
        ends[phoneme.word_index] = phoneme.t1_s
    words = tuple(
        TimedWord(text=text, t0_s=starts[index], t1_s=ends[index])
        for index, text in enumerate(texts)
    )
    return Speech(samples=samples, phonemes=phonemes, words=words)


def _timed(spans: tuple[Span, ...], edges: list[float]) -> tuple[TimedPhoneme, ...]:
    """Returns phonemes with times; adjacent silences are merged."""
    timed: list[TimedPhoneme] = []
    for span, t0_s, t1_s in zip(spans, edges[:-1], edges[1:], strict=True):
        if timed and span.phone == timed[-1].phone == SILENCE:
            t0_s = timed.pop().t0_s
        timed.append(
            TimedPhoneme(phone=span.phone, t0_s=t0_s, t1_s=t1_s, word_index=span.word_index)
        )
    return tuple(timed)
