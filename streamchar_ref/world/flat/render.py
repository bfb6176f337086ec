"""Renders a flat character and its motion as layers of paper, from back to front.

Every picture depends only on its own frame of motion, as in the painted style.
"""

from dataclasses import fields

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from streamchar_ref.world.canvas import Canvas
from streamchar_ref.world.drawing import Renderer
from streamchar_ref.world.flat.backdrop import paint_body, paint_wall
from streamchar_ref.world.flat.character import FlatCharacter
from streamchar_ref.world.flat.face import paint_face
from streamchar_ref.world.flat.hair import paint_back_hair, paint_front_hair
from streamchar_ref.world.flat.ink import Rig
from streamchar_ref.world.light import light_up
from streamchar_ref.world.motion import Motion
from streamchar_ref.world.scene import Scene, draw_reference_scene, resting


def portrait(character: FlatCharacter, *, size: int, seed: int = 0) -> UInt8[np.ndarray, "H W 3"]:
    """Renders a reference picture: closer, and in another pose and light.

    Args:
        character: To render.
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


_RENDERER = Renderer(_wall, _draw)
render, render_batches = _RENDERER.render, _RENDERER.render_batches
