"""DINO's features of every frame, by weights that a user has.

Shape letters: T frames, H and W pixels.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8

from evals.extractors.by_path import own_weights
from evals.extractors.networks.dino import FEATURE_SIZE, embed_picture, load_dino


class DinoExtractor:
    """Feature ``embedding`` [T, 768] of unit length."""

    def __init__(self) -> None:
        self._network = load_dino(str(own_weights("dino")))
        self._rows: list[np.ndarray] = []

    def update(
        self, frames: UInt8[np.ndarray, "T H W 3"], upstream: Mapping[str, Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """Embeds the next frames, one at a time."""
        self._rows += [embed_picture(self._network, frame) for frame in frames]
        return {}

    def finish(self) -> dict[str, np.ndarray]:
        """Returns the features of all frames."""
        return {"embedding": np.array(self._rows, np.float32).reshape(-1, FEATURE_SIZE)}
