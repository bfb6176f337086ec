"""One playable piece of a stream.

Shape letters: T frames, H and W pixels, S audio samples.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8


class MediaError(ValueError):
    """A file or a stream cannot be used as video and audio; the message says why."""


@dataclass(frozen=True, kw_only=True)
class AVChunk:
    """One playable piece of a stream; its receiver records when it arrived.

    Attributes:
        index: Position in the stream, from 0.
        frames: RGB frames.
        samples: Mono waveform in [-1, 1].
        spoken: Phonemes of the transcript begun by the end of the chunk, as reported by the
            system and counted as by `streamchar_ref.networks.text.read_phonemes`. The current
            phoneme may count as a fraction. Skipped phonemes count, repeated ones do not count
            again, so the count never decreases. ``None`` in all chunks of a system that does not
            report it.
    """

    index: int
    frames: UInt8[np.ndarray, "T H W 3"]
    samples: Float32[np.ndarray, " S"]
    spoken: float | None = None
