"""Splits a video into clips of equal length and embeds each; subclasses provide the network.

Shape letters: T frames, H and W pixels.
"""

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8


class ClipFeatures:
    """Embeds clips that start every ``stride_frames``; frames after the last full clip are dropped.

    Features: ``features`` [N, D] and ``start_frame`` [N].

    Args:
        clip_frames: Frames per clip.
        stride_frames: From one start to the next.
        feature_size: D.
    """

    def __init__(self, *, clip_frames: int, stride_frames: int, feature_size: int) -> None:
        self._clip_frames = clip_frames
        self._stride_frames = stride_frames
        self._pending: list[np.ndarray] = []
        self._features = [np.zeros((0, feature_size), np.float32)]

    def prepare(self, frame: UInt8[np.ndarray, "H W 3"]) -> np.ndarray:
        """Returns what is buffered of a frame; by default the frame."""
        return frame

    @abstractmethod
    def embed(self, frames: np.ndarray) -> np.ndarray:
        """Embeds the prepared frames of a clip, [T, ...] -> [1, D]."""

    def update(
        self, frames: UInt8[np.ndarray, "T H W 3"], upstream: Mapping[str, Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """Adds frames; clips do not depend on how frames are batched."""
        for frame in frames:
            self._pending.append(self.prepare(frame))
            if len(self._pending) == self._clip_frames:
                self._features.append(self.embed(np.stack(self._pending)))
                self._pending = self._pending[self._stride_frames :]
        return {}

    def finish(self) -> dict[str, np.ndarray]:
        """Returns the features of all full clips."""
        features = np.concatenate(self._features)
        return {
            "features": features,
            "start_frame": self._stride_frames * np.arange(len(features)),
        }
