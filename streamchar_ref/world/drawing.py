"""Shared code of the drawing styles: motion as tensors, and batched rendering."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from streamchar_ref.world.motion import Motion
from streamchar_ref.world.scene import NEUTRAL, Scene

BATCH_PIXELS = 2**18  # larger batches exceed the cache of one core

FrameValues = Float[Tensor, "B 1 1"]
Wall = Float[Tensor, "1 3 H W"]
Pictures = Float[Tensor, "B 3 H W"]
CharacterT = TypeVar("CharacterT")


@dataclass(frozen=True, kw_only=True)
class MotionTensors:
    """A motion on a device, one value per frame; see `Motion` for the fields."""

    gap: FrameValues
    width: FrameValues
    rounding: FrameValues
    tuck: FrameValues
    tongue: FrameValues
    blink: FrameValues
    brows: FrameValues
    gaze: FrameValues
    yaw: FrameValues
    pitch: FrameValues
    roll: FrameValues
    sway: FrameValues
    breath: FrameValues


def motion_tensors(motion: Motion, device: torch.device) -> dict[str, FrameValues]:
    """Copies a motion to a device; returns the fields of `MotionTensors`."""
    return {f.name: column(getattr(motion, f.name), device) for f in fields(MotionTensors)}


def column(values: np.ndarray, device: torch.device) -> FrameValues:
    """Copies one value per frame to a device, broadcastable over pixels."""
    return torch.from_numpy(np.array(values, np.float32)).to(device)[:, None, None]


class Renderer(Generic[CharacterT]):
    """Renders the characters of one style.

    Args:
        wall: Character, size, scene and device to the static background.
        draw: Character, motion, background and scene to pictures in [0, 1].
    """

    def __init__(
        self,
        wall: Callable[[CharacterT, int, Scene, torch.device], Wall],
        draw: Callable[[CharacterT, Motion, Wall, Scene], Pictures],
    ) -> None:
        self._wall = wall
        self._draw = draw

    def render(
        self,
        character: CharacterT,
        motion: Motion,
        *,
        size: int,
        scene: Scene = NEUTRAL,
        device: str | torch.device = "cpu",
    ) -> UInt8[np.ndarray, "T H W 3"]:
        """Renders all frames of a motion.

        Args:
            character: Of the style.
            motion: One value per frame.
            size: Width and height in pixels.
            scene: Light and framing; the resting pose is applied by `scene.resting` beforehand.
            device: To render on.

        Returns:
            RGB frames.
        """
        batches = self.render_batches(character, motion, size=size, scene=scene, device=device)
        return np.concatenate([np.zeros((0, size, size, 3), np.uint8), *batches])

    def render_batches(
        self,
        character: CharacterT,
        motion: Motion,
        *,
        size: int,
        scene: Scene = NEUTRAL,
        device: str | torch.device = "cpu",
    ) -> Iterator[UInt8[np.ndarray, "T H W 3"]]:
        """Renders frames in batches, see `render`."""
        wall = self._wall(character, size, scene, torch.device(device))
        batch = max(1, BATCH_PIXELS // size**2)
        for start in range(0, len(motion), batch):
            rgb = self._draw(character, motion[start : start + batch], wall, scene)
            grey_levels = (rgb.clamp(0, 1) * 255).round().to(torch.uint8)
            yield grey_levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
