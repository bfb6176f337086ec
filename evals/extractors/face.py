"""The faces in every frame: where they are, how large, how open their mouths.

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
"""Points of FaceMesh that are kept, in this order; left and right are the face's own."""
MEASURES = ("score", "box", "face_px", "landmarks", "lip_aperture", "mouth_width")
"""What is kept of a face."""
FIELDS = ("num_faces", "has_mesh", *MEASURES)
"""Rows of frames: the main face."""
TABLE = ("all_frame", "all_track", *(f"all_{name}" for name in MEASURES))
"""Rows of faces: all of them."""


def landmark_columns(points: tuple[int, ...]) -> list[int]:
    """Returns where points of FaceMesh are in the kept landmarks, e.g. for ``LIPS_INNER``."""
    return [LANDMARKS.index(point) for point in points]


class FaceExtractor:
    """Follows the faces of a video.

    Features, one row a frame, of the main face, which is the largest: ``num_faces`` in the
    picture; ``has_mesh``; ``score`` of the mesh; ``box`` and ``landmarks`` in pixels; ``face_px``,
    the short side of the box in pixels of the file before it was scaled up; ``lip_aperture`` and
    ``mouth_width`` as shares of the face's height. Without a mesh the numbers are NaN and the
    score is 0.

    Where some frame shows several faces, the same of every face under ``all_``, one row a face
    and frame, with ``all_frame`` and ``all_track``, see `FaceTracker`; else these have no rows.

    Args:
        **params: Settings, see `TrackerParams`.
    """

    def __init__(self, **params: Any) -> None:
        self._tracker = FaceTracker(TrackerParams(**params))
        self._num_seen = 0
        self._batches = [_features([], [], first=0, scale=1.0)]

    def update(
        self, frames: UInt8[np.ndarray, "T H W 3"], upstream: Mapping[str, Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """Returns the features of the next frames; of ``upstream`` only the scale is read.

        Args:
            frames: RGB.
            upstream: ``source`` with the ``scale`` of the frames, see `FrameExtractor.update`.

        Returns:
            As the class says, with all faces of these frames; ``all_frame`` counts from the
            start of the video.
        """
        scale = float(upstream.get("source", {}).get("scale", 1.0))
        faces, num_faces = [], []
        for frame in frames:
            faces.append(self._tracker.follow(frame))
            num_faces.append(self._tracker.num_faces)
        self._batches.append(_features(faces, num_faces, first=self._num_seen, scale=scale))
        self._num_seen += len(frames)
        return self._batches[-1]

    def finish(self) -> dict[str, np.ndarray]:
        """Returns the features of all frames."""
        found = {
            name: np.concatenate([batch[name] for batch in self._batches])
            for name in FIELDS + TABLE
        }
        if len(found["all_frame"]) == found["has_mesh"].sum():  # never two at a time
            found |= {name: found[name][:0] for name in TABLE}
        return found


def faces_in(
    face: Mapping[str, np.ndarray], row: int, frame: int
) -> list[tuple[int, Float32[np.ndarray, "4"], Float32[np.ndarray, "L 2"]]]:
    """Lists the faces of one frame.

    Args:
        face: Features of a video or a part of it.
        row: Of the frame in that part.
        frame: Its number in the video.

    Returns:
        Track, box and landmarks of each face, the main one first; of the main one alone, under
        track -1, where no frame has several.
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
    main = [found[0][1] if found else None for found in faces]
    table = [(row, *face) for row, found in enumerate(faces, start=first) for face in found]
    everyone = _measures([mesh for _, _, mesh in table], scale)
    return {
        "num_faces": np.array(num_faces, np.int32),
        "has_mesh": np.array([mesh is not None for mesh in main], bool),
        **_measures(main, scale),
        "all_frame": np.array([frame for frame, _, _ in table], np.int32),
        "all_track": np.array([track for _, track, _ in table], np.int32),
        **{f"all_{name}": values for name, values in everyone.items()},
    }


def _measures(meshes: Sequence[Mesh | None], scale: float) -> dict[str, np.ndarray]:
    """Stacks what is kept of each face; missing ones are NaN with score 0."""
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
