"""Draws hair: behind the head, around the face, and over the shoulders."""

from collections.abc import Sequence

import torch
from torch import Tensor

from streamchar_ref.world.canvas import Canvas, blob, ellipse, meet, shade, tint
from streamchar_ref.world.character import CROPPED, Character
from streamchar_ref.world.face import head_distance
from streamchar_ref.world.hair_shape import ENDS, FREE, TIED, outline, window
from streamchar_ref.world.pose import Pose

_BUN_Y = -0.575


def paint_back_hair(character: Character, pose: Pose, canvas: Canvas) -> None:
    """Paints the hair behind neck and shoulders."""
    if character.style in ("short", "quiff", "pixie", "buzz", "bald"):
        return  # not visible from the front
    head = pose.on_head(canvas, depth=-0.18)
    x, y = head.x, head.y
    distance = outline(character, x, y)
    if character.has_hat:
        distance = torch.maximum(distance, -0.2 - y)
    dark = shade(character.hair, 0.30)
    head.paint(head.soft(distance - 0.03, 0.10) * 0.16, shade(character.background[1], 0.6))
    if character.style == "bun":
        _paint_bun(character, head)
    if character.style == "ponytail":
        _paint_tail(character, head)
    mask = head.inside(distance)
    head.paint(mask, dark)
    _paint_strands(character, head, mask * 0.5, x * 22 + 2 * (y * 4).sin())
    head.paint(mask * blob(x, y - 0.5, 0.25, 0.35) * 0.5, shade(character.hair, 0.6))


def paint_front_hair(character: Character, pose: Pose, canvas: Canvas) -> None:
    """Paints the hair on the head, and its shadow on the forehead."""
    if character.style == "bald":
        _paint_gloss(character, pose, canvas)
        return
    area = canvas.crop(-0.8, 0.8, -1.2, ENDS[character.style] + 0.06)
    skull, face = pose.on_head(area, depth=-0.10), pose.on_face(area, depth=0.6)
    shape = outline(character, skull.x, skull.y)
    opening = window(character, face.x, face.y)
    hair = meet(shape, opening, 0.03)
    if character.has_hat:
        hair = torch.maximum(hair, -0.25 - skull.y)
    _paint_shadow(character, pose, area, shape, opening)
    mask = skull.inside(hair)
    colour: Sequence[float] = character.hair
    if character.style in ("short", "quiff", "buzz"):
        mask = mask * ((0.02 - skull.y) / 0.11).clamp(0, 1)  # sides grow shorter to the ear
    if character.style == "buzz":
        mask, colour = mask * 0.86, tint(colour, character.skin, 0.16)
    area.paint(mask, colour)
    away = skull.away(skull.x - 0.02, 0.5 * skull.y)
    area.paint(mask * (away * 1.9).clamp(0, 1) * 0.7, shade(colour, 0.34))
    _paint_texture(character, face, mask)
    edge = area.soft(opening.abs() - 0.004, 0.035) * mask
    area.paint(edge * (0.15 if character.style == "buzz" else 0.38), shade(colour, 0.45))
    if character.style == "braids":
        _paint_braids(character, pose, canvas)


def _paint_texture(character: Character, face: Canvas, mask: Tensor) -> None:
    if character.style in ("curly", "afro"):
        _paint_curls(character, face, mask)
    elif character.style == "buzz":
        grain = ((face.x * 190).sin() * (face.y * 170 + face.x * 60).sin()).clamp(min=0)
        face.paint(mask * grain * 0.35, shade(character.hair, 0.35))
    else:
        _paint_combed(character, face, mask)


def _paint_gloss(character: Character, pose: Pose, canvas: Canvas) -> None:
    area = pose.crop(canvas, (-0.3, 0.3, -0.5, -0.2), 0.4)
    head = pose.on_face(area, depth=0.4)
    x, y = head.x - 0.10 * head.light[0], head.y + 0.36
    head.paint(blob(x, y, 0.10, 0.045) * 0.45, shade(character.skin, -0.8))
    head.paint(blob(x + 0.02, y + 0.01, 0.04, 0.018) * 0.5, (1.0, 0.98, 0.95))


def _paint_bun(character: Character, head: Canvas) -> None:
    x, y, colour = head.x, head.y - _BUN_Y, character.hair
    mask = head.inside(ellipse(x, y, 0.165, 0.135))
    head.paint(mask, colour)
    head.paint(mask * (0.3 + 4 * head.away(x, y)).clamp(0, 1) * 0.5, shade(colour, 0.35))
    swirl = ((x**2 + y**2).sqrt() * 70 + 2 * torch.atan2(y, x)).sin()
    head.paint(mask * swirl.clamp(min=0) ** 2 * 0.35, shade(colour, 0.35))
    head.paint(mask * blob(x + 0.05, y + 0.05, 0.07, 0.04) * 0.5, shade(colour, -0.35))


def _paint_tail(character: Character, head: Canvas) -> None:
    """A ponytail that rises at the crown and falls behind one shoulder."""
    side, colour = (1 if character.parting > 0 else -1), character.hair
    x, y = head.x * side, head.y
    middle = 0.27 + 0.17 * (2.6 * (y + 0.42)).clamp(0, 1.57).sin() - 0.12 * (y - 0.1).clamp(0, 1)
    thick = 0.105 * (1 - ((y - 0.06) / 0.62) ** 2).clamp(min=0).sqrt() + 0.012 * (y * 13).sin()
    mask = head.inside((x - middle).abs() - thick) * head.inside((y - 0.06).abs() - 0.58)
    head.paint(mask, shade(colour, 0.10))
    _paint_strands(character, head, mask, (x - middle) * 75 + 2 * (y * 6).sin())
    head.paint(
        mask * (4 * head.away(x * side - 0.42 * side, y * 0.2)).clamp(0, 1) * 0.5,
        shade(colour, 0.35),
    )
    knot = ellipse(x - 0.30, y + 0.40, 0.06, 0.07)
    head.paint(head.inside(knot), character.accent)
    head.paint(head.inside(knot + 0.02) * 0.4, shade(character.accent, -0.4))


def _paint_braids(character: Character, pose: Pose, canvas: Canvas) -> None:
    """A braid from behind each ear over the shoulder, of strands that cross."""
    colour = character.hair
    for side in (-1, 1):
        area = canvas.crop(*((-0.62, 0.0) if side < 0 else (0.0, 0.62)), 0.0, 1.0)
        head = pose.on_head(area, depth=-0.05)
        x, y = head.x * side, head.y
        along = (y - 0.10) / 0.66
        middle = character.face_width - 0.02 + 0.05 * along + 0.03 * (3 * along).sin()
        thick = 0.062 + 0.010 * (y * 62).sin().abs() - 0.018 * along
        away = x - middle
        braid = torch.maximum(away.abs() - thick, (along - 0.5).abs() * 0.66 - 0.33)
        shadow = torch.maximum((away + 0.02).abs() - thick, (along - 0.5).abs() * 0.66 - 0.33)
        head.paint(head.soft(shadow - 0.01, 0.06) * 0.3, shade(character.clothes, 0.6))
        mask = head.inside(braid)
        head.paint(mask, colour)
        cross = (y * 62 + 55 * away.abs()).sin()
        head.paint(mask * cross.clamp(min=0) ** 2 * 0.55, shade(colour, 0.5))
        head.paint(
            mask * (-cross).clamp(min=0) * blob(away, y * 0, 0.06, 1) * 0.4, shade(colour, -0.3)
        )
        tie = torch.maximum(away.abs() - thick - 0.004, (along - 0.9).abs() * 0.66 - 0.022)
        head.paint(head.inside(tie), character.accent)


def _paint_shadow(
    character: Character, pose: Pose, area: Canvas, shape: Tensor, opening: Tensor
) -> None:
    head = pose.on_head(area)
    skull = head_distance(character, pose, head.x, head.y)
    shadow = torch.maximum(torch.maximum(shape, opening - 0.045), skull)
    dark = shade(tint(character.skin, (0.6, 0.2, 0.2), 0.15), 0.42)
    strength = 0.15 if character.style == "buzz" else 0.42
    head.paint(head.soft(shadow, 0.06) * strength, dark)


def _paint_combed(character: Character, head: Canvas, mask: Tensor) -> None:
    """Strands that fall from the parting, and a band of gloss across them."""
    x, y, colour = head.x - character.parting, head.y + character.face_height, character.hair
    across = _across(character, x, y)
    _paint_strands(character, head, mask, across)
    radius = (x * x + (y - 0.02) ** 2).sqrt()
    band = ((radius - 0.25 - 0.03 * (across * 0.8).sin()) / 0.16).clamp(-1, 1)
    band = (1 - band * band) ** 3
    gloss = (0.6 + 0.4 * (across * 1.9).sin()) * (
        0.45 - 1.3 * head.away(head.x, 0.4 * head.y)
    ).clamp(0, 1)
    head.paint(mask * band * gloss * 0.6, shade(tint(colour, (1.0, 0.85, 0.65), 0.25), -0.35))
    if character.style in (*FREE, *TIED):
        line = (x - 0.10 * (y - 0.02)).abs() - 0.003
        crown = head.soft(line, 0.016) * (1 - (y + 0.01).abs() / 0.13).clamp(0, 1)
        head.paint(mask * crown * 0.7, shade(tint(colour, character.skin, 0.3), 0.35))


def _across(character: Character, x: Tensor, y: Tensor) -> Tensor:
    """Coordinate across the strands: constant along a strand, about 1 apart between neighbours."""
    side = 1 if character.parting > 0 else -1
    if character.style in CROPPED:  # swept to a side, from the parting
        sweep = 0.75 * y - 0.62 * side * x + 0.55 * x * x + 0.03 * (side * x * 11).sin()
        if character.style == "quiff":
            sweep = 0.62 * y - 0.75 * side * x - 0.5 * x * y + 0.3 * x * x
        return sweep * 40
    wave = 0.16 * (y * 15 + 3 * x).sin() if character.style == "wavy" else 0.03 * (y * 9).sin()
    fall = x.abs() ** 0.8 * 1.25 - 0.55 * (y - 0.05) * x.abs() + wave
    if character.style in FREE:  # below the ears, strands hang
        fall = fall + 0.35 * (y - 0.62).clamp(min=0) * x.abs()
    return torch.where(x > 0, fall, fall + 0.37) * 34


def _paint_curls(character: Character, head: Canvas, mask: Tensor) -> None:
    x, y, colour = head.x, head.y, character.hair
    if character.style == "afro":
        x, y = x * 1.35, y * 1.35
    first = (x * 46 + 2.2 * (y * 33).sin()).sin() * (y * 50 + 2.0 * (x * 38 + 1).sin()).sin()
    second = (x * 27 + y * 31 + 2 * (y * 21).sin()).sin()
    curl = 0.75 * first + 0.35 * second
    head.paint(mask * curl.clamp(0, 1) * 0.55, shade(colour, -0.20))
    head.paint(mask * (-curl).clamp(0, 1) * 0.55, shade(colour, 0.42))
    top = blob(head.x - 0.14 * head.light[0], head.y + 0.42, 0.24, 0.15)
    head.paint(mask * top * (0.35 + curl.clamp(0, 1)) * 0.5, shade(colour, -0.35))


def _paint_strands(character: Character, head: Canvas, mask: Tensor, across: Tensor) -> None:
    wave = (
        (across * 2.1).sin() * 0.45
        + (across * 4.7 + 1).sin() * 0.3
        + (across * 0.9 + 2).sin() * 0.4
    )
    head.paint(mask * wave.clamp(0, 1) * 0.34, shade(character.hair, 0.40))
    head.paint(mask * (-wave).clamp(0, 1) * 0.28, shade(character.hair, -0.26))
