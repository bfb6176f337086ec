"""What all styles of drawing share: a movement as tensors, and frames a few at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from streamchar_ref.world.motion import Motion
from streamchar_ref.world.scene import NEUTRAL, Scene

BATCH_PIXELS = 2**18  # more would not stay in the cache of one core

Each = Float[Tensor, "B 1 1"]
Wall = Float[Tensor, "1 3 H W"]
Pictures = Float[Tensor, "B 3 H W"]
Who = TypeVar("Who")


@dataclass(frozen=True, kw_only=True)
class Moving:
    """A movement on a device, one value a frame; what each says is in `Motion`."""

    gap: Each
    width: Each
    rounding: Each
    tuck: Each
    tongue: Each
    blink: Each
    brows: Each
    gaze: Each
    yaw: Each
    pitch: Each
    roll: Each
    sway: Each
    breath: Each


def moving(motion: Motion, device: torch.device) -> dict[str, Each]:
    """Copies a movement to a device: the fields of `Moving`."""
    return {f.name: column(getattr(motion, f.name), device) for f in fields(Moving)}


def column(values: np.ndarray, device: torch.device) -> Each:
    """Copies one value a frame to a device, to be spread over pictures."""
    return torch.from_numpy(np.array(values, np.float32)).to(device)[:, None, None]


class Renderer(Generic[Who]):
    """Draws the characters of one style.

    Args:
        wall: Character, size, scene and device to what is behind all frames.
        draw: Character, movement, wall and scene to pictures in [0, 1].
    """

    def __init__(
        self,
        wall: Callable[[Who, int, Scene, torch.device], Wall],
        draw: Callable[[Who, Motion, Wall, Scene], Pictures],
    ) -> None:
        self._wall = wall
        self._draw = draw

    def render(
        self,
        character: Who,
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
        batches = self.render_batches(character, motion, size=size, scene=scene, device=device)
        return np.concatenate([np.zeros((0, size, size, 3), np.uint8), *batches])

    def render_batches(
        self,
        character: Who,
        motion: Motion,
        *,
        size: int,
        scene: Scene = NEUTRAL,
        device: str | torch.device = "cpu",
    ) -> Iterator[UInt8[np.ndarray, "T H W 3"]]:
        """Draws frames a few at a time, see `render`."""
        wall = self._wall(character, size, scene, torch.device(device))
        batch = max(1, BATCH_PIXELS // size**2)
        for start in range(0, len(motion), batch):
            rgb = self._draw(character, motion[start : start + batch], wall, scene)
            grey_levels = (rgb.clamp(0, 1) * 255).round().to(torch.uint8)
            yield grey_levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
