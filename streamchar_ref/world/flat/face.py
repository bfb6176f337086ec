"""Draws head, ears, nose, cheeks and beard of a flat character."""

import numpy as np
import torch
from torch import Tensor

from streamchar_ref.world.canvas import Canvas, Plane, capsule, convex, ellipse, shade, tint
from streamchar_ref.world.flat.character import FlatCharacter
from streamchar_ref.world.flat.eyes import paint_eyes, paint_glasses
from streamchar_ref.world.flat.ink import Rig, cut, shade_in, stripe
from streamchar_ref.world.flat.mouth import paint_mouth
from streamchar_ref.world.flat.palette import luminance, mix


def paint_face(rig: Rig, canvas: Canvas) -> None:
    """Paints the head without hair."""
    area = canvas.crop(-0.60, 0.60, -0.75, 0.60)
    if rig.character.has_ears:
        _paint_ears(rig, rig.on_head(area, depth=-0.3))
    _paint_head(rig, area)
    _paint_cheeks(rig, rig.on_head(area, depth=0.8))
    if rig.character.beard != "none":
        _paint_beard(rig, area)
    _paint_nose(
        rig, rig.on_head(_around(rig, canvas, rig.character.nose_y - 0.06, 0.2, 0.2), depth=1.2)
    )
    paint_mouth(rig, _around(rig, canvas, rig.character.mouth.y + 0.03, 0.36, 0.26))
    paint_eyes(rig, _around(rig, canvas, -rig.character.eye_y - 0.04, 0.42, 0.29))
    paint_glasses(rig, _around(rig, canvas, -rig.character.eye_y, 0.5, 0.24))


def head_distance(
    character: FlatCharacter, x: Plane, y: Plane, drop: Tensor | float = 0.0
) -> Plane:
    """Signed distance to the outline of the head; ``drop`` lowers the chin."""
    low = (y / character.half_height).clamp(0, 1.2)
    high = (-y / character.half_height).clamp(0, 1)
    y = y - drop * low * low
    narrow = 1 - character.jaw * low * low - character.point * low - character.crown * high * high
    u, v = x / (character.half_width * narrow), y / character.half_height
    u2, v2 = u * u, v * v
    square = character.squareness * u2.clamp(max=1.3) * v2.clamp(max=1.3)
    form = (u2 + v2 - square).clamp(min=1e-6).sqrt()
    return (form - 1) * (character.half_width + 0.08 * v2)


def _around(rig: Rig, canvas: Canvas, y: float, half_x: float, half_y: float) -> Canvas:
    y = y + rig.character.head_y
    return canvas.crop(-half_x, half_x, y - half_y, y + half_y)


def _paint_ears(rig: Rig, head: Canvas) -> None:
    character = rig.character
    x, y = head.x.abs() - character.half_width - 0.1 * character.ear_size, head.y - 0.02
    ear = ellipse(x, y, 0.75 * character.ear_size, character.ear_size)
    cut(head, character.pen, ear, shade(character.palette.skin, 0.06), character.palette.ink)
    inner = ellipse(x, y, 0.35 * character.ear_size, 0.5 * character.ear_size)
    head.paint(head.inside(inner) * 0.5, shade(character.palette.skin, 0.3))
    if character.has_earrings:
        ring = ellipse(x, y - 1.25 * character.ear_size, 0.028, 0.032)
        cut(head, character.pen, ring, character.palette.trim, character.palette.ink)


def _paint_head(rig: Rig, area: Canvas) -> None:
    character, head = rig.character, rig.on_head(area)
    distance = head_distance(character, head.x, head.y, rig.drop)
    cut(head, character.pen, distance, character.palette.skin, character.palette.ink)
    shade_in(head, character.pen, distance, character.palette.skin, character.half_height)


def _paint_cheeks(rig: Rig, head: Canvas) -> None:
    character = rig.character
    x, y = head.x.abs() - 0.62 * character.half_width, head.y - 0.36 * character.half_height
    if character.cheeks:
        colour = mix(character.palette.skin, character.palette.lips, 0.55)
        head.paint(head.inside(ellipse(x, y, 0.065, 0.05)) * character.cheeks, colour)
    rng = np.random.default_rng([character.seed, 0xF3])
    for _ in range(character.freckles):
        at_x, at_y = float(rng.uniform(-0.07, 0.05)), float(rng.uniform(-0.05, 0.02))
        spot = ellipse(x - at_x, y - at_y, 0.009, 0.009)
        head.paint(head.inside(spot) * 0.7, shade(character.palette.skin, 0.35))


def _paint_nose(rig: Rig, head: Canvas) -> None:
    character, pen = rig.character, rig.character.pen
    x, y, size = head.x * character.side, head.y - character.nose_y, character.nose_size
    dark = tint(
        shade(character.palette.skin, 0.3), character.palette.ink, 0.6 if pen.line else 0.25
    )
    thick = 0.6 * pen.detail
    if character.nose == "hook":
        back = capsule(x, y, (0.3 * size, -2.2 * size), (size, 0.0)) - thick
        base = capsule(x, y, (size, 0.0), (-0.3 * size, 0.1 * size)) - thick
        head.paint(head.inside(torch.minimum(back, base)), dark)
    elif character.nose == "button":
        ball = ellipse(x, y, size, 0.75 * size)
        cut(head, pen, ball, shade(character.palette.skin, 0.14), dark)
    elif character.nose == "triangle":
        corners = ((0.0, -2.6 * size), (size, 0.0), (-size, 0.0))
        head.paint(head.inside(convex(x, y, corners) - 0.006), shade(character.palette.skin, 0.2))
        base = capsule(x, y, (-size, 0.0), (size, 0.0)) - thick
        head.paint(head.inside(base), dark)
    elif character.nose == "bridge":
        side = convex(x, y, ((0.0, -3.6 * size), (0.0, 0.2 * size), (-size, 0.2 * size)))
        head.paint(head.inside(side - 0.004), shade(character.palette.skin, 0.26))
    if character.nose in ("holes", "bridge"):
        hole = ellipse(x.abs() - 0.55 * size, y, 0.34 * size, 0.22 * size)
        head.paint(head.inside(hole), dark)


def _paint_beard(rig: Rig, area: Canvas) -> None:
    character = rig.character
    head, front = rig.on_head(area), rig.on_head(area, depth=0.9)
    face = head_distance(character, head.x, head.y, rig.drop)
    mouth = character.mouth
    below = mouth.y + (1 - mouth.up) * rig.gap
    hair = character.palette.hair
    if abs(luminance(hair) - luminance(character.palette.skin)) < 0.12:
        hair = mix(character.palette.ink, character.palette.skin, 0.3)
    if character.beard in ("full", "stubble"):
        line = (
            mouth.y - 0.75 * mouth.half + 0.9 * (front.x.abs() - 0.55 * character.half_width).abs()
        )
        lips = ellipse(front.x, front.y - (mouth.y + below) / 2, 1.25 * mouth.half, 0.05 + rig.gap)
        region = torch.maximum(torch.maximum(face, 0.5 * (line - front.y)), -lips)
        _fill_beard(rig, head, region, hair)
    elif character.beard == "goatee":
        tuft = ellipse(front.x, front.y - below - 0.115, 0.55 * mouth.half, 0.07)
        _fill_beard(rig, head, tuft, hair)
    else:
        x, y = front.x.abs() / mouth.half, front.y - mouth.y + 0.055 + mouth.up * rig.gap
        wave = y - 0.03 * x * x
        tuft = torch.maximum(wave.abs() - 0.026 * (1 - 0.5 * x), (x - 1.15) * mouth.half)
        _fill_beard(rig, head, tuft, hair)


def _fill_beard(rig: Rig, head: Canvas, region: Plane, hair: tuple[float, float, float]) -> None:
    if rig.character.beard != "stubble":
        cut(head, rig.character.pen, region, hair, rig.character.palette.ink)
        return
    dots = stripe(head.x + head.y, 0.035) + stripe(head.y - head.x, 0.035)
    head.paint(head.inside(region) * head.inside((dots - 0.55) * 0.02) * 0.75, hair)
