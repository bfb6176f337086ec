"""FaceMesh: 468 points of one face.

The network is MediaPipe's (Apache-2.0); pre- and postprocessing are reimplemented after
MediaPipe's description of its graph: a square around the face, rotated so that the eyes are
level, 1.5 times as large as the face, scaled to 192 px.

Shape letters: H and W pixels, L selected points.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from evals.extractors.face_detector import LEFT_EYE as DETECTED_LEFT_EYE
from evals.extractors.face_detector import RIGHT_EYE as DETECTED_RIGHT_EYE
from evals.extractors.tflite import load_network
from streamchar_ref.weights import locate

INPUT_PX = 192
SCALE = 1.5
NUM_POINTS = 468
RIGHT_EYE_OUTER, LEFT_EYE_OUTER = 33, 263
FOREHEAD, CHIN = 10, 152
UPPER_LIP, LOWER_LIP = 13, 14
RIGHT_MOUTH_CORNER, LEFT_MOUTH_CORNER = 61, 291


@dataclass(frozen=True, kw_only=True)
class Region:
    """A rotated square of a frame.

    Attributes:
        centre: x and y in pixels.
        side: In pixels.
        angle: Rotation of the face, clockwise in the picture, in radians.
    """

    centre: tuple[float, float]
    side: float
    angle: float

    def to_frame(self) -> np.ndarray:
        """Returns the affine map [2, 3] from pixels of the network's input to the frame's."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        linear = np.array([[cos, -sin], [sin, cos]]) * self.side / INPUT_PX
        shift = np.array(self.centre) - linear @ np.full(2, INPUT_PX / 2)
        return np.concatenate([linear, shift[:, None]], axis=1)


@dataclass(frozen=True, kw_only=True)
class Mesh:
    """One face.

    Attributes:
        score: Probability of a face, in [0, 1].
        points: x and y in pixels of the frame, and depth on the same scale.
    """

    score: float
    points: Float32[np.ndarray, "468 3"]

    @property
    def region(self) -> Region:
        """Region to search for this face in the next frame."""
        points = self.points[:, :2]
        angle = _angle(points[RIGHT_EYE_OUTER], points[LEFT_EYE_OUTER])
        return _region(points.min(axis=0), points.max(axis=0), angle)

    @property
    def box(self) -> Float32[np.ndarray, "4"]:
        """Left, top, right, bottom of the points."""
        points = self.points[:, :2]
        return np.concatenate([points.min(axis=0), points.max(axis=0)])

    @property
    def aperture(self) -> float:
        """Distance of the inner lips as a share of the face's height, at least 0.

        It is measured along the face's axis, so that a tilted head or lips that move sideways do
        not count as an open mouth.
        """
        axis = self.points[CHIN] - self.points[FOREHEAD]
        height = float(np.linalg.norm(axis))
        gap = float((self.points[LOWER_LIP] - self.points[UPPER_LIP]) @ axis)
        return max(0.0, gap / max(height, 1e-6) ** 2)

    @property
    def mouth_width(self) -> float:
        """Distance of the corners of the mouth, as share of the face's height."""
        height = np.linalg.norm(self.points[CHIN] - self.points[FOREHEAD])
        corners = self.points[LEFT_MOUTH_CORNER] - self.points[RIGHT_MOUTH_CORNER]
        return float(np.linalg.norm(corners) / max(float(height), 1e-6))


class FaceMesher:
    """Fits the mesh to a face at an approximately known place."""

    def __init__(self) -> None:
        path = locate("mediapipe-face") / "face_landmark.tflite"
        self._network = load_network(path)
        self._input = self._network.get_input_details()[0]["index"]
        outputs = sorted(self._network.get_output_details(), key=lambda row: np.prod(row["shape"]))
        self._flag, self._points = outputs[0]["index"], outputs[1]["index"]

    def fit(self, frame: UInt8[np.ndarray, "H W 3"], region: Region) -> Mesh:
        """Returns the mesh of the face in a region; a low score means that there is none."""
        to_frame = region.to_frame()
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(frame, to_frame, (INPUT_PX, INPUT_PX), flags=flags)
        self._network.set_tensor(self._input, (crop.astype(np.float32) / 255)[None])
        self._network.invoke()
        points = self._network.get_tensor(self._points).reshape(NUM_POINTS, 3)
        logit = float(self._network.get_tensor(self._flag).ravel()[0])
        flat = points[:, :2] @ to_frame[:, :2].T + to_frame[:, 2]
        depth = points[:, 2:] * region.side / INPUT_PX
        return Mesh(
            score=float(1 / (1 + np.exp(-np.clip(logit, -80, 80)))),
            points=np.concatenate([flat, depth], axis=1).astype(np.float32),
        )


def region_of_detection(
    box: Float32[np.ndarray, "4"], points: Float32[np.ndarray, "6 2"]
) -> Region:
    """Returns the mesh's region for a detected face."""
    angle = _angle(points[DETECTED_RIGHT_EYE], points[DETECTED_LEFT_EYE])
    return _region(box[:2], box[2:], angle)


def _angle(right_eye: np.ndarray, left_eye: np.ndarray) -> float:
    return float(np.arctan2(left_eye[1] - right_eye[1], left_eye[0] - right_eye[0]))


def _region(low: np.ndarray, high: np.ndarray, angle: float) -> Region:
    centre = (low + high) / 2
    side = SCALE * float((high - low).max())
    return Region(centre=(float(centre[0]), float(centre[1])), side=max(side, 1.0), angle=angle)
