"""BlazeFace short-range face detector.

The network is MediaPipe's (Apache-2.0); pre- and postprocessing are reimplemented after
MediaPipe's description of its graph: letterbox to 128 px, 896 anchors, a logistic score, and
suppression that averages overlapping boxes by score.

Shape letters: N faces, A anchors, H and W pixels.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from evals.extractors.tflite import load_network
from streamchar_ref.weights import locate

INPUT_PX = 128
STRIDES = (8, 16, 16, 16)
ANCHORS_PER_CELL_AND_LAYER = 2
RIGHT_EYE, LEFT_EYE = 0, 1
"""Rows of a face's key points; left and right as seen by the subject."""


@dataclass(frozen=True, kw_only=True)
class Faces:
    """The faces of one frame, best score first.

    Attributes:
        scores: In [0, 1].
        boxes: Left, top, right, bottom in pixels of the frame.
        points: Right eye, left eye, nose tip, mouth, right ear, left ear, in pixels.
    """

    scores: Float32[np.ndarray, " N"]
    boxes: Float32[np.ndarray, "N 4"]
    points: Float32[np.ndarray, "N 6 2"]

    def __len__(self) -> int:
        """Number of faces."""
        return len(self.scores)


class FaceDetector:
    """Detects faces in frames and in squares of them.

    Args:
        min_score: Score threshold; MediaPipe's default.
        max_iou: Boxes that overlap more are merged; MediaPipe's default.
    """

    def __init__(self, *, min_score: float = 0.5, max_iou: float = 0.3) -> None:
        path = locate("mediapipe-face") / "face_detection_short_range.tflite"
        self._network = load_network(path)
        self._input = self._network.get_input_details()[0]["index"]
        outputs = {row["name"]: row["index"] for row in self._network.get_output_details()}
        self._regressors, self._classificators = outputs["regressors"], outputs["classificators"]
        self._anchors = anchor_centres()
        self._min_score = min_score
        self._max_iou = max_iou

    def detect(self, frame: UInt8[np.ndarray, "H W 3"]) -> Faces:
        """Detects faces in the whole frame."""
        height, width = frame.shape[:2]
        side = max(height, width)
        square = ((width - side) / 2, (height - side) / 2, float(side))
        return self.detect_in(frame, [square])

    def detect_in(
        self, frame: UInt8[np.ndarray, "H W 3"], squares: list[tuple[float, float, float]]
    ) -> Faces:
        """Detects faces in squares of a frame.

        Args:
            frame: RGB.
            squares: Left, top, side in pixels; the area outside the frame is black.

        Returns:
            The faces of all squares, without duplicates.
        """
        candidates = [self._candidates(frame, square) for square in squares]
        scores = np.concatenate([part[0] for part in candidates])
        shapes = np.concatenate([part[1] for part in candidates])
        return _suppress(scores, shapes, self._max_iou)

    def _candidates(
        self, frame: np.ndarray, square: tuple[float, float, float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns scores [A] and, as points in pixels, two corners and six key points [A, 8, 2]."""
        left, top, side = square
        self._network.set_tensor(self._input, _letterbox(frame, square)[None])
        self._network.invoke()
        logits = self._network.get_tensor(self._classificators)[0, :, 0]
        scores = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
        keep = scores >= self._min_score
        raw = self._network.get_tensor(self._regressors)[0][keep].reshape(-1, 8, 2) / INPUT_PX
        centres = raw[:, :1] + self._anchors[keep][:, None]
        corners = np.concatenate([centres - raw[:, 1:2] / 2, centres + raw[:, 1:2] / 2], axis=1)
        shapes = np.concatenate([corners, raw[:, 2:] + self._anchors[keep][:, None]], axis=1)
        return scores[keep], shapes * side + np.array([left, top])


def count_faces(picture: UInt8[np.ndarray, "H W 3"]) -> int:
    """Returns the number of detected faces."""
    return len(FaceDetector().detect(picture))


def anchor_centres() -> Float32[np.ndarray, "A 2"]:
    """Returns the centres of the anchors, as x and y in shares of the input's side.

    Neighbouring layers of one stride share a grid, so the cells of stride 16 hold six anchors.
    """
    grids = []
    for stride in sorted(set(STRIDES)):
        cells = INPUT_PX // stride
        per_cell = ANCHORS_PER_CELL_AND_LAYER * STRIDES.count(stride)
        line = (np.arange(cells) + 0.5) / cells
        x, y = np.meshgrid(line, line)
        grids.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), per_cell, axis=0))
    return np.concatenate(grids).astype(np.float32)


def _letterbox(frame: np.ndarray, square: tuple[float, float, float]) -> np.ndarray:
    """Returns the square as 128 x 128 values in [-1, 1]; outside the frame is black."""
    left, top, side = square
    height, width = frame.shape[:2]
    x0, y0 = max(0, round(left)), max(0, round(top))
    x1, y1 = min(width, round(left + side)), min(height, round(top + side))
    scale = INPUT_PX / side
    size = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
    at_x = min(round((x0 - left) * scale), INPUT_PX - size[0])
    at_y = min(round((y0 - top) * scale), INPUT_PX - size[1])
    canvas = np.zeros((INPUT_PX, INPUT_PX, 3), np.uint8)
    small = cv2.resize(frame[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)
    canvas[at_y : at_y + size[1], at_x : at_x + size[0]] = small
    return canvas.astype(np.float32) / 127.5 - 1


def _suppress(scores: np.ndarray, shapes: np.ndarray, max_iou: float) -> Faces:
    """Merges overlapping candidates into their mean, weighted by score."""
    order = np.argsort(-scores, kind="stable")
    scores, shapes = scores[order], shapes[order]
    boxes = shapes[:, :2].reshape(-1, 4)
    free = np.ones(len(scores), bool)
    kept_scores, kept = [], []
    for best in range(len(scores)):
        if free[best]:
            same = free & (overlap(boxes[best], boxes) > max_iou)
            same[best] = True
            free &= ~same
            weights = scores[same] / scores[same].sum()
            kept_scores.append(scores[best])
            kept.append((shapes[same] * weights[:, None, None]).sum(axis=0))
    joined = np.array(kept, np.float32).reshape(-1, 8, 2)
    return Faces(
        scores=np.array(kept_scores, np.float32),
        boxes=joined[:, :2].reshape(-1, 4),
        points=joined[:, 2:],
    )


def overlap(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Returns the intersection over union of one box [4] with each of ``boxes`` [N, 4]."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    union: np.ndarray = np.maximum(areas - shared, 1e-9)
    return shared / union
