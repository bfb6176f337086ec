"""Placement and inking of flat shapes: coordinates that follow the head, outlines, shading."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from streamchar_ref.world.canvas import Canvas, Plane, shade
from streamchar_ref.world.drawing import FrameValues, MotionTensors, motion_tensors
from streamchar_ref.world.flat.character import FlatCharacter, Pen
from streamchar_ref.world.motion import Motion


@dataclass(frozen=True, kw_only=True)
class Rig(MotionTensors):
    """A flat character with its motion.

    Attributes:
        character: The character.
    """

    character: FlatCharacter

    @classmethod
    def of(cls, character: FlatCharacter, motion: Motion, device: torch.device) -> "Rig":
        """Copies a motion to a device."""
        return cls(character=character, **motion_tensors(motion, device))

    @property
    def drop(self) -> FrameValues:
        """Lowering of the chin."""
        return self.character.jaw_drop * self.gap

    def on_head(self, canvas: Canvas, *, depth: float = 0.0) -> Canvas:
        """Changes to coordinates relative to the middle of the head.

        Args:
            canvas: Any part of the pictures.
            depth: Layer of paper: 0 the head, 1 the face, negative behind the head.

        Returns:
            The same pictures.
        """
        x = canvas.x - self.sway - 0.3 * self.roll
        y = canvas.y - self.character.head_y + 0.6 * self.breath - 0.014 * self.pitch
        cos, sin = self.roll.cos(), self.roll.sin()
        slide = self.character.parallax * depth
        return canvas.at(
            cos * x + sin * y - slide * self.yaw, cos * y - sin * x - 0.55 * slide * self.pitch
        )


def cut(canvas: Canvas, pen: Pen, distance: Plane, fill: Sequence[float], ink: Sequence[float]
        ) -> None:  # fmt: skip
    """Paints a shape: shadow, outline, fill."""
    if pen.lift:
        canvas.paint(canvas.soft(distance - 0.01, 0.07) * pen.lift, shade(fill, 0.85))
    if pen.line:
        canvas.paint(canvas.inside(distance - pen.line), ink)
    canvas.paint(canvas.inside(distance), fill)


def shade_in(canvas: Canvas, pen: Pen, distance: Plane, fill: Sequence[float], size: float) -> None:
    """Shades the side of a shape that faces away from the light; ``size`` is its radius."""
    if pen.shading == "none":
        return
    along = (canvas.x * math.cos(pen.angle) + canvas.y * math.sin(pen.angle)) / size
    curve = along + 0.35 * (canvas.x * canvas.x + canvas.y * canvas.y) / (size * size) - 0.62
    if pen.shading == "fade":
        mask = (curve * 0.8 + 0.5).clamp(0, 1)
    elif pen.shading == "cel":
        mask = canvas.inside(-curve * size)
    else:
        mask = canvas.inside(-curve * size) * _pattern(canvas, pen)
    canvas.paint(canvas.inside(distance) * mask, shade(fill, pen.shade * _STRENGTH[pen.shading]))


_STRENGTH = {"cel": 1.0, "fade": 1.4, "hatch": 2.2, "halftone": 2.0}


def _pattern(canvas: Canvas, pen: Pen) -> Plane:
    """Mask of parallel strokes, or of dots on a grid."""
    x, y = canvas.x + canvas.y, canvas.y - canvas.x
    if pen.shading == "hatch":
        return canvas.inside((stripe(x, 0.085) - 0.5) * 0.05)
    u, v = stripe(x, 0.075) - 0.5, stripe(y, 0.075) - 0.5
    return canvas.inside((u + v) * 0.04)


def stripe(x: Plane, period: float) -> Plane:
    """Triangle wave, 0 to 1."""
    phase = x / period
    return 2 * (phase - torch.floor(phase + 0.5)).abs()


def turned(x: Plane, y: Plane, angle: float) -> tuple[Plane, Plane]:
    """Rotates coordinates clockwise."""
    cos, sin = math.cos(angle), math.sin(angle)
    return cos * x + sin * y, cos * y - sin * x
