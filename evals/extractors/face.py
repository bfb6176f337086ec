"""The face of the character in every frame: detector, mesh, and the rule that joins them.

The largest face is followed. The mesh of a frame says where to look in the next; the detector
runs at fixed frames and whenever the mesh has lost the face, so results depend on the frames
alone and not on how they are batched.

Shape letters: T frames, H and W pixels, L selected points.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32, UInt8

from evals.extractors.face_detector import FaceDetector, Faces, overlap
from evals.extractors.face_mesh import FaceMesher, Mesh, region_of_detection

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
FIELDS = (
    "num_faces", "score", "box", "face_px", "landmarks", "lip_aperture", "mouth_width", "has_mesh",
)  # fmt: skip


def landmark_columns(points: tuple[int, ...]) -> list[int]:
    """Returns where points of FaceMesh are in the kept landmarks, e.g. for ``LIPS_INNER``."""
    return [LANDMARKS.index(point) for point in points]


class FaceExtractor:
    """Follows the largest face through a video.

    Features, one row a frame: ``num_faces`` by the latest detection, at least 1 while a face is
    followed; ``has_mesh``; ``score`` of the mesh; ``box`` and ``landmarks`` in pixels; ``face_px``,
    the short side of the box in pixels of the file before it was scaled up;
    ``lip_aperture`` and ``mouth_width`` as shares of the face's height. Without a mesh the
    numbers are NaN and the score is 0.

    Args:
        detect_every: Frames from one detection to the next while the mesh holds.
        search_every: Frames from one search of parts of the picture to the next while no face
            is found in the picture as a whole.
        min_mesh_score: Below it the face is lost; MediaPipe's default.
        switch_ratio: Another face is followed once its area is larger by this factor.
    """

    def __init__(
        self,
        *,
        detect_every: int = 5,
        search_every: int = 5,
        min_mesh_score: float = 0.5,
        switch_ratio: float = 1.5,
    ) -> None:
        self._detector = FaceDetector()
        self._mesher = FaceMesher()
        self._detect_every = detect_every
        self._search_every = search_every
        self._min_mesh_score = min_mesh_score
        self._switch_ratio = switch_ratio
        self._num_seen = 0
        self._num_faces = 0
        self._mesh: Mesh | None = None
        self._scale = 1.0
        self._batches: list[dict[str, np.ndarray]] = [_rows([], 1.0)]

    def update(
        self, frames: UInt8[np.ndarray, "T H W 3"], upstream: Mapping[str, Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """Returns the features of the next frames; of ``upstream`` only the scale is read."""
        source = upstream.get("source", {})
        self._scale = float(source.get("scale", 1.0))
        rows = []
        for frame in frames:
            self._follow(frame)
            rows.append((self._num_faces, self._mesh))
        self._batches.append(_rows(rows, self._scale))
        return self._batches[-1]

    def finish(self) -> dict[str, np.ndarray]:
        """Returns the features of all frames."""
        return {name: np.concatenate([batch[name] for batch in self._batches]) for name in FIELDS}

    def _follow(self, frame: np.ndarray) -> None:
        """Moves the state on by one frame."""
        index, self._num_seen = self._num_seen, self._num_seen + 1
        if self._mesh is not None:
            self._mesh = self._accept(self._mesher.fit(frame, self._mesh.region))
        if self._mesh is None or index % self._detect_every == 0:
            faces = self._detect(frame, may_search=index % self._search_every == 0)
            self._mesh = self._choose(frame, faces)
            self._num_faces = max(len(faces), int(self._mesh is not None))

    def _detect(self, frame: np.ndarray, *, may_search: bool) -> Faces:
        """Returns the faces of the picture as a whole, or else of its parts."""
        faces = self._detector.detect(frame)
        if len(faces) or self._mesh is not None or not may_search:
            return faces
        return self._detector.detect_in(frame, search_squares(frame.shape[0], frame.shape[1]))

    def _choose(self, frame: np.ndarray, faces: Faces) -> Mesh | None:
        """Returns the mesh of the face to follow: the present one unless one is far larger."""
        if not len(faces):
            return self._mesh
        areas = np.prod(faces.boxes[:, 2:] - faces.boxes[:, :2], axis=1)
        largest = int(np.argmax(areas))
        if self._mesh is not None:
            same = overlap(self._mesh.box, faces.boxes) > 0
            present = areas[same].max(initial=0.0)
            if same[largest] or 0 < areas[largest] < self._switch_ratio * present:
                return self._mesh
        order = np.argsort(-areas, kind="stable")
        meshes = (self._fit(frame, faces, int(face)) for face in order)
        return next((mesh for mesh in meshes if mesh is not None), self._mesh)

    def _fit(self, frame: np.ndarray, faces: Faces, face: int) -> Mesh | None:
        """Fits twice, so that the first frame of a face is seen like the later ones."""
        region = region_of_detection(faces.boxes[face], faces.points[face])
        rough = self._mesher.fit(frame, region)
        return self._accept(self._mesher.fit(frame, rough.region))

    def _accept(self, mesh: Mesh) -> Mesh | None:
        return mesh if mesh.score >= self._min_mesh_score else None


def search_squares(height: int, width: int) -> list[tuple[float, float, float]]:
    """Returns overlapping squares that cover a frame, as left, top and side.

    Their sides are the frame's short side and half of it; neighbours overlap by half, so a face
    of up to a quarter of the short side lies whole in one of them.
    """
    squares = []
    short = min(height, width)
    for side in (short, short / 2):
        for top in _starts(height, side):
            squares += [(left, top, float(side)) for left in _starts(width, side)]
    return squares


def _starts(length: float, side: float) -> list[float]:
    count = int(np.ceil((length - side) / (side / 2))) + 1
    return [float(start) for start in np.linspace(0, length - side, count)]


def _rows(rows: list[tuple[int, Mesh | None]], scale: float) -> dict[str, np.ndarray]:
    """Stacks number of faces and mesh of each frame into arrays."""
    meshes = [mesh for _, mesh in rows]
    sides = [
        scale * float((mesh.box[2:] - mesh.box[:2]).min()) if mesh else None for mesh in meshes
    ]
    return {
        "num_faces": np.array([num for num, _ in rows], np.int32),
        "has_mesh": np.array([mesh is not None for mesh in meshes], bool),
        "score": np.array([mesh.score if mesh else 0.0 for mesh in meshes], np.float32),
        "box": _stack([mesh.box if mesh else None for mesh in meshes], (4,)),
        "face_px": _stack([*sides], ()),
        "landmarks": _stack(
            [mesh.points[list(LANDMARKS), :2] if mesh else None for mesh in meshes],
            (len(LANDMARKS), 2),
        ),
        "lip_aperture": _stack([mesh.aperture if mesh else None for mesh in meshes], ()),
        "mouth_width": _stack([mesh.mouth_width if mesh else None for mesh in meshes], ()),
    }


def _stack(
    values: list[np.ndarray | float | None], shape: tuple[int, ...]
) -> Float32[np.ndarray, "T ..."]:
    """Stacks rows of one shape; a missing row is NaN."""
    missing = np.full(shape, np.nan, np.float32)
    rows = [missing if value is None else value for value in values]
    return np.array(rows, np.float32).reshape(-1, *shape)
