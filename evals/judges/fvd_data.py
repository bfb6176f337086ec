"""Examples for `fvd_world`: damaged clips with their labels, cut from drawn takes."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32

from evals.extractors.networks.fvd_world import CLIP_FRAMES, DAMAGES, DETAIL_PX, TRACKS, planes
from evals.judges.damage import LOOKS, ORDERS, SHIFTS, h264, moved
from evals.judges.drawn import Take, film

TAKE_FRAMES = 44
_EDGE = cv2.BORDER_REPLICATE
ONE_OF = 0.5
"""Share of the clips with one damage; half as many have two."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A damaged clip with its labels.

    Attributes:
        planes: Input of the network.
        doses: Of each of `DAMAGES`; 0 where there is none.
        is_damaged: By each of `DAMAGES`.
        tracks: Movement as shown.
        statistics: Mean, spread and speed of each track.
    """

    planes: Float32[np.ndarray, "6 T 64 64"]
    doses: Float32[np.ndarray, " K"]
    is_damaged: Float32[np.ndarray, " K"]
    tracks: Float32[np.ndarray, "T 5"]
    statistics: Float32[np.ndarray, " 15"]


def draw_take(style: str, identity: int) -> Take:
    """Draws one take of an identity."""
    return film(style, identity=identity, seed=identity, num_frames=TAKE_FRAMES, size=DETAIL_PX)


def example(take: Take, rng: np.random.Generator) -> Example:
    """Cuts 16 frames out of a take, varies what must not matter, and damages them."""
    is_damaged = _draw_damages(rng)
    doses = {name: float(rng.random()) for name in DAMAGES if is_damaged[name]}
    shown = damaged(take, doses, rng)
    return Example(
        planes=planes(_recoded(shown.frames, rng)),
        doses=np.array([doses.get(name, 0.0) for name in DAMAGES], np.float32),
        is_damaged=np.array([is_damaged[name] for name in DAMAGES], np.float32),
        tracks=shown.tracks,
        statistics=statistics(shown.tracks),
    )


def damaged(
    take: Take, doses: dict[str, float], rng: np.random.Generator, *, vary: bool = True
) -> Take:
    """Cuts 16 frames out of a take, with damage.

    Args:
        take: At least 34 frames.
        doses: Of what to damage by, in [0, 1].
        rng: Says where.
        vary: Whether to vary what must not matter.

    Returns:
        What is shown.
    """
    start = int(rng.integers(len(take.frames) - 2 * CLIP_FRAMES - 1))
    order = start + np.arange(CLIP_FRAMES)
    for name in [name for name in ORDERS if name in doses]:
        order = ORDERS[name](order, doses[name], rng)
    cut = Take(frames=take.frames[order], tracks=take.tracks[order])
    if vary:
        cut = _varied(_breathing(cut, order, rng), rng)
    frames = cut.frames
    for name in [name for name in SHIFTS if name in doses]:
        frames = moved(frames, SHIFTS[name](CLIP_FRAMES, doses[name], rng))
    for name in [name for name in LOOKS if name in doses]:
        frames = LOOKS[name](frames, doses[name], rng)
    return Take(frames=frames, tracks=cut.tracks)


def statistics(tracks: Float32[np.ndarray, "T 5"]) -> Float32[np.ndarray, " 15"]:
    """Returns mean, spread and mean speed of each track."""
    speed = np.abs(np.diff(tracks, axis=0)).mean(axis=0)
    return np.concatenate([tracks.mean(axis=0), 2 * tracks.std(axis=0), 8 * speed])


def _draw_damages(rng: np.random.Generator) -> dict[str, bool]:
    count = 0 if rng.random() > 1.5 * ONE_OF else int(rng.choice([1, 2], p=[2 / 3, 1 / 3]))
    chosen = rng.permutation(DAMAGES)[:count]
    return {name: name in chosen for name in DAMAGES}


def _breathing(take: Take, order: np.ndarray, rng: np.random.Generator) -> Take:
    """Lets the middle of the picture sway a little: a person who holds still is not frozen."""
    if rng.random() < 0.3:
        return take
    size = take.frames.shape[1]
    y, x = np.mgrid[:size, :size].astype(np.float32)
    middle, reach = rng.uniform(0.35, 0.8, 2) * size, rng.uniform(0.25, 0.7, 2) * size
    bump = np.exp(-(((x - middle[0]) / reach[0]) ** 2) - ((y - middle[1]) / reach[1]) ** 2)
    way = bump[..., None] * rng.normal(0, 0.008 * size, 2)
    phases = 2 * np.pi * (order / 25 * rng.uniform(0.15, 0.6) + rng.random())
    maps = [way.astype(np.float32) * np.float32(np.sin(phase)) for phase in phases]
    swayed = [
        cv2.remap(frame, x + to[..., 0], y + to[..., 1], cv2.INTER_LINEAR, borderMode=_EDGE)
        for frame, to in zip(take.frames, maps, strict=True)
    ]
    return Take(frames=np.stack(swayed), tracks=take.tracks)


def _varied(take: Take, rng: np.random.Generator) -> Take:
    """Mirrors, and paints soft lights over the take: other styles shade otherwise."""
    frames, tracks = take.frames, take.tracks
    if rng.random() < 0.5:
        signs = np.array([-1.0 if name in ("yaw", "roll") else 1.0 for name in TRACKS], np.float32)
        frames, tracks = frames[:, :, ::-1], tracks * signs
    light = np.asarray(rng.uniform(0.93, 1.07, 3), np.float32)
    if rng.random() < 0.7:
        light = light * _soft_field(rng, frames.shape[1])
    lit = np.clip(frames * light, 0, 255)
    return Take(frames=lit.astype(np.uint8), tracks=tracks)


def _soft_field(rng: np.random.Generator, size: int) -> np.ndarray:
    """A smooth field around 1, with now and then a fine grain that stands still."""
    coarse = rng.uniform(0.8, 1.2, (int(rng.integers(2, 7)),) * 2).astype(np.float32)
    field = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.5:
        strength = float(rng.uniform(0, 0.03))
        field = field + np.asarray(rng.normal(0, strength, field.shape), np.float32)
    return np.asarray(field, np.float32)[..., None]


def _recoded(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Does what a good encode does: nothing to be seen."""
    kind = rng.random()
    if kind < 0.04:
        return h264(frames, int(rng.integers(14, 22)))
    if kind < 0.5:
        dice = rng.integers(0, 256, frames.shape, np.uint8)
        limit = int(rng.integers(8, 100))
        lighter, darker = dice < limit, dice > 255 - limit
        return frames + (lighter & (frames < 255)) - (darker & (frames > 0))
    return frames
