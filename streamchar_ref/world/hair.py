"""Hair in six styles: what hangs behind the head, and what frames the face."""

import torch
from torch import Tensor

from streamchar_ref.world.canvas import Canvas, blob, ellipse, meet, shade, tint, union
from streamchar_ref.world.character import Character
from streamchar_ref.world.face import head_distance
from streamchar_ref.world.pose import Pose

_LENGTHS = {"short": 0.02, "quiff": 0.02, "curly": 0.12, "bob": 0.40, "long": 0.86, "bun": 0.1}
_BUN_Y = -0.575


def paint_back_hair(character: Character, pose: Pose, canvas: Canvas) -> None:
    """Paints what is behind neck and shoulders."""
    head = pose.on_head(canvas, depth=-0.6)
    x, y = head.x, head.y
    if character.style in ("short", "quiff"):
        return  # nothing of it is seen from the front
    distance = _outline(character, x, y)
    dark = shade(character.hair, 0.30)
    head.paint(head.soft(distance - 0.03, 0.10) * 0.16, shade(character.background[1], 0.6))
    if character.style == "bun":
        _paint_bun(character, head)
    mask = head.inside(distance)
    head.paint(mask, dark)
    _paint_strands(character, head, mask * 0.5, x * 22 + 2 * (y * 4).sin())
    head.paint(mask * blob(x, y - 0.5, 0.25, 0.35) * 0.5, shade(character.hair, 0.6))


def paint_front_hair(character: Character, pose: Pose, canvas: Canvas) -> None:
    """Paints what lies on the head, with its shadow on the forehead."""
    area = canvas.crop(-0.6, 0.6, -0.86, min(0.86, _LENGTHS[character.style] + 0.05))
    head = pose.on_head(area, depth=0.25)
    x, y = head.x, head.y
    outline, window = _outline(character, x, y), _window(character, x, y)
    hair = meet(outline, window, 0.03)
    _paint_shadow(character, head, outline, window)
    mask, colour = head.inside(hair), character.hair
    if character.style in ("short", "quiff"):
        mask = mask * ((0.02 - y) / 0.11).clamp(0, 1)  # sides grow shorter towards the ear
    head.paint(mask, colour)
    head.paint(mask * ((x - 0.02) * 1.9 + 0.2 * y).clamp(0, 1) * 0.7, shade(colour, 0.34))
    if character.style == "curly":
        _paint_curls(character, head, mask)
    else:
        _paint_combed(character, head, mask)
    edge = head.soft(window.abs() - 0.004, 0.035) * mask
    head.paint(edge * 0.38, shade(colour, 0.45))


def _paint_bun(character: Character, head: Canvas) -> None:
    x, y, colour = head.x, head.y - _BUN_Y, character.hair
    mask = head.inside(ellipse(x, y, 0.165, 0.135))
    head.paint(mask, colour)
    head.paint(mask * (0.3 + 4 * x).clamp(0, 1) * 0.5, shade(colour, 0.35))
    swirl = ((x**2 + y**2).sqrt() * 70 + 2 * torch.atan2(y, x)).sin()
    head.paint(mask * swirl.clamp(min=0) ** 2 * 0.35, shade(colour, 0.35))
    head.paint(mask * blob(x + 0.05, y + 0.05, 0.07, 0.04) * 0.5, shade(colour, -0.35))


def _paint_shadow(character: Character, head: Canvas, outline: Tensor, window: Tensor) -> None:
    skull = head_distance(character, head.x, head.y)
    shadow = torch.maximum(torch.maximum(outline, window - 0.045), skull)
    dark = shade(tint(character.skin, (0.6, 0.2, 0.2), 0.15), 0.42)
    head.paint(head.soft(shadow, 0.06) * 0.42, dark)


def _paint_combed(character: Character, head: Canvas, mask: Tensor) -> None:
    """Strands that fall from the parting, and a band of gloss across them."""
    x, y, colour = head.x - character.parting, head.y + character.face_height, character.hair
    fall = x.abs() ** 0.8 * 1.25 - 0.55 * (y - 0.05) * x.abs() + 0.03 * (y * 9).sin()
    across = torch.where(x > 0, fall, fall + 0.37) * 34
    _paint_strands(character, head, mask, across)
    radius = (x * x + (y - 0.02) ** 2).sqrt()
    band = torch.exp(-(((radius - 0.25 - 0.03 * (across * 0.8).sin()) / 0.07) ** 2))
    gloss = (0.6 + 0.4 * (across * 1.9).sin()) * (0.45 - 1.3 * head.x).clamp(0, 1)
    head.paint(mask * band * gloss * 0.6, shade(tint(colour, (1.0, 0.85, 0.65), 0.25), -0.35))
    if character.style in ("bob", "long", "bun"):
        line = (x - 0.10 * (y - 0.02)).abs() - 0.003
        crown = head.soft(line, 0.016) * (1 - (y + 0.01).abs() / 0.13).clamp(0, 1)
        head.paint(mask * crown * 0.7, shade(tint(colour, character.skin, 0.3), 0.35))


def _paint_curls(character: Character, head: Canvas, mask: Tensor) -> None:
    x, y, colour = head.x, head.y, character.hair
    first = (x * 46 + 2.2 * (y * 33).sin()).sin() * (y * 50 + 2.0 * (x * 38 + 1).sin()).sin()
    second = (x * 27 + y * 31 + 2 * (y * 21).sin()).sin()
    curl = 0.75 * first + 0.35 * second
    head.paint(mask * curl.clamp(0, 1) * 0.55, shade(colour, -0.20))
    head.paint(mask * (-curl).clamp(0, 1) * 0.55, shade(colour, 0.42))
    top = blob(x + 0.14, y + 0.42, 0.20, 0.13)
    head.paint(mask * top * (0.35 + curl.clamp(0, 1)) * 0.5, shade(colour, -0.35))


def _paint_strands(character: Character, head: Canvas, mask: Tensor, across: Tensor) -> None:
    wave = (
        (across * 2.1).sin() * 0.45
        + (across * 4.7 + 1).sin() * 0.3
        + (across * 0.9 + 2).sin() * 0.4
    )
    head.paint(mask * wave.clamp(0, 1) * 0.34, shade(character.hair, 0.40))
    head.paint(mask * (-wave).clamp(0, 1) * 0.28, shade(character.hair, -0.26))


def _outline(character: Character, x: Tensor, y: Tensor) -> Tensor:
    """Signed distance to all of the hair as seen from the front."""
    wide = character.face_width + character.volume
    tall = character.face_height + character.volume
    if character.style in ("short", "quiff"):
        return _cropped_outline(character, x, y, tall)
    if character.style == "curly":
        angle = torch.atan2(y + 0.15, x)
        curls = 0.030 * (angle * 8.5).sin().abs() + 0.014 * (angle * 17 + 1).sin().abs()
        ball = ellipse(x, y + 0.15, wide + 0.03, tall - 0.07) - curls
        return meet(ball, y - _LENGTHS["curly"], 0.12)
    if character.style == "bun":
        return meet(ellipse(x, y + 0.04, wide - 0.035, tall - 0.035), y - _LENGTHS["bun"], 0.06)
    side = x * (1 if character.parting > 0 else -1)
    crown = ellipse(x, y + 0.04, wide, tall - 0.02) - 0.02 * blob(side + 0.16, y + 0.5, 0.2, 0.2)
    down = y.clamp(0, 1)
    curve = 0.05 * (down * 5.2).sin() if character.style == "bob" else 0.05 * down
    sides = x.abs() - wide - curve - 0.008 * (y * 15).sin() * (down * 4).clamp(0, 1)
    end = _LENGTHS[character.style] - 0.02 * (x * 17).sin() - 0.10 * x * x
    return union(crown, torch.maximum(meet(sides, y - end, 0.10), -0.04 - y), 0.02)


def _cropped_outline(character: Character, x: Tensor, y: Tensor, tall: float) -> Tensor:
    side = 1 if character.parting > 0 else -1
    tufts = 0.008 * (x * 31 + side * 2).sin() + 0.006 * (x * 57 + 1).sin()
    crown = ellipse(x, y + 0.08, character.face_width + 0.020, tall - 0.05)
    if character.style == "quiff":
        wave = ellipse(x + side * 0.05, y + tall - 0.09 - 0.18 * side * x, 0.25, 0.13)
        crown = union(crown, wave - 0.8 * tufts, 0.14)
    else:
        top = ellipse(x + side * 0.03, y + tall - 0.15, 0.27, 0.15)
        crown = union(crown, top - 0.7 * tufts, 0.14)
    return meet(crown, y - _LENGTHS[character.style], 0.03)


def _window(character: Character, x: Tensor, y: Tensor) -> Tensor:
    """Signed distance that is positive where the face looks out of the hair."""
    wide, part = character.face_width, character.parting
    top = 0.125 - character.face_height
    if character.style in ("short", "quiff", "curly"):
        side = x * (1 if part > 0 else -1)
        line = top + 0.015 + 0.05 * character.fringe + 0.07 * side * (character.style == "short")
        line = line + 0.75 * (x + 0.02) ** 2
        tufts = 0.013 * (x * 23 + 9 * side).sin().abs() + 0.008 * (x * 47 + 1).sin()
        edge = (0.86 if character.style == "curly" else 0.93) * wide
        return -meet(line + tufts - y, x.abs() - edge + 0.10 * (y + 0.1).clamp(min=0), 0.16)
    away = (x - part) / torch.where(x > part, wide - part, wide + part)
    line = top + (0.27 + 0.10 * character.fringe) * away.abs() ** 1.7 - 0.02
    if character.style == "bun":
        return -meet((line - y) * 0.8, x.abs() - 0.93 * wide, 0.10)
    lock = 0.90 * wide - 0.07 * (y - 0.12).clamp(0, 1) - 0.012 * (y * 9).sin()
    return -meet((line - y) * 0.75, x.abs() - lock, 0.10)
