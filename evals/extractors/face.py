"""Face boxes, landmarks and mouth opening in every frame.

Shape letters: T frames, M faces of all frames, H and W pixels, L selected points.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from evals.extractors.face_mesh import Mesh
from evals.extractors.face_tracker import FaceTracker, TrackerParams

LIPS_OUTER = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
)  # fmt: skip
LIPS_INNER = (
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191,
)  # fmt: skip
RIGHT_EYE = (33, 160, 159, 158, 133, 153, 145, 144)
LEFT_EYE = (362, 385, 386, 387, 263, 373, 374, 380)
RIGHT_BROW = (70, 63, 105, 66, 107)
LEFT_BROW = (336, 296, 334, 293, 300)
NOSE = (168, 6, 197, 195, 5, 4, 1, 2, 98, 327)
OVAL = (10, 297, 284, 389, 454, 361, 397, 379, 400, 152, 176, 150, 172, 132, 234, 162, 54, 67)
LANDMARKS = LIPS_OUTER + LIPS_INNER + RIGHT_EYE + LEFT_EYE + RIGHT_BROW + LEFT_BROW + NOSE + OVAL
"""Landmarks of FaceMesh in the features, in this order; left and right as seen by the subject."""
MEASURES = ("score", "box", "face_px", "landmarks", "lip_aperture", "mouth_width")
"""Features of a face."""
FIELDS = ("num_faces", "has_mesh", *MEASURES)
"""Features per frame, of the main face."""
TABLE = ("all_frame", "all_track", *(f"all_{name}" for name in MEASURES))
"""Features per face and frame, of all faces."""


def landmark_columns(points: tuple[int, ...]) -> list[int]:
    """Returns the columns of FaceMesh points in ``landmarks``, e.g. for ``LIPS_INNER``."""
    return [LANDMARKS.index(point) for point in points]


class FaceExtractor:
    """Tracks the faces of a video.

    Features of the main (largest) face, one row per frame: ``num_faces`` in the frame;
    ``has_mesh``; ``score`` of the mesh; ``box`` and ``landmarks`` in pixels; ``face_px``, the
    short side of the box in pixels of the original file; ``lip_aperture`` and ``mouth_width`` as
    shares of the face's height. Without a mesh the values are NaN and the score is 0.

    If some frame shows several faces, the features of every face with the prefix ``all_``, one
    row per face and frame, with ``all_frame`` and ``all_track`` (see `FaceTracker`); else these
    are empty.

    Args:
        **params: Settings, see `TrackerParams`.
    """

    def __init__(self, **params: Any) -> None:
        self._tracker = FaceTracker(TrackerParams(**params))
        self._num_frames = 0
        self._batches = [_features([], [], first=0, scale=1.0)]

    def update(
        self, frames: UInt8[np.ndarray, "T H W 3"], upstream: Mapping[str, Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """Returns the features of the next frames.

        Args:
            frames: RGB.
            upstream: ``source`` with the ``scale`` of the frames, see
                `evals.extractors.kinds.FrameExtractor`.

        Returns:
            Features of the class for these frames; ``all_frame`` counts from the start of the
            video.
        """
        scale = float(upstream.get("source", {}).get("scale", 1.0))
        faces, num_faces = [], []
        for frame in frames:
            faces.append(self._tracker.follow(frame))
            num_faces.append(self._tracker.num_faces)
        self._batches.append(_features(faces, num_faces, first=self._num_frames, scale=scale))
        self._num_frames += len(frames)
        return self._batches[-1]

    def finish(self) -> dict[str, np.ndarray]:
        """Returns the features of all frames."""
        features = {
            name: np.concatenate([batch[name] for batch in self._batches])
            for name in FIELDS + TABLE
        }
        if len(features["all_frame"]) == features["has_mesh"].sum():  # never two faces at a time
            features |= {name: features[name][:0] for name in TABLE}
        return features


def faces_in(
    face: Mapping[str, np.ndarray], row: int, frame: int
) -> list[tuple[int, Float32[np.ndarray, "4"], Float32[np.ndarray, "L 2"]]]:
    """Lists the faces of one frame.

    Args:
        face: Features of a video or a part of it.
        row: Of the frame in that part.
        frame: Its number in the video.

    Returns:
        Track, box and landmarks of each face, the main one first; in a video without several
        faces only the main one, with track -1.
    """
    if len(face.get("all_frame", ())):
        rows = np.flatnonzero(face["all_frame"] == frame)
        return [
            (int(face["all_track"][r]), face["all_box"][r], face["all_landmarks"][r]) for r in rows
        ]
    return [(-1, face["box"][row], face["landmarks"][row])] if face["has_mesh"][row] else []


def _features(
    faces: list[list[tuple[int, Mesh]]], num_faces: list[int], *, first: int, scale: float
) -> dict[str, np.ndarray]:
    """Stacks the faces of each frame into arrays; the first face of a frame is the main one."""
    main = [in_frame[0][1] if in_frame else None for in_frame in faces]
    table = [(row, *face) for row, in_frame in enumerate(faces, start=first) for face in in_frame]
    all_measures = _measures([mesh for _, _, mesh in table], scale)
    return {
        "num_faces": np.array(num_faces, np.int32),
        "has_mesh": np.array([mesh is not None for mesh in main], bool),
        **_measures(main, scale),
        "all_frame": np.array([frame for frame, _, _ in table], np.int32),
        "all_track": np.array([track for _, track, _ in table], np.int32),
        **{f"all_{name}": values for name, values in all_measures.items()},
    }


def _measures(meshes: Sequence[Mesh | None], scale: float) -> dict[str, np.ndarray]:
    """Stacks the features of faces; missing ones are NaN with score 0."""
    points = [mesh.points[list(LANDMARKS), :2] if mesh else None for mesh in meshes]
    sizes = [scale * _short_side(mesh) if mesh else None for mesh in meshes]
    return {
        "score": np.array([mesh.score if mesh else 0.0 for mesh in meshes], np.float32),
        "box": _stack([mesh.box if mesh else None for mesh in meshes], (4,)),
        "face_px": _stack(sizes, ()),
        "landmarks": _stack(points, (len(LANDMARKS), 2)),
        "lip_aperture": _stack([mesh.aperture if mesh else None for mesh in meshes], ()),
        "mouth_width": _stack([mesh.mouth_width if mesh else None for mesh in meshes], ()),
    }


def _short_side(mesh: Mesh) -> float:
    return float((mesh.box[2:] - mesh.box[:2]).min())


def _stack(
    values: Sequence[np.ndarray | float | None], shape: tuple[int, ...]
) -> Float32[np.ndarray, "T ..."]:
    """Stacks rows of one shape; a missing row is NaN."""
    missing = np.full(shape, np.nan, np.float32)
    rows = [missing if value is None else value for value in values]
    return np.array(rows, np.float32).reshape(-1, *shape)
