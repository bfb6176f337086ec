"""Draws a knitted hat, and clips or flowers in the hair."""

import math

import torch
from torch import Tensor

from streamchar_ref.world.canvas import Canvas, ellipse, meet, shade
from streamchar_ref.world.character import Character
from streamchar_ref.world.pose import Pose

_BRIM_Y = -0.255


def paint_hat(character: Character, pose: Pose, canvas: Canvas) -> None:
    """Paints a ribbed hat with a turned-up brim over the crown of the head."""
    area = canvas.crop(-0.6, 0.6, -1.2, 0.1)
    head, face = pose.on_head(area, depth=-0.05), pose.on_face(area, depth=0.5)
    x, y, colour = head.x, head.y, character.accent
    wide = character.face_width + 0.5 * character.volume
    bend = 0.16 * face.x * face.x
    tall = character.face_height + 0.06
    dome = meet(ellipse(x, y + 0.10, wide + 0.02, tall - 0.02), y - bend - _BRIM_Y, 0.02)
    shadow = torch.maximum(ellipse(x, y + 0.06, wide, tall), (y - bend - _BRIM_Y).abs() - 0.05)
    area.paint(area.soft(shadow, 0.06) * 0.35, shade(character.skin, 0.5))
    _paint_knit(area, dome, face, colour, head.away(x, 0.4 * y))
    band = torch.maximum((y - bend - _BRIM_Y + 0.045).abs() - 0.062, x.abs() - wide - 0.035)
    band = meet(band, ellipse(x, y + 0.16, wide + 0.045, tall), 0.03)
    area.paint(area.soft(band - 0.01, 0.03) * area.inside(dome) * 0.4, shade(colour, 0.5))
    _paint_knit(area, band, face, shade(colour, -0.10), head.away(x, 0.4 * y))


def _paint_knit(
    area: Canvas, shape: Tensor, face: Canvas, colour: list[float] | tuple[float, ...], away: Tensor
) -> None:
    mask = area.inside(shape)
    area.paint(mask, colour)
    rib = (face.x * 62).sin()
    area.paint(mask * rib.clamp(min=0) * 0.32, shade(colour, 0.40))
    area.paint(mask * (-rib).clamp(min=0) * 0.16, shade(colour, -0.35))
    area.paint(mask * (1.7 * away + 0.1).clamp(0, 1) * 0.5, shade(colour, 0.4))
    area.paint(area.soft(shape.abs() - 0.002, 0.014) * 0.3, shade(colour, 0.5))


def paint_side_detail(character: Character, pose: Pose, canvas: Canvas) -> None:
    """Paints a clip or a flower on one side of the hair, turning with the head."""
    side = character.detail_side
    x0 = side * 0.265
    area = pose.crop(canvas, (x0 - 0.16, x0 + 0.16, -0.46, -0.14), 0.62)
    head = pose.on_face(area, depth=0.62)
    x, y = (head.x - x0) * side, head.y + 0.30
    if character.side_detail == "clip":
        for lift in (-0.022, 0.022):
            bar = torch.maximum((y - 0.55 * x - lift).abs() - 0.011, x.abs() - 0.062)
            head.paint(head.soft(bar - 0.006, 0.02) * 0.35, shade(character.hair, 0.6))
            head.paint(head.inside(bar), character.accent)
            shine = torch.maximum((y - 0.55 * x - lift + 0.004).abs() - 0.003, x.abs() - 0.05)
            head.paint(head.inside(shine) * 0.6, (1.0, 1.0, 1.0))
        return
    for petal in range(6):
        angle = petal * math.pi / 3 + 0.3
        leaf = ellipse(x - 0.046 * math.cos(angle), y - 0.046 * math.sin(angle), 0.032, 0.032)
        head.paint(head.inside(leaf), shade(character.accent, -0.35 if petal % 2 else -0.22))
        head.paint(head.soft(leaf.abs() - 0.001, 0.01) * 0.3, shade(character.accent, 0.3))
    head.paint(head.inside(ellipse(x, y, 0.024, 0.024)), (0.98, 0.80, 0.35))
