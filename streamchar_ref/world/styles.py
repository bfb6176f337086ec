"""The registry of drawing styles."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from streamchar_ref.world import character, motion, render
from streamchar_ref.world.flat import character as flat_character
from streamchar_ref.world.flat import motion as flat_motion
from streamchar_ref.world.flat import render as flat_render
from streamchar_ref.world.motion import Motion
from streamchar_ref.world.voices import voices_of


@dataclass(frozen=True, kw_only=True)
class Style:
    """One way of drawing and animating characters.

    Attributes:
        name: Of the style.
        draw_character: Seed to a character, which has a ``caption``.
        move: Phonemes to a `Motion`.
        render_batches: Character and motion to frames, a few at a time.
        portrait: Character to the reference picture.
        voices: Names of its voices.
    """

    name: str
    draw_character: Callable[[int], Any]
    move: Callable[..., Motion]
    render_batches: Callable[..., Iterator[UInt8[np.ndarray, "T H W 3"]]]
    portrait: Callable[..., UInt8[np.ndarray, "H W 3"]]
    voices: tuple[str, ...]


STYLES = {
    "painted": Style(
        name="painted",
        draw_character=character.draw_character,
        move=motion.move,
        render_batches=render.render_batches,
        portrait=render.portrait,
        voices=voices_of("piper"),
    ),
    "flat": Style(
        name="flat",
        draw_character=flat_character.draw_character,
        move=flat_motion.move,
        render_batches=flat_render.render_batches,
        portrait=flat_render.portrait,
        voices=voices_of("espeak"),
    ),
}
