"""Head, ears, eyes, brows, nose and beard; the mouth has its own file."""

import numpy as np
import torch
from torch import Tensor

from streamchar_ref.world.canvas import Canvas, blob, capsule, ellipse, shade, tint
from streamchar_ref.world.character import Character
from streamchar_ref.world.mouth import MOUTH_Y, paint_mouth
from streamchar_ref.world.pose import Pose

EYE_Y = -0.015
_INK = (0.16, 0.10, 0.10)


def paint_face(character: Character, pose: Pose, canvas: Canvas) -> None:
    """Paints the head without its hair."""
    area = canvas.crop(-0.56, 0.56, -0.72, 0.52)
    _paint_ears(character, pose.on_head(area, depth=-0.5))
    _paint_skin(character, pose, area)
    _paint_cheeks(character, pose.on_head(area.crop(-0.45, 0.45, -0.2, 0.4), depth=0.6))
    if character.beard:
        _paint_beard(character, pose, area.crop(-0.5, 0.5, -0.2, 0.52))
    _paint_nose(character, pose.on_head(area.crop(-0.22, 0.22, -0.3, 0.22), depth=1.0))
    paint_mouth(character, pose, area.crop(-0.3, 0.3, -0.0, 0.45))
    for side in (-1, 1):
        middle = side * character.eye_gap
        box = area.crop(middle - 0.19, middle + 0.19, -0.38, 0.08)
        _paint_eye(character, pose, pose.on_head(box, depth=0.75), side)
        _paint_brow(character, pose, pose.on_head(box, depth=0.8), side)
    if character.has_glasses:
        _paint_glasses(character, pose.on_head(area.crop(-0.5, 0.5, -0.35, 0.12), depth=0.9))


def head_distance(character: Character, x: Tensor, y: Tensor, drop: Tensor | float = 0.0) -> Tensor:
    """Signed distance to the outline of the head; ``drop`` lowers the jaw."""
    low = (y / character.face_height).clamp(0, 1)
    y = y - drop * low * low
    narrow = 1 - character.jaw * low * low * (3 - 2 * low)
    u, v = x / (character.face_width * narrow), y / character.face_height
    u2, v2 = u * u, v * v
    form = (u2 + v2 - character.squareness * u2 * v2).clamp(min=1e-6).sqrt()
    return (form - 1) * (character.face_width + 0.1 * v2)


def jaw_drop(pose: Pose) -> Tensor:
    """How far the chin goes down."""
    return 0.34 * pose.gap


def _paint_ears(character: Character, head: Canvas) -> None:
    skin = character.skin
    x = head.x.abs() - character.face_width - 0.005
    ear = ellipse(x - 0.1 * (head.y - 0.03), head.y - 0.03, 0.055, 0.098)
    head.paint(head.inside(ear), shade(skin, 0.07))
    inner = ellipse(x - 0.008, head.y - 0.025, 0.026, 0.060)
    head.paint(head.soft(inner, 0.03) * 0.55, shade(tint(skin, (0.8, 0.3, 0.25), 0.15), 0.22))
    if character.has_earrings:
        stud = ellipse(x - 0.012, head.y - 0.135, 0.017, 0.017)
        head.paint(head.inside(stud), (0.93, 0.78, 0.42))
        head.paint(head.inside(ellipse(x - 0.008, head.y - 0.130, 0.006, 0.006)), (1.0, 0.96, 0.85))


def _paint_skin(character: Character, pose: Pose, area: Canvas) -> None:
    head = pose.on_head(area)
    distance = head_distance(character, head.x, head.y, jaw_drop(pose))
    mask, skin = head.inside(distance), character.skin
    head.paint(mask, skin)
    x, y = head.x - 0.02 * pose.yaw, head.y
    light = blob(x + 0.12, y + 0.14, 0.34, 0.36)
    head.paint(mask * light * 0.32, shade(skin, -0.45))
    rim = ((distance + 0.13) / 0.13).clamp(0, 1) ** 2
    turned = (0.45 + 1.3 * x + 0.55 * y).clamp(0, 1)
    head.paint(mask * rim * turned * 0.62, shade(tint(skin, (0.75, 0.30, 0.22), 0.18), 0.26))
    head.paint(mask * (1.4 * x + 0.1).clamp(0, 1) * 0.30, shade(skin, 0.22))


def _paint_cheeks(character: Character, head: Canvas) -> None:
    rose = tint(character.skin, (0.93, 0.36, 0.34), 0.55)
    for side in (-1, 1):
        cheek = blob(head.x - side * 0.205, head.y - 0.155, 0.085, 0.062)
        head.paint(cheek * character.blush, rose)
    socket = blob(head.x.abs() - character.eye_gap, head.y - EYE_Y + 0.01, 0.10, 0.07)
    head.paint(socket * 0.16, shade(tint(character.skin, (0.6, 0.25, 0.25), 0.2), 0.22))
    if character.freckles:
        rng = np.random.default_rng([character.seed, 0xF2])
        for _ in range(16):
            x = float(rng.choice([-1, 1]) * rng.uniform(0.05, 0.25))
            y = float(rng.normal(0.125, 0.028))
            spot = head.soft(ellipse(head.x - x, head.y - y, 0.007, 0.006), 0.008)
            head.paint(spot * character.freckles, shade(character.skin, 0.33))


def _paint_beard(character: Character, pose: Pose, area: Canvas) -> None:
    head = pose.on_head(area, depth=0.15)
    face = head_distance(character, head.x, head.y, jaw_drop(pose))
    front = pose.on_head(area, depth=0.7)
    lips = ellipse(front.x, front.y - MOUTH_Y - 0.5 * pose.gap, 0.115, 0.038 + 0.5 * pose.gap)
    across = front.x.abs()
    cheek = 0.205 + 0.035 * blob(across - 0.165, 0 * front.y, 0.05, 1.0)
    cheek = cheek - 1.3 * (across - 0.20).clamp(min=0)
    region = torch.maximum(cheek - front.y, -lips)
    mask = head.inside(face + 0.002) * head.soft(region + 0.01, 0.075)
    hair = shade(tint(character.hair, character.skin, 0.3), 0.15)
    head.paint(mask * character.beard, hair)
    bristle = (front.x * 95 + 1.5 * (front.y * 70).sin() + 9 * front.x * front.y).sin()
    head.paint(mask * character.beard * bristle.clamp(0, 1) * 0.22, shade(hair, 0.35))


def _paint_nose(character: Character, head: Canvas) -> None:
    skin, x, y = character.skin, head.x, head.y
    tip = EYE_Y + character.nose_length
    wide = character.nose_width
    dark = shade(tint(skin, (0.72, 0.28, 0.22), 0.22), 0.26)
    flank = blob(x - wide * 0.62, y - tip + 0.055, 0.022, 0.085)
    head.paint(flank * 0.34, dark)
    head.paint(blob(x + 0.008, y - tip + 0.075, 0.017, 0.085) * 0.35, shade(skin, -0.5))
    ball = blob(x, y - tip, wide * 0.75, 0.034)
    head.paint(ball * 0.22, tint(skin, (0.9, 0.4, 0.35), 0.35))
    under = blob(x - 0.006, y - tip - 0.036, wide * 0.95, 0.016)
    head.paint(under * 0.5, dark)
    wing = (ellipse(x.abs() - wide * 0.80, y - tip - 0.010, 0.020, 0.024)).abs() - 0.003
    head.paint(head.soft(wing, 0.016) * (x.abs() - wide * 0.75).clamp(0, 0.02) * 50 * 0.35, dark)
    nostril = ellipse(
        x.abs() - wide * 0.46, y - tip - 0.024 + 0.2 * (x.abs() - wide * 0.46), 0.014, 0.0075
    )
    head.paint(head.soft(nostril, 0.010) * 0.75, shade(dark, 0.45))
    head.paint(blob(x + 0.012, y - tip + 0.010, 0.013, 0.011) * 0.6, shade(skin, -0.75))


def _paint_eye(character: Character, pose: Pose, head: Canvas, side: int) -> None:
    half = character.eye_size
    x = (head.x * side - character.eye_gap) / half  # outer corner at +1 on both sides
    y = head.y - EYE_Y + character.eye_tilt * x
    arch = (1 - x * x).clamp(min=0)
    top = -half * (0.62 * arch * (1 - 0.10 * x)) * (1 + 0.08 * pose.brows)
    low = half * 0.40 * arch.sqrt() * arch
    lid = top + (low - top) * pose.blink.clamp(0, 1) * 0.97
    opening = torch.maximum(torch.maximum(lid - y, y - low), (x.abs() - 1) * half)
    white = head.inside(opening + 0.001)
    head.paint(white, (0.985, 0.965, 0.945))
    _paint_iris(character, pose, head, side, white)
    head.paint(white * head.soft(y - lid - 0.016, 0.04) * 0.42, (0.45, 0.36, 0.38))
    skin = character.skin
    crease = (y - top + 0.022 + 0.010 * x * x).abs() - 0.0025
    head.paint(head.soft(crease, 0.010) * (arch * 1.4).clamp(0, 1) * 0.55, shade(skin, 0.38))
    thick = 0.0085 + 0.0065 * (x * 0.5 + 0.5).clamp(0, 1)
    lash = torch.maximum(
        (y - lid).abs() - thick * (0.35 + 0.65 * arch.sqrt()), (x.abs() - 1.04) * half
    )
    head.paint(head.inside(lash) * 0.92, tint(_INK, character.hair, 0.25))
    wing = (
        capsule(x * half, y, (0.93 * half, -0.004), (1.20 * half, -0.026))
        - 0.0055 * (1.25 - x).clamp(0, 1)
        - 0.001
    )
    head.paint(head.inside(wing) * 0.8 * (1 - 0.6 * pose.blink), tint(_INK, character.hair, 0.25))
    lower = torch.maximum((y - low - 0.003).abs() - 0.002, (x.abs() - 0.92) * half)
    head.paint(head.soft(lower, 0.008) * 0.45, shade(tint(skin, (0.6, 0.2, 0.2), 0.25), 0.35))


def _paint_iris(character: Character, pose: Pose, head: Canvas, side: int, white: Tensor) -> None:
    radius = character.eye_size * 0.515
    x = head.x - side * (character.eye_gap - 0.004) - 0.014 * pose.gaze - 0.006 * pose.yaw
    y = head.y - EYE_Y + 0.004
    distance = (x * x + y * y).sqrt()
    colour = character.eyes
    head.paint(white * head.inside(distance - radius), shade(colour, 0.55))
    head.paint(white * head.inside(distance - radius * 0.86), colour)
    glow = blob(x, y - radius * 0.45, radius * 0.7, radius * 0.5) * head.inside(
        distance - radius * 0.85
    )
    head.paint(white * glow * 0.75, shade(colour, -0.35))
    head.paint(white * head.inside(distance - radius * 0.47), (0.06, 0.045, 0.05))
    glint = ellipse(x + radius * 0.32, y + radius * 0.36, radius * 0.26, radius * 0.26)
    head.paint(white * head.inside(glint), (1.0, 1.0, 1.0))
    second = ellipse(x - radius * 0.34, y - radius * 0.40, radius * 0.12, radius * 0.12)
    head.paint(white * head.inside(second) * 0.7, (1.0, 1.0, 1.0))


def _paint_brow(character: Character, pose: Pose, head: Canvas, side: int) -> None:
    along = (head.x * side - character.eye_gap + 0.085) / 0.185  # 0 inside, 1 outside
    arch = character.brow_arch
    middle = EYE_Y - 0.118 - 0.014 * pose.brows - arch * 4 * along * (0.95 - along) * 0.8
    middle = middle + 0.012 * (along - 0.7).clamp(min=0) * 4
    thick = character.brow_thickness * (0.55 + 1.5 * along - 1.75 * along * along)
    brow = torch.maximum((head.y - middle).abs() - thick, ((along - 0.5).abs() - 0.5) * 0.185)
    colour = shade(tint(character.hair, _INK, 0.22), 0.12)
    head.paint(head.soft(brow, 0.010) * (0.45 + 3 * along).clamp(0, 0.9), colour)


def _paint_glasses(character: Character, head: Canvas) -> None:
    x, y = head.x.abs() - character.eye_gap - 0.004, head.y - EYE_Y - 0.008
    lens = ellipse(x, y, 0.138, 0.125)
    frame = (0.20, 0.15, 0.15) if sum(character.hair) > 0.9 else (0.36, 0.21, 0.15)
    head.paint(head.inside(lens) * 0.07, (1.0, 1.0, 1.0))
    streak = (x + 0.5 * y + 0.035).abs() - 0.012
    head.paint(head.inside(lens + 0.012) * head.soft(streak, 0.01) * 0.16, (1.0, 1.0, 1.0))
    head.paint(head.soft((lens - 0.004).abs() - 0.010, 0.03) * 0.22, shade(character.skin, 0.5))
    head.paint(head.inside(lens.abs() - 0.0085), frame)
    bridge = torch.maximum(
        (y + 0.035 - 0.9 * head.x**2 * 4).abs() - 0.0065, head.x.abs() - character.eye_gap + 0.125
    )
    head.paint(head.inside(bridge), frame)
    arm = torch.maximum((y + 0.03).abs() - 0.007, character.eye_gap + 0.135 - head.x.abs())
    arm = torch.maximum(arm, head.x.abs() - character.face_width - 0.01)
    head.paint(head.inside(arm), frame)
