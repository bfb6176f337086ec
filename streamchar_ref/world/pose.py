"""Movement as tensors, and coordinates that move with the head."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from streamchar_ref.world.canvas import Canvas
from streamchar_ref.world.motion import Motion

HEAD_Y = -0.09
_TURN_X, _NOD_Y = 0.030, 0.022

Each = Float[Tensor, "B 1 1"]


@dataclass(frozen=True, kw_only=True)
class Pose:
    """One value a frame, see `Motion`; and where the head is.

    Attributes:
        gap: As in `Motion`.
        width: As in `Motion`.
        rounding: As in `Motion`.
        tuck: As in `Motion`.
        tongue: As in `Motion`.
        blink: As in `Motion`.
        brows: As in `Motion`.
        gaze: As in `Motion`.
        yaw: As in `Motion`.
        pitch: As in `Motion`.
        roll: As in `Motion`.
        sway: As in `Motion`.
        breath: As in `Motion`.
    """

    gap: Each
    width: Each
    rounding: Each
    tuck: Each
    tongue: Each
    blink: Each
    brows: Each
    gaze: Each
    yaw: Each
    pitch: Each
    roll: Each
    sway: Each
    breath: Each

    @classmethod
    def of(cls, motion: Motion, device: torch.device) -> "Pose":
        """Copies a movement to a device."""
        values = {
            name: torch.from_numpy(getattr(motion, name).copy()).to(device)[:, None, None]
            for name in cls.__dataclass_fields__
        }
        return cls(**values)

    @property
    def head_x(self) -> Each:
        """Middle of the head."""
        return self.sway + 0.012 * self.yaw + 0.35 * self.roll

    @property
    def head_y(self) -> Each:
        """Middle of the head."""
        return HEAD_Y + 0.012 * self.pitch - 0.5 * self.breath

    def on_head(self, canvas: Canvas, *, depth: float = 0.0) -> Canvas:
        """Changes to coordinates around the middle of the head.

        Args:
            canvas: Anywhere in the pictures.
            depth: How far in front of the head's axis, 1 at the tip of the nose; what is in
                front moves more when the head turns or nods.

        Returns:
            The same pictures.
        """
        x, y = canvas.x - self.head_x, canvas.y - self.head_y
        cos, sin = self.roll.cos(), self.roll.sin()
        return canvas.at(
            cos * x + sin * y - _TURN_X * depth * self.yaw,
            cos * y - sin * x - _NOD_Y * depth * self.pitch,
        )
