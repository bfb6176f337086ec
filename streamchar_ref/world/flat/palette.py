"""Palettes of flat characters: natural, fantasy, line art, two-colour or night."""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from streamchar_ref.world.canvas import tint
from streamchar_ref.world.palette import Colour, rgb

KINDS = ("natural", "fantasy", "line art", "two-colour", "night")
_SHARES = (0.6, 0.12, 0.1, 0.1, 0.08)
_SKINS = (
    "#ffe8d9", "#ffd9bd", "#fbc9a3", "#f0b183", "#e2a06c", "#cd8752", "#b06f42", "#925434",
    "#75422b", "#553022", "#ffd166", "#fdd8d0",
)  # fmt: skip
_HAIRS = (
    "#1d1a22", "#35231d", "#5a3421", "#86502b", "#b5652a", "#e0a63f", "#f6dd8b", "#9c9fa8",
    "#eeeeee", "#c2382f", "#e0559a", "#3f7fd1", "#2fa58c", "#7b4fc9",
)  # fmt: skip
_LIPS = ("#d0343f", "#e86b7c", "#b5305e", "#7c2236", "#f08a70", "#8c4bb0", "#4b1f2c")


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Colours of a picture, RGB in [0, 1].

    Attributes:
        skin: In the light.
        hair: Of the head; brows and beard are similar.
        lips: Of drawn lips.
        iris: Of eyes that have one.
        cloth: Of the garment.
        trim: Of pattern, hat and glasses.
        ink: Of all lines.
        white: Of eyes and teeth.
        throat: Of the open mouth.
        tongue: In it.
        wall: Of the background.
        pattern: On the background.
    """

    skin: Colour
    hair: Colour
    lips: Colour
    iris: Colour
    cloth: Colour
    trim: Colour
    ink: Colour
    white: Colour
    throat: Colour
    tongue: Colour
    wall: Colour
    pattern: Colour


def draw_palette(rng: np.random.Generator) -> tuple[str, Palette]:
    """Samples colours with enough contrast to distinguish the parts of a face."""
    kind = str(rng.choice(KINDS, p=_SHARES))
    natural = _natural(rng)
    if kind == "fantasy":
        return kind, _fantasy(rng, natural)
    if kind == "line art":
        return kind, _line_art(rng, natural)
    if kind == "two-colour":
        return kind, _two_colour(rng, natural)
    if kind == "night":
        return kind, _night(rng, natural)
    return kind, natural


def luminance(colour: Sequence[float]) -> float:
    """Luminance of a colour, 0 to 1."""
    return float(0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2])


def mix(first: Sequence[float], second: Sequence[float], share: float) -> Colour:
    """Mixes two colours."""
    red, green, blue = tint(first, second, share)
    return red, green, blue


def _natural(rng: np.random.Generator) -> Palette:
    skin = _near(rng, rgb(str(rng.choice(_SKINS))))
    rose = rgb(str(rng.choice(_LIPS)))
    dark = mix((0.05, 0.04, 0.06), _hsv(rng.random(), 0.6, 0.3), float(rng.uniform(0, 0.8)))
    throat = _hsv(float(rng.uniform(0.92, 1.04)) % 1, 0.75, float(rng.uniform(0.12, 0.42)))
    return Palette(
        skin=skin,
        hair=_near(rng, rgb(str(rng.choice(_HAIRS)))),
        lips=mix(rose, skin, float(rng.uniform(0, 0.55))),
        iris=_hsv(rng.random(), rng.uniform(0.3, 0.9), rng.uniform(0.3, 0.8)),
        cloth=_hsv(rng.random(), rng.uniform(0.1, 0.9), rng.uniform(0.2, 1)),
        trim=_hsv(rng.random(), rng.uniform(0.0, 0.9), rng.uniform(0.1, 1)),
        ink=dark if luminance(skin) > 0.3 else mix(dark, (0, 0, 0), 0.7),
        white=mix((1, 1, 1), skin, float(rng.uniform(0, 0.12))),
        throat=throat if luminance(skin) > 0.4 else mix(throat, (0.1, 0, 0.02), 0.6),
        tongue=_hsv(float(rng.uniform(0.93, 1.03)) % 1, rng.uniform(0.4, 0.7), rng.uniform(0.6, 1)),
        wall=_hsv(rng.random(), rng.uniform(0.0, 0.75), rng.uniform(0.25, 1)),
        pattern=_hsv(rng.random(), rng.uniform(0.0, 0.75), rng.uniform(0.25, 1)),
    )


def _fantasy(rng: np.random.Generator, base: Palette) -> Palette:
    hue = float(rng.random())
    skin = _hsv(hue, rng.uniform(0.2, 0.55), rng.uniform(0.6, 1))
    return replace(
        base,
        skin=skin,
        hair=_hsv((hue + rng.uniform(0.2, 0.8)) % 1, rng.uniform(0.3, 0.9), rng.uniform(0.15, 1)),
        lips=mix(_hsv((hue + rng.uniform(-0.15, 0.15)) % 1, 0.8, 0.6), skin, 0.2),
        throat=_hsv(float(rng.random()), 0.7, float(rng.uniform(0.1, 0.3))),
        tongue=_hsv(float(rng.random()), 0.5, 0.85),
    )


def _line_art(rng: np.random.Generator, base: Palette) -> Palette:
    paper = mix((1, 1, 1), _hsv(rng.random(), 0.5, 1), float(rng.uniform(0, 0.25)))
    ink = mix((0, 0, 0), _hsv(rng.random(), 0.9, 0.5), float(rng.uniform(0, 0.7)))
    accent = base.lips if rng.random() < 0.5 else mix(paper, ink, 0.25)
    return Palette(
        skin=paper,
        hair=paper if rng.random() < 0.35 else mix(ink, paper, float(rng.uniform(0, 0.5))),
        lips=accent,
        iris=mix(paper, ink, 0.5),
        cloth=paper if rng.random() < 0.5 else mix(paper, ink, 0.4),
        trim=mix(paper, ink, 0.7),
        ink=ink,
        white=mix(paper, (1, 1, 1), 0.5),
        throat=ink if rng.random() < 0.6 else mix(paper, ink, 0.75),
        tongue=mix(paper, ink, 0.4),
        wall=mix(paper, ink, float(rng.uniform(0, 0.15))),
        pattern=mix(paper, ink, float(rng.uniform(0.1, 0.5))),
    )


def _two_colour(rng: np.random.Generator, base: Palette) -> Palette:
    """Maps every colour to a mixture of a light and a dark one by its luminance."""
    hue = float(rng.random())
    light = _hsv(hue, rng.uniform(0.05, 0.35), 1.0)
    dark = _hsv((hue + rng.uniform(0.3, 0.7)) % 1, rng.uniform(0.5, 0.95), rng.uniform(0.1, 0.35))
    return Palette(
        **{f.name: mix(dark, light, luminance(getattr(base, f.name))) for f in fields(Palette)}
    )


def _night(rng: np.random.Generator, base: Palette) -> Palette:
    glow = np.array(_hsv(rng.uniform(0.5, 0.85), rng.uniform(0.3, 0.6), 1.0))
    level = float(rng.uniform(0.65, 0.95))
    dimmed = {f.name: np.array(getattr(base, f.name)) * glow * level for f in fields(Palette)}
    return Palette(**{name: (float(c[0]), float(c[1]), float(c[2])) for name, c in dimmed.items()})


def _near(rng: np.random.Generator, colour: Colour) -> Colour:
    red, green, blue = np.clip(np.array(colour) + rng.normal(0, 0.02, 3), 0, 1).tolist()
    return red, green, blue


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    return colorsys.hsv_to_rgb(float(hue), float(saturation), float(value))
