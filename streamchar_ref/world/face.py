"""Draws head, ears, nose, beard and wrinkles; eyes and mouth have their own modules."""

import numpy as np
import torch
from torch import Tensor

from streamchar_ref.world.canvas import Canvas, blob, capsule, ellipse, shade, tint
from streamchar_ref.world.character import Character
from streamchar_ref.world.eyes import EYE_Y, paint_brow, paint_eye
from streamchar_ref.world.glasses import paint_glasses
from streamchar_ref.world.mouth import MOUTH_Y, paint_mouth
from streamchar_ref.world.pose import RADIUS, Pose


def paint_face(character: Character, pose: Pose, canvas: Canvas) -> None:
    """Paints the head without hair."""
    area = pose.crop(canvas, (-0.46, 0.46, -0.62, 0.56), 0.3)
    skull = _paint_skin(character, pose, area)
    _paint_cheeks(character, pose, pose.crop(area, (-0.4, 0.4, -0.19, 0.30), 0.6))
    if character.wrinkles:
        _paint_age(character, pose, pose.crop(area, (-0.33, 0.33, -0.36, 0.36), 0.7))
    if character.beard:
        _paint_beard(character, pose, area.crop(-0.9, 0.9, -0.2, 0.9))
    nose = (-0.16, 0.16, -0.22, 0.24)
    _paint_nose(character, pose, pose.crop(area, nose, 1.0))
    if character.moustache:
        _paint_moustache(character, pose, pose.crop(area, (-0.2, 0.2, 0.14, 0.32), 0.8))
    paint_mouth(character, pose, pose.crop(area, (-0.25, 0.25, 0.17, 0.47), 0.72))
    for side in (-1, 1):
        middle = side * character.eye_gap
        box = pose.crop(area, (middle - 0.115, middle + 0.115, -0.10, 0.07), 0.75)
        paint_eye(character, pose, pose.on_face(box, depth=0.75), side)
        box = pose.crop(area, (middle - 0.11, middle + 0.13, -0.24, -0.08), 0.8)
        paint_brow(character, pose, pose.on_face(box, depth=0.8), side)
    _paint_ears(character, pose, area, skull)
    if character.glasses:
        paint_glasses(character, pose, pose.crop(area, (-0.36, 0.36, -0.17, 0.17), 0.9))


def head_distance(
    character: Character, pose: Pose, x: Tensor, y: Tensor, drop: Tensor | float = 0.0
) -> Tensor:
    """Signed distance to the outline of the head.

    Args:
        character: For the shape.
        pose: In a turned head the chin leads, and the far side is indented at the eye.
        x: Relative to the middle of the head.
        y: Relative to the middle of the head.
        drop: Lowering of the jaw.

    Returns:
        Negative inside.
    """
    low = (y / character.face_height).clamp(0, 1)
    y = y - drop * low * low
    smooth = low * low * (3 - 2 * low)
    x = x - pose.sin * (0.19 * smooth + 0.02)
    dip = blob(y * 0, y + 0.02, 1.0, 0.10) - 0.6 * blob(y * 0, y - 0.14, 1.0, 0.10)
    far = (x * pose.sin).clamp(min=0) * 0.42
    narrow = 1 - character.jaw * smooth - far * dip
    u, v = x / (character.face_width * narrow), y / character.face_height
    u2, v2 = u * u, v * v
    corner = u2.clamp(max=1) * v2.clamp(max=1)
    form = (u2 + v2 - character.squareness * corner).clamp(min=1e-6).sqrt()
    return (form - 1) * (character.face_width + 0.1 * v2)


def jaw_drop(pose: Pose) -> Tensor:
    """Lowering of the chin."""
    return 0.34 * pose.gap


def _paint_ears(character: Character, pose: Pose, area: Canvas, skull: Tensor) -> None:
    """Paints ears behind the edge of the head; the ear turned to the viewer lies in front."""
    behind = area.inside(skull + 0.004)
    for side in (-1, 1):
        near = (-side * pose.sin / 0.22).clamp(0, 1)
        shift = -side * (1 - pose.cos) * character.face_width - 0.03 * pose.sin
        head = pose.on_head(area)
        far = (side * pose.sin / 0.30).clamp(0, 1)
        x = (head.x - shift) * side - character.face_width - 0.008 + 0.028 * near + 0.075 * far
        tilt = x - 0.1 * (head.y - 0.03)
        ear = ellipse(tilt, head.y - 0.03, 0.052 + 0.012 * near, 0.094)
        shown = torch.maximum(1 - behind, near * head.soft(-x - 0.03, 0.05))
        _paint_ear(character, head, (x, ear), shown, side)


def _paint_ear(
    character: Character, head: Canvas, at: tuple[Tensor, Tensor], shown: Tensor, side: int
) -> None:
    x, ear = at
    y, skin = head.y, character.skin
    head.paint(head.inside(ear) * shown, shade(skin, 0.07))
    head.paint(head.soft(ear.abs() - 0.002, 0.012) * shown * 0.25, shade(skin, 0.4))
    inner = ellipse(x - 0.008, y - 0.025, 0.026, 0.060)
    dark = shade(tint(skin, (0.8, 0.3, 0.25), 0.15), 0.22)
    head.paint(head.soft(inner, 0.03) * shown * 0.55, dark)
    if character.has_earrings:
        stud = ellipse(x - 0.012, y - 0.135, 0.017, 0.017)
        head.paint(head.inside(stud) * shown, (0.93, 0.78, 0.42))
        head.paint(head.inside(ellipse(x - 0.008, y - 0.13, 0.006, 0.006)) * shown, (1, 0.96, 0.85))
    if character.side_detail == "hoop" and side == character.detail_side:
        hoop = ellipse(x - 0.010, y - 0.185, 0.046, 0.054).abs() - 0.009
        head.paint(head.inside(hoop) * shown, (0.90, 0.72, 0.34))
        head.paint(head.soft(hoop + 0.006, 0.008) * shown * 0.6, (1.0, 0.93, 0.70))


def _paint_skin(character: Character, pose: Pose, area: Canvas) -> Tensor:
    head = pose.on_head(area)
    distance = head_distance(character, pose, head.x, head.y, jaw_drop(pose))
    mask, skin = head.inside(distance), character.skin
    head.paint(mask, skin)
    away = head.away(head.x - 0.10 * pose.sin, head.y)
    lit = head.light
    light = blob(head.x - 0.12 * lit[0], head.y - 0.02 - 0.30 * lit[1], 0.40, 0.42)
    head.paint(mask * light * 0.32, shade(skin, -0.45))
    rim = ((distance + 0.13) / 0.13).clamp(0, 1) ** 2
    turned = (0.45 + 1.3 * away).clamp(0, 1)
    head.paint(mask * rim * turned * 0.62, shade(tint(skin, (0.75, 0.30, 0.22), 0.18), 0.26))
    head.paint(mask * (1.4 * away + 0.1).clamp(0, 1) * 0.30, shade(skin, 0.22))
    return distance


def _paint_cheeks(character: Character, pose: Pose, area: Canvas) -> None:
    head = pose.on_face(area, depth=0.6)
    rose = tint(character.skin, (0.93, 0.36, 0.34), 0.55)
    cheek = blob(head.x.abs() - 0.205, head.y - 0.155, 0.085, 0.062)
    head.paint(cheek * character.blush, rose)
    socket = blob(head.x.abs() - character.eye_gap, head.y - EYE_Y + 0.01, 0.10, 0.07)
    head.paint(socket * 0.16, shade(tint(character.skin, (0.6, 0.25, 0.25), 0.2), 0.22))
    if character.freckles:
        _paint_freckles(character, pose, area)


def _paint_freckles(character: Character, pose: Pose, area: Canvas) -> None:
    rng = np.random.default_rng([character.seed, 0xF2])
    dark = shade(character.skin, 0.33)
    for _ in range(16):
        x = float(rng.choice([-1, 1]) * rng.uniform(0.05, 0.25))
        y = float(rng.normal(0.125, 0.028))
        spot = (x - 0.02, x + 0.02, y - 0.02, y + 0.02)
        head = pose.on_face(pose.crop(area, spot, 0.65), depth=0.65)
        dot = head.soft(ellipse(head.x - x, head.y - y, 0.007, 0.006), 0.008)
        head.paint(dot * character.freckles, dark)


def _paint_age(character: Character, pose: Pose, area: Canvas) -> None:
    """Paints wrinkles on the forehead, from nose to mouth, and under the eyes."""
    head = pose.on_face(area, depth=0.72)
    x, y, dark = head.x, head.y, shade(tint(character.skin, (0.6, 0.25, 0.2), 0.2), 0.34)
    across = x.abs()
    for height in (-0.225, -0.262):
        line = (y - height + 0.25 * x * x - 0.006 * (x * 19 + height * 50).sin()).abs() - 0.002
        head.paint(
            head.soft(line, 0.010) * blob(x, y * 0, 0.11, 1) * 0.5 * character.wrinkles, dark
        )
    fold = capsule(across, y, (0.085, 0.150), (0.152, 0.262)) - 0.002
    head.paint(head.soft(fold, 0.016) * 0.55 * character.wrinkles, dark)
    reach = blob(across - character.eye_gap, y * 0, 0.055, 1)
    low = head.soft((0.078 - y - 3.2 * (across - character.eye_gap) ** 2).abs() - 0.002, 0.012)
    head.paint(low * reach * 0.5 * character.wrinkles, dark)


def _paint_beard(character: Character, pose: Pose, area: Canvas) -> None:
    head = pose.on_head(area, depth=0.0)
    face = head_distance(character, pose, head.x, head.y, jaw_drop(pose))
    front = pose.on_face(area, depth=0.7)
    lips = ellipse(front.x, front.y - MOUTH_Y - 0.5 * pose.gap, 0.115, 0.038 + 0.5 * pose.gap)
    across = front.x.abs()
    cheek = 0.205 + 0.035 * blob(across - 0.165, 0 * front.y, 0.05, 1.0)
    cheek = cheek - 1.3 * (across - 0.20).clamp(0, 0.17)
    region = torch.maximum(cheek - front.y, -lips)
    mask = head.inside(face + 0.002) * head.soft(region + 0.01, 0.075)
    hair = shade(tint(character.hair, character.skin, 0.3), 0.15)
    head.paint(mask * character.beard, hair)
    bristle = (front.x * 95 + 1.5 * (front.y * 70).sin() + 9 * front.x * front.y).sin()
    head.paint(mask * character.beard * bristle.clamp(0, 1) * 0.22, shade(hair, 0.35))


def _paint_moustache(character: Character, pose: Pose, area: Canvas) -> None:
    """Paints two wings above the upper lip."""
    head = pose.on_face(area, depth=0.85)
    across, y = head.x.abs(), head.y
    middle = 0.212 + 0.55 * (across - 0.015) ** 2 * 6
    thick = 0.024 * (1 - (across / 0.145) ** 2).clamp(min=0).sqrt() + 0.001
    wing = torch.maximum((y - middle).abs() - thick, across - 0.145)
    hair = shade(tint(character.hair, character.skin, 0.12), 0.1)
    head.paint(head.soft(wing, 0.014) * (0.35 + 0.65 * character.moustache), hair)
    strand = (across * 130 - y * 260).sin().clamp(min=0)
    head.paint(head.soft(wing + 0.004, 0.012) * strand * 0.3, shade(hair, 0.4))


def _paint_nose(character: Character, pose: Pose, area: Canvas) -> None:
    tip = EYE_Y + character.nose_length
    head = pose.on_face(area, depth=1.0)
    # The bridge protrudes less than the tip.
    rise = ((head.y - EYE_Y) / character.nose_length).clamp(0, 1)
    head = head.at(head.x + (0.10 * RADIUS) * pose.sin * (1 - 1.6 * rise), head.y)
    skin, x, y = character.skin, head.x, head.y
    wide = character.nose_width
    dark = shade(tint(skin, (0.72, 0.28, 0.22), 0.22), 0.26)
    away = 1.0 if head.light[0] <= 0 else -1.0
    flank = blob(x - away * wide * 0.62, y - tip + 0.055, 0.022, 0.085)
    head.paint(flank * 0.34, dark)
    far = (x - (0.35 + 0.55 * rise) * wide * pose.sin.sign()).abs() - 0.002
    contour = head.soft(far, 0.014) * blob(x * 0, y - tip + 0.075, 1.0, 0.075)
    head.paint(contour * (2.2 * pose.sin.abs()).clamp(0, 0.75), dark)
    head.paint(blob(x + away * 0.008, y - tip + 0.075, 0.017, 0.085) * 0.35, shade(skin, -0.5))
    head.paint(blob(x, y - tip, wide * 0.75, 0.034) * 0.22, tint(skin, (0.9, 0.4, 0.35), 0.35))
    head.paint(blob(x - away * 0.006, y - tip - 0.036, wide * 0.95, 0.016) * 0.5, dark)
    _paint_nostrils(head, x, y - tip, wide, dark)
    glint = blob(x + away * 0.012, y - tip + 0.010, 0.013, 0.011)
    head.paint(glint * 0.6, shade(skin, -0.75))


def _paint_nostrils(head: Canvas, x: Tensor, y: Tensor, wide: float, dark: list[float]) -> None:
    across = x.abs()
    wing = ellipse(across - wide * 0.80, y - 0.010, 0.020, 0.024).abs() - 0.003
    head.paint(head.soft(wing, 0.016) * (across - wide * 0.75).clamp(0, 0.02) * 50 * 0.35, dark)
    slant = 0.2 * (across - wide * 0.46)
    nostril = ellipse(across - wide * 0.46, y - 0.024 + slant, 0.014, 0.0075)
    head.paint(head.soft(nostril, 0.010) * 0.75, shade(dark, 0.45))
