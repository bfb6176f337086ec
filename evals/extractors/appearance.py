"""Colour, exposure, sharpness and motion of every frame, without any network.

Shape letters: T frames, H and W pixels.
"""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

DETAIL_PX = 256
"""Short side for sharpness, which would otherwise depend on the video's size."""
MOTION_PX = 128
"""Short side for colour and optical flow."""
FASTEST_SHARE = 0.05
FIELDS = (
    "lab_mean", "lab_std", "saturation", "exposure", "sharpness", "difference", "flow_mean",
    "flow_top", "is_duplicate",
)  # fmt: skip


class AppearanceExtractor:
    """Measures frames at a fixed small size.

    Features, one row per frame: ``lab_mean`` and ``lab_std`` in CIE L*a*b* (D65); ``saturation``,
    mean of HSV's S in [0, 1]; ``exposure``, mean luma in [0, 1]; ``sharpness``, variance of the
    Laplacian of luma in [0, 1]. Against the frame before, NaN in the first: ``difference``, mean
    absolute change of luma in [0, 1]; ``flow_mean`` and ``flow_top``, the mean length of the
    optical flow and that of its fastest 5 %, in shares of the picture's height a frame;
    ``is_duplicate``.

    Args:
        max_duplicate_difference: Of luma in [0, 1]. A repeated frame changes by less than 0.00004
            when encoded as h264 at crf 18 or 28, a real one by more than 0.003.
    """

    def __init__(self, *, max_duplicate_difference: float = 0.0002) -> None:
        self._flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._max_duplicate_difference = max_duplicate_difference
        self._before: np.ndarray | None = None
        self._rows: list[tuple[object, ...]] = []

    def update(
        self, frames: UInt8[np.ndarray, "T H W 3"], upstream: Mapping[str, Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """Processes the next frames; ``upstream`` is not used."""
        for frame in frames:
            detail = _shrink(frame, DETAIL_PX)
            small = _shrink(detail, MOTION_PX)
            luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
            self._rows.append((*_statistics(detail, small, luma), *self._motion(luma)))
            self._before = luma
        return {}

    def finish(self) -> dict[str, np.ndarray]:
        """Returns the features of all frames."""
        columns = zip(*self._rows, strict=True) if self._rows else ((),) * len(FIELDS)
        features = {
            name: np.array(column, np.float32) for name, column in zip(FIELDS, columns, strict=True)
        }
        features["lab_mean"] = features["lab_mean"].reshape(-1, 3)
        features["lab_std"] = features["lab_std"].reshape(-1, 3)
        features["is_duplicate"] = features["is_duplicate"].astype(bool)
        return features

    def _motion(self, luma: np.ndarray) -> tuple[float, float, float, bool]:
        """Returns difference, mean and fastest flow, and whether the frame is a repeat."""
        if self._before is None:
            return float("nan"), float("nan"), float("nan"), False
        difference = float(cv2.absdiff(self._before, luma).mean()) / 255
        flow = self._flow.calc(self._before, luma, None)
        lengths = np.sort(np.hypot(flow[..., 0], flow[..., 1]), axis=None) / luma.shape[0]
        fastest = lengths[-max(1, round(FASTEST_SHARE * lengths.size)) :]
        is_duplicate = difference <= self._max_duplicate_difference
        return difference, float(lengths.mean()), float(fastest.mean()), is_duplicate


def _shrink(frame: UInt8[np.ndarray, "H W 3"], short_side: int) -> UInt8[np.ndarray, "_ _ 3"]:
    """Scales a frame so that its short side has a given length."""
    height, width = frame.shape[:2]
    scale = short_side / min(height, width)
    if scale == 1:
        return frame
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _statistics(
    detail: np.ndarray, small: np.ndarray, luma: np.ndarray
) -> tuple[list[float], list[float], float, float, float]:
    """Returns mean and deviation of Lab, saturation, exposure and sharpness of a frame."""
    pixels = small.astype(np.float32) / 255
    mean, deviation = cv2.meanStdDev(cv2.cvtColor(pixels, cv2.COLOR_RGB2Lab))
    saturation = float(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)[..., 1].mean())
    grey = cv2.cvtColor(detail, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    sharpness = float(cv2.Laplacian(grey, cv2.CV_32F).var(dtype=np.float64))
    return (
        mean.ravel().tolist(),
        deviation.ravel().tolist(),
        saturation,
        float(luma.mean()) / 255,
        sharpness,
    )
