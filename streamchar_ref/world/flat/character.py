"""Characters of the flat style: shapes, lines and colours, sampled from a seed, with a caption."""

from dataclasses import dataclass

import numpy as np

from streamchar_ref.world.checks import check_integers
from streamchar_ref.world.flat.palette import Palette, draw_palette

EYES = ("oval", "ring", "almond", "sleepy", "dot")
BROWS = ("bar", "arc", "wedge", "thin")
NOSES = ("hook", "button", "triangle", "bridge", "holes")
OPENINGS = ("ellipse", "lens", "box", "half moon", "bean")
LIPS = ("none", "full", "lower", "ring", "bow")
TEETH = ("upper", "both", "row", "none")
TONGUES = ("hump", "flat", "none")
HAIRS = ("cap", "side", "spikes", "puff", "bob", "long", "bun", "tails", "bald", "hat", "scarf",
         "crest", "curtain")  # fmt: skip
BEARDS = ("none", "full", "goatee", "moustache", "stubble")
GLASSES = ("none", "round", "square", "cat")
GARMENTS = ("plain", "stripes", "dots", "collar", "hood", "v")
WALLS = ("plain", "stripes", "checks", "dots", "rays", "halves", "waves", "rings", "fade",
         "confetti")  # fmt: skip
SHADINGS = ("none", "cel", "hatch", "halftone", "fade")

_HAIR_WORDS = {
    "cap": "a bowl cut", "side": "a side parting", "spikes": "spiky hair", "puff": "a round puff",
    "bob": "a bob", "long": "long straight hair", "bun": "a bun", "tails": "two pigtails",
    "bald": "no hair", "hat": "a knitted hat", "scarf": "a headscarf", "crest": "a crest of hair",
    "curtain": "hair like a curtain",
}  # fmt: skip
_MEDIUM_WORDS = {
    "natural": "coloured paper", "fantasy": "dream colours", "line art": "pen lines",
    "two-colour": "two inks", "night": "night colours",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Pen:
    """Lines and shading of shapes.

    Attributes:
        line: Width of lines around shapes; 0 for none.
        detail: Width of the lines of mouth, nose and brows.
        shading: One of `SHADINGS`.
        shade: Strength of the shading.
        angle: Direction of the light, in radians.
        lift: Strength of the soft shadow under a shape, as of paper on paper.
    """

    line: float
    detail: float
    shading: str
    shade: float
    angle: float
    lift: float


@dataclass(frozen=True, kw_only=True)
class Mouth:
    """A mouth and its interior; lengths in units of the canvas.

    Attributes:
        y: Below the middle of the head.
        half: Half width at rest.
        stretch: Share by which a wide shape is wider.
        pucker: Share by which a round shape is narrower.
        opening: One of `OPENINGS`.
        up: Share of the gap that opens upward.
        bend: Rise of the corners.
        lips: One of `LIPS`.
        fullness: Thickness of the lips.
        teeth: One of `TEETH`.
        teeth_height: Of the upper row.
        tongue: One of `TONGUES`.
    """

    y: float
    half: float
    stretch: float
    pucker: float
    opening: str
    up: float
    bend: float
    lips: str
    fullness: float
    teeth: str
    teeth_height: float
    tongue: str


@dataclass(frozen=True, kw_only=True)
class FlatCharacter:
    """A character of the flat style; lengths in units of the canvas, shares in [0, 1].

    Attributes:
        seed: Of the character.
        caption: Description in one sentence.
        medium: Kind of palette.
        palette: All colours.
        pen: Lines and shading.
        mouth: Lips, teeth and tongue.
        head_y: Middle of the head.
        half_width: Of the head.
        half_height: Of the head.
        squareness: Of the head's outline.
        jaw: Narrowing of the lower half; negative for a heavy jaw.
        crown: Narrowing of the upper half.
        point: Sharpness of the chin.
        jaw_drop: Share of the gap by which the chin goes down.
        neck: Half width.
        shoulders: Half width.
        has_ears: Whether ears show.
        ear_size: Radius.
        eyes: One of `EYES`.
        eye_y: Above the middle of the head.
        eye_gap: Of the eyes' middles from the middle of the head.
        eye_width: Half width of an eye.
        eye_height: Half height of an eye.
        pupil: Radius as a share of the eye.
        lashes: Strokes at the outer corner, 0 to 3.
        brows: One of `BROWS`.
        brow_rise: Above the eye.
        brow_tilt: Fall towards the nose.
        brow_width: Half length.
        nose: One of `NOSES`.
        nose_y: Below the middle of the head.
        nose_size: Half width.
        cheeks: Strength of round cheeks.
        freckles: Number of them.
        hair: One of `HAIRS`.
        volume: Distance of the hair from the head.
        fringe: Share of the forehead under hair.
        side: Of a parting or a lock, -1 or 1.
        beard: One of `BEARDS`.
        glasses: One of `GLASSES`.
        has_earrings: Discs under the ears.
        garment: One of `GARMENTS`.
        wall: One of `WALLS`.
        wall_scale: Size of the pattern on the wall.
        wall_angle: Its direction, in radians.
        parallax: Shift of the face over the head when it turns.
    """

    seed: int
    caption: str
    medium: str
    palette: Palette
    pen: Pen
    mouth: Mouth
    head_y: float
    half_width: float
    half_height: float
    squareness: float
    jaw: float
    crown: float
    point: float
    jaw_drop: float
    neck: float
    shoulders: float
    has_ears: bool
    ear_size: float
    eyes: str
    eye_y: float
    eye_gap: float
    eye_width: float
    eye_height: float
    pupil: float
    lashes: int
    brows: str
    brow_rise: float
    brow_tilt: float
    brow_width: float
    nose: str
    nose_y: float
    nose_size: float
    cheeks: float
    freckles: int
    hair: str
    volume: float
    fringe: float
    side: int
    beard: str
    glasses: str
    has_earrings: bool
    garment: str
    wall: str
    wall_scale: float
    wall_angle: float
    parallax: float


def draw_character(seed: int) -> FlatCharacter:
    """Samples a flat character; the same seed gives the same character."""
    check_integers(0, seed=seed)
    rng = np.random.default_rng([seed, 0xF1A])
    medium, palette = draw_palette(rng)
    width, height = float(rng.uniform(0.30, 0.385)), float(rng.uniform(0.375, 0.46))
    hair, beard = _one(rng, HAIRS), _one(rng, BEARDS, (0.66, 0.1, 0.07, 0.1, 0.07))
    glasses = _one(rng, GLASSES, (0.7, 0.12, 0.1, 0.08))
    garment = _one(rng, GARMENTS)
    eyes = _one(rng, EYES, (0.3, 0.25, 0.2, 0.13, 0.12))
    eye_width = float(rng.uniform(0.062, 0.095))
    if eyes == "dot":
        eye_width *= 0.62
    tall = {"almond": (0.45, 0.65), "dot": (0.9, 1.7)}.get(eyes, (0.7, 1.3))
    return FlatCharacter(
        seed=seed,
        caption=_caption(medium, hair, beard, glasses, garment),
        medium=medium,
        palette=palette,
        pen=_pen(rng, medium),
        mouth=_mouth(rng, width, height),
        head_y=float(rng.uniform(-0.13, -0.05)),
        half_width=width,
        half_height=height,
        squareness=float(rng.uniform(0.0, 0.75)),
        jaw=float(rng.uniform(-0.06, 0.26)),
        crown=float(rng.uniform(-0.04, 0.14)),
        point=float(rng.uniform(0.0, 0.16)),
        jaw_drop=float(rng.choice([0.0, rng.uniform(0.2, 0.6)])),
        neck=float(rng.uniform(0.07, 0.16)),
        shoulders=float(rng.uniform(0.42, 0.75)),
        has_ears=bool(rng.random() < 0.8),
        ear_size=float(rng.uniform(0.05, 0.095)),
        eyes=eyes,
        eye_y=float(rng.uniform(0.0, 0.06)),
        eye_gap=width * float(rng.uniform(0.40, 0.47)),
        eye_width=eye_width,
        eye_height=eye_width * float(rng.uniform(*tall)),
        pupil=float(rng.uniform(0.38, 0.66)),
        lashes=int(rng.choice([0, 0, 1, 2, 3])),
        brows=_one(rng, BROWS),
        brow_rise=float(rng.uniform(0.03, 0.065)),
        brow_tilt=float(rng.uniform(-0.25, 0.2)),
        brow_width=float(rng.uniform(0.06, 0.1)),
        nose=_one(rng, NOSES),
        nose_y=height * float(rng.uniform(0.14, 0.27)),
        nose_size=float(rng.uniform(0.03, 0.06)),
        cheeks=float(rng.choice([0.0, rng.uniform(0.2, 0.8)])),
        freckles=int(rng.choice([0, 0, 0, 6])),
        hair=hair,
        volume=float(rng.uniform(0.02, 0.075)),
        fringe=float(rng.uniform(0.1, 0.8)),
        side=int(rng.choice([-1, 1])),
        beard=beard,
        glasses=glasses,
        has_earrings=bool(rng.random() < 0.2),
        garment=garment,
        wall=_one(rng, WALLS),
        wall_scale=float(rng.uniform(0.6, 1.8)),
        wall_angle=float(rng.uniform(0, np.pi)),
        parallax=float(rng.uniform(0.03, 0.065)),
    )


def _one(
    rng: np.random.Generator, names: tuple[str, ...], shares: tuple[float, ...] | None = None
) -> str:
    return str(rng.choice(names, p=shares))


def _pen(rng: np.random.Generator, medium: str) -> Pen:
    is_drawn = medium == "line art" or rng.random() < 0.65
    line = float(rng.uniform(0.006, 0.022)) if is_drawn else 0.0
    return Pen(
        line=line,
        detail=max(0.75 * line, float(rng.uniform(0.006, 0.012))),
        shading=_one(rng, SHADINGS, (0.25, 0.25, 0.18, 0.14, 0.18)),
        shade=float(rng.uniform(0.12, 0.35)),
        angle=float(rng.uniform(-0.5, np.pi + 0.5)),
        lift=0.0 if is_drawn else float(rng.uniform(0.1, 0.45)),
    )


def _mouth(rng: np.random.Generator, width: float, height: float) -> Mouth:
    opening = _one(rng, OPENINGS)
    lips = _one(rng, LIPS, (0.3, 0.25, 0.15, 0.12, 0.18))
    up = {"half moon": (0.0, 0.12), "bean": (0.1, 0.3)}.get(opening, (0.25, 0.55))
    return Mouth(
        y=height * float(rng.uniform(0.50, 0.60)),
        half=width * float(rng.uniform(0.32, 0.5)),
        stretch=float(rng.uniform(0.1, 0.3)),
        pucker=float(rng.uniform(0.25, 0.5)),
        opening=opening,
        up=float(rng.uniform(*up)),
        bend=float(rng.uniform(-0.008, 0.035)),
        lips=lips,
        fullness=float(rng.uniform(0.012, 0.026 if lips == "ring" else 0.04)),
        teeth=_one(rng, TEETH, (0.4, 0.2, 0.2, 0.2)),
        teeth_height=float(rng.uniform(0.02, 0.045)),
        tongue=_one(rng, TONGUES, (0.5, 0.25, 0.25)),
    )


def _caption(medium: str, hair: str, beard: str, glasses: str, garment: str) -> str:
    """Describes the visible traits in one sentence."""
    beards = {"full": "a full beard", "stubble": "stubble"}
    extras = [] if beard == "none" else [beards.get(beard, f"a {beard}")]
    extras += [] if glasses == "none" else [f"{glasses} glasses".replace("cat", "cat-eye")]
    worn = {"plain": "a plain jumper", "stripes": "a striped jumper", "dots": "a dotted jumper",
            "collar": "a shirt", "hood": "a hoodie", "v": "a V-neck"}[garment]  # fmt: skip
    parts = [_HAIR_WORDS[hair], *extras, worn]
    traits = f"{', '.join(parts[:-1])} and {worn}"
    return f"A flat cartoon in {_MEDIUM_WORDS[medium]}: a person with {traits}."
