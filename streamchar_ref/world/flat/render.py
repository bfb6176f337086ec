"""A flat character and its movement to frames: layers of paper, laid down from the back.

Every picture is a function of its own frame of movement alone, as in the painted style.
"""

from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from streamchar_ref.world.canvas import Canvas
from streamchar_ref.world.flat.backdrop import paint_body, paint_wall
from streamchar_ref.world.flat.character import FlatCharacter
from streamchar_ref.world.flat.face import paint_face
from streamchar_ref.world.flat.hair import paint_back_hair, paint_front_hair
from streamchar_ref.world.flat.ink import Rig
from streamchar_ref.world.motion import Motion
from streamchar_ref.world.scene import NEUTRAL, Scene, draw_reference_scene, light_up, resting

BATCH_PIXELS = 2**18


def render(
    character: FlatCharacter,
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
    character: FlatCharacter,
    motion: Motion,
    *,
    size: int,
    scene: Scene = NEUTRAL,
    device: str | torch.device = "cpu",
) -> Iterator[UInt8[np.ndarray, "T H W 3"]]:
    """Draws frames a few at a time, see `render`."""
    wall = _wall(character, size, scene, torch.device(device))
    batch = max(1, BATCH_PIXELS // size**2)
    for start in range(0, len(motion), batch):
        rgb = _draw(character, motion[start : start + batch], wall, scene)
        grey_levels = (rgb.clamp(0, 1) * 255).round().to(torch.uint8)
        yield grey_levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def portrait(character: FlatCharacter, *, size: int, seed: int = 0) -> UInt8[np.ndarray, "H W 3"]:
    """Draws a reference picture, in a pose and light of its own and from nearer.

    Args:
        character: Who.
        size: Width and height in pixels.
        seed: Of pose and light.

    Returns:
        RGB.
    """
    rng = np.random.default_rng([character.seed, seed, 0xF0])
    values = {f.name: 0.0 for f in fields(Motion)}
    for name in ("yaw", "pitch", "gaze", "brows"):
        values[name] = float(rng.uniform(-0.7, 0.7))
    values["roll"] = float(rng.uniform(-0.08, 0.08))
    pose = Motion(**{name: np.array([v], np.float32) for name, v in values.items()})
    scene = draw_reference_scene(int(rng.integers(2**31)))
    return render(character, resting(pose, scene), size=size, scene=scene)[0]


@torch.inference_mode()
def _wall(
    character: FlatCharacter, size: int, scene: Scene, device: torch.device
) -> Float[Tensor, "1 3 H W"]:
    canvas = Canvas.blank(1, size, device, scene)
    paint_wall(character, canvas)
    return canvas.rgb


@torch.inference_mode()
def _draw(
    character: FlatCharacter, motion: Motion, wall: Float[Tensor, "1 3 H W"], scene: Scene
) -> Float[Tensor, "B 3 H W"]:
    blank = Canvas.blank(len(motion), wall.shape[-1], wall.device, scene)
    blank.rgb.copy_(wall.expand_as(blank.rgb))
    rig = Rig.of(character, motion, wall.device)
    paint_back_hair(rig, blank)
    paint_body(rig, blank)
    paint_face(rig, blank)
    paint_front_hair(rig, blank)
    light_up(blank, scene)
    return blank.rgb
