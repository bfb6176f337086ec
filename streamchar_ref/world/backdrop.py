"""Draws the background of a character: a plain wall, or a place out of focus."""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from streamchar_ref.world.canvas import Canvas, blob, capsule, ellipse, shade, tint
from streamchar_ref.world.palette import Colour
from streamchar_ref.world.scene import Scene

_Colours = tuple[Colour, Colour]


@lru_cache(maxsize=16)
@torch.inference_mode()
def backdrop(
    colours: _Colours, size: int, scene: Scene, device: torch.device
) -> Float[Tensor, "1 3 H W"]:
    """Paints a backdrop.

    Args:
        colours: Of its middle and its edge.
        size: Width and height in pixels.
        scene: Framing and seed of the place.
        device: To render on.

    Returns:
        One picture; it is cached, so do not modify it.
    """
    canvas = Canvas.blank(1, size, device, scene)
    middle, edge = colours
    canvas.paint(torch.ones_like(canvas.x), edge)
    canvas.paint(blob(canvas.x + 0.35, canvas.y + 0.5, 1.6, 1.5), middle)
    if scene.backdrop:
        rng = np.random.default_rng([scene.backdrop, 0xB6])
        place = (_lights, _window, _shelf, _hills, _leaves)[int(rng.integers(5))]
        place(canvas, colours, rng)
    corner = ((canvas.x**2 + canvas.y**2) / 2 - 0.35).clamp(0, 1)
    canvas.paint(corner * 0.4, shade(edge, 0.35))
    return canvas.rgb


def _lights(canvas: Canvas, colours: _Colours, rng: np.random.Generator) -> None:
    """A disc behind the head and soft lights."""
    middle = colours[0]
    x, y = rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.05)
    disc = ellipse(canvas.x - x, canvas.y - y, 0.72, 0.72)
    canvas.paint(canvas.soft(disc, 0.03) * 0.38, shade(middle, -0.6))
    for _ in range(9):
        x, y, radius = rng.uniform(-1.1, 1.1), rng.uniform(-1, 0.6), rng.uniform(0.05, 0.17)
        light = canvas.soft(ellipse(canvas.x - x, canvas.y - y, radius, radius), 0.05)
        canvas.paint(light * float(rng.uniform(0.12, 0.3)), shade(middle, -0.7))


def _window(canvas: Canvas, colours: _Colours, rng: np.random.Generator) -> None:
    """A window with a sky, to one side."""
    middle, edge = colours
    side = float(rng.choice([-1, 1]))
    x, y = canvas.x * side - rng.uniform(0.45, 0.62), canvas.y + 0.28
    pane = torch.maximum(x.abs() - 0.40, y.abs() - 0.52)
    canvas.paint(canvas.soft(pane - 0.02, 0.10) * 0.5, shade(edge, 0.35))
    canvas.paint(canvas.soft(pane - 0.045, 0.02), shade(middle, -0.55))
    sky = tint((0.62, 0.80, 0.93), middle, float(rng.uniform(0.1, 0.5)))
    canvas.paint(canvas.soft(pane, 0.02), sky)
    for _ in range(3):
        u, v = x - rng.uniform(-0.35, 0.35), y - rng.uniform(-0.3, 0.3)
        canvas.paint(canvas.soft(pane, 0.02) * blob(u, v, 0.22, 0.07) * 0.8, (1.0, 1.0, 1.0))
    bars = torch.minimum(x.abs(), (y + 0.05).abs()) - 0.016
    canvas.paint(canvas.soft(torch.maximum(bars, pane), 0.015), shade(middle, -0.55))


def _shelf(canvas: Canvas, colours: _Colours, rng: np.random.Generator) -> None:
    """Two shelves with books and pots."""
    middle, edge = colours
    for board in (-0.42, 0.16):
        x0 = -1.2
        while x0 < 1.2:
            wide, tall = rng.uniform(0.05, 0.10), rng.uniform(0.2, 0.36)
            if rng.random() < 0.72:
                hue = tint(edge, rng.uniform(0.2, 0.9, 3).tolist(), 0.45)
                book = torch.maximum(
                    (canvas.x - x0 - wide / 2).abs() - wide / 2,
                    (canvas.y - board + tall / 2).abs() - tall / 2,
                )
                canvas.paint(canvas.soft(book, 0.025), shade(hue, float(rng.uniform(-0.1, 0.2))))
            x0 += wide + 0.004
        plank = (canvas.y - board - 0.022).abs() - 0.022
        canvas.paint(canvas.soft(plank - 0.02, 0.08) * 0.4, shade(edge, 0.5))
        canvas.paint(canvas.soft(plank, 0.02), shade(tint(edge, (0.55, 0.35, 0.2), 0.5), 0.1))
    canvas.paint(torch.full_like(canvas.x, 0.38), middle)  # out of focus, behind air


def _hills(canvas: Canvas, colours: _Colours, rng: np.random.Generator) -> None:
    """Hills in three distances under a low sun."""
    middle, edge = colours
    side = float(rng.choice([-1, 1]))
    sun = ellipse(canvas.x - 0.62 * side, canvas.y + 0.45, 0.16, 0.16)
    canvas.paint(canvas.soft(sun, 0.3) * 0.5, shade(middle, -0.8))
    canvas.paint(canvas.soft(sun, 0.02) * 0.8, (1.0, 0.97, 0.88))
    for step, level in enumerate((-0.12, 0.10, 0.32)):
        a, b, c = rng.uniform(1.5, 4.0), rng.uniform(4.0, 7.0), rng.uniform(0, 6.3)
        ridge = level + 0.12 * (canvas.x * a + c).sin() + 0.04 * (canvas.x * b + 2 * c).sin()
        colour = shade(tint(edge, (0.35, 0.55, 0.50), 0.25 + 0.15 * step), 0.08 * step)
        canvas.paint(canvas.soft(ridge - canvas.y, 0.02) * 0.75, colour)


def _leaves(canvas: Canvas, colours: _Colours, rng: np.random.Generator) -> None:
    """Large leaves that come in from both sides."""
    middle, edge = colours
    for _ in range(14):
        side = float(rng.choice([-1, 1]))
        y0, lean, long = rng.uniform(-1.0, 0.6), rng.uniform(-0.4, 0.4), rng.uniform(0.35, 0.6)
        x, y = 1.05 - canvas.x * side, canvas.y - y0
        u, v = x + lean * y, y - lean * x
        leaf = ellipse(u - long / 2, v, long / 2 + 0.1, 0.085)
        green = tint(edge, (0.30, 0.50, 0.36), float(rng.uniform(0.35, 0.75)))
        canvas.paint(canvas.soft(leaf, 0.03) * 0.8, shade(green, float(rng.uniform(-0.1, 0.3))))
        vein = capsule(u, v, (0.0, 0.0), (long, 0.0)) - 0.005
        canvas.paint(canvas.soft(vein, 0.02) * 0.35, shade(middle, -0.3))
