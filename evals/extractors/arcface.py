"""Face embeddings by an ArcFace network in ONNX form, which a user has: what papers call CSIM.

Shape letters: N embedded frames, L landmarks, H and W pixels.
"""

from typing import Any

import cv2
import numpy as np
import onnxruntime
from jaxtyping import Float32, UInt8

from evals.extractors.by_path import own_weights
from evals.extractors.face import LEFT_EYE, RIGHT_EYE, landmark_columns
from evals.extractors.identity import similarity
from evals.extractors.networks.door import require_pixels
from evals.extractors.sampled_faces import SampledFaces

CHIP_PX = 112
EMBEDDING_SIZE = 512
TEMPLATE = np.array([
    (38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655),
    (70.7299, 92.2041),
])  # fmt: skip
"""Places of right eye, left eye, tip of the nose, right and left corner of the mouth in the chip;
numbers of insightface's ``face_align.py`` (MIT)."""
_EYES = (landmark_columns(RIGHT_EYE), landmark_columns(LEFT_EYE))
_OTHERS = landmark_columns((4, 61, 291))


class ArcFaceExtractor(SampledFaces):
    """Embeds frames as `SampledFaces` says, with ``embedding`` [N, 512] of unit length.

    Args:
        samples_per_s: Rate.
        min_face_px: Smaller faces, by the short side of the mesh, are not embedded.
    """

    def __init__(self, *, samples_per_s: int = 5, min_face_px: float = 32.0) -> None:
        super().__init__(
            samples_per_s=samples_per_s, embedding_size=EMBEDDING_SIZE, min_face_px=min_face_px
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(own_weights("arcface")), options, providers=["CPUExecutionProvider"]
        )

    def crop(
        self,
        frame: UInt8[np.ndarray, "H W 3"],
        box: Float32[np.ndarray, " 4"],
        landmarks: Float32[np.ndarray, "L 2"],
    ) -> UInt8[np.ndarray, "112 112 3"]:
        """Returns the aligned chip."""
        return arcface_chip(frame, landmarks)

    def embed(self, crop: UInt8[np.ndarray, "112 112 3"]) -> np.ndarray:
        """Returns the embedding of a chip, of unit length."""
        return embed_chip(self._session, crop)


def arcface_chip(
    frame: UInt8[np.ndarray, "H W 3"], landmarks: Float32[np.ndarray, "L 2"]
) -> UInt8[np.ndarray, "112 112 3"]:
    """Crops and aligns a face at five points of the mesh; black outside the frame."""
    eyes = [landmarks[columns].mean(axis=0) for columns in _EYES]
    points = np.concatenate([eyes, landmarks[_OTHERS]]).astype(np.float64)
    matrix = similarity(points, TEMPLATE)
    return np.asarray(cv2.warpAffine(frame, matrix, (CHIP_PX, CHIP_PX)), np.uint8)


def embed_chip(session: Any, chip: np.ndarray) -> np.ndarray:
    """Embeds one chip.

    Args:
        session: ONNX runtime's, with one input [1, 3, 112, 112].
        chip: RGB, uint8 [112, 112, 3].

    Returns:
        512 numbers of unit length.

    Raises:
        WrongConvention: If the chip is not 8-bit RGB.
        ValueError: If the network gives another number of values.
    """
    require_pixels(chip, "ArcFace")
    signed = (chip.astype(np.float32).transpose(2, 0, 1)[None] - 127.5) / 127.5
    (found,) = session.run(None, {session.get_inputs()[0].name: signed})[:1]
    values = np.asarray(found, np.float32).ravel()
    if len(values) != EMBEDDING_SIZE:
        raise ValueError(f"this network gives {len(values)} numbers, ArcFace {EMBEDDING_SIZE}")
    unit: np.ndarray = values / max(float(np.linalg.norm(values)), 1e-12)
    return unit
