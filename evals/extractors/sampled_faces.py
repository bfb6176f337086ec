"""The faces of a video, embedded a few times a second; the network is for a subclass to say.

Shape letters: T frames, N embedded faces, D dimensions, L landmarks,
H and W pixels.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, UInt8

from evals.extractors import FPS
from evals.extractors.face import faces_in
from evals.numerics.windows import ends

MAX_REMEMBERED = 8
"""Tracks whose last frame may be embedded at the end."""


@dataclass(frozen=True, kw_only=True)
class _Face:
    """A face that may be embedded."""

    index: int
    track: int
    num_faces: int
    frame: np.ndarray
    box: np.ndarray
    landmarks: np.ndarray


class SampledFaces:
    """Embeds each face at the first frame at or after each moment of a fixed rate.

    A face that is not there, or too small, at the moment itself is embedded as soon as it is,
    before the next moment. Of the last 15 % of a video at least one frame is embedded, the last
    one that can be: so start and end hold an embedding of every face that is seen there.

    Features: ``embedding`` [N, D] and ``sharpness`` (variance of the Laplacian of what the
    network sees) of the faces on track ``track`` in frames ``frame``, by frame, the main face
    first; ``num_faces`` there; and ``sampled``, the frames at the moments, with a face or
    without. For a reference picture, give a video of one frame.

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
        self._done: set[int] = set()
        self._latest: dict[int, _Face] = {}
        self._rows: list[tuple[_Face, float, np.ndarray]] = []

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
        found = upstream["face"]
        for row, frame in enumerate(frames):
            index = self._num_seen + row
            if is_sampled(index, self._samples_per_s):
                self._sampled.append(index)
                self._done = set()
            for track, box, landmarks in faces_in(found, row, index):
                if min(box[2] - box[0], box[3] - box[1]) < self._min_face_px:
                    continue
                self._take(
                    _Face(
                        index=index,
                        track=track,
                        num_faces=int(found["num_faces"][row]),
                        frame=frame,
                        box=box,
                        landmarks=landmarks,
                    )
                )
        self._keep_few(since=self._num_seen)
        self._num_seen += len(frames)
        return {}

    def finish(self) -> dict[str, np.ndarray]:
        """Returns the embeddings of all faces that were sampled."""
        self._fill_end()
        rows = sorted(self._rows, key=lambda row: row[0].index)
        embeddings = [embedding for _, _, embedding in rows]
        return {
            "embedding": np.array(embeddings, np.float32).reshape(-1, self._embedding_size),
            "frame": np.array([face.index for face, _, _ in rows], np.int32),
            "track": np.array([face.track for face, _, _ in rows], np.int32),
            "num_faces": np.array([face.num_faces for face, _, _ in rows], np.int32),
            "sharpness": np.array([sharpness for _, sharpness, _ in rows], np.float32),
            "sampled": np.array(self._sampled, np.int32),
        }

    def _take(self, face: _Face) -> None:
        """Embeds a face whose moment it is, and remembers others, for they may be the last."""
        if face.track in self._done:
            self._latest[face.track] = face
            return
        self._latest.pop(face.track, None)
        self._done.add(face.track)
        self._embed(face)

    def _keep_few(self, *, since: int) -> None:
        """Bounds what is remembered: the latest faces, each with its frame alone."""
        latest = sorted(self._latest.values(), key=lambda face: (-face.index, face.track))
        self._latest = {
            face.track: replace(face, frame=face.frame.copy()) if face.index >= since else face
            for face in latest[:MAX_REMEMBERED]
        }

    def _fill_end(self) -> None:
        """Embeds the last frame of each face that has none in the last part of the video."""
        if self._num_seen < 2:
            return
        _, last = ends(self._num_seen)
        known = {face.track for face, _, _ in self._rows if face.index >= last.start}
        for track, face in self._latest.items():
            if face.index >= last.start and track not in known:
                self._embed(face)

    def _embed(self, face: _Face) -> None:
        embedding, sharpness = self.embed(face.frame, face.box, face.landmarks)
        self._rows.append((face, sharpness, embedding))


def is_sampled(index: int, samples_per_s: int) -> bool:
    """Says whether a frame is the first at or after some moment of the rate."""
    return index == 0 or index * samples_per_s // FPS > (index - 1) * samples_per_s // FPS
