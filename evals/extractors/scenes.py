"""Cuts of a video as PySceneDetect's content detector finds them.

Shape letters: H and W pixels.
"""

import cv2
import numpy as np
from jaxtyping import UInt8

THRESHOLD = 27.0
MIN_SCENE_FRAMES = 15


class CutDetector:
    """Finds frames that differ from the one before in hue, saturation and value.

    Args:
        threshold: Mean change of the three, in steps of 256, from which on it is a cut.
        min_frames: Between two cuts.

    Source:
        ``ContentDetector`` of Breakthrough/PySceneDetect (BSD-3), rewritten; its default settings.
    """

    def __init__(self, *, threshold: float = THRESHOLD, min_frames: int = MIN_SCENE_FRAMES) -> None:
        self._threshold, self._min_frames = threshold, min_frames
        self._before: np.ndarray | None = None
        self._num_frames = 0
        self._cuts = [0]

    def push(self, frame: UInt8[np.ndarray, "H W 3"]) -> None:
        """Takes the next frame, RGB."""
        hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)
        if self._before is not None:
            change = float(cv2.absdiff(hsv, self._before).mean())
            is_due = self._num_frames - self._cuts[-1] >= self._min_frames
            if change >= self._threshold and is_due:
                self._cuts.append(self._num_frames)
        self._before = hsv
        self._num_frames += 1

    def scenes(self) -> list[tuple[int, int]]:
        """Returns first frame and past-the-last frame of each scene."""
        return list(zip(self._cuts, [*self._cuts[1:], self._num_frames], strict=True))
