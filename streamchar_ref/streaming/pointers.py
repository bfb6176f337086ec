"""What moves the transcript window of a stream: the model's own pointer, or a baseline.

Shape letters: S audio samples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from streamchar_ref.networks.text import PhonemeText


@dataclass(frozen=True, kw_only=True)
class ChunkObservation:
    """A chunk that has just been made, as a pointer sees it.

    Attributes:
        text: As much of the transcript as was known.
        position: Phonemes said before the chunk, by the pointer's own account.
        advance: Phonemes that it says, by the model's account.
        samples: Its audio, mono in [-1, 1].
        length_s: Its length.
    """

    text: PhonemeText
    position: float
    advance: float
    samples: Float32[np.ndarray, " S"]
    length_s: float


PointerFn = Callable[[ChunkObservation], float]
"""Says how many phonemes a chunk has said; asked once a chunk, in their order. It moves the
transcript window and nothing else: whether all has been said is the model's own judgement."""


def own_pointer(chunk: ChunkObservation) -> float:
    """Believes the model."""
    return chunk.advance


def fixed_rate(phonemes_per_s: float) -> PointerFn:
    """Moves on evenly, whatever is said: the paper's model without progress-aware pointer.

    Args:
        phonemes_per_s: How fast.

    Returns:
        The pointer.

    Raises:
        ValueError: If it would stand still or go back.
    """
    if not phonemes_per_s > 0:
        raise ValueError(f"phonemes_per_s must be positive, it is {phonemes_per_s}")
    return lambda chunk: phonemes_per_s * chunk.length_s
