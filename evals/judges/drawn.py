"""Renders babbling people for the judges of pictures; no speech is synthesised."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from evals.extractors.networks.fvd_world import TRACKS
from streamchar_ref.world.motion import Motion
from streamchar_ref.world.scene import draw_scene, resting
from streamchar_ref.world.speech import SILENCE, TimedPhoneme
from streamchar_ref.world.styles import STYLES, Style

FPS = 25
HELD_OUT = range(9000, 10_000)
"""Identities to measure on. Training is on those below, suites take those above."""
_VOWELS = ("AA", "AE", "AH", "AO", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "UH", "UW")
_CONSONANTS = (
    "B", "P", "M", "F", "V", "TH", "DH", "L", "T", "D", "N", "S", "Z", "SH", "CH", "JH", "K", "G",
    "NG", "HH", "R", "W", "Y",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Take:
    """A stretch of one drawn person.

    Attributes:
        frames: RGB at 25 fps.
        tracks: `TRACKS`, a row a frame.
    """

    frames: UInt8[np.ndarray, "T H W 3"]
    tracks: Float32[np.ndarray, "T 5"]


def babble(rng: np.random.Generator, length_s: float) -> list[TimedPhoneme]:
    """Draws speech sounds of no language, with pauses, that fill a stretch of time."""
    sounds: list[TimedPhoneme] = []
    now = 0.0
    while now < length_s:
        if rng.random() < 0.08:
            phone, seconds = SILENCE, rng.uniform(0.15, 0.7)
        elif len(sounds) % 2:
            phone, seconds = str(rng.choice(_VOWELS)), rng.uniform(0.06, 0.19)
        else:
            phone, seconds = str(rng.choice(_CONSONANTS)), rng.uniform(0.04, 0.12)
        sounds.append(TimedPhoneme(phone=phone, t0_s=now, t1_s=now + float(seconds), word_index=-1))
        now += float(seconds)
    return sounds


def film(style: str, *, identity: int, seed: int, num_frames: int, size: int) -> Take:
    """Draws a babbling person in a light and framing of its own.

    Args:
        style: Name of the drawing.
        identity: Seed of the person.
        seed: Of movement, light and framing.
        num_frames: At 25 fps.
        size: Width and height in pixels.

    Returns:
        Frames and movement; the same arguments give the same.
    """
    drawn: Style = STYLES[style]
    motion = drawn.move(
        babble(np.random.default_rng([identity, seed, 0xBA]), num_frames / FPS + 0.5),
        num_frames=num_frames,
        fps=FPS,
        seed=seed,
    )
    scene = draw_scene(int(np.random.default_rng([identity, seed]).integers(2**31)))
    pieces = drawn.render_batches(drawn.draw_character(identity), motion, size=size, scene=scene)
    return Take(frames=np.concatenate(list(pieces)), tracks=tracks_of(resting(motion, scene)))


def tracks_of(motion: Motion) -> Float32[np.ndarray, "T 5"]:
    """Returns `TRACKS` of a movement, each scaled to about one."""
    scales = (10.0, 1.0, 1.5, 2.0, 30.0)
    columns = [scale * getattr(motion, name) for name, scale in zip(TRACKS, scales, strict=True)]
    return np.stack(columns, axis=1).astype(np.float32)
