"""Renders a character and its motion, painted back to front with signed-distance shapes.

By default light comes from the upper left. Every picture depends only on its own frame of motion,
so frames can be rendered in batches of any length, at any size, on CPU or GPU: byte-identical on
one machine and build, within one grey level elsewhere.
"""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from streamchar_ref.world.backdrop import backdrop
from streamchar_ref.world.body import paint_body, paint_scarf
from streamchar_ref.world.canvas import Canvas
from streamchar_ref.world.character import Character
from streamchar_ref.world.drawing import Renderer
from streamchar_ref.world.face import paint_face
from streamchar_ref.world.hair import paint_back_hair, paint_front_hair
from streamchar_ref.world.headwear import paint_hat, paint_side_detail
from streamchar_ref.world.light import light_up
from streamchar_ref.world.motion import Motion, still
from streamchar_ref.world.pose import Pose
from streamchar_ref.world.scene import Scene, draw_reference_scene, resting


def portrait(character: Character, *, size: int = 256, seed: int = 0) -> UInt8[np.ndarray, "H W 3"]:
    """Renders the reference picture: closer, and in another light and pose than the streams."""
    scene_seed = int(np.random.default_rng([character.seed, seed, 0x72]).integers(2**31))
    scene = draw_reference_scene(scene_seed, hidden_side=character.detail_side)
    return render(character, resting(still(), scene), size=size, scene=scene)[0]


def _wall(
    character: Character, size: int, scene: Scene, device: torch.device
) -> Float[Tensor, "1 3 H W"]:
    return backdrop(character.background, size, scene, device)


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


_RENDERER = Renderer(_wall, _draw)
render, render_batches = _RENDERER.render, _RENDERER.render_batches
