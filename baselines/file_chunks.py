"""A finished file as chunks."""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float32, UInt8

from streamchar_ref.media import AVChunk

LONGEST_PADDING_S = 0.1
"""Less is a codec's last frame; what is missing beyond is not made up for."""


def file_chunks(
    batches: Iterable[UInt8[np.ndarray, "_T _H _W 3"]],
    samples: Float32[np.ndarray, " _S"],
    *,
    fps: int,
    sample_rate: int,
) -> Iterator[AVChunk]:
    """Puts to each batch of frames the sound that goes with it; nothing is cut off.

    Args:
        batches: Frames in order.
        samples: Mono waveform from the first frame on.
        fps: Of the frames.
        sample_rate: Of the samples.

    Yields:
        A chunk a batch. Sound that goes on after the picture is in the last one; sound that ends
        before it is padded if less than 0.1 s is missing.
    """
    shown = done = 0
    held: tuple[int, np.ndarray] | None = None
    for index, batch in enumerate(batches):
        if held is not None:
            end = round(shown * sample_rate / fps)
            yield AVChunk(index=held[0], frames=held[1], samples=samples[done:end])
            done = end
        held, shown = (index, batch), shown + len(batch)
    if held is not None:
        missing = round(shown * sample_rate / fps) - len(samples)
        padding = missing if 0 < missing < LONGEST_PADDING_S * sample_rate else 0
        rest = np.pad(samples[done:], (0, padding))
        yield AVChunk(index=held[0], frames=held[1], samples=rest)
