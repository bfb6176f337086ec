"""A batch of pictures to paint on, and signed-distance shapes.

Coordinates are x to the right and y down, 0 in the middle and `VIEW` at the edge, independent of
the resolution. A shape is a signed distance, negative inside; edges are antialiased over one
pixel, without supersampling. Shape letters: B pictures, H and W pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from streamchar_ref.world.scene import NEUTRAL, Scene

VIEW = 0.86

Plane = Float[Tensor, "#B H W"]
Paint = Sequence[float] | Float[Tensor, "#B 3 H W"]


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """A rectangle of a batch of pictures; painting modifies the pictures in place.

    Attributes:
        rgb: The pictures, in [0, 1].
        x: Of each pixel's centre.
        y: Of each pixel's centre.
        pixel: Width of a pixel.
        left: First column of the rectangle in the picture.
        top: First row of the rectangle in the picture.
        x0: Left edge of the full picture.
        y0: Upper edge of the full picture.
        light: Direction towards the key light, right and down.
    """

    rgb: Float[Tensor, "B 3 H W"]
    x: Plane
    y: Plane
    pixel: float
    left: int = 0
    top: int = 0
    x0: float = -VIEW
    y0: float = -VIEW
    light: tuple[float, float] = (-1.0, -0.4)

    @classmethod
    def blank(cls, batch: int, size: int, device: torch.device, scene: Scene = NEUTRAL) -> "Canvas":
        """Returns black square pictures with the framing of a scene."""
        half = VIEW / math.exp(scene.zoom)
        x0, y0 = -half - scene.shift_x, -half - scene.shift_y
        pixel = 2 * half / size
        line = (torch.arange(size, device=device, dtype=torch.float32) + 0.5) * pixel
        y, x = torch.meshgrid(line + y0, line + x0, indexing="ij")
        rgb = torch.zeros(batch, 3, size, size, device=device)
        share = scene.light_strength
        light = (
            1.1 * share * scene.light_x - (1 - share),
            share * scene.light_y - 0.4 * (1 - share),
        )
        return cls(rgb=rgb, x=x[None], y=y[None], pixel=pixel, x0=x0, y0=y0, light=light)

    def crop(self, x0: float, x1: float, y0: float, y1: float) -> "Canvas":
        """Returns the part of the canvas that covers a rectangle."""
        columns = self._range(x0 - self.x0, x1 - self.x0, self.left, self.rgb.shape[3])
        rows = self._range(y0 - self.y0, y1 - self.y0, self.top, self.rgb.shape[2])
        return replace(
            self,
            rgb=self.rgb[:, :, rows, columns],
            x=self.x[:, rows, columns],
            y=self.y[:, rows, columns],
            left=self.left + columns.start,
            top=self.top + rows.start,
        )

    def _range(self, low: float, high: float, start: int, length: int) -> slice:
        ends = (round(edge / self.pixel) - start for edge in (low, high))
        return slice(*(min(length, max(0, end)) for end in ends))

    def at(self, x: Plane, y: Plane) -> "Canvas":
        """Returns the same pictures with other coordinates."""
        return replace(self, x=x, y=y)

    def away(self, x: Plane, y: Plane) -> Plane:
        """Coordinate pointing away from the light; equals `x` in a neutral scene."""
        return -(self.light[0] * x + self.light[1] * y)

    def paint(self, mask: Plane, colour: Paint) -> None:
        """Blends a colour with ``mask`` as opacity."""
        if not isinstance(colour, Tensor):
            colour = self.rgb.new_tensor(colour)[None, :, None, None]
        self.rgb.lerp_(colour.expand_as(self.rgb), mask[:, None])

    def inside(self, distance: Plane) -> Plane:
        """Converts a signed distance to a mask with an antialiased edge."""
        return (0.5 - distance / (1.25 * self.pixel)).clamp(0, 1)

    def soft(self, distance: Plane, width: float) -> Plane:
        """Converts a signed distance to a mask that fades over ``width`` around the edge."""
        t = (0.5 - distance / max(width, 1.25 * self.pixel)).clamp(0, 1)
        return t * t * (3 - 2 * t)


def ellipse(x: Plane, y: Plane, half_x: float | Tensor, half_y: float | Tensor) -> Plane:
    """Signed distance to an ellipse around 0, exact on the edge."""
    u, v = x / half_x, y / half_y
    length = (u * u + v * v).sqrt()
    slope = ((u / half_x) ** 2 + (v / half_y) ** 2).sqrt() + 1e-6
    return length * (length - 1) / slope


def capsule(x: Plane, y: Plane, start: tuple[float, float], end: tuple[float, float]) -> Plane:
    """Distance to a segment from ``start`` to ``end``; subtract the radius for a stroke."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = (((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy)).clamp(0, 1)
    return ((x - start[0] - along * dx) ** 2 + (y - start[1] - along * dy) ** 2).sqrt()


def union(first: Plane, second: Plane, blend: float) -> Plane:
    """Smooth union of two shapes, with a fillet of size ``blend``."""
    h = (blend - (first - second).abs()).clamp(min=0) / blend
    return torch.minimum(first, second) - h * h * (blend * 0.25)


def meet(first: Plane, second: Plane, blend: float) -> Plane:
    """Smooth intersection of two shapes, with corners rounded by ``blend``."""
    return -union(-first, -second, blend)


def convex(x: Plane, y: Plane, corners: Sequence[tuple[float, float]]) -> Plane:
    """Signed distance to a polygon whose corners are given clockwise as seen."""
    distance = torch.full_like(x + y, -1e3)
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        length = math.hypot(x1 - x0, y1 - y0)
        distance = torch.maximum(distance, ((x - x0) * (y1 - y0) - (y - y0) * (x1 - x0)) / length)
    return distance


def box(x: Plane, y: Plane, half_x: float | Tensor, half_y: float, corner: float) -> Plane:
    """Signed distance to a rectangle with rounded corners."""
    u, v = x.abs() - half_x + corner, y.abs() - half_y + corner
    outside = (u.clamp(min=0) ** 2 + v.clamp(min=0) ** 2).sqrt()
    return outside + torch.maximum(u, v).clamp(max=0) - corner


def blob(x: Plane, y: Plane, half_x: float, half_y: float) -> Plane:
    """An approximate Gaussian of height 1 that is 0 beyond 2.3 half widths."""
    near = (1 - (x * (x / half_x**2) + y * (y / half_y**2)) / 5.3).clamp(min=0)
    square = near * near
    return square * square * near


def tint(colour: Sequence[float], target: Sequence[float], amount: float) -> list[float]:
    """Mixes two colours."""
    return [a + (b - a) * amount for a, b in zip(colour, target, strict=True)]


def shade(colour: Sequence[float], amount: float) -> list[float]:
    """Darkens a colour towards a warm dark, or lightens it for negative ``amount``."""
    if amount < 0:
        return tint(colour, (1.0, 0.97, 0.9), -amount)
    red, green, blue = colour
    return [red * (1 - 0.85 * amount), green * (1 - amount), blue * (1 - 0.92 * amount)]
