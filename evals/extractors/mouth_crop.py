"""Grey squares around the mouth, for the judge of lip-sync.

Shape letters: N frames of a track, H and W pixels.
"""

import cv2
import numpy as np
from jaxtyping import Float32, Integer, Real, UInt8
from scipy.signal import medfilt

from evals.extractors.face_crop import cut_square

MOUTH_Y = 0.74
"""Vertical centre of the crop as a share of the box's height, for drawn and real faces."""
MOUTH_SIDE = 0.62
"""Side of the crop as a share of the box's height: from nose to chin."""
SMOOTHING_FRAMES = 13
LUMA = (0.299, 0.587, 0.114)


def mouth_squares(
    box: Real[np.ndarray, "N 4"], *, margin: float = 0.0
) -> Integer[np.ndarray, "N 4"]:
    """Computes the square around the mouth in each frame of a track.

    Args:
        box: Face boxes of a track, from the mesh.
        margin: Added, as a share of the side.

    Returns:
        x0, y0, x1, y1 in whole pixels, smoothed by a median over 13 frames, because the chin moves
        with the mouth; may reach outside the picture.
    """
    left, top, right, bottom = (
        medfilt(edge, SMOOTHING_FRAMES)
        for edge in np.pad(
            box.astype(np.float64).T, ((0, 0), (SMOOTHING_FRAMES // 2,) * 2), mode="edge"
        )
    )
    inside = slice(SMOOTHING_FRAMES // 2, SMOOTHING_FRAMES // 2 + len(box))
    height = (bottom - top)[inside]
    x, y = ((left + right) / 2)[inside], top[inside] + MOUTH_Y * height
    half = height * MOUTH_SIDE * (1 + margin) / 2
    edges = np.stack([x - half, y - half], axis=1).round()
    side = np.maximum(1, (2 * half).round())[:, None]
    return np.concatenate([edges, edges + side], axis=1).astype(np.int64)


def cut_mouth(
    frame: UInt8[np.ndarray, "H W 3"],
    square: Integer[np.ndarray, " 4"],
    *,
    size: int,
    weights: tuple[float, float, float] = LUMA,
) -> UInt8[np.ndarray, "{size} {size}"]:
    """Crops a square, converts it to grey, and resizes it with antialiasing.

    Args:
        frame: RGB.
        square: From `mouth_squares`.
        size: Of the result, in pixels.
        weights: Of red, green and blue; their sum is 1.

    Returns:
        Grey levels.
    """
    side = int(square[2] - square[0])
    cut = cut_square(frame, square, size=side).astype(np.float32) @ np.array(weights, np.float32)
    method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    small: Float32[np.ndarray, "{size} {size}"] = cv2.resize(
        cut, (size, size), interpolation=method
    )
    return np.rint(small).clip(0, 255).astype(np.uint8)
