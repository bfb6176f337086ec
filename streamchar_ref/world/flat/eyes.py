"""Draws eyes, brows and glasses of a flat character."""

import torch

from streamchar_ref.world.canvas import Canvas, Plane, box, capsule, ellipse, shade, tint
from streamchar_ref.world.flat.ink import Rig
from streamchar_ref.world.flat.palette import luminance


def paint_eyes(rig: Rig, area: Canvas) -> None:
    """Paints both eyes and brows, which mirror each other except for the gaze."""
    for side in (-1, 1):
        middle = side * rig.character.eye_gap
        half = area.crop(middle - 0.26, middle + 0.26, -2, 2)
        head = rig.on_head(half, depth=1.0)
        if rig.character.eyes == "dot":
            _paint_dot(rig, head, side)
        else:
            _paint_open(rig, head, side)
        _paint_brow(rig, rig.on_head(half, depth=1.1), side)


def _at(rig: Rig, head: Canvas, side: int) -> tuple[Plane, Plane]:
    """Coordinates around an eye; x grows towards the ear."""
    return head.x * side - rig.character.eye_gap, head.y + rig.character.eye_y


def _paint_dot(rig: Rig, head: Canvas, side: int) -> None:
    character = rig.character
    x, y = _at(rig, head, side)
    x = x - 0.008 * side * rig.gaze
    tall = character.eye_height * (1 - 0.85 * rig.blink)
    dark = character.palette.ink
    if luminance(character.palette.skin) < 0.35:
        head.paint(
            head.inside(ellipse(x, y, character.eye_width + 0.014, tall + 0.014)),
            character.palette.white,
        )
    head.paint(head.inside(ellipse(x, y, character.eye_width, tall)), dark)
    if character.pupil > 0.5:
        glint = ellipse(x + 0.3 * character.eye_width * side, y + 0.4 * tall, 0.012, 0.012)
        head.paint(head.inside(glint) * (1 - rig.blink), character.palette.white)


def _paint_open(rig: Rig, head: Canvas, side: int) -> None:
    character, palette, pen = rig.character, rig.character.palette, rig.character.pen
    x, y = _at(rig, head, side)
    wide, tall = character.eye_width, character.eye_height * (1 + 0.06 * rig.brows)
    if character.eyes == "almond":
        arch = (1 - (x / wide) ** 2).clamp(min=0)
        tilted = y + 0.12 * x
        shape = torch.maximum(tilted.abs() - tall * arch, x.abs() - wide)
    else:
        shape = ellipse(x, y, wide, tall)
    droop = 0.4 if character.eyes == "sleepy" else 0.0
    lid = y + tall - 2 * tall * (droop + (1 - droop) * rig.blink)
    edge = max(0.6 * pen.line, 0.5 * pen.detail)
    head.paint(head.inside(shape - edge), palette.ink)
    head.paint(head.inside(shape), shade(palette.skin, 0.12))
    opening = torch.maximum(shape, -lid)
    white = head.inside(opening)
    head.paint(white, palette.white)
    _paint_pupil(rig, head, white, side)
    line = torch.maximum(shape, lid.abs() - 0.8 * pen.detail)
    head.paint(head.inside(line), palette.ink)
    for lash in range(character.lashes):
        up = 0.25 + 0.3 * lash
        start = (0.93 * wide * (1 - 0.22 * lash), -character.eye_height * up)
        end = (start[0] + 0.035, start[1] - 0.022 - 0.008 * lash)
        stroke = capsule(x, y, start, end) - 0.5 * pen.detail
        head.paint(head.inside(stroke) * (1 - 0.7 * rig.blink), palette.ink)


def _paint_pupil(rig: Rig, head: Canvas, white: Plane, side: int) -> None:
    character = rig.character
    x, y = _at(rig, head, side)
    radius = character.pupil * min(character.eye_width, 1.25 * character.eye_height)
    x = x - 0.4 * (character.eye_width - radius) * side * rig.gaze + 0.004
    distance = (x * x + y * y).sqrt()
    inner = radius
    if character.eyes in ("ring", "almond"):
        head.paint(white * head.inside(distance - radius), character.palette.iris)
        inner = 0.52 * radius
    head.paint(white * head.inside(distance - inner), tint(character.palette.ink, (0, 0, 0), 0.5))
    glint = ellipse(x + 0.35 * radius * side, y + 0.35 * radius, 0.28 * radius, 0.28 * radius)
    head.paint(white * head.inside(glint), character.palette.white)


def _paint_brow(rig: Rig, head: Canvas, side: int) -> None:
    character, pen = rig.character, rig.character.pen
    x, y = _at(rig, head, side)
    y = y + character.eye_height * 1.06 + character.brow_rise + 0.022 * rig.brows
    half = character.brow_width
    u = x / half
    y = y - character.brow_tilt * half * 0.5 * -u
    colour = tint(character.palette.hair, character.palette.ink, 0.35)
    if abs(luminance(colour) - luminance(character.palette.skin)) < 0.15:
        colour = list(character.palette.ink)
    if character.brows == "bar":
        brow = box(x, y, half, 0.016, 0.01)
    elif character.brows == "arc":
        brow = torch.maximum((y - 0.025 * u * u).abs() - 0.010, x.abs() - half)
    elif character.brows == "wedge":
        brow = torch.maximum((y - 0.012 * u * u).abs() - 0.012 * (1.3 - u), x.abs() - half)
    else:
        brow = torch.maximum((y - 0.03 * u * u).abs() - 0.6 * pen.detail, x.abs() - half)
    head.paint(head.inside(brow), colour)


def paint_glasses(rig: Rig, area: Canvas) -> None:
    """Paints glasses, if there are any."""
    character = rig.character
    if character.glasses == "none":
        return
    head = rig.on_head(area, depth=1.1)
    x, y = head.x.abs() - 1.02 * character.eye_gap, head.y + character.eye_y
    half = min(0.93 * character.eye_gap, 1.35 * character.eye_width + 0.03)
    if character.glasses == "round":
        lens = ellipse(x, y, half, half)
    elif character.glasses == "square":
        lens = box(x, y, half, 0.8 * half, 0.3 * half)
    else:
        lens = box(x, y + 0.3 * x, half, 0.7 * half, 0.45 * half)
    thick = 0.007 + 0.4 * character.pen.line
    frame = character.palette.trim
    if abs(luminance(frame) - luminance(character.palette.skin)) < 0.2:
        frame = character.palette.ink
    head.paint(head.inside(lens) * 0.10, (1.0, 1.0, 1.0))
    bridge = torch.maximum(
        (y + 0.25 * half).abs() - thick, head.x.abs() - 1.02 * character.eye_gap + half
    )
    arm = torch.maximum(
        (y + 0.25 * half).abs() - thick, 1.02 * character.eye_gap + half - head.x.abs()
    )
    arm = torch.maximum(arm, head.x.abs() - character.half_width)
    rims = torch.minimum(torch.minimum(lens.abs() - thick, bridge), arm)
    head.paint(head.inside(rims), frame)
