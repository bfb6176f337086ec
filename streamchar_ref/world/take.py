"""Output of a speech engine: sound with its division into phonemes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from streamchar_ref.core.errors import InputError

SILENCE = "_"


class EngineMissing(InputError):
    """A speech engine is not installed; the message names the extra to install."""


@dataclass(frozen=True)
class Span:
    """Length of a phoneme or silence.

    Attributes:
        phone: ARPAbet name without stress, ``_`` for silence.
        word_index: Into the words of the transcript; -1 for silence.
        num_samples: Length.
    """

    phone: str
    word_index: int
    num_samples: int


@dataclass(frozen=True)
class EngineOutput:
    """A synthesised transcript.

    Attributes:
        wave: Mono, at the engine's level.
        spans: They tile the wave.
        rate: Samples per second.
    """

    wave: Float32[np.ndarray, " S"]
    spans: tuple[Span, ...]
    rate: float


def silence(length_s: float, rate: float) -> tuple[Float32[np.ndarray, " S"], Span]:
    """Returns silence and its span."""
    num_samples = round(length_s * rate)
    return np.zeros(num_samples, np.float32), Span(SILENCE, -1, num_samples)


def words_per_minute(spans: tuple[Span, ...], rate: float) -> float:
    """Measures the speaking rate from the first to the last word, including pauses."""
    voiced = [index for index, span in enumerate(spans) if span.phone != SILENCE]
    inside = spans[voiced[0] : voiced[-1] + 1]
    num_words = 1 + max(span.word_index for span in inside)
    return 60 * num_words * rate / sum(span.num_samples for span in inside)
