"""Examples for `identity_world`: heads in many lights and poses, with the person's attributes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, Int64, UInt8

from evals.calibration.faults.picture import to_bytes
from evals.extractors.face_detector import FaceDetector
from evals.extractors.face_mesh import FaceMesher, region_of_detection
from evals.extractors.networks.identity_world import SIDE, WIDE_SIDE, cut_head
from evals.judges.damage import Clip, jpeg, lower_resolution, noise, saturate, turn_chroma, turn_hue
from evals.judges.drawn import FPS, babble
from streamchar_ref.world.character import Character
from streamchar_ref.world.motion import Motion
from streamchar_ref.world.scene import draw_scene
from streamchar_ref.world.styles import STYLES

STYLE = "painted"
DRAWN_PX = 112
MIN_MESH_SCORE = 0.5
WORN = ("clothes", "garment", "pattern", "background", "jewel", "accent")
"""Fields that do not identify a person."""
_METADATA = ("seed", "caption", "detail_side")


@dataclass(frozen=True, kw_only=True)
class Person:
    """A drawn person, seen several times.

    Attributes:
        identity: Seed of the character.
        heads: Cut-outs of `WIDE_SIDE` pixels.
        numbers: What it was drawn from, see `attributes`.
    """

    identity: int
    heads: UInt8[np.ndarray, "N 80 80 3"]
    numbers: Float32[np.ndarray, " A"]


def draw_person(identity: int, *, num_scenes: int, num_frames: int) -> Person | None:
    """Renders a person in several streams and as a reference picture.

    Args:
        identity: Seed of the character.
        num_scenes: Lights and framings; in half of them it wears what others wear.
        num_frames: Of each.

    Returns:
        Their heads; ``None`` if fewer than two faces were found.
    """
    rng = np.random.default_rng([identity, 0x1D])
    character = STYLES[STYLE].draw_character(identity)
    heads: list[np.ndarray] = []
    for seed in range(num_scenes):
        heads += heads_in(stream(dressed(character, rng), identity, seed, num_frames))
    picture = STYLES[STYLE].portrait(character, size=DRAWN_PX, seed=int(rng.integers(2**31)))
    heads += heads_in(picture[None])
    if len(heads) < 2:
        return None
    return Person(identity=identity, heads=np.stack(heads), numbers=attributes(character))


def dressed(character: Character, rng: np.random.Generator) -> Character:
    """Returns the same person, half of the time in what somebody else wears and before."""
    other = STYLES[STYLE].draw_character(int(rng.integers(9000)))
    worn = {f.name: getattr(other, f.name) for f in fields(character) if f.name in WORN}
    if rng.random() < 0.5:
        return character
    mixed: Character = replace(character, **worn)
    return mixed


def stream(
    character: Character, identity: int, seed: int, num_frames: int, *, size: int = DRAWN_PX
) -> UInt8[np.ndarray, "T H W 3"]:
    """Draws a few moments, seconds apart, of a character that speaks."""
    rng = np.random.default_rng([identity, seed, 0x57])
    gap = 2 * FPS
    motion = STYLES[STYLE].move(
        babble(rng, num_frames * gap / FPS), num_frames=num_frames * gap, fps=FPS, seed=seed
    )
    moments = np.arange(num_frames) * gap + int(rng.integers(gap))
    chosen = Motion(**{f.name: getattr(motion, f.name)[moments] for f in fields(Motion)})
    scene = draw_scene(int(rng.integers(2**31)))
    pieces = STYLES[STYLE].render_batches(character, chosen, size=size, scene=scene)
    return np.concatenate(list(pieces))


def heads_in(
    frames: UInt8[np.ndarray, "T H W 3"], *, size: int = WIDE_SIDE
) -> list[UInt8[np.ndarray, "S S 3"]]:
    """Cuts out the heads that the detector and the mesh find, each frame for itself."""
    detector, mesher = _finders()
    heads = []
    for frame in frames:
        faces = detector.detect(frame)
        if len(faces):
            rough = mesher.fit(frame, region_of_detection(faces.boxes[0], faces.points[0]))
            mesh = mesher.fit(frame, rough.region)  # as the extractor ``face`` does
            if mesh.score >= MIN_MESH_SCORE:
                heads.append(cut_head(frame, mesh.box.astype(np.float32), size=size))
    return heads


@cache
def _finders() -> tuple[FaceDetector, FaceMesher]:
    return FaceDetector(), FaceMesher()


def attributes(character: Character) -> Float32[np.ndarray, " A"]:
    """Returns the numbers that a head was drawn from, colours as brightness alone."""
    numbers: list[float] = []
    for f in fields(character):
        if f.name not in (*WORN, *_METADATA):
            numbers += _numbers(f.name, getattr(character, f.name))
    return np.array(numbers, np.float32)


def _numbers(name: str, value: Any) -> list[float]:
    if isinstance(value, str):
        return [float(value == kind) for kind in _kinds(name)]
    if isinstance(value, tuple):
        return [0.299 * value[0] + 0.587 * value[1] + 0.114 * value[2]]
    return [float(value)]


@cache
def _kinds(name: str) -> tuple[str, ...]:
    """Returns the words that a feature of a character can be, in alphabetical order."""
    return tuple(sorted({getattr(character, name) for character in _crowd()}))


@cache
def _crowd() -> tuple[Character, ...]:
    """Returns enough people for every feature to occur."""
    return tuple(STYLES[STYLE].draw_character(seed) for seed in range(400))


def standardized_numbers(people: Sequence[Person]) -> Float32[np.ndarray, "P A"]:
    """Returns everybody's numbers with mean 0 and deviation 1."""
    numbers = np.stack([person.numbers for person in people])
    return (numbers - numbers.mean(axis=0)) / np.maximum(numbers.std(axis=0), 1e-3)


def draw_batch(
    people: Sequence[Person], rng: np.random.Generator, *, num_people: int, num_views: int
) -> tuple[Int64[np.ndarray, " P"], UInt8[np.ndarray, "B 64 64 3"]]:
    """Draws people and views of them, varied.

    Args:
        people: To draw from.
        rng: Of every choice.
        num_people: In the batch, all different.
        num_views: Of each of them; one head may be taken twice, varied in two ways.

    Returns:
        Which people; and their heads, those of one person together.
    """
    chosen = rng.choice(len(people), num_people, replace=False)
    heads = [
        varied(people[row].heads[view], rng)
        for row in chosen
        for view in rng.permutation(len(people[row].heads)).repeat(2)[:num_views]
    ]
    return chosen, np.stack(heads)


def varied(
    head: UInt8[np.ndarray, "80 80 3"], rng: np.random.Generator
) -> UInt8[np.ndarray, "64 64 3"]:
    """Varies framing, colour, light, sharpness and noise of a head."""
    angle, scale = rng.normal(0, 3), np.exp(rng.normal(0, 0.05))
    matrix = np.asarray(
        cv2.getRotationMatrix2D((WIDE_SIDE / 2, WIDE_SIDE / 2), angle, scale), np.float64
    )
    matrix[:, 2] += rng.normal(0, 1.5, 2) - (WIDE_SIDE - SIDE) / 2
    clip = cv2.warpAffine(head, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)[None]
    for chance, change in _CHANGES:
        if rng.random() < chance:
            clip = change(clip, rng)
    varied_head: np.ndarray = clip[0]
    return varied_head


def _other_hue(clip: Clip, rng: np.random.Generator) -> Clip:
    degrees = float(rng.uniform(-180, 180))
    if rng.random() < 0.4:
        return turn_hue(clip, degrees)
    return turn_chroma(clip, degrees)


def _other_saturation(clip: Clip, rng: np.random.Generator) -> Clip:
    return saturate(clip, float(rng.uniform(0.2, 1.7)))


def _other_light(clip: Clip, rng: np.random.Generator) -> Clip:
    power = np.exp(rng.normal(0, 0.2))
    gain = np.exp(rng.normal(0, 0.2)) * rng.uniform(0.94, 1.06, 3)
    return to_bytes(255 * (clip / 255) ** power * gain)


def _blurred(clip: Clip, rng: np.random.Generator) -> Clip:
    return cv2.GaussianBlur(clip[0], (0, 0), float(rng.uniform(0.3, 1.8)))[None]


def _small(clip: Clip, rng: np.random.Generator) -> Clip:
    return lower_resolution(clip[0], int(rng.integers(18, 48)))[None]


def _noisy(clip: Clip, rng: np.random.Generator) -> Clip:
    return noise(clip, float(rng.uniform(0, 0.7)), rng)


def _coded(clip: Clip, rng: np.random.Generator) -> Clip:
    return jpeg(clip[0], int(rng.integers(12, 70)))[None]


_CHANGES: tuple[tuple[float, Callable[[Clip, np.random.Generator], Clip]], ...] = (
    (0.6, _other_hue),
    (0.4, _other_saturation),
    (0.6, _other_light),
    (0.35, _blurred),
    (0.3, _small),
    (0.15, _noisy),
    (0.25, _coded),
)
