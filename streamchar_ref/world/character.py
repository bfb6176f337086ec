"""Who a drawn character is: numbers and colours, drawn from a seed and told in one sentence."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]

_SKINS = {
    "porcelain": "#f7dcc9", "fair": "#f2cdb1", "golden": "#e3b088", "olive": "#cf9d73",
    "bronze": "#b27a50", "brown": "#8d5b3b", "deep brown": "#6b4330",
}  # fmt: skip
_HAIRS = {
    "black": "#2a2429", "dark brown": "#442e26", "chestnut": "#6d412a", "auburn": "#8c4127",
    "copper": "#b8602f", "honey blond": "#c8964f", "ash blond": "#d8bd8e", "silver": "#b9bcc4",
}  # fmt: skip
_EYES = {
    "brown": "#5b3a22",
    "hazel": "#80602f",
    "green": "#4f7d54",
    "blue": "#4a7fa8",
    "grey": "#697c88",
}
_CLOTHES = {
    "teal": "#2f7f83", "mustard": "#d39b32", "coral": "#d9694f", "navy": "#34476e",
    "plum": "#74466f", "sage": "#7f9a76", "cream": "#e9dfcb", "brick": "#a9503f",
}  # fmt: skip
_BACKGROUNDS = {
    "peach": ("#fbe3d2", "#f3b99b"), "sky": ("#dcecf5", "#a5c9e2"), "mint": ("#e0f1e6", "#a9d4bc"),
    "lilac": ("#ebe4f5", "#c0b1de"), "sand": ("#f6ecd6", "#e2c690"), "rose": ("#fae2e4", "#e8aeb7"),
}  # fmt: skip
STYLES = ("short", "quiff", "curly", "bob", "long", "bun")
NECKLINES = ("crew", "collar", "v")
_TOLD = {
    "short": "short {hair} hair", "quiff": "{hair} hair combed up", "curly": "curly {hair} hair",
    "bob": "a {hair} bob", "long": "long {hair} hair", "bun": "{hair} hair in a bun",
}  # fmt: skip
_GARMENTS = {"crew": "jumper", "collar": "shirt", "v": "cardigan"}


@dataclass(frozen=True, kw_only=True)
class Character:
    """A person as the world draws them; lengths are in units of the canvas, shares in [0, 1].

    Attributes:
        seed: It was drawn from.
        caption: One sentence.
        skin: Colour in the light, as all colours RGB in [0, 1].
        hair: Colour.
        eyes: Colour of the iris.
        lips: Colour.
        clothes: Colour.
        background: Colours of the middle and the edge.
        style: Of the hair, one of `STYLES`.
        neckline: One of `NECKLINES`.
        parting: Where the hair is parted, left to right.
        volume: How far the hair stands off the head.
        fringe: Share of the forehead under hair.
        face_width: Half width at the cheekbones.
        face_height: Half height.
        jaw: Narrowing towards the chin.
        squareness: Of the outline.
        eye_size: Half width of an eye.
        eye_gap: Of the eyes' centres from the middle.
        eye_tilt: Rise of the outer corners.
        brow_thickness: Half thickness.
        brow_arch: Rise in the middle.
        nose_width: Half width at the nostrils.
        nose_length: From the eye line to the tip.
        mouth_width: Half width at rest.
        lip_fullness: Thickness of the lips.
        blush: Of the cheeks.
        freckles: Strength.
        beard: Strength of a short beard.
        has_glasses: Round glasses.
        has_earrings: Small studs.
    """

    seed: int
    caption: str
    skin: Colour
    hair: Colour
    eyes: Colour
    lips: Colour
    clothes: Colour
    background: tuple[Colour, Colour]
    style: str
    neckline: str
    parting: float
    volume: float
    fringe: float
    face_width: float
    face_height: float
    jaw: float
    squareness: float
    eye_size: float
    eye_gap: float
    eye_tilt: float
    brow_thickness: float
    brow_arch: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lip_fullness: float
    blush: float
    freckles: float
    beard: float
    has_glasses: bool
    has_earrings: bool


def draw_character(seed: int) -> Character:
    """Draws the character called ``seed``; the same seed gives the same character."""
    rng = np.random.default_rng([seed, 0x5C])
    skin_name, hair_name, eye_name = _pick(rng, _SKINS), _pick(rng, _HAIRS), _pick(rng, _EYES)
    if skin_name in ("bronze", "brown", "deep brown"):
        hair_name = _pick(rng, ["black", "dark brown", "chestnut", "silver"])
        eye_name = _pick(rng, ["brown", "hazel"])
    style, neckline = _pick(rng, STYLES), _pick(rng, NECKLINES)
    clothes_name, background_name = _pick(rng, _CLOTHES), _pick(rng, _BACKGROUNDS)
    is_cropped = style in ("short", "quiff", "curly")
    has_beard = is_cropped and rng.random() < 0.45
    has_glasses, has_earrings = rng.random() < 0.3, not is_cropped and rng.random() < 0.6
    skin = _near(rng, _SKINS[skin_name], 0.009)
    middle, edge = _BACKGROUNDS[background_name]
    hair_told = _TOLD[style].format(hair=hair_name)
    extras = [hair_told, f"{eye_name} eyes"]
    extras += ["a short beard"] * has_beard + ["round glasses"] * has_glasses
    told = f"{', '.join(extras[:-1])} and {extras[-1]}"
    garment = f"{_article(clothes_name)} {clothes_name} {_GARMENTS[neckline]}"
    return Character(
        seed=seed,
        caption=f"A friendly person with {skin_name} skin, {told}, in {garment} before a soft "
        f"{background_name} background.",
        skin=skin,
        hair=_near(rng, _HAIRS[hair_name], 0.015),
        eyes=_near(rng, _EYES[eye_name], 0.02),
        lips=_lips(rng, skin, is_soft=is_cropped),
        clothes=_near(rng, _CLOTHES[clothes_name], 0.02),
        background=(_rgb(middle), _rgb(edge)),
        style=style,
        neckline=neckline,
        parting=float(rng.choice([-1, 1]) * rng.uniform(0.08, 0.17)),
        volume=float(rng.uniform(0.05, 0.085)),
        fringe=float(rng.uniform(0.0, 0.75)),
        face_width=float(rng.uniform(0.335, 0.375)),
        face_height=float(rng.uniform(0.455, 0.485)),
        jaw=float(rng.uniform(0.1, 0.2) - 0.06 * has_beard),
        squareness=float(rng.uniform(0.2, 0.5) + 0.15 * is_cropped),
        eye_size=float(rng.uniform(0.078, 0.09)),
        eye_gap=float(rng.uniform(0.150, 0.168)),
        eye_tilt=float(rng.uniform(-0.004, 0.016)),
        brow_thickness=float(rng.uniform(0.011, 0.016) + 0.004 * is_cropped),
        brow_arch=float(rng.uniform(0.018, 0.034)),
        nose_width=float(rng.uniform(0.046, 0.062)),
        nose_length=float(rng.uniform(0.15, 0.175)),
        mouth_width=float(rng.uniform(0.128, 0.15)),
        lip_fullness=float(rng.uniform(0.026, 0.038) - 0.004 * is_cropped),
        blush=float(rng.uniform(0.15, 0.4)),
        freckles=float(rng.uniform(0.3, 0.6)) if rng.random() < 0.25 else 0.0,
        beard=float(rng.uniform(0.5, 0.8)) if has_beard else 0.0,
        has_glasses=bool(has_glasses),
        has_earrings=bool(has_earrings),
    )


def _pick(rng: np.random.Generator, names: Iterable[str]) -> str:
    return str(rng.choice(list(names)))


def _rgb(code: str) -> Colour:
    red, green, blue = (int(code[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def _near(rng: np.random.Generator, code: str, spread: float) -> Colour:
    red, green, blue = np.clip(np.array(_rgb(code)) + rng.normal(0, spread, 3), 0, 1).tolist()
    return red, green, blue


def _lips(rng: np.random.Generator, skin: Colour, *, is_soft: bool) -> Colour:
    """A rosier, darker skin; paint is stronger where it is not soft."""
    amount = rng.uniform(0.42, 0.55) if is_soft else rng.uniform(0.55, 0.78)
    rose = np.array([0.74, 0.30, 0.32]) * (0.55 + 0.45 * np.mean(skin))
    red, green, blue = (np.array(skin) * (1 - amount) * 0.96 + rose * amount).tolist()
    return red, green, blue


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
