"""Motion as tensors, and coordinates that follow the head.

A turned head is drawn in the frontal view on a curved surface: points with a larger `depth` in
front of the axis move further sideways, the side that turns away is compressed, and the side
that turns to the viewer is stretched.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from streamchar_ref.world.canvas import Canvas
from streamchar_ref.world.drawing import FrameValues, MotionTensors, column, motion_tensors
from streamchar_ref.world.motion import Motion

HEAD_Y = -0.09
TURN = 0.42  # radians at a yaw of 1
RADIUS = 0.43  # of the head seen from above
_NOD_Y = 0.030
_SLACK = 0.05  # of a box, for roll and for the curvature


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Ranges of a batch of frames, known without synchronising with the device.

    Attributes:
        sin: Range of the sine of the turn.
        x: Range of the middle of the head.
        y: Range of the middle of the head.
        nod: Range of the pitch.
        roll: Largest absolute tilt.
    """

    sin: tuple[float, float]
    x: tuple[float, float]
    y: tuple[float, float]
    nod: tuple[float, float]
    roll: float

    @classmethod
    def of(cls, motion: Motion) -> "Reach":
        """Computes the ranges of a motion."""
        return cls(
            sin=_ends(np.sin(TURN * motion.yaw)),
            x=_ends(_head_x(motion)),
            y=_ends(_head_y(motion)),
            nod=_ends(motion.pitch),
            roll=float(np.abs(motion.roll).max()),
        )


@dataclass(frozen=True, kw_only=True)
class Pose(MotionTensors):
    """A motion with the position of the head.

    Attributes:
        sin: Sine of the turn to the right.
        cos: Its cosine.
        reach: Of the batch.
    """

    sin: FrameValues
    cos: FrameValues
    reach: Reach

    @classmethod
    def of(cls, motion: Motion, device: torch.device) -> "Pose":
        """Copies a motion to a device."""
        turn = TURN * motion.yaw
        return cls(
            **motion_tensors(motion, device),
            sin=column(np.sin(turn), device),
            cos=column(np.cos(turn), device),
            reach=Reach.of(motion),
        )

    @property
    def head_x(self) -> FrameValues:
        """Middle of the head."""
        return _head_x(self)

    @property
    def head_y(self) -> FrameValues:
        """Middle of the head."""
        return _head_y(self)

    def on_head(self, canvas: Canvas, *, depth: float = 0.0) -> Canvas:
        """Changes to coordinates relative to the middle of the head, without curvature.

        Args:
            canvas: Any part of the pictures.
            depth: Distance in front of the head's axis, 1 at the tip of the nose; larger values
                move more when the head turns or nods.

        Returns:
            The same pictures.
        """
        x, y = self._upright(canvas)
        shifted = x - RADIUS * depth * self.sin if depth else x
        return canvas.at(shifted, y - _NOD_Y * depth * self.pitch)

    def on_face(self, canvas: Canvas, *, depth: float = 0.75) -> Canvas:
        """Changes to coordinates on the curved surface of the face, see `on_head`."""
        x, y = self._upright(canvas)
        bulge = (RADIUS**2 - x * x).clamp(min=1e-4).sqrt()
        return canvas.at(x * self.cos - depth * bulge * self.sin, y - _NOD_Y * depth * self.pitch)

    def crop(self, canvas: Canvas, box: tuple[float, float, float, float], depth: float) -> Canvas:
        """Returns the part of a canvas that contains a box of the face in all frames.

        Args:
            canvas: In picture coordinates.
            box: Left, right, upper and lower edge in coordinates of the face.
            depth: As in `on_face`.

        Returns:
            The box with a margin.
        """
        left, right, top, bottom = box
        reach, far = self.reach, RADIUS * depth
        low, high = (far * s for s in reach.sin)
        tip = reach.roll * max(abs(left), abs(right), abs(top), abs(bottom)) + _SLACK
        return canvas.crop(
            left + reach.x[0] + min(low, 0.6 * low) - tip,
            right + reach.x[1] + max(high, 0.6 * high) + tip,
            top + reach.y[0] + min(0.0, _NOD_Y * depth * reach.nod[0]) - tip,
            bottom + reach.y[1] + max(0.0, _NOD_Y * depth * reach.nod[1]) + tip,
        )

    def _upright(self, canvas: Canvas) -> tuple[Tensor, Tensor]:
        x, y = canvas.x - self.head_x, canvas.y - self.head_y
        cos, sin = self.roll.cos(), self.roll.sin()
        return cos * x + sin * y, cos * y - sin * x


def _head_x(at: Any) -> Any:
    return at.sway + 0.020 * at.yaw + 0.35 * at.roll


def _head_y(at: Any) -> Any:
    return HEAD_Y + 0.012 * at.pitch - 0.5 * at.breath


def _ends(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())
