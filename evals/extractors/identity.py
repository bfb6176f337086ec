"""Identity by dlib's face embedding, twice a second.

The chip that dlib's network expects (150 px, padded by a quarter of its mean face) is aligned at
five points of the mesh: both corners of both eyes and the base of the nose. On the two development
clips this is equivalent to dlib's five-point predictor (distance between frames of one person 0.30
and 0.32 with either, between the two persons 0.81 with either), has subpixel accuracy, and saves a
network.

Shape letters: N embedded frames, L landmarks, H and W pixels.
"""

import cv2
import dlib
import numpy as np
from jaxtyping import Float32, UInt8

from evals.extractors.face import landmark_columns
from evals.extractors.sampled_faces import SampledFaces
from streamchar_ref.weights import locate

CHIP_PX = 150
PADDING = 0.25
POINTS = (263, 362, 33, 133, 2)
"""Outer and inner corner of the left eye, then of the right, and the base of the nose."""
MEAN_FACE = np.array(
    [
        (0.8595674595992, 0.2134981538014),
        (0.6460604764104, 0.2289674387677),
        (0.1205750620789, 0.2137274526848),
        (0.3340850613712, 0.2290642403242),
        (0.4901123135679, 0.6277975316475),
    ]
)
"""The same points of dlib's mean face, in shares of its side; numbers of dlib's
``get_face_chip_details`` (Boost licence), compared in ``tests/evals/metrics/test_identity.py``."""
EMBEDDING_SIZE = 128
SAMPLES_PER_S = 2


class IdentityExtractor(SampledFaces):
    """Embeds frames 0, 13, 25, 38, 50 and so on: two a second.

    Features as of `SampledFaces`, with ``embedding`` [N, 128] and the sharpness of the chip.

    Args:
        min_face_px: Smaller faces, by the short side of the mesh, are not embedded.
    """

    def __init__(self, *, min_face_px: float = 32.0) -> None:
        super().__init__(
            samples_per_s=SAMPLES_PER_S, embedding_size=EMBEDDING_SIZE, min_face_px=min_face_px
        )
        path = locate("dlib-face") / "dlib_face_recognition_resnet_model_v1.dat"
        self._network = dlib.face_recognition_model_v1(str(path))
        self._columns = landmark_columns(POINTS)

    def crop(
        self,
        frame: UInt8[np.ndarray, "H W 3"],
        box: Float32[np.ndarray, " 4"],
        landmarks: Float32[np.ndarray, "L 2"],
    ) -> UInt8[np.ndarray, "150 150 3"]:
        """Returns the aligned chip."""
        return aligned_chip(frame, landmarks[self._columns])

    def embed(self, crop: UInt8[np.ndarray, "150 150 3"]) -> np.ndarray:
        """Returns dlib's descriptor of a chip."""
        return np.array(self._network.compute_face_descriptor(crop), np.float32)


def aligned_chip(
    frame: UInt8[np.ndarray, "H W 3"], points: Float32[np.ndarray, "5 2"]
) -> UInt8[np.ndarray, "150 150 3"]:
    """Crops and aligns a face for dlib's network.

    Args:
        frame: RGB.
        points: Of `POINTS`, in pixels.

    Returns:
        The upright face at its place in the chip; black outside the frame.
    """
    target = (MEAN_FACE + PADDING) / (1 + 2 * PADDING) * CHIP_PX - 0.5  # pixel 0 is at 0
    matrix = similarity(points.astype(np.float64), target)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    while scale < 0.5:
        # Halving first avoids aliasing of bilinear sampling, as dlib's pyramid does.
        height, width = frame.shape[0] // 2, frame.shape[1] // 2
        frame = cv2.resize(
            frame[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA
        )
        matrix[:, 2] += matrix[:, :2].sum(axis=1) / 2  # pixel x was at 2 x + 1/2
        matrix[:, :2] *= 2
        scale *= 2
    return cv2.warpAffine(frame, matrix, (CHIP_PX, CHIP_PX), flags=cv2.INTER_LINEAR)


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Returns the similarity transform [2, 3] that fits points [5, 2] to others, least squares."""
    a, b = source @ (1, 1j), target @ (1, 1j)
    turn = np.vdot(a - a.mean(), b - b.mean()) / np.vdot(a - a.mean(), a - a.mean())
    shift = b.mean() - turn * a.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
