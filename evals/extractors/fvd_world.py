"""Features of what a drawn video looks like and how it moves, by the judge ``fvd_world``."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8

from evals.extractors.networks import judge_path
from evals.extractors.networks.fvd_world import DETAIL_PX, FEATURE_SIZE, embed, load_network, square
from evals.extractors.one_thread import one_thread


class FvdWorldExtractor:
    """Embeds clips that start at the first frame and every ``stride_frames`` after it.

    Neighbouring clips overlap, so that a jump between two frames is inside of some clip wherever
    it is; frames after the last whole clip are in none.

    Features: ``features`` [N, 64] and ``start_frame`` [N].

    Args:
        clip_frames: Frames in a clip.
        stride_frames: From one start to the next.
    """

    def __init__(self, *, clip_frames: int, stride_frames: int) -> None:
        self._network = load_network(judge_path("fvd_world"))
        self._clip_frames = clip_frames
        self._stride_frames = stride_frames
        self._held: list[np.ndarray] = []
        self._features: list[np.ndarray] = []

    def update(
        self, frames: UInt8[np.ndarray, "T H W 3"], upstream: Mapping[str, Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """Takes the next frames; clips do not depend on how they are batched."""
        for frame in frames:
            self._held.append(square([frame], DETAIL_PX)[0])
            if len(self._held) == self._clip_frames:
                self._embed()
                self._held = self._held[self._stride_frames :]
        return {}

    def finish(self) -> dict[str, np.ndarray]:
        """Returns the features of all whole clips."""
        count = len(self._features)
        return {
            "features": np.concatenate([np.zeros((0, FEATURE_SIZE), np.float32), *self._features]),
            "start_frame": self._stride_frames * np.arange(count),
        }

    @one_thread()
    def _embed(self) -> None:
        self._features.append(embed(self._network, [np.stack(self._held)]))
