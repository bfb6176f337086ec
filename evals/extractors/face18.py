"""Embeddings of single faces in every frame, by the network of VBench-2.0's human identity.

Shape letters: T frames, N embedded frames, H and W pixels.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, UInt8

from evals.extractors.by_path import own_weights
from evals.extractors.networks.face18 import FEATURE_SIZE, embed_face, load_face18


class Face18Extractor:
    """Features ``embedding`` [N, 1024] of unit length and ``frame`` [N] of frames with one face."""

    def __init__(self) -> None:
        self._network = load_face18(str(own_weights("face18")))
        self._num_frames = 0
        self._frames: list[int] = []
        self._rows: list[np.ndarray] = []

    def update(
        self, frames: UInt8[np.ndarray, "T H W 3"], upstream: Mapping[str, Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """Embeds the face of each of the next frames that shows exactly one."""
        faces = upstream["face"]
        for row, frame in enumerate(frames):
            if faces["num_faces"][row] == 1 and faces["has_mesh"][row]:
                cut = cut_box(frame, faces["box"][row])
                if cut.size:
                    self._frames.append(self._num_frames + row)
                    self._rows.append(embed_face(self._network, cut))
        self._num_frames += len(frames)
        return {}

    def finish(self) -> dict[str, np.ndarray]:
        """Returns the embeddings of all such frames."""
        return {
            "embedding": np.array(self._rows, np.float32).reshape(-1, FEATURE_SIZE),
            "frame": np.array(self._frames, np.int32),
        }


def cut_box(
    frame: UInt8[np.ndarray, "H W 3"], box: Float[np.ndarray, " 4"]
) -> UInt8[np.ndarray, "_ _ 3"]:
    """Cuts a box (x0, y0, x1, y1) out of a frame, as far as it is inside."""
    height, width = frame.shape[:2]
    left, top = (max(0, int(edge)) for edge in box[:2])
    right, bottom = min(width, int(box[2])), min(height, int(box[3]))
    return frame[top:bottom, left:right]
