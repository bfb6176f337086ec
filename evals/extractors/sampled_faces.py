"""Embeds the faces of a video a few times a second; subclasses provide the network.

Shape letters: T frames, N embedded faces, D dimensions, L landmarks,
H and W pixels.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from evals.extractors import FPS
from evals.extractors.face import faces_in
from evals.numerics.windows import ends

MAX_REMEMBERED = 8
"""Number of tracks whose last frame is kept for the end of the video."""


@dataclass(frozen=True, kw_only=True)
class _Face:
    """A candidate for embedding."""

    index: int
    track: int
    num_faces: int
    frame: np.ndarray
    box: np.ndarray
    landmarks: np.ndarray


@dataclass(frozen=True, kw_only=True)
class _Row:
    """An embedded face, without its frame: a batch lives as long as one of its frames."""

    index: int
    track: int
    num_faces: int
    sharpness: float
    embedding: np.ndarray


class SampledFaces:
    """Embeds each face at the first frame at or after each sampling time.

    A face that is missing or too small at a sampling time is embedded as soon as it is available
    before the next one. In the last 15 % of a video at least one frame of each face is embedded,
    its last one, so that start and end have an embedding of every visible face.

    Features: ``embedding`` [N, D] and ``sharpness`` (variance of the Laplacian of the network's
    input) of the faces on track ``track`` in frames ``frame``, by frame, the main face first;
    ``num_faces`` there; and ``sampled``, the frames at the sampling times, with or without a
    face. A reference picture is a video of one frame.

    Args:
        samples_per_s: Rate.
        embedding_size: D.
        min_face_px: Smaller faces, by the short side of the mesh, are not embedded.
    """

    def __init__(self, *, samples_per_s: int, embedding_size: int, min_face_px: float) -> None:
        self._samples_per_s = samples_per_s
        self._embedding_size = embedding_size
        self._min_face_px = min_face_px
        self._num_frames = 0
        self._sampled: list[int] = []
        self._embedded: set[int] = set()
        self._latest: dict[int, _Face] = {}
        self._rows: list[_Row] = []

    @abstractmethod
    def crop(
        self,
        frame: UInt8[np.ndarray, "H W 3"],
        box: Float32[np.ndarray, " 4"],
        landmarks: Float32[np.ndarray, "L 2"],
    ) -> UInt8[np.ndarray, "_P _P 3"]:
        """Cuts one face out of a frame as the network takes it.

        Args:
            frame: RGB.
            box: Of the face, as by the extractor ``face``.
            landmarks: The same.

        Returns:
            The network's input, RGB.
        """

    @abstractmethod
    def embed(self, crop: UInt8[np.ndarray, "_P _P 3"]) -> np.ndarray:
        """Embeds what `crop` returned, as [D]."""

    def embed_face(
        self,
        frame: UInt8[np.ndarray, "H W 3"],
        box: Float32[np.ndarray, " 4"],
        landmarks: Float32[np.ndarray, "L 2"],
    ) -> tuple[np.ndarray, float]:
        """Returns the embedding [D] and the sharpness of one face; arguments as of `crop`."""
        crop = self.crop(frame, box, landmarks)
        grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
        return self.embed(crop), float(cv2.Laplacian(grey, cv2.CV_64F).var())

    def update(
        self, frames: UInt8[np.ndarray, "T H W 3"], upstream: Mapping[str, Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """Processes the next frames and their ``face`` features."""
        faces = upstream["face"]
        for row, frame in enumerate(frames):
            index = self._num_frames + row
            if is_sampled(index, self._samples_per_s):
                self._sampled.append(index)
                self._embedded = set()
            for track, box, landmarks in faces_in(faces, row, index):
                if min(box[2] - box[0], box[3] - box[1]) < self._min_face_px:
                    continue
                self._add(
                    _Face(
                        index=index,
                        track=track,
                        num_faces=int(faces["num_faces"][row]),
                        frame=frame,
                        box=box,
                        landmarks=landmarks,
                    )
                )
        self._limit_latest(since=self._num_frames)
        self._num_frames += len(frames)
        return {}

    def finish(self) -> dict[str, np.ndarray]:
        """Returns the embeddings of all faces that were sampled."""
        self._fill_end()
        rows = sorted(self._rows, key=lambda row: row.index)
        embeddings = [row.embedding for row in rows]
        return {
            "embedding": np.array(embeddings, np.float32).reshape(-1, self._embedding_size),
            "frame": np.array([row.index for row in rows], np.int32),
            "track": np.array([row.track for row in rows], np.int32),
            "num_faces": np.array([row.num_faces for row in rows], np.int32),
            "sharpness": np.array([row.sharpness for row in rows], np.float32),
            "sampled": np.array(self._sampled, np.int32),
        }

    def _add(self, face: _Face) -> None:
        """Embeds a face that is due, and remembers others in case they are the last."""
        if face.track in self._embedded:
            self._latest[face.track] = face
            return
        self._latest.pop(face.track, None)
        self._embedded.add(face.track)
        self._embed(face)

    def _limit_latest(self, *, since: int) -> None:
        """Bounds memory: keeps the latest faces, each with a copy of its frame."""
        latest = sorted(self._latest.values(), key=lambda face: (-face.index, face.track))
        self._latest = {
            face.track: replace(face, frame=face.frame.copy()) if face.index >= since else face
            for face in latest[:MAX_REMEMBERED]
        }

    def _fill_end(self) -> None:
        """Embeds the last frame of each face without an embedding in the end of the video."""
        if self._num_frames < 2:
            return
        _, last = ends(self._num_frames)
        embedded = {row.track for row in self._rows if row.index >= last.start}
        for track, face in self._latest.items():
            if face.index >= last.start and track not in embedded:
                self._embed(face)

    def _embed(self, face: _Face) -> None:
        embedding, sharpness = self.embed_face(face.frame, face.box, face.landmarks)
        self._rows.append(
            _Row(
                index=face.index,
                track=face.track,
                num_faces=face.num_faces,
                sharpness=sharpness,
                embedding=embedding,
            )
        )


def is_sampled(index: int, samples_per_s: int) -> bool:
    """Whether a frame is the first at or after a sampling time."""
    return index == 0 or index * samples_per_s // FPS > (index - 1) * samples_per_s // FPS
