"""One playable piece of a stream.

Shape letters: T frames, H and W pixels, S audio samples.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8


class MediaError(ValueError):
    """A file, or what a system streamed, cannot be used as picture and sound; says why."""


@dataclass(frozen=True, kw_only=True)
class AVChunk:
    """One playable piece of a stream; when it arrived is noted by who receives it.

    Attributes:
        index: Position in the stream, from 0.
        frames: RGB frames.
        samples: Mono waveform in [-1, 1].
        spoken: Phonemes of the transcript begun by the end of the chunk, by the system's own
            account, counted as `streamchar_ref.networks.text.read_phonemes` counts. The one that is
            being said may count by the share that has been said. What it skips counts as passed,
            what it repeats is not counted again, so that it never falls within a stream. ``None``
            in all chunks of a system that keeps no account.
    """

    index: int
    frames: UInt8[np.ndarray, "T H W 3"]
    samples: Float32[np.ndarray, " S"]
    spoken: float | None = None
