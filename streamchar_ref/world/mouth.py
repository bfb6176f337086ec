"""Draws lips, teeth and tongue, with the exact lip gap of the motion."""

import torch
from jaxtyping import Float
from torch import Tensor

from streamchar_ref.world.canvas import Canvas, blob, ellipse, shade, tint
from streamchar_ref.world.character import Character
from streamchar_ref.world.pose import Pose

MOUTH_Y = 0.262
_DEPTH = 0.72
_TEETH, _DARK, _TONGUE = (0.975, 0.955, 0.93), (0.22, 0.05, 0.06), (0.70, 0.29, 0.30)


def mouth_area(pose: Pose, area: Canvas) -> Float[Tensor, "B H W"]:
    """Returns a mask of the area that the mouth can cover: 1 inside, 0 outside."""
    head = pose.on_face(area, depth=_DEPTH)
    return head.inside(ellipse(head.x, head.y - MOUTH_Y - 0.02, 0.17, 0.11))


def paint_mouth(character: Character, pose: Pose, area: Canvas) -> None:
    """Paints the mouth; the lips are `Motion.gap` apart in the middle."""
    head = pose.on_face(area, depth=_DEPTH)
    half = character.mouth_width * (1 + 0.16 * pose.width - 0.26 * pose.rounding)
    x, y = head.x / half, head.y - MOUTH_Y
    arch = (1 - x * x).clamp(min=0)
    smile = 0.020 * (1 - pose.rounding) * (x * x).clamp(max=1.6)
    y = y + smile - 0.006
    bow = arch.sqrt() * (0.35 + 0.65 * arch)  # round inner edge
    upper = -0.36 * pose.gap * bow
    lower = (0.64 * pose.gap) * bow
    full = character.lip_fullness * (1 + 0.25 * pose.rounding)
    dip = 1 - 0.22 * (-((x / 0.16) ** 2)).exp() + 0.08 * (-(((x.abs() - 0.28) / 0.2) ** 2)).exp()
    top = upper - full * 0.80 * arch**0.8 * dip
    bottom = lower + full * (1 - 0.55 * pose.tuck) * arch**0.62
    bottom = bottom - 0.010 * pose.tuck * arch
    ends = (x.abs() - 1) * half
    _paint_surroundings(character, head, x, y, bottom)
    _paint_lips(character, head, (x, y), (top, upper, lower, bottom), ends)
    _paint_inside(pose, head, (x, y), (upper, lower), ends, half)
    _paint_line(character, pose, head, (x, y), (upper, lower))


def _paint_surroundings(
    character: Character, head: Canvas, x: Tensor, y: Tensor, bottom: Tensor
) -> None:
    skin = character.skin
    below = blob(x, y - bottom - 0.022, 0.62, 0.020)
    head.paint(below * 0.34, shade(tint(skin, (0.7, 0.3, 0.25), 0.2), 0.28))
    head.paint(blob(x, y + 0.066, 0.10, 0.022) * 0.20, shade(skin, 0.22))
    corner = blob(x.abs() - 1.04, y, 0.10, 0.018)
    head.paint(corner * 0.40, shade(tint(skin, (0.7, 0.25, 0.2), 0.25), 0.36))


def _paint_lips(
    character: Character,
    head: Canvas,
    at: tuple[Tensor, Tensor],
    edges: tuple[Tensor, Tensor, Tensor, Tensor],
    ends: Tensor,
) -> None:
    x, y = at
    top, upper, lower, bottom = edges
    lips = character.lips
    upper_lip = torch.maximum(torch.maximum(top - y, y - upper), ends)
    lower_lip = torch.maximum(torch.maximum(lower - y, y - bottom), ends)
    head.paint(head.inside(upper_lip - 0.001), shade(lips, 0.16))
    head.paint(head.inside(lower_lip - 0.001), shade(lips, 0.02))
    middle = (lower + bottom) / 2
    shine = blob(x + 0.22, y - middle, 0.34, 0.0085)
    head.paint(shine * head.inside(lower_lip + 0.004) * 0.42, shade(lips, -0.62))
    head.paint(
        head.inside(lower_lip) * head.soft(bottom - 0.010 - y, 0.02) * 0.25, shade(lips, 0.3)
    )


def _paint_inside(
    pose: Pose,
    head: Canvas,
    at: tuple[Tensor, Tensor],
    edges: tuple[Tensor, Tensor],
    ends: Tensor,
    half: Tensor,
) -> None:
    x, y = at
    upper, lower = edges
    opening = torch.maximum(torch.maximum(upper - y, y - lower), ends)
    is_open = (pose.gap / 0.012).clamp(0, 1)
    mask = head.inside(opening) * is_open
    head.paint(mask, _DARK)
    tongue = ellipse(
        x * half, y - 0.64 * pose.gap - 0.026 + 0.026 * pose.tongue, half * 0.62, 0.040
    )
    head.paint(mask * head.soft(tongue, 0.02) * 0.9, _TONGUE)
    shown = (0.022 + 0.10 * pose.gap) * (1 - 0.55 * pose.rounding) + 0.010 * (1 - x * x)
    shown = torch.minimum(shown, (0.46 + 0.45 * pose.tuck) * (lower - upper))
    teeth = torch.maximum(y - upper - shown, (x.abs() - 0.86) * half)
    head.paint(mask * head.inside(teeth), _TEETH)
    head.paint(mask * head.soft(y - upper - 0.005, 0.014) * 0.30, (0.45, 0.25, 0.25))
    tip = ellipse(x * half, y - upper - 0.75 * (lower - upper), half * 0.5, 0.018)
    head.paint(mask * head.soft(tip, 0.008) * (2 * pose.tongue - 0.9).clamp(0, 1), _TONGUE)
    low_teeth = torch.maximum(
        lower - 0.10 * (pose.gap - 0.05).clamp(min=0) - y, (x.abs() - 0.62) * half
    )
    head.paint(mask * head.inside(low_teeth) * 0.5, _TEETH)


def _paint_line(
    character: Character,
    pose: Pose,
    head: Canvas,
    at: tuple[Tensor, Tensor],
    edges: tuple[Tensor, Tensor],
) -> None:
    """Paints the dark line between closed lips, which fades as they open."""
    x, y = at
    line = torch.maximum((y - edges[0]).abs() - 0.0045, (x.abs() - 1.03) * character.mouth_width)
    strength = 0.85 - 0.75 * (pose.gap / 0.02).clamp(0, 1)
    head.paint(head.soft(line, 0.007) * strength, shade(character.lips, 0.58))
