"""Draws the flat mouth: an opening with lips around it, teeth and tongue inside."""

import torch
from torch import Tensor

from streamchar_ref.world.canvas import Canvas, Plane, ellipse, shade
from streamchar_ref.world.flat.ink import Rig, stripe

# opening: exponents of the profile (1 - |x| ** p) ** q of the upper and the lower edge
_PROFILES = {
    "ellipse": ((2.0, 0.5), (2.0, 0.5)),
    "lens": ((2.0, 1.0), (2.0, 0.9)),
    "box": ((6.0, 0.5), (6.0, 0.5)),
    "half moon": ((4.0, 0.5), (2.0, 0.5)),
    "bean": ((3.0, 0.8), (2.0, 0.5)),
}


def paint_mouth(rig: Rig, area: Canvas) -> None:
    """Paints the mouth; its edges are `Motion.gap` apart in the middle."""
    head = rig.on_head(area, depth=0.9)
    _paint_lips(rig, head)
    _paint_inside(rig, head)
    _paint_seam(rig, head)


def _half(rig: Rig) -> Tensor:
    mouth = rig.character.mouth
    return mouth.half * (1 + mouth.stretch * rig.width.clamp(min=0) - mouth.pucker * rig.rounding)


def _level(rig: Rig, head: Canvas) -> Plane:
    """Height below the line of closed lips."""
    x = head.x / rig.character.mouth.half
    mouth = rig.character.mouth
    return head.y - mouth.y + mouth.bend * (1 - 0.7 * rig.rounding) * (x * x).clamp(max=1.5)


def _edges(rig: Rig, head: Canvas, more: float | Tensor = 0.0) -> tuple[Plane, Plane]:
    """Upper and lower edge of the opening, both expanded by ``more``."""
    (p, q), (r, s) = _PROFILES[rig.character.mouth.opening]
    x = (head.x / (_half(rig) + more)).abs().clamp(max=1)
    up = rig.character.mouth.up
    upper = -(up * rig.gap + more) * (1 - x**p) ** q
    return upper, ((1 - up) * rig.gap + more) * (1 - x**r) ** s


def _between(
    rig: Rig, head: Canvas, edges: tuple[Plane, Plane], more: float | Tensor = 0.0
) -> Plane:
    y = _level(rig, head)
    ends = head.x.abs() - _half(rig) - more
    return torch.maximum(torch.maximum(edges[0] - y, y - edges[1]), ends)


def _paint_lips(rig: Rig, head: Canvas) -> None:
    mouth, palette, pen = rig.character.mouth, rig.character.palette, rig.character.pen
    full = mouth.fullness
    if mouth.lips == "none":
        is_open = (rig.gap / 0.012).clamp(0, 1)
        outline = _between(rig, head, _edges(rig, head, pen.detail), pen.detail)
        head.paint(head.inside(outline) * is_open, palette.ink)
        return
    upper, lower = _edges(rig, head, full)
    inner_upper, inner_lower = _edges(rig, head)
    if mouth.lips == "lower":
        upper = inner_upper - 0.25 * full * (upper < 0)
    if mouth.lips == "bow":
        x = head.x / _half(rig)
        dip = (1 - 2.2 * (x.abs() - 0.22).abs()).clamp(0, 1)
        upper = upper - 0.45 * full * dip + 0.2 * full
    tucked = 1 - 0.6 * rig.tuck
    lower = inner_lower + (lower - inner_lower) * tucked
    lips = _between(rig, head, (upper, lower), full)
    if pen.line:
        head.paint(head.inside(lips - 0.6 * pen.line), palette.ink)
    head.paint(head.inside(lips), palette.lips)
    if mouth.lips in ("full", "bow"):
        y = _level(rig, head)
        above = head.inside(y - (inner_upper + inner_lower) / 2)
        head.paint(head.inside(lips) * above * 0.7, shade(palette.lips, 0.2))


def _paint_inside(rig: Rig, head: Canvas) -> None:
    mouth, palette = rig.character.mouth, rig.character.palette
    edges = _edges(rig, head)
    y, half = _level(rig, head), _half(rig)
    mask = head.inside(_between(rig, head, edges)) * (rig.gap / 0.010).clamp(0, 1)
    head.paint(mask, palette.throat)
    floor = (1 - mouth.up) * rig.gap
    if mouth.tongue != "none":
        rise = (0.3 if mouth.tongue == "hump" else 0.18) * rig.gap + 0.3 * rig.gap * rig.tongue
        hump = ellipse(head.x, y - floor, half * 0.62, rise + 0.012)
        head.paint(mask * head.inside(hump), palette.tongue)
    _paint_teeth(rig, head, mask, (edges[1], y), half)
    if mouth.tongue != "none":
        tip = ellipse(
            head.x, y + mouth.up * rig.gap - 0.55 * rig.gap, half * 0.34, 0.45 * rig.gap + 1e-3
        )
        shown = ((rig.tongue - 0.5) * 2).clamp(0, 1)
        head.paint(mask * head.inside(tip) * shown, palette.tongue)


def _paint_teeth(
    rig: Rig, head: Canvas, mask: Plane, at: tuple[Plane, Plane], half: Tensor
) -> None:
    """Paints the upper row, both rows, or one closed row that parts in a wide-open mouth."""
    mouth, palette = rig.character.mouth, rig.character.palette
    lower, y = at
    bite = 1 - 0.8 * rig.rounding
    tucked = mask * (rig.tuck * 1.5 - 0.3).clamp(0, 1)
    if mouth.teeth == "none":
        head.paint(tucked * 0.8, palette.white)
        return
    height = torch.minimum(0 * rig.gap + mouth.teeth_height, 0.55 * rig.gap) * bite
    if mouth.teeth == "row":
        clenched = (1 - (rig.gap - 0.05).clamp(0, 0.02) / 0.02) * bite
        height = torch.maximum(height, rig.gap * clenched)
    teeth = torch.maximum(y + mouth.up * rig.gap - height, head.x.abs() - 0.88 * half)
    row = mask * head.inside(teeth)
    head.paint(row, palette.white)
    if mouth.teeth == "row":
        gaps = head.inside((stripe(head.x + 0.02, 0.04) - 0.16) * 0.02)
        head.paint(row * gaps * 0.5, palette.ink)
    if mouth.teeth == "both":
        low = torch.maximum((1 - mouth.up) * rig.gap - 0.6 * height - y, head.x.abs() - 0.7 * half)
        head.paint(mask * head.inside(low), palette.white)
    head.paint(tucked * head.inside(y - lower), palette.white)


def _paint_seam(rig: Rig, head: Canvas) -> None:
    """Paints the line of closed lips, and the teeth on the lip for f and v."""
    pen, palette = rig.character.pen, rig.character.palette
    y, half = _level(rig, head), _half(rig)
    seam = torch.maximum(y.abs() - 0.55 * pen.detail, head.x.abs() - 1.02 * half)
    closed = 1 - (rig.gap / 0.014).clamp(0, 1)
    head.paint(head.inside(seam) * closed, palette.ink)
    low = (1 - rig.character.mouth.up) * rig.gap
    on_lip = torch.maximum((y - low).abs() - 0.009, head.x.abs() - 0.5 * half)
    head.paint(head.inside(on_lip) * rig.tuck.clamp(0, 1) * 0.9, palette.white)
