"""Video features of the judge ``fvd_world``, trained on drawn videos."""

import numpy as np
from jaxtyping import UInt8

from evals.extractors.clip_features import ClipFeatures
from evals.extractors.networks import judge_path
from evals.extractors.networks.fvd_world import DETAIL_PX, FEATURE_SIZE, embed, load_network, square
from streamchar_ref.core.one_thread import one_thread


class FvdWorldExtractor(ClipFeatures):
    """Embeds overlapping clips, so that a jump between any two frames lies inside some clip.

    Features as of `ClipFeatures`, with D = 64.

    Args:
        clip_frames: Frames per clip.
        stride_frames: From one start to the next.
    """

    def __init__(self, *, clip_frames: int, stride_frames: int) -> None:
        super().__init__(
            clip_frames=clip_frames, stride_frames=stride_frames, feature_size=FEATURE_SIZE
        )
        self._network = load_network(judge_path("fvd_world"))

    def prepare(self, frame: UInt8[np.ndarray, "H W 3"]) -> np.ndarray:
        """Scales a frame to the network's square input."""
        return square([frame], DETAIL_PX)[0]

    @one_thread()
    def embed(self, frames: np.ndarray) -> np.ndarray:
        """Embeds one clip."""
        return embed(self._network, [frames])
