"""Draws eyes and brows."""

import torch
from torch import Tensor

from streamchar_ref.world.canvas import Canvas, blob, capsule, ellipse, shade, tint
from streamchar_ref.world.character import Character
from streamchar_ref.world.pose import Pose

EYE_Y = -0.015
_INK = (0.16, 0.10, 0.10)


def paint_eye(character: Character, pose: Pose, head: Canvas, side: int) -> None:
    """Paints one eye; ``side`` is -1 for the left one as seen."""
    half = character.eye_size
    x = (head.x * side - character.eye_gap) / half  # outer corner at +1 on both sides
    y = head.y - EYE_Y + character.eye_tilt * x
    arch = (1 - x * x).clamp(min=0)
    top = -half * (0.62 * arch * (1 - 0.10 * x)) * (1 + 0.08 * pose.brows)
    low = half * 0.40 * arch.sqrt() * arch
    lid = top + (low - top) * pose.blink.clamp(0, 1) * 0.97
    opening = torch.maximum(torch.maximum(lid - y, y - low), (x.abs() - 1) * half)
    white = head.inside(opening + 0.001)
    head.paint(white, (0.985, 0.965, 0.945))
    _paint_iris(character, pose, head, side, white)
    head.paint(white * head.soft(y - lid - 0.016, 0.04) * 0.42, (0.45, 0.36, 0.38))
    skin = character.skin
    crease = (y - top + 0.022 + 0.010 * x * x).abs() - 0.0025
    head.paint(head.soft(crease, 0.010) * (arch * 1.4).clamp(0, 1) * 0.55, shade(skin, 0.38))
    thick = (
        0.007 + 0.002 * character.lashes + 0.0065 * character.lashes * (x * 0.5 + 0.5).clamp(0, 1)
    )
    lash = torch.maximum(
        (y - lid).abs() - thick * (0.35 + 0.65 * arch.sqrt()), (x.abs() - 1.04) * half
    )
    head.paint(head.inside(lash) * 0.92, tint(_INK, character.hair, 0.25))
    wing = (
        capsule(x * half, y, (0.93 * half, -0.004), (1.20 * half, -0.026))
        - 0.0055 * (1.25 - x).clamp(0, 1)
        - 0.001
    )
    strength = 0.8 * character.lashes * (1 - 0.6 * pose.blink)
    head.paint(head.inside(wing) * strength, tint(_INK, character.hair, 0.25))
    lower = torch.maximum((y - low - 0.003).abs() - 0.002, (x.abs() - 0.92) * half)
    head.paint(head.soft(lower, 0.008) * 0.45, shade(tint(skin, (0.6, 0.2, 0.2), 0.25), 0.35))


def _paint_iris(character: Character, pose: Pose, head: Canvas, side: int, white: Tensor) -> None:
    radius = character.eye_size * 0.515
    x = head.x - side * (character.eye_gap - 0.004) - 0.014 * pose.gaze + 0.045 * pose.sin
    y = head.y - EYE_Y + 0.004
    distance = (x * x + y * y).sqrt()
    colour = character.eyes
    head.paint(white * head.inside(distance - radius), shade(colour, 0.55))
    head.paint(white * head.inside(distance - radius * 0.86), colour)
    glow = blob(x, y - radius * 0.45, radius * 0.7, radius * 0.5) * head.inside(
        distance - radius * 0.85
    )
    head.paint(white * glow * 0.75, shade(colour, -0.35))
    head.paint(white * head.inside(distance - radius * 0.47), (0.06, 0.045, 0.05))
    glint = ellipse(x + radius * 0.32, y + radius * 0.36, radius * 0.26, radius * 0.26)
    head.paint(white * head.inside(glint), (1.0, 1.0, 1.0))
    second = ellipse(x - radius * 0.34, y - radius * 0.40, radius * 0.12, radius * 0.12)
    head.paint(white * head.inside(second) * 0.7, (1.0, 1.0, 1.0))


def paint_brow(character: Character, pose: Pose, head: Canvas, side: int) -> None:
    """Paints the brow of an eye."""
    along = (head.x * side - character.eye_gap + 0.085) / 0.185  # 0 inside, 1 outside
    arch = character.brow_arch
    middle = EYE_Y - 0.118 - 0.014 * pose.brows - arch * 4 * along * (0.95 - along) * 0.8
    middle = middle + 0.012 * (along - 0.7).clamp(min=0) * 4
    thick = character.brow_thickness * (0.55 + 1.5 * along - 1.75 * along * along)
    brow = torch.maximum((head.y - middle).abs() - thick, ((along - 0.5).abs() - 0.5) * 0.185)
    colour = shade(tint(character.hair, _INK, 0.22), 0.12)
    head.paint(head.soft(brow, 0.010) * (0.45 + 3 * along).clamp(0, 0.9), colour)
