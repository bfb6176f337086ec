"""Outlines of the hair styles, and the opening for the face."""

import torch
from torch import Tensor

from streamchar_ref.world.canvas import blob, ellipse, meet, union
from streamchar_ref.world.character import CROPPED, Character

ENDS = {
    "short": 0.02, "quiff": 0.02, "pixie": 0.12, "buzz": -0.02, "bald": -0.4, "curly": 0.12,
    "afro": 0.16, "bob": 0.40, "long": 0.86, "wavy": 0.84, "bun": 0.10, "ponytail": 0.10,
    "braids": 0.12,
}  # fmt: skip
"""Lower end of the hair on the head, below the middle of the head."""
TIED = ("bun", "ponytail", "braids")
FREE = ("bob", "long", "wavy")


def outline(character: Character, x: Tensor, y: Tensor) -> Tensor:
    """Signed distance to the hair's outline from the front."""
    wide = character.face_width + character.volume
    tall = character.face_height + character.volume
    style = character.style
    if style in ("short", "quiff", "pixie", "buzz", "bald"):
        return _cropped(character, x, y, tall)
    if style in ("curly", "afro"):
        return _ball(character, x, y, wide, tall)
    if style in TIED:
        return meet(ellipse(x, y + 0.04, wide - 0.035, tall - 0.035), y - ENDS[style], 0.06)
    return _hanging(character, x, y, wide, tall)


def window(character: Character, x: Tensor, y: Tensor) -> Tensor:
    """Signed distance that is positive where the face is not covered by hair."""
    style, wide, part = character.style, character.face_width, character.parting
    top = 0.125 - character.face_height
    if style in CROPPED or style == "afro":
        return _cropped_window(character, x, y, top)
    away = (x - part) / torch.where(x > part, wide - part, wide + part)
    line = top + (0.27 + 0.10 * character.fringe) * away.abs() ** 1.7 - 0.02
    if style in TIED:
        return -meet((line - y) * 0.8, x.abs() - 0.93 * wide, 0.10)
    if character.fringe > 0.62:  # a full fringe
        line = top + 0.13 + 0.05 * x * x + 0.010 * (x * 41).sin() + 0.6 * (x.abs() - 0.2).clamp(0)
    lock = 0.90 * wide - 0.07 * (y - 0.12).clamp(0, 1) - 0.012 * (y * 9).sin()
    return -meet((line - y) * 0.75, x.abs() - lock, 0.10)


def _ball(character: Character, x: Tensor, y: Tensor, wide: float, tall: float) -> Tensor:
    angle = torch.atan2(y + 0.15, x)
    curls = 0.030 * (angle * 8.5).sin().abs() + 0.014 * (angle * 17 + 1).sin().abs()
    if character.style == "afro":
        size = 0.06 + 0.9 * character.volume
        ball = ellipse(x, y + 0.17, wide + size, tall - 0.07 + size) - 0.5 * curls
        return meet(ball, y - ENDS["afro"] - 0.25 * (x.abs() - 0.3).clamp(0), 0.16)
    return meet(ellipse(x, y + 0.15, wide + 0.03, tall - 0.07) - curls, y - ENDS["curly"], 0.12)


def _hanging(character: Character, x: Tensor, y: Tensor, wide: float, tall: float) -> Tensor:
    side = x * (1 if character.parting > 0 else -1)
    crown = ellipse(x, y + 0.04, wide, tall - 0.02) - 0.02 * blob(side + 0.16, y + 0.5, 0.2, 0.2)
    down = y.clamp(0, 1)
    curve = 0.05 * (down * 5.2).sin() if character.style == "bob" else 0.05 * down
    wave = 0.008 * (y * 15).sin()
    if character.style == "wavy":
        curve, wave = 0.10 * down, 0.028 * (y * 17 + 1.2 * x.sign()).sin()
    sides = x.abs() - wide - curve - wave * (down * 4).clamp(0, 1)
    end = ENDS[character.style] - 0.02 * (x * 17).sin() - 0.10 * x * x
    return union(crown, torch.maximum(meet(sides, y - end, 0.10), -0.04 - y), 0.02)


def _cropped(character: Character, x: Tensor, y: Tensor, tall: float) -> Tensor:
    style, side = character.style, 1 if character.parting > 0 else -1
    if style in ("buzz", "bald"):
        crown = ellipse(x, y + 0.05, character.face_width + 0.008, character.face_height - 0.035)
        return meet(crown, y - ENDS[style], 0.03)
    tufts = 0.008 * (x * 31 + side * 2).sin() + 0.006 * (x * 57 + 1).sin()
    crown = ellipse(x, y + 0.08, character.face_width + 0.020, tall - 0.05)
    if style == "quiff":
        wave = ellipse(x + side * 0.05, y + tall - 0.09 - 0.18 * side * x, 0.25, 0.13)
        crown = union(crown, wave - 0.8 * tufts, 0.14)
    else:
        top = ellipse(x + side * 0.03, y + tall - 0.15, 0.27, 0.15)
        crown = union(crown, top - 0.7 * tufts, 0.14)
    return meet(crown, y - ENDS[style], 0.03)


def _cropped_window(character: Character, x: Tensor, y: Tensor, top: float) -> Tensor:
    style, side = character.style, 1 if character.parting > 0 else -1
    leaning = {"short": 0.07, "pixie": 0.30}.get(style, 0.0)
    line = top + 0.015 + 0.05 * character.fringe + leaning * side * x
    line = line + 0.75 * (x + 0.02) ** 2
    rough = 0.15 if style == "buzz" else 1.0
    if style == "pixie":
        line = line + 0.035
    if style == "buzz":
        line = line - 0.02 - 0.05 * character.fringe
    tufts = rough * (0.013 * (x * 23 + 9 * side).sin().abs() + 0.008 * (x * 47 + 1).sin())
    edge = (0.86 if style in ("curly", "afro") else 0.93) * character.face_width
    sides = x.abs() - edge + 0.10 * (y + 0.1).clamp(min=0)
    return -meet(line + tufts - y, sides, 0.16)
