"""A character and its movement to frames, painted back to front with signed-distance shapes.

Light comes from the upper left. Every picture is a function of its own frame of movement alone,
so frames may be drawn in batches of any length, at any size, on CPU or GPU; on one machine and
build they are the same bytes, elsewhere within one grey level.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from streamchar_ref.world.backdrop import backdrop
from streamchar_ref.world.body import paint_body, paint_scarf
from streamchar_ref.world.canvas import Canvas
from streamchar_ref.world.character import Character
from streamchar_ref.world.face import paint_face
from streamchar_ref.world.hair import paint_back_hair, paint_front_hair
from streamchar_ref.world.headwear import paint_hat, paint_side_detail
from streamchar_ref.world.motion import Motion, still
from streamchar_ref.world.pose import Pose
from streamchar_ref.world.scene import NEUTRAL, Scene, draw_reference_scene, light_up, resting

BATCH_PIXELS = 2**18  # more would not stay in the cache of one core


def render(
    character: Character,
    motion: Motion,
    *,
    size: int,
    scene: Scene = NEUTRAL,
    device: str | torch.device = "cpu",
) -> UInt8[np.ndarray, "T H W 3"]:
    """Draws all frames of a movement.

    Args:
        character: Who.
        motion: One value a frame.
        size: Width and height in pixels.
        scene: Light and framing; its resting pose is for `scene.resting`, not for here.
        device: Where to draw.

    Returns:
        RGB frames.
    """
    frames = list(render_batches(character, motion, size=size, scene=scene, device=device))
    return np.concatenate(frames) if frames else np.zeros((0, size, size, 3), np.uint8)


def render_batches(
    character: Character,
    motion: Motion,
    *,
    size: int,
    scene: Scene = NEUTRAL,
    device: str | torch.device = "cpu",
) -> Iterator[UInt8[np.ndarray, "T H W 3"]]:
    """Draws frames a few at a time, see `render`."""
    wall = backdrop(character.background, size, scene, torch.device(device))
    batch = max(1, BATCH_PIXELS // size**2)
    for start in range(0, len(motion), batch):
        rgb = _draw(character, motion[start : start + batch], wall, scene)
        grey_levels = (rgb.clamp(0, 1) * 255).round().to(torch.uint8)
        yield grey_levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def portrait(character: Character, *, size: int = 256, seed: int = 0) -> UInt8[np.ndarray, "H W 3"]:
    """Draws the reference picture: closer, in another light and pose than the streams."""
    scene_seed = int(np.random.default_rng([character.seed, seed, 0x72]).integers(2**31))
    scene = draw_reference_scene(scene_seed, hidden_side=character.detail_side)
    return render(character, resting(still(), scene), size=size, scene=scene)[0]


@torch.inference_mode()
def _draw(
    character: Character, motion: Motion, wall: Float[Tensor, "1 3 H W"], scene: Scene
) -> Float[Tensor, "B 3 H W"]:
    blank = Canvas.blank(1, wall.shape[-1], wall.device, scene)
    canvas = replace(blank, rgb=wall.repeat(len(motion), 1, 1, 1))
    pose = Pose.of(motion, wall.device)
    paint_back_hair(character, pose, canvas)
    paint_body(character, pose, canvas.crop(-1.4, 1.4, 0.05, 1.4))
    paint_face(character, pose, canvas)
    if character.garment == "scarf":
        paint_scarf(character, pose, canvas)
    paint_front_hair(character, pose, canvas)
    if character.has_hat:
        paint_hat(character, pose, canvas)
    if character.side_detail in ("clip", "flower"):
        paint_side_detail(character, pose, canvas)
    light_up(canvas, scene)
    return canvas.rgb
