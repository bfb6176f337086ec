"""Light, framing and resting pose: what differs between pictures of one character.

A scene is the same for every drawing style. Framing is part of `Canvas.blank`, `light_up` applies
the light to the finished picture, and `resting` adds the resting pose to the motion, so a style
need not know about scenes.
"""

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from streamchar_ref.world.motion import Motion

MAX_YAW = 1.25


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Light, framing and pose of a character; all zero is neutral.

    Attributes:
        light_x: Position of the key light, -1 left to 1 right of the painted light.
        light_y: -1 above to 1 below.
        light_strength: Darkening of the far side of the picture, in [0, 1].
        warmth: Colour of the light, -1 blue to 1 orange.
        exposure: In stops; 1 is twice as bright.
        zoom: Log of the magnification; above 0 is closer.
        shift_x: Of the subject to the right, in units of the canvas.
        shift_y: Down.
        turn: Added to the yaw of the head, about -1 to 1.
        nod: Added to the pitch.
        tilt: Added to the roll, in radians.
        backdrop: Seed of the background; 0 is a plain wall.
    """

    light_x: float = 0.0
    light_y: float = 0.0
    light_strength: float = 0.0
    warmth: float = 0.0
    exposure: float = 0.0
    zoom: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    turn: float = 0.0
    nod: float = 0.0
    tilt: float = 0.0
    backdrop: int = 0


NEUTRAL = Scene()


def draw_scene(seed: int) -> Scene:
    """Samples the scene of a stream; the same seed gives the same scene."""
    rng = np.random.default_rng([seed, 0x5E])
    side = float(rng.choice([-1.0, 1.0]))
    is_turned = rng.random() < 0.45
    turn = rng.uniform(0.55, 0.95) if is_turned else rng.uniform(0.0, 0.35)
    angle = rng.uniform(-2.6, 0.5)
    return Scene(
        light_x=float(np.cos(angle)),
        light_y=float(np.sin(angle)),
        light_strength=float(rng.uniform(0.1, 0.9)),
        warmth=float(rng.uniform(-0.5, 0.9)),
        exposure=float(rng.uniform(-0.38, 0.2)),
        zoom=float(rng.uniform(-0.16, 0.14)),
        shift_x=float(rng.uniform(-0.07, 0.07)),
        shift_y=float(rng.uniform(-0.03, 0.05)),
        turn=side * float(turn),
        nod=float(rng.uniform(-0.25, 0.3)),
        tilt=float(rng.uniform(-0.05, 0.05)),
        backdrop=int(rng.integers(1, 2**31)),
    )


def draw_reference_scene(seed: int, *, hidden_side: int = 1) -> Scene:
    """Samples the scene of a reference picture: closer, evenly lit, turned, with a plain wall.

    Args:
        seed: Of the scene.
        hidden_side: Side to which the head is turned, so that its ear is hidden.

    Returns:
        The scene.
    """
    rng = np.random.default_rng([seed, 0x5F])
    return Scene(
        light_x=float(rng.uniform(-0.6, 0.6)),
        light_y=-0.8,
        light_strength=float(rng.uniform(0.0, 0.3)),
        warmth=float(rng.uniform(-0.15, 0.15)),
        exposure=float(rng.uniform(-0.05, 0.08)),
        zoom=float(rng.uniform(0.2, 0.25)),
        shift_x=0.0,
        shift_y=float(rng.uniform(0.04, 0.06)),
        turn=hidden_side * float(rng.uniform(0.55, 0.85)),
        nod=float(rng.uniform(-0.1, 0.1)),
        tilt=float(rng.uniform(-0.03, 0.03)),
    )


def blend_scenes(a: Scene, b: Scene, share: float) -> Scene:
    """Interpolates two scenes; the background switches at a ``share`` of 0.5."""
    numbers = [f.name for f in fields(Scene) if f.name != "backdrop"]
    mixed = {n: getattr(a, n) + (getattr(b, n) - getattr(a, n)) * share for n in numbers}
    return Scene(**mixed, backdrop=(a if share < 0.5 else b).backdrop)


def resting(motion: "Motion", scene: Scene) -> "Motion":
    """Adds the resting pose of a scene to a motion; the yaw is limited to `MAX_YAW`."""
    yaw = MAX_YAW * np.tanh((motion.yaw + np.float32(scene.turn)) / MAX_YAW)
    return replace(
        motion,
        yaw=yaw.astype(np.float32),
        pitch=motion.pitch + np.float32(scene.nod),
        roll=motion.roll + np.float32(scene.tilt),
    )
