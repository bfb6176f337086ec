"""Features of single frames by FID's Inception-v3, whose weights are had by path.

Shape letters: T frames, H and W pixels.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8

from evals.extractors.by_path import own_weights
from evals.extractors.networks.inception import (
    FEATURE_SIZE,
    Resize,
    embed_pictures,
    load_inception,
)
from evals.recording.rates import FPS


class InceptionExtractor:
    """Embeds frames; features ``features`` [N, 2048] and ``frame`` [N].

    Args:
        resize: See `inception_input`.
        frames_per_s: 25 is every frame, as lip-sync papers dump them.
    """

    def __init__(self, *, resize: Resize, frames_per_s: float) -> None:
        self._network = load_inception(str(own_weights("inception")))
        self._resize: Resize = resize
        self._step = FPS / frames_per_s
        self._num_frames = 0
        self._frames: list[int] = []
        self._features = [np.zeros((0, FEATURE_SIZE), np.float32)]

    def update(
        self, frames: UInt8[np.ndarray, "T H W 3"], upstream: Mapping[str, Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """Embeds the frames that are due."""
        for row, frame in enumerate(frames):
            if self._num_frames + row >= round(len(self._frames) * self._step):
                self._features.append(embed_pictures(self._network, frame[None], self._resize))
                self._frames.append(self._num_frames + row)
        self._num_frames += len(frames)
        return {}

    def finish(self) -> dict[str, np.ndarray]:
        """Returns the features of all frames that were due."""
        return {
            "features": np.concatenate(self._features),
            "frame": np.array(self._frames, np.int64),
        }
