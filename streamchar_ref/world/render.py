"""A character and its movement to frames, painted back to front with signed-distance shapes.

Light comes from the upper left. Every picture is a function of its own frame of movement alone,
so frames may be drawn in batches of any length, at any size, on CPU or GPU; on one machine and
build they are the same bytes, elsewhere within one grey level.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from streamchar_ref.world.canvas import Canvas, blob, capsule, convex, ellipse, shade, tint, union
from streamchar_ref.world.character import Character
from streamchar_ref.world.face import paint_face
from streamchar_ref.world.hair import paint_back_hair, paint_front_hair
from streamchar_ref.world.motion import Motion, still
from streamchar_ref.world.pose import Pose

BATCH_PIXELS = 2**18  # more would not stay in the cache of one core


def render(
    character: Character, motion: Motion, *, size: int, device: str | torch.device = "cpu"
) -> UInt8[np.ndarray, "T H W 3"]:
    """Draws all frames of a movement.

    Args:
        character: Who.
        motion: One value a frame.
        size: Width and height in pixels.
        device: Where to draw.

    Returns:
        RGB frames.
    """
    frames = list(render_batches(character, motion, size=size, device=device))
    return np.concatenate(frames) if frames else np.zeros((0, size, size, 3), np.uint8)


def render_batches(
    character: Character, motion: Motion, *, size: int, device: str | torch.device = "cpu"
) -> Iterator[UInt8[np.ndarray, "T H W 3"]]:
    """Draws frames a few at a time, see `render`."""
    backdrop = _backdrop(character, size, torch.device(device))
    batch = max(1, BATCH_PIXELS // size**2)
    for start in range(0, len(motion), batch):
        rgb = _draw(character, motion[start : start + batch], backdrop)
        grey_levels = (rgb.clamp(0, 1) * 255).round().to(torch.uint8)
        yield grey_levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def portrait(character: Character, *, size: int = 256) -> UInt8[np.ndarray, "H W 3"]:
    """Draws the reference picture: at rest, facing the viewer."""
    return render(character, still(), size=size)[0]


@torch.inference_mode()
def _backdrop(character: Character, size: int, device: torch.device) -> Float[Tensor, "1 3 H W"]:
    """A lit wall with a large disc behind the head and a few soft lights."""
    canvas = Canvas.blank(1, size, device)
    middle, edge = character.background
    rng = np.random.default_rng([character.seed, 0xB6])
    canvas.paint(torch.ones_like(canvas.x), edge)
    canvas.paint(blob(canvas.x + 0.35, canvas.y + 0.5, 1.5, 1.4), middle)
    disc = ellipse(canvas.x - 0.10, canvas.y + 0.10, 0.72, 0.72)
    canvas.paint(canvas.soft(disc, 0.03) * 0.38, shade(middle, -0.6))
    for _ in range(7):
        x, y, radius = rng.uniform(-1, 1), rng.uniform(-1, 0.6), rng.uniform(0.05, 0.17)
        light = canvas.soft(ellipse(canvas.x - x, canvas.y - y, radius, radius), 0.05)
        canvas.paint(light * float(rng.uniform(0.12, 0.3)), shade(middle, -0.7))
    corner = ((canvas.x**2 + canvas.y**2) / 2 - 0.35).clamp(0, 1)
    canvas.paint(corner * 0.4, shade(edge, 0.35))
    return canvas.rgb


@torch.inference_mode()
def _draw(
    character: Character, motion: Motion, backdrop: Float[Tensor, "1 3 H W"]
) -> Float[Tensor, "B 3 H W"]:
    size = backdrop.shape[-1]
    blank = Canvas.blank(1, size, backdrop.device)
    canvas = Canvas(
        rgb=backdrop.repeat(len(motion), 1, 1, 1), x=blank.x, y=blank.y, pixel=blank.pixel
    )
    pose = Pose.of(motion, backdrop.device)
    paint_back_hair(character, pose, canvas)
    _paint_body(character, pose, canvas.crop(-1, 1, 0.05, 1))
    paint_face(character, pose, canvas)
    paint_front_hair(character, pose, canvas)
    return canvas.rgb


def _paint_body(character: Character, pose: Pose, canvas: Canvas) -> None:
    x, y = canvas.x - pose.sway * 0.5, canvas.y + pose.breath
    u, v = (x / 0.74) ** 2, ((y - 1.12) / 0.56) ** 2
    broad = ((u + v - 0.55 * u * v).clamp(min=1e-6).sqrt() - 1) * 0.56
    slope = capsule(x.abs(), y, (0.0, 0.545), (0.42, 0.68)) - 0.05
    shoulders = union(broad, slope, 0.10)
    cloth = character.clothes
    canvas.paint(canvas.inside(shoulders), cloth)
    canvas.paint(canvas.inside(shoulders) * (x * 0.9 + 0.2).clamp(0, 1) * 0.5, shade(cloth, 0.4))
    glow = blob(x + 0.36, y - 0.74, 0.24, 0.14)
    canvas.paint(canvas.inside(shoulders) * glow * 0.4, shade(cloth, -0.4))
    for sign, lean in ((-1, 0.03), (1, -0.03)):
        fold = capsule(x, y, (sign * 0.50, 0.78), (sign * (0.44 + lean), 0.95)) - 0.003
        canvas.paint(
            canvas.soft(fold, 0.06) * 0.25 * ((y - 0.75) / 0.2).clamp(0, 1), shade(cloth, 0.45)
        )
    opening = _opening(character, x, y)
    _paint_neck(character, pose, canvas, torch.maximum(shoulders, opening), (x, y))
    _paint_neckline(character, canvas, shoulders, opening, (x, y))


def _opening(character: Character, x: Tensor, y: Tensor) -> Tensor:
    """Where the skin shows above the garment."""
    if character.neckline == "crew":
        return ellipse(x, y - 0.50, 0.205, 0.125)
    depth = 0.80 if character.neckline == "v" else 0.70
    return (y - depth) * 0.56 + x.abs() * 0.83


def _paint_neck(
    character: Character, pose: Pose, canvas: Canvas, chest: Tensor, at: tuple[Tensor, Tensor]
) -> None:
    x, y = at
    skin = character.skin
    lean = x - pose.head_x * (1 - (y - 0.2).clamp(0, 0.4) / 0.4)
    column = lean.abs() - 0.138 - 0.9 * (y - 0.40).clamp(min=0) ** 2
    neck = torch.minimum(torch.maximum(torch.maximum(column, 0.1 - y), y - 0.56), chest)
    mask = canvas.inside(neck)
    canvas.paint(mask, shade(skin, 0.05))
    canvas.paint(mask * (0.35 + lean / 0.3).clamp(0, 1) * 0.45, shade(skin, 0.30))
    chin = ellipse(x - pose.head_x - 0.02, y - pose.head_y - 0.16, 0.30, 0.40 + 0.5 * pose.gap)
    dark = shade(tint(skin, (0.6, 0.2, 0.2), 0.15), 0.42)
    canvas.paint(mask * canvas.soft(chin, 0.15) * 0.75, dark)
    for sign in (-1, 1):
        bone = capsule(x, y, (sign * 0.045, 0.625), (sign * 0.22, 0.575)) - 0.004
        canvas.paint(mask * canvas.soft(bone, 0.03) * 0.35, shade(skin, 0.3))


def _paint_neckline(
    character: Character,
    canvas: Canvas,
    shoulders: Tensor,
    opening: Tensor,
    at: tuple[Tensor, Tensor],
) -> None:
    y, cloth = at[1], character.clothes
    if character.neckline == "collar":
        _paint_collar(character, canvas, shoulders, at)
        return
    hem = torch.maximum((opening - 0.020).abs() - 0.020, shoulders - 0.010)
    hem = torch.maximum(hem, 0.50 - y)
    canvas.paint(canvas.soft(hem - 0.01, 0.05) * canvas.inside(shoulders) * 0.35, shade(cloth, 0.5))
    canvas.paint(canvas.inside(hem), shade(cloth, -0.08))
    seam = torch.maximum((opening - 0.041).abs() - 0.003, shoulders)
    canvas.paint(canvas.inside(seam) * 0.5, shade(cloth, 0.4))


def _paint_collar(
    character: Character, canvas: Canvas, shoulders: Tensor, at: tuple[Tensor, Tensor]
) -> None:
    x, y = at
    cloth = character.clothes
    light = tint(cloth, (1, 1, 1), 0.22)
    corners = ((0.0, 0.70), (0.155, 0.475), (0.225, 0.515), (0.275, 0.61), (0.15, 0.765))
    wing = convex(x.abs(), y, corners) - 0.008
    under = canvas.soft(wing - 0.010, 0.05) * canvas.inside(shoulders)
    canvas.paint(under * 0.45, shade(cloth, 0.55))
    canvas.paint(canvas.inside(wing), light)
    canvas.paint(canvas.inside(wing) * (x * 2.5).clamp(0, 1) * 0.35, shade(cloth, 0.1))
    canvas.paint(canvas.inside((wing + 0.016).abs() - 0.002) * 0.45, shade(cloth, 0.15))
    placket = torch.maximum((x.abs() - 0.028).abs() - 0.0025, 0.72 - y)
    canvas.paint(canvas.inside(placket) * 0.5, shade(cloth, 0.4))
    button = ellipse(x, y - 0.80, 0.013, 0.013)
    canvas.paint(canvas.inside(button), tint(light, (1, 1, 1), 0.5))
