"""The followed face, embedded a few times a second; the network is for a subclass to say.

Shape letters: T frames, N embedded frames, D dimensions, L landmarks,
H and W pixels.
"""

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32, UInt8

from evals.extractors import FPS


class SampledFaces:
    """Embeds the first frame at or after each moment of a fixed rate.

    Features: ``embedding`` [N, D] and ``sharpness`` (variance of the Laplacian of what the
    network sees) of frames ``frame`` in which the followed face is large enough; ``num_faces``
    there; and ``sampled``, all frames that were looked at. For a reference picture, give a video
    of one frame: N is then 0 or 1.

    Args:
        samples_per_s: Rate.
        embedding_size: D.
        min_face_px: Smaller faces, by the short side of the mesh, are not embedded.
    """

    def __init__(self, *, samples_per_s: int, embedding_size: int, min_face_px: float) -> None:
        self._samples_per_s = samples_per_s
        self._embedding_size = embedding_size
        self._min_face_px = min_face_px
        self._num_seen = 0
        self._sampled: list[int] = []
        self._rows: list[tuple[int, int, float, np.ndarray]] = []

    @abstractmethod
    def embed(
        self,
        frame: UInt8[np.ndarray, "H W 3"],
        box: Float32[np.ndarray, " 4"],
        landmarks: Float32[np.ndarray, "L 2"],
    ) -> tuple[np.ndarray, float]:
        """Embeds one face.

        Args:
            frame: RGB.
            box: Of the face, as by the extractor ``face``.
            landmarks: The same.

        Returns:
            Embedding [D] and sharpness.
        """

    def update(
        self, frames: UInt8[np.ndarray, "T H W 3"], upstream: Mapping[str, Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """Takes the next frames and their ``face`` features; returns nothing to others."""
        face = upstream["face"]
        for row, frame in enumerate(frames):
            index = self._num_seen + row
            if not is_sampled(index, self._samples_per_s):
                continue
            self._sampled.append(index)
            if self._is_usable(face, row):
                embedding, sharpness = self.embed(frame, face["box"][row], face["landmarks"][row])
                self._rows.append((index, int(face["num_faces"][row]), sharpness, embedding))
        self._num_seen += len(frames)
        return {}

    def finish(self) -> dict[str, np.ndarray]:
        """Returns the embeddings of all sampled frames with a usable face."""
        embeddings = [embedding for _, _, _, embedding in self._rows]
        return {
            "embedding": np.array(embeddings, np.float32).reshape(-1, self._embedding_size),
            "frame": np.array([index for index, _, _, _ in self._rows], np.int32),
            "num_faces": np.array([num for _, num, _, _ in self._rows], np.int32),
            "sharpness": np.array([sharpness for _, _, sharpness, _ in self._rows], np.float32),
            "sampled": np.array(self._sampled, np.int32),
        }

    def _is_usable(self, face: Mapping[str, np.ndarray], row: int) -> bool:
        if not face["has_mesh"][row]:
            return False
        left, top, right, bottom = face["box"][row]
        return bool(min(right - left, bottom - top) >= self._min_face_px)


def is_sampled(index: int, samples_per_s: int) -> bool:
    """Says whether a frame is the first at or after some moment of the rate."""
    return index == 0 or index * samples_per_s // FPS > (index - 1) * samples_per_s // FPS
