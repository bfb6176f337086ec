"""Draws glasses in three shapes."""

import torch
from torch import Tensor

from streamchar_ref.world.canvas import Canvas, box, ellipse, shade
from streamchar_ref.world.character import Character
from streamchar_ref.world.eyes import EYE_Y
from streamchar_ref.world.pose import Pose


def paint_glasses(character: Character, pose: Pose, area: Canvas) -> None:
    """Paints lenses, frame and arms."""
    head = pose.on_face(area, depth=0.84)
    x, y = head.x.abs() - character.eye_gap - 0.004, head.y - EYE_Y - 0.008
    lens, rim = _lens(character, x, y), 0.0085 if character.glasses == "round" else 0.0105
    frame = _frame(character)
    head.paint(head.inside(lens) * 0.07, (1.0, 1.0, 1.0))
    streak = (x + 0.5 * y + 0.035).abs() - 0.012
    head.paint(head.inside(lens + 0.012) * head.soft(streak, 0.01) * 0.16, (1.0, 1.0, 1.0))
    head.paint(head.soft((lens - 0.004).abs() - 0.010, 0.03) * 0.22, shade(character.skin, 0.5))
    head.paint(head.inside(lens.abs() - rim), frame)
    arch = (y + 0.035 - 3.6 * head.x**2).abs() - 0.0065
    bridge = torch.maximum(arch, head.x.abs() - character.eye_gap + 0.125)
    head.paint(head.inside(bridge), frame)
    arm = torch.maximum((y + 0.03).abs() - 0.007, character.eye_gap + 0.13 - head.x.abs())
    arm = torch.maximum(arm, head.x.abs() - character.face_width + 0.015)
    head.paint(head.inside(arm), frame)


def _lens(character: Character, x: Tensor, y: Tensor) -> Tensor:
    """Signed distance to a lens, its outer side at positive x."""
    if character.glasses == "round":
        return ellipse(x, y, 0.132, 0.124)
    if character.glasses == "cat-eye":
        lift = y + 0.30 * x.clamp(min=-0.02) * (0.02 - y).clamp(0, 0.1) / 0.1
        return box(x, lift, 0.134, 0.098, 0.072)
    return box(x, y, 0.130, 0.104, 0.038)


def _frame(character: Character) -> tuple[float, float, float]:
    if character.glasses == "cat-eye":
        return (0.42, 0.13, 0.18)
    return (0.20, 0.15, 0.15) if sum(character.hair) > 0.9 else (0.36, 0.21, 0.15)
