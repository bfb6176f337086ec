"""Draws neck and shoulders: garments, patterns and jewellery."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from streamchar_ref.world.canvas import Canvas, blob, capsule, convex, ellipse, shade, tint, union
from streamchar_ref.world.character import Character
from streamchar_ref.world.pose import Pose

_GOLD = (0.90, 0.72, 0.34)
_RAISED = 0.035  # shoulders closer to the chin


@dataclass(frozen=True)
class _Torso:
    """Coordinates and outline of the body."""

    x: Tensor
    y: Tensor
    shoulders: Tensor
    opening: Tensor
    inside: Tensor


def paint_body(character: Character, pose: Pose, canvas: Canvas) -> None:
    """Paints neck, shoulders and clothes, which turn slightly with the head."""
    x = canvas.x - pose.sway * 0.5 - 0.03 * pose.sin
    y = canvas.y + pose.breath + _RAISED
    u, v = (x / 0.74) ** 2, ((y - 1.12) / 0.56) ** 2
    broad = ((u + v - 0.55 * u * v).clamp(min=1e-6).sqrt() - 1) * 0.56
    slope = capsule(x.abs(), y, (0.0, 0.545), (0.42, 0.68)) - 0.05
    shoulders = torch.minimum(union(broad, slope, 0.10), (x.abs() - 0.70).maximum(1.0 - y))
    inside = canvas.inside(shoulders)
    torso = _Torso(x, y, shoulders, _opening(character, x, y), inside)
    _paint_cloth(character, canvas, torso)
    chest = torch.maximum(shoulders, torso.opening)
    _paint_neck(character, pose, canvas, chest, torso)
    _paint_garment(character, canvas, torso)
    if character.jewel:
        _paint_jewel(character, canvas.crop(-0.5, 0.5, 0.45, 1.0), canvas, torso)


def paint_scarf(character: Character, pose: Pose, canvas: Canvas) -> None:
    """Paints a scarf wound around the neck, over the chin's shadow."""
    area = canvas.crop(-0.6, 0.6, 0.28, 1.1)
    x, y = area.x - pose.sway * 0.5 - 0.05 * pose.sin, area.y + pose.breath + _RAISED
    colour = character.accent
    end = torch.maximum((x - 0.15 - 0.10 * (y - 0.6)).abs() - 0.085, (y - 0.80).abs() - 0.20)
    loops = (
        (end, 0.9),
        (ellipse(x, y - 0.585, 0.335, 0.098), 0.0),
        (ellipse(x + 0.015, y - 0.505, 0.275, 0.085), 0.0),
    )
    for shape, straight in loops:
        area.paint(area.soft(shape - 0.01, 0.07) * 0.4, shade(colour, 0.6))
        mask = area.inside(shape)
        area.paint(mask, colour)
        knit = ((x * 95 + 5 * y) if straight else (x * 70 + 60 * y)).sin()
        area.paint(mask * knit.clamp(min=0) * 0.22, shade(colour, 0.4))
        area.paint(mask * (-knit).clamp(min=0) * 0.15, shade(colour, -0.35))
        area.paint(mask * area.soft(-shape - 0.03, 0.06) * 0.35, shade(colour, 0.4))
        area.paint(mask * (1.6 * area.away(x, y - 0.55)).clamp(0, 1) * 0.4, shade(colour, 0.4))
    fringe = torch.maximum(end, 0.955 - y)
    area.paint(area.inside(fringe) * ((x * 140).sin() > 0), shade(colour, -0.15))


def _opening(character: Character, x: Tensor, y: Tensor) -> Tensor:
    """Signed distance to the opening of the garment, where skin shows."""
    if character.garment in ("jumper", "scarf"):
        return ellipse(x, y - 0.50, 0.205, 0.125)
    if character.garment == "hoodie":
        return ellipse(x, y - 0.50, 0.185, 0.150)
    if character.garment == "turtleneck":
        return ellipse(x, y - 0.36, 0.30, 0.05)
    depth = 0.80 if character.garment == "cardigan" else 0.70
    return (y - depth) * 0.56 + x.abs() * 0.83


def _paint_cloth(character: Character, canvas: Canvas, torso: _Torso) -> None:
    x, y, cloth, inside = torso.x, torso.y, character.clothes, torso.inside
    canvas.paint(inside, cloth)
    _paint_pattern(character, canvas, torso)
    away = canvas.away(x, 0.5 * (y - 0.7))
    canvas.paint(inside * (away * 0.9 + 0.2).clamp(0, 1) * 0.5, shade(cloth, 0.4))
    glow = blob(x - 0.36 * canvas.light[0], y - 0.74, 0.24, 0.14)
    canvas.paint(inside * glow * 0.4, shade(cloth, -0.4))
    for sign in (-1, 1):
        sleeve = capsule(x, y, (sign * 0.50, 0.78), (sign * 0.455, 1.15)) - 0.003
        deep = canvas.soft(sleeve, 0.06) * 0.32 * ((y - 0.74) / 0.2).clamp(0, 1)
        canvas.paint(deep * inside, shade(cloth, 0.45))


def _paint_pattern(character: Character, canvas: Canvas, torso: _Torso) -> None:
    if character.pattern == "plain":
        return
    x, y = torso.x, torso.y + 0.22 * torso.x**2
    if character.pattern == "stripes":
        ink = canvas.inside(((y - 0.66) % 0.11 - 0.055).abs() - 0.021)
    elif character.pattern == "dots":
        row = torch.floor(y / 0.085)
        column = (x + 0.0425 * (row % 2)) % 0.085 - 0.0425
        ink = canvas.inside((column**2 + (y % 0.085 - 0.0425) ** 2).sqrt() - 0.0155)
    elif character.pattern == "check":
        lines = [canvas.inside((z % 0.13 - 0.065).abs() - 0.022) for z in (x, y)]
        ink = 0.5 * lines[0] + 0.5 * lines[1]
    else:
        zigzag = ((x % 0.09 - 0.045).abs() - 0.0225) * 0.9
        bands = (y - 0.735 + zigzag, y - 0.795 + zigzag, y - 0.855)
        ink = sum((canvas.inside(band.abs() - 0.013) for band in bands), 0 * x)
    contrast = sum((a - b) ** 2 for a, b in zip(character.accent, character.clothes, strict=True))
    colour = character.accent if contrast > 0.06 else shade(character.clothes, -0.55)
    canvas.paint((ink.clamp(0, 1) * torso.inside * 0.85), colour)


def _paint_neck(
    character: Character, pose: Pose, canvas: Canvas, chest: Tensor, torso: _Torso
) -> None:
    skin, y = character.skin, torso.y
    lean = (
        canvas.x
        - pose.sway * 0.5
        - (pose.head_x - 0.04 * pose.sin - 0.5 * pose.sway) * (1 - (y - 0.2).clamp(0, 0.4) / 0.4)
    )
    column = lean.abs() - 0.142 - 0.9 * (y - 0.40).clamp(min=0) ** 2
    neck = torch.minimum(torch.maximum(torch.maximum(column, 0.1 - y), y - 0.56), chest)
    mask = canvas.inside(neck)
    canvas.paint(mask, shade(skin, 0.05))
    away = canvas.away(lean, 0 * y)
    canvas.paint(mask * (0.35 + away / 0.3).clamp(0, 1) * 0.45, shade(skin, 0.30))
    chin = ellipse(
        canvas.x - pose.head_x - 0.10 * pose.sin + 0.02 * canvas.light[0],
        y - pose.head_y - 0.16,
        0.30,
        0.40 + 0.5 * pose.gap,
    )
    dark = shade(tint(skin, (0.6, 0.2, 0.2), 0.15), 0.42)
    canvas.paint(mask * canvas.soft(chin, 0.15) * 0.75, dark)
    for sign in (-1, 1):
        bone = capsule(torso.x, y, (sign * 0.045, 0.625), (sign * 0.22, 0.575)) - 0.004
        canvas.paint(mask * canvas.soft(bone, 0.03) * 0.35, shade(skin, 0.3))


def _paint_garment(character: Character, canvas: Canvas, torso: _Torso) -> None:
    cloth, y = character.clothes, torso.y
    if character.garment == "shirt":
        _paint_collar(character, canvas, torso)
        return
    if character.garment == "turtleneck":
        _paint_roll(character, canvas, torso)
        return
    hem = torch.maximum((torso.opening - 0.020).abs() - 0.020, torso.shoulders - 0.010)
    hem = torch.maximum(hem, 0.50 - y)
    canvas.paint(canvas.soft(hem - 0.01, 0.05) * torso.inside * 0.35, shade(cloth, 0.5))
    canvas.paint(canvas.inside(hem), shade(cloth, -0.08))
    seam = torch.maximum((torso.opening - 0.041).abs() - 0.003, torso.shoulders)
    canvas.paint(canvas.inside(seam) * 0.5, shade(cloth, 0.4))
    if character.garment == "cardigan":
        _paint_buttons(character, canvas, torso)
    if character.garment == "hoodie":
        _paint_hood(character, canvas, torso)


def _paint_buttons(character: Character, canvas: Canvas, torso: _Torso) -> None:
    x, y, cloth = torso.x, torso.y, character.clothes
    edge = torch.maximum((x.abs() - 0.030).abs() - 0.0025, 0.83 - y)
    canvas.paint(canvas.inside(edge) * torso.inside * 0.5, shade(cloth, 0.45))
    for height in (0.88, 1.0):
        button = ellipse(x, y - height, 0.017, 0.017)
        canvas.paint(canvas.inside(button) * torso.inside, shade(cloth, -0.6))


def _paint_hood(character: Character, canvas: Canvas, torso: _Torso) -> None:
    x, y, cloth = torso.x.abs(), torso.y, character.clothes
    roll = capsule(x, y, (0.205, 0.50), (0.10, 0.665)) - 0.058 - 0.10 * (0.60 - y).clamp(0, 0.2)
    roll = torch.maximum(roll, -torso.opening)
    canvas.paint(canvas.soft(roll - 0.01, 0.06) * torso.inside * 0.45, shade(cloth, 0.55))
    canvas.paint(canvas.inside(roll), shade(cloth, 0.06))
    canvas.paint(canvas.inside(roll) * canvas.soft(-roll - 0.03, 0.06) * 0.4, shade(cloth, 0.4))
    for sign in (-1, 1):
        cord = capsule(torso.x, y, (sign * 0.075, 0.66), (sign * 0.085, 0.87)) - 0.0075
        canvas.paint(canvas.soft(cord - 0.008, 0.03) * 0.3, shade(cloth, 0.6))
        canvas.paint(canvas.inside(cord), (0.95, 0.93, 0.88))


def _paint_roll(character: Character, canvas: Canvas, torso: _Torso) -> None:
    x, y, cloth = torso.x, torso.y, character.clothes
    wide = 0.168 + 0.22 * (y - 0.45).clamp(min=0)
    roll = torch.maximum(x.abs() - wide, (y - 0.485 - 0.35 * x * x).abs() - 0.085) - 0.012
    canvas.paint(canvas.soft(roll - 0.01, 0.06) * 0.35, shade(cloth, 0.55))
    mask = canvas.inside(roll)
    canvas.paint(mask, shade(cloth, -0.04))
    canvas.paint(mask * (x * 105).sin().clamp(min=0) * 0.22, shade(cloth, 0.4))
    canvas.paint(mask * (2.6 * canvas.away(x, 0 * y)).clamp(0, 1) * 0.45, shade(cloth, 0.4))
    shadow = ellipse(x, y - 0.36, 0.26, 0.10)
    canvas.paint(mask * canvas.soft(shadow, 0.08) * 0.5, shade(cloth, 0.55))


def _paint_collar(character: Character, canvas: Canvas, torso: _Torso) -> None:
    x, y, cloth = torso.x, torso.y, character.clothes
    light = tint(cloth, (1, 1, 1), 0.22)
    corners = ((0.0, 0.70), (0.155, 0.475), (0.225, 0.515), (0.275, 0.61), (0.15, 0.765))
    wing = convex(x.abs(), y, corners) - 0.008
    under = canvas.soft(wing - 0.010, 0.05) * torso.inside
    canvas.paint(under * 0.45, shade(cloth, 0.55))
    canvas.paint(canvas.inside(wing), light)
    canvas.paint(
        canvas.inside(wing) * (2.5 * canvas.away(x, 0 * y)).clamp(0, 1) * 0.35, shade(cloth, 0.1)
    )
    canvas.paint(canvas.inside((wing + 0.016).abs() - 0.002) * 0.45, shade(cloth, 0.15))
    placket = torch.maximum((x.abs() - 0.028).abs() - 0.0025, 0.72 - y)
    canvas.paint(canvas.inside(placket) * 0.5, shade(cloth, 0.4))
    for height in (0.80, 0.93):
        button = ellipse(x, y - height, 0.013, 0.013)
        canvas.paint(canvas.inside(button), tint(light, (1, 1, 1), 0.5))


def _paint_jewel(character: Character, area: Canvas, canvas: Canvas, torso: _Torso) -> None:
    rows = slice(area.top - canvas.top, area.top - canvas.top + area.x.shape[1])
    columns = slice(area.left - canvas.left, area.left - canvas.left + area.x.shape[2])
    x, y = torso.x[:, rows, columns], torso.y[:, rows, columns]
    if character.jewel == "brooch":
        _paint_brooch(character, area, x - 0.24 * character.detail_side, y - 0.80)
        return
    hang = y - 0.735 + 2.6 * x * x
    if character.jewel == "pearls":
        for index in range(-7, 8):
            angle = index * 0.19
            bead = ellipse(
                x - 0.235 * math.sin(angle), y - 0.50 - 0.205 * math.cos(angle), 0.021, 0.021
            )
            area.paint(area.soft(bead - 0.008, 0.02) * 0.3, shade(character.clothes, 0.6))
            area.paint(area.inside(bead), (0.95, 0.92, 0.88))
            area.paint(area.inside(bead + 0.013) * 0.8, (1.0, 1.0, 1.0))
        return
    chain = torch.maximum(hang.abs() - 0.006, x.abs() - 0.21)
    area.paint(area.inside(chain) * 0.9, _GOLD)
    drop = ellipse(x, y - 0.765, 0.024, 0.031)
    area.paint(area.soft(drop - 0.01, 0.03) * 0.3, shade(character.clothes, 0.6))
    area.paint(area.inside(drop), _GOLD)
    area.paint(area.inside(ellipse(x, y - 0.765, 0.014, 0.020)), character.accent)
    area.paint(area.inside(ellipse(x + 0.005, y - 0.757, 0.004, 0.006)), (1.0, 1.0, 1.0))


def _paint_brooch(character: Character, area: Canvas, x: Tensor, y: Tensor) -> None:
    area.paint(area.soft(ellipse(x, y, 0.058, 0.058), 0.03) * 0.35, shade(character.clothes, 0.6))
    for petal in range(5):
        angle = petal * math.tau / 5 - math.pi / 2
        leaf = ellipse(x - 0.030 * math.cos(angle), y - 0.030 * math.sin(angle), 0.026, 0.026)
        area.paint(area.inside(leaf), _GOLD)
    area.paint(area.inside(ellipse(x, y, 0.020, 0.020)), shade(character.accent, -0.2))
