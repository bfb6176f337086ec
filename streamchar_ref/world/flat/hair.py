"""Hair of a flat character, as one mass behind the head and one in front of it; and hats."""

import torch
from torch import Tensor

from streamchar_ref.world.canvas import Canvas, Plane, capsule, ellipse, shade, tint, union
from streamchar_ref.world.flat.face import head_distance
from streamchar_ref.world.flat.ink import Rig, box, cut, shade_in, stripe

_LENGTHS = {"bob": 0.26, "long": 0.75, "curtain": 0.45, "scarf": 0.40}


def paint_back_hair(rig: Rig, canvas: Canvas) -> None:
    """Paints what hangs or stands behind the head."""
    who = rig.who
    area = canvas.crop(-0.80, 0.80, -0.86, 0.86)
    head = rig.on_head(area, depth=-0.5)
    mass = _back(rig, head.x, head.y)
    if mass is None:
        return
    colour = shade(who.palette.trim if who.hair == "scarf" else who.palette.hair, 0.12)
    cut(head, who.pen, mass, colour, who.palette.ink)


def _back(rig: Rig, x: Plane, y: Plane) -> Plane | None:
    who = rig.who
    wide, top = who.half_width + who.volume, -who.half_height
    if who.hair in _LENGTHS:
        end = _LENGTHS[who.hair]
        flare = 0.12 * y if who.hair != "curtain" else 0.02 * stripe(x, 0.12)
        middle = (end + top) / 2
        return box(x, y - middle, wide + 0.03 + flare, (end - top) / 2 + 0.06, 0.75 * wide)
    if who.hair == "puff":
        curls = 0.022 * ((9 * x).sin() * (11 * y).cos())
        return ellipse(x, y + 0.12, wide + 0.13, who.half_height + 0.07) + curls
    if who.hair == "bun":
        return ellipse(x - 0.06 * who.side, y - top + 0.07, 0.13, 0.12)
    if who.hair == "tails":
        locks = ellipse(x.abs() - wide - 0.08, y - 0.06, 0.11, 0.24)
        return torch.minimum(locks, ellipse(x.abs() - wide + 0.02, y + 0.15, 0.06, 0.06))
    if who.hair == "crest":
        spikes = 0.04 * stripe(y - 0.5 * x, 0.16)
        return ellipse(x, y - top - 0.05, 0.15 + spikes, 0.20 + spikes)
    return None


def paint_front_hair(rig: Rig, canvas: Canvas) -> None:
    """Paints what lies on the head."""
    who = rig.who
    if who.hair == "bald":
        return
    area = canvas.crop(-0.62, 0.62, -0.86, 0.45)
    head = rig.on_head(area, depth=0.15)
    x, y = head.x, head.y
    covered = y - _hairline(rig, x, y)
    if who.hair != "scarf":
        covered = torch.minimum(covered, 0.88 * who.half_width - x.abs())
    mass = torch.maximum(_cap(rig, x, y), covered)
    mass = torch.maximum(mass, y - 0.12) if who.hair not in _LENGTHS else mass
    if who.hair in ("hat", "scarf"):
        _paint_cloth(rig, head, mass)
        return
    cut(head, who.pen, mass, who.palette.hair, who.palette.ink)
    shade_in(head, who.pen, mass, who.palette.hair, who.half_height)
    if who.pen.line and who.hair in ("side", "long", "bob"):
        strand = capsule(x * who.side, y, (0.06, -who.half_height), (0.2, 0.1 - who.half_height))
        head.paint(head.inside(torch.maximum(strand - 0.004, mass)), who.palette.ink)


def _cap(rig: Rig, x: Plane, y: Plane) -> Plane:
    """Outline of the hair on the head."""
    who = rig.who
    volume: float | Tensor = who.volume
    high = (-y / who.half_height).clamp(0, 1)
    if who.hair == "spikes":
        volume = volume + 0.09 * stripe(x + 0.12 * y, 0.13) * high
    elif who.hair == "puff":
        volume = volume + 0.03 + 0.02 * stripe(x, 0.11)
    elif who.hair == "hat":
        volume = volume + 0.05 * high
    outline = head_distance(who, x, y) - volume
    if who.hair == "side":
        wave = ellipse(x - 0.10 * who.side, y + who.half_height, 0.21, 0.09)
        return union(outline, wave, 0.1)
    return outline


def _hairline(rig: Rig, x: Plane, y: Plane) -> Plane:
    """Height above which the head is covered."""
    who = rig.who
    forehead = who.half_height - who.eye_y - who.eye_height - who.brow_rise - 0.03
    line = -who.half_height + forehead * (0.25 + 0.6 * who.fringe)
    side = x * who.side / who.half_width
    if who.hair in ("side", "long"):
        return line - 0.14 * side + 0.25 * side * side
    if who.hair == "curtain":
        return line - 0.16 + 0.75 * x.abs()
    if who.hair in ("spikes", "crest"):
        return line + 0.05 * stripe(x, 0.15) - 0.03
    if who.hair == "bun":
        return line - 0.06 + 0.5 * side * side * who.half_width
    if who.hair == "tails":
        return line - 0.08 + 0.30 * side.abs()
    if who.hair == "scarf":
        opening = ellipse(x, y - 0.02, 0.90 * who.half_width, 0.93 * who.half_height)
        return y + opening
    return line + 0.10 * side * side


def _paint_cloth(rig: Rig, head: Canvas, mass: Plane) -> None:
    who, cloth = rig.who, rig.who.palette.trim
    cut(head, who.pen, mass, cloth, who.palette.ink)
    shade_in(head, who.pen, mass, cloth, who.half_height)
    if who.hair == "scarf":
        return
    ribs = head.inside((stripe(head.x, 0.06) - 0.25) * 0.03)
    head.paint(head.inside(mass) * ribs * 0.3, shade(cloth, 0.5))
    ball = ellipse(head.x, head.y + who.half_height + who.volume + 0.07, 0.075, 0.07)
    cut(head, who.pen, ball, tint(cloth, who.palette.white, 0.6), who.palette.ink)
