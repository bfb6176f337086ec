"""Floor baseline: the reference picture, held still, in silence.

It is perfect on identity and hopeless on speech, so a table in which it does not score that way
has a broken metric.
"""

import math
from collections.abc import Iterator

import numpy as np

from evals.recording.role import Role
from evals.recording.system import Prompt
from streamchar_ref.media import AVChunk


class StaticPortrait:
    """The reference picture, held still, in silence.

    Args:
        words_per_s: Speaking rate that sets the length of the video.
        chunk_frames: Frames in a chunk.
    """

    name = "static_portrait"
    role = Role.FLOOR
    fps = 25
    sample_rate = 16_000
    is_silent = True

    def __init__(self, *, words_per_s: float = 2.5, chunk_frames: int = 32) -> None:
        if words_per_s <= 0 or chunk_frames < 1:
            raise ValueError("words_per_s must be positive and chunk_frames at least 1")
        self.words_per_s = words_per_s
        self.chunk_frames = chunk_frames

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        """Yields copies of the reference; ``seed`` is ignored, nothing here is random."""
        length_s = len(prompt.transcript.split()) / self.words_per_s
        num_frames = max(1, math.ceil(length_s * self.fps))
        for index, start in enumerate(range(0, num_frames, self.chunk_frames)):
            count = min(self.chunk_frames, num_frames - start)
            yield AVChunk(
                index=index,
                frames=np.repeat(prompt.reference[None], count, axis=0),
                samples=np.zeros(count * self.sample_rate // self.fps, np.float32),
            )
