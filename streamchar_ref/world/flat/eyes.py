"""Eyes, brows and glasses of a flat character."""

import torch

from streamchar_ref.world.canvas import Canvas, Plane, capsule, ellipse, shade, tint
from streamchar_ref.world.flat.ink import Rig, box
from streamchar_ref.world.flat.palette import luminance


def paint_eyes(rig: Rig, area: Canvas) -> None:
    """Paints both eyes and brows; they mirror each other but for the gaze."""
    for side in (-1, 1):
        middle = side * rig.who.eye_gap
        half = area.crop(middle - 0.26, middle + 0.26, -2, 2)
        head = rig.on_head(half, depth=1.0)
        if rig.who.eyes == "dot":
            _paint_dot(rig, head, side)
        else:
            _paint_open(rig, head, side)
        _paint_brow(rig, rig.on_head(half, depth=1.1), side)


def _at(rig: Rig, head: Canvas, side: int) -> tuple[Plane, Plane]:
    """Coordinates around an eye; x grows towards the ear."""
    return head.x * side - rig.who.eye_gap, head.y + rig.who.eye_y


def _paint_dot(rig: Rig, head: Canvas, side: int) -> None:
    who = rig.who
    x, y = _at(rig, head, side)
    x = x - 0.008 * side * rig.gaze
    tall = who.eye_height * (1 - 0.85 * rig.blink)
    dark = who.palette.ink
    if luminance(who.palette.skin) < 0.35:
        head.paint(
            head.inside(ellipse(x, y, who.eye_width + 0.014, tall + 0.014)), who.palette.white
        )
    head.paint(head.inside(ellipse(x, y, who.eye_width, tall)), dark)
    if who.pupil > 0.5:
        glint = ellipse(x + 0.3 * who.eye_width * side, y + 0.4 * tall, 0.012, 0.012)
        head.paint(head.inside(glint) * (1 - rig.blink), who.palette.white)


def _paint_open(rig: Rig, head: Canvas, side: int) -> None:
    who, palette, pen = rig.who, rig.who.palette, rig.who.pen
    x, y = _at(rig, head, side)
    wide, tall = who.eye_width, who.eye_height * (1 + 0.06 * rig.brows)
    if who.eyes == "almond":
        arch = (1 - (x / wide) ** 2).clamp(min=0)
        tilted = y + 0.12 * x
        shape = torch.maximum(tilted.abs() - tall * arch, x.abs() - wide)
    else:
        shape = ellipse(x, y, wide, tall)
    droop = 0.4 if who.eyes == "sleepy" else 0.0
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
    for lash in range(who.lashes):
        up = 0.25 + 0.3 * lash
        start = (0.93 * wide * (1 - 0.22 * lash), -who.eye_height * up)
        end = (start[0] + 0.035, start[1] - 0.022 - 0.008 * lash)
        stroke = capsule(x, y, start, end) - 0.5 * pen.detail
        head.paint(head.inside(stroke) * (1 - 0.7 * rig.blink), palette.ink)


def _paint_pupil(rig: Rig, head: Canvas, white: Plane, side: int) -> None:
    who = rig.who
    x, y = _at(rig, head, side)
    radius = who.pupil * min(who.eye_width, 1.25 * who.eye_height)
    x = x - 0.4 * (who.eye_width - radius) * side * rig.gaze + 0.004
    distance = (x * x + y * y).sqrt()
    inner = radius
    if who.eyes in ("ring", "almond"):
        head.paint(white * head.inside(distance - radius), who.palette.iris)
        inner = 0.52 * radius
    head.paint(white * head.inside(distance - inner), tint(who.palette.ink, (0, 0, 0), 0.5))
    glint = ellipse(x + 0.35 * radius * side, y + 0.35 * radius, 0.28 * radius, 0.28 * radius)
    head.paint(white * head.inside(glint), who.palette.white)


def _paint_brow(rig: Rig, head: Canvas, side: int) -> None:
    who, pen = rig.who, rig.who.pen
    x, y = _at(rig, head, side)
    y = y + who.eye_height * 1.06 + who.brow_rise + 0.022 * rig.brows
    half = who.brow_width
    u = x / half
    y = y - who.brow_tilt * half * 0.5 * -u
    colour = tint(who.palette.hair, who.palette.ink, 0.35)
    if abs(luminance(colour) - luminance(who.palette.skin)) < 0.15:
        colour = list(who.palette.ink)
    if who.brows == "bar":
        brow = box(x, y, half, 0.016, 0.01)
    elif who.brows == "arc":
        brow = torch.maximum((y - 0.025 * u * u).abs() - 0.010, x.abs() - half)
    elif who.brows == "wedge":
        brow = torch.maximum((y - 0.012 * u * u).abs() - 0.012 * (1.3 - u), x.abs() - half)
    else:
        brow = torch.maximum((y - 0.03 * u * u).abs() - 0.6 * pen.detail, x.abs() - half)
    head.paint(head.inside(brow), colour)


def paint_glasses(rig: Rig, area: Canvas) -> None:
    """Paints glasses, if there are any."""
    who = rig.who
    if who.glasses == "none":
        return
    head = rig.on_head(area, depth=1.1)
    x, y = head.x.abs() - 1.02 * who.eye_gap, head.y + who.eye_y
    half = min(0.93 * who.eye_gap, 1.35 * who.eye_width + 0.03)
    if who.glasses == "round":
        lens = ellipse(x, y, half, half)
    elif who.glasses == "square":
        lens = box(x, y, half, 0.8 * half, 0.3 * half)
    else:
        lens = box(x, y + 0.3 * x, half, 0.7 * half, 0.45 * half)
    thick = 0.007 + 0.4 * who.pen.line
    frame = who.palette.trim
    if abs(luminance(frame) - luminance(who.palette.skin)) < 0.2:
        frame = who.palette.ink
    head.paint(head.inside(lens) * 0.10, (1.0, 1.0, 1.0))
    bridge = torch.maximum(
        (y + 0.25 * half).abs() - thick, head.x.abs() - 1.02 * who.eye_gap + half
    )
    arm = torch.maximum((y + 0.25 * half).abs() - thick, 1.02 * who.eye_gap + half - head.x.abs())
    arm = torch.maximum(arm, head.x.abs() - who.half_width)
    rims = torch.minimum(torch.minimum(lens.abs() - thick, bridge), arm)
    head.paint(head.inside(rims), frame)
