"""Draws hair of a flat character, as a mass behind the head and one in front, and hats."""

import torch
from torch import Tensor

from streamchar_ref.world.canvas import Canvas, Plane, box, capsule, ellipse, shade, tint, union
from streamchar_ref.world.flat.face import head_distance
from streamchar_ref.world.flat.ink import Rig, cut, shade_in, stripe

_LENGTHS = {"bob": 0.26, "long": 0.75, "curtain": 0.45, "scarf": 0.40}


def paint_back_hair(rig: Rig, canvas: Canvas) -> None:
    """Paints the hair behind the head."""
    character = rig.character
    area = canvas.crop(-0.80, 0.80, -0.86, 0.86)
    head = rig.on_head(area, depth=-0.5)
    mass = _back(rig, head.x, head.y)
    if mass is None:
        return
    colour = shade(
        character.palette.trim if character.hair == "scarf" else character.palette.hair, 0.12
    )
    cut(head, character.pen, mass, colour, character.palette.ink)


def _back(rig: Rig, x: Plane, y: Plane) -> Plane | None:
    character = rig.character
    wide, top = character.half_width + character.volume, -character.half_height
    if character.hair in _LENGTHS:
        end = _LENGTHS[character.hair]
        flare = 0.12 * y if character.hair != "curtain" else 0.02 * stripe(x, 0.12)
        middle = (end + top) / 2
        return box(x, y - middle, wide + 0.03 + flare, (end - top) / 2 + 0.06, 0.75 * wide)
    if character.hair == "puff":
        curls = 0.022 * ((9 * x).sin() * (11 * y).cos())
        return ellipse(x, y + 0.12, wide + 0.13, character.half_height + 0.07) + curls
    if character.hair == "bun":
        return ellipse(x - 0.06 * character.side, y - top + 0.07, 0.13, 0.12)
    if character.hair == "tails":
        locks = ellipse(x.abs() - wide - 0.08, y - 0.06, 0.11, 0.24)
        return torch.minimum(locks, ellipse(x.abs() - wide + 0.02, y + 0.15, 0.06, 0.06))
    if character.hair == "crest":
        spikes = 0.04 * stripe(y - 0.5 * x, 0.16)
        return ellipse(x, y - top - 0.05, 0.15 + spikes, 0.20 + spikes)
    return None


def paint_front_hair(rig: Rig, canvas: Canvas) -> None:
    """Paints the hair on the head."""
    character = rig.character
    if character.hair == "bald":
        return
    area = canvas.crop(-0.62, 0.62, -0.86, 0.45)
    head = rig.on_head(area, depth=0.15)
    x, y = head.x, head.y
    covered = y - _hairline(rig, x, y)
    if character.hair != "scarf":
        covered = torch.minimum(covered, 0.88 * character.half_width - x.abs())
    mass = torch.maximum(_cap(rig, x, y), covered)
    mass = torch.maximum(mass, y - 0.12) if character.hair not in _LENGTHS else mass
    if character.hair in ("hat", "scarf"):
        _paint_cloth(rig, head, mass)
        return
    cut(head, character.pen, mass, character.palette.hair, character.palette.ink)
    shade_in(head, character.pen, mass, character.palette.hair, character.half_height)
    if character.pen.line and character.hair in ("side", "long", "bob"):
        strand = capsule(
            x * character.side,
            y,
            (0.06, -character.half_height),
            (0.2, 0.1 - character.half_height),
        )
        head.paint(head.inside(torch.maximum(strand - 0.004, mass)), character.palette.ink)


def _cap(rig: Rig, x: Plane, y: Plane) -> Plane:
    """Outline of the hair on the head."""
    character = rig.character
    volume: float | Tensor = character.volume
    high = (-y / character.half_height).clamp(0, 1)
    if character.hair == "spikes":
        volume = volume + 0.09 * stripe(x + 0.12 * y, 0.13) * high
    elif character.hair == "puff":
        volume = volume + 0.03 + 0.02 * stripe(x, 0.11)
    elif character.hair == "hat":
        volume = volume + 0.05 * high
    outline = head_distance(character, x, y) - volume
    if character.hair == "side":
        wave = ellipse(x - 0.10 * character.side, y + character.half_height, 0.21, 0.09)
        return union(outline, wave, 0.1)
    return outline


def _hairline(rig: Rig, x: Plane, y: Plane) -> Plane:
    """Height above which the head is covered."""
    character = rig.character
    forehead = (
        character.half_height - character.eye_y - character.eye_height - character.brow_rise - 0.03
    )
    line = -character.half_height + forehead * (0.25 + 0.6 * character.fringe)
    side = x * character.side / character.half_width
    if character.hair in ("side", "long"):
        return line - 0.14 * side + 0.25 * side * side
    if character.hair == "curtain":
        return line - 0.16 + 0.75 * x.abs()
    if character.hair in ("spikes", "crest"):
        return line + 0.05 * stripe(x, 0.15) - 0.03
    if character.hair == "bun":
        return line - 0.06 + 0.5 * side * side * character.half_width
    if character.hair == "tails":
        return line - 0.08 + 0.30 * side.abs()
    if character.hair == "scarf":
        opening = ellipse(x, y - 0.02, 0.90 * character.half_width, 0.93 * character.half_height)
        return y + opening
    return line + 0.10 * side * side


def _paint_cloth(rig: Rig, head: Canvas, mass: Plane) -> None:
    character, cloth = rig.character, rig.character.palette.trim
    cut(head, character.pen, mass, cloth, character.palette.ink)
    shade_in(head, character.pen, mass, cloth, character.half_height)
    if character.hair == "scarf":
        return
    ribs = head.inside((stripe(head.x, 0.06) - 0.25) * 0.03)
    head.paint(head.inside(mass) * ribs * 0.3, shade(cloth, 0.5))
    ball = ellipse(head.x, head.y + character.half_height + character.volume + 0.07, 0.075, 0.07)
    cut(head, character.pen, ball, tint(cloth, character.palette.white, 0.6), character.palette.ink)
