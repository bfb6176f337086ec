"""Frames against those of the ground truth: PSNR, SSIM, LPIPS.

Shape letters: H and W pixels.
"""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from evals.extractors.by_path import own_weights
from evals.extractors.networks.lpips import load_lpips, lpips_distance

Frame = UInt8[np.ndarray, "H W 3"]
WINDOW_PX, DEVIATION_PX = 11, 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


class FullReference:
    """Features ``psnr`` in dB and ``ssim``, one each a pair of frames.

    Args:
        ssim: In words; the only kind there is.
        cap_db: PSNR of equal frames, which would be infinite.
    """

    def __init__(self, *, ssim: str, cap_db: float) -> None:
        if ssim != "gaussian 11 px of deviation 1.5, per colour":
            raise ValueError(f"there is no SSIM {ssim!r}")
        self._cap_db = cap_db
        self._rows: list[tuple[float, float]] = []

    def update(self, frame: Frame, truth: Frame) -> None:
        """Takes one pair."""
        self._rows.append((psnr(frame, truth, cap_db=self._cap_db), ssim(frame, truth)))

    def finish(self) -> dict[str, np.ndarray]:
        """Returns the features of all pairs."""
        rows = np.array(self._rows, np.float64).reshape(-1, 2)
        return {"psnr": rows[:, 0], "ssim": rows[:, 1]}


class Lpips:
    """Feature ``lpips``, one a pair of frames."""

    def __init__(self) -> None:
        self._network = load_lpips(str(own_weights("alexnet")), str(own_weights("lpips-alex")))
        self._rows: list[float] = []

    def update(self, frame: Frame, truth: Frame) -> None:
        """Takes one pair."""
        self._rows.append(lpips_distance(self._network, frame, truth))

    def finish(self) -> dict[str, np.ndarray]:
        """Returns the feature of all pairs."""
        return {"lpips": np.array(self._rows, np.float64)}


def psnr(frame: Frame, truth: Frame, *, cap_db: float) -> float:
    """Peak signal-to-noise ratio of 8-bit pictures over all pixels and colours, in dB."""
    error = float(np.mean((frame.astype(np.float32) - truth) ** 2, dtype=np.float64))
    return cap_db if error == 0 else min(cap_db, 10 * float(np.log10(255**2 / error)))


def ssim(frame: Frame, truth: Frame) -> float:
    """Structural similarity, mean over colours and over pixels with a full window.

    Source:
        Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity,
        2004; compared with torchmetrics, whose mean has a mirrored rim in it, in
        tests/evals/metrics/test_full_reference.py.
    """
    one, other = (_local(x.astype(np.float32)) for x in (frame, truth))
    first, second = (x.astype(np.float64) for x in (frame, truth))
    means = one, other
    spreads = [_local(x * x) - mean**2 for x, mean in zip((first, second), means, strict=True)]
    shared = _local(first * second) - one * other
    structure = (2 * shared + C2) / (spreads[0] + spreads[1] + C2)
    light = (2 * one * other + C1) / (one**2 + other**2 + C1)
    return float((light * structure).mean())


def _local(values: Float[np.ndarray, "H W 3"]) -> Float[np.ndarray, "_ _ 3"]:
    """Mean under the window around each pixel that has all of it."""
    size = (WINDOW_PX, WINDOW_PX)
    blurred = cv2.GaussianBlur(values.astype(np.float64), size, DEVIATION_PX)
    rim = WINDOW_PX // 2
    return np.asarray(blurred[rim:-rim, rim:-rim])
