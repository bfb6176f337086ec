"""Identity by the judge ``identity_world``: an embedding of the tracked head.

Shape letters: L landmarks, H and W pixels.
"""

import numpy as np
from jaxtyping import Float32, UInt8

from evals.extractors.networks import judge_path
from evals.extractors.networks.identity_world import EMBEDDING_SIZE, cut_head, embed, load_network
from evals.extractors.sampled_faces import SampledFaces
from streamchar_ref.core.one_thread import one_thread


class IdentityWorldExtractor(SampledFaces):
    """Embeds the tracked head several times a second; features as of `SampledFaces`.

    Args:
        samples_per_s: Rate.
        min_face_px: Smaller faces, by the short side of the mesh, are not embedded.
    """

    def __init__(self, *, samples_per_s: int, min_face_px: float) -> None:
        super().__init__(
            samples_per_s=samples_per_s, embedding_size=EMBEDDING_SIZE, min_face_px=min_face_px
        )
        self._network = load_network(judge_path("identity_world"))

    def crop(
        self,
        frame: UInt8[np.ndarray, "H W 3"],
        box: Float32[np.ndarray, " 4"],
        landmarks: Float32[np.ndarray, "L 2"],
    ) -> UInt8[np.ndarray, "_P _P 3"]:
        """Cuts the head out."""
        return cut_head(frame, box)

    @one_thread()
    def embed(self, crop: UInt8[np.ndarray, "_P _P 3"]) -> np.ndarray:
        """Returns the embedding of a head."""
        return embed(self._network, crop[None])[0]
