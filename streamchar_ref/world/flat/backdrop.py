"""Draws the wall behind a flat character, and its body."""

import numpy as np
import torch

from streamchar_ref.world.canvas import Canvas, Plane, box, capsule, ellipse, shade, tint
from streamchar_ref.world.flat.character import FlatCharacter
from streamchar_ref.world.flat.ink import Rig, cut, shade_in, stripe, turned


def paint_wall(character: FlatCharacter, canvas: Canvas) -> None:
    """Paints the static background."""
    canvas.paint(torch.ones_like(canvas.x), character.palette.wall)
    if character.wall != "plain":
        canvas.paint(_pattern(character, canvas), character.palette.pattern)


def _pattern(character: FlatCharacter, canvas: Canvas) -> Plane:
    """Mask of the wall's second colour."""
    size = 0.28 * character.wall_scale
    x, y = turned(canvas.x, canvas.y, character.wall_angle)
    rng = np.random.default_rng([character.seed, 0xF4])
    if character.wall == "stripes":
        return canvas.inside((stripe(x, size) - 0.5) * 0.5 * size)
    if character.wall == "checks":
        u, v = stripe(x, size) - 0.5, stripe(y, size) - 0.5
        return canvas.inside(u * v * 2 * size)
    if character.wall == "dots":
        u, v = (stripe(x, size) - 1) * size / 2, (stripe(y, size) - 1) * size / 2
        return canvas.inside(ellipse(u, v, 0.28 * size, 0.28 * size))
    if character.wall == "rays":
        angle = torch.atan2(canvas.y + 0.1, canvas.x + 1e-4)
        return canvas.inside((stripe(angle, np.pi / 7) - 0.5) * 0.15)
    if character.wall == "halves":
        return canvas.inside(y - 0.4 * float(rng.uniform(-1, 1)))
    if character.wall == "waves":
        return canvas.inside((stripe(y + 0.05 * (x * 9).sin(), size) - 0.5) * 0.5 * size)
    if character.wall == "rings":
        distance = (canvas.x**2 + (canvas.y + 0.1) ** 2).sqrt()
        return canvas.inside((stripe(distance, size) - 0.5) * 0.5 * size)
    if character.wall == "fade":
        return (0.5 + 0.6 * y).clamp(0, 1)
    return _confetti(canvas, rng, size)


def _confetti(canvas: Canvas, rng: np.random.Generator, size: float) -> Plane:
    total = torch.zeros_like(canvas.x)
    for _ in range(26):
        at_x, at_y = rng.uniform(-1.1, 1.1, 2).tolist()
        x, y = turned(canvas.x - at_x, canvas.y - at_y, float(rng.uniform(0, np.pi)))
        piece = box(x, y, 0.25 * size, 0.12 * size, 0.02)
        total = torch.maximum(total, canvas.inside(piece))
    return total


def paint_body(rig: Rig, canvas: Canvas) -> None:
    """Paints neck, shoulders and garment."""
    character, palette = rig.character, rig.character.palette
    chin = character.head_y + character.half_height
    top = min(chin + 0.10, 0.62)
    area = canvas.crop(-2, 2, character.head_y, 2)
    moved = area.at(area.x - 0.5 * rig.sway, area.y + rig.breath)
    x, y = moved.x, moved.y
    slope = top + 0.20 * (x / character.shoulders) ** 2
    body = torch.maximum(slope - y, x.abs() - character.shoulders - 0.12 * (y - top))
    neck = torch.maximum(
        x.abs() - character.neck, torch.maximum(character.head_y - y, y - top - 0.07)
    )
    cut(moved, character.pen, body, palette.cloth, palette.ink)
    _paint_pattern(rig, moved, body, top)
    shade_in(moved.at(x, y - 1.0), character.pen, body, palette.cloth, 0.6)
    cut(moved, character.pen, neck, shade(palette.skin, 0.08), palette.ink)
    under = y - chin - 0.05 - 0.5 * rig.gap * character.jaw_drop + 0.8 * x * x
    moved.paint(moved.inside(neck) * moved.inside(under) * 0.55, shade(palette.skin, 0.4))
    _paint_collar(rig, moved, top)


def _paint_pattern(rig: Rig, canvas: Canvas, body: Plane, top: float) -> None:
    character, x, y = rig.character, canvas.x, canvas.y - top
    if character.garment == "stripes":
        mask = canvas.inside((stripe(y, 0.13) - 0.5) * 0.065)
    elif character.garment == "dots":
        u, v = (stripe(x, 0.13) - 1) * 0.065, (stripe(y, 0.13) - 1) * 0.065
        mask = canvas.inside(ellipse(u, v, 0.03, 0.03))
    else:
        return
    canvas.paint(mask * canvas.inside(body), character.palette.trim)


def _paint_collar(rig: Rig, canvas: Canvas, top: float) -> None:
    character, palette, pen = rig.character, rig.character.palette, rig.character.pen
    x, y = canvas.x, canvas.y - top
    if character.garment == "collar":
        wing = capsule(x.abs(), y, (character.neck + 0.02, 0.0), (0.06, 0.14)) - 0.045
        cut(canvas, pen, wing, tint(palette.cloth, palette.white, 0.6), palette.ink)
    elif character.garment == "hood":
        roll = (ellipse(x, y - 0.02, character.neck + 0.09, 0.10)).abs() - 0.05
        cut(canvas, pen, torch.maximum(roll, -y - 0.01), shade(palette.cloth, 0.15), palette.ink)
    elif character.garment == "v":
        depth = y - 0.30 + 1.7 * x.abs()
        notch = torch.maximum(0.5 * depth, -y + 0.02)
        cut(canvas, pen, notch, palette.skin, palette.ink)
    else:
        band = torch.maximum(
            (y - 0.055 + 0.9 * x * x).abs() - 0.032, x.abs() - character.neck - 0.05
        )
        cut(canvas, pen, band, shade(palette.cloth, 0.2), palette.ink)
