"""Characters of the painted style: looks and clothes, sampled from a seed, with a caption."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from streamchar_ref.world import palette
from streamchar_ref.world.checks import check_integers
from streamchar_ref.world.palette import Colour

STYLES = (
    "short", "quiff", "curly", "buzz", "bald", "afro", "pixie",
    "bob", "long", "wavy", "bun", "ponytail", "braids",
)  # fmt: skip
CROPPED = ("short", "quiff", "curly", "buzz", "bald", "pixie")
GARMENTS = ("jumper", "shirt", "cardigan", "hoodie", "turtleneck", "scarf")
PATTERNS = ("plain", "stripes", "dots", "check", "band")
GLASSES = ("", "round", "square", "cat-eye")
JEWELS = ("", "pendant", "pearls", "brooch")
SIDE_DETAILS = ("", "hoop", "clip", "flower")
_HAIR_WORDS = {
    "short": "short {hair} hair", "quiff": "{hair} hair combed up", "curly": "curly {hair} hair",
    "buzz": "a {hair} buzz cut", "bald": "a bald head", "afro": "a {hair} afro",
    "pixie": "a {hair} pixie cut", "bob": "a {hair} bob", "long": "long {hair} hair",
    "wavy": "long wavy {hair} hair", "bun": "{hair} hair in a bun",
    "ponytail": "{hair} hair in a ponytail", "braids": "two {hair} braids",
}  # fmt: skip
_JEWEL_WORDS = {"pendant": "a gold pendant", "pearls": "a string of pearls", "brooch": "a brooch"}
_DETAIL_WORDS = {
    "hoop": "one gold earring", "clip": "a hair clip", "flower": "a flower in the hair",
}  # fmt: skip
_PATTERN_WORDS = {
    "plain": "", "stripes": "striped ", "dots": "dotted ", "check": "checked ",
    "band": "patterned ",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Character:
    """A character; lengths are in units of the canvas, shares in [0, 1].

    Attributes:
        seed: Of the character.
        caption: Description in one sentence.
        skin: Colour in the light, as all colours RGB in [0, 1].
        hair: Colour.
        eyes: Colour of the iris.
        lips: Colour.
        clothes: Colour.
        accent: Colour of pattern, scarf, hat and hair clip.
        background: Colours of the middle and the edge.
        style: Of the hair, one of `STYLES`.
        garment: One of `GARMENTS`.
        pattern: Of the garment, one of `PATTERNS`.
        glasses: One of `GLASSES`.
        jewel: One of `JEWELS`.
        side_detail: Worn on one side only, one of `SIDE_DETAILS`.
        detail_side: -1 left, 1 right, as seen.
        parting: Position of the parting, left to right.
        volume: Distance of the hair from the head.
        fringe: Share of the forehead under hair.
        face_width: Half width at the cheekbones.
        face_height: Half height.
        jaw: Narrowing towards the chin.
        squareness: Of the outline.
        eye_size: Half width of an eye.
        eye_gap: Of the eyes' centres from the middle.
        eye_tilt: Rise of the outer corners.
        lashes: Strength of the lashes' wing.
        brow_thickness: Half thickness.
        brow_arch: Rise in the middle.
        nose_width: Half width at the nostrils.
        nose_length: From the eye line to the tip.
        mouth_width: Half width at rest.
        lip_fullness: Thickness of the lips.
        blush: Of the cheeks.
        freckles: Strength.
        wrinkles: Strength.
        beard: Strength of a short beard.
        moustache: Strength.
        has_hat: A knitted hat.
        has_earrings: Small studs.
    """

    seed: int
    caption: str
    skin: Colour
    hair: Colour
    eyes: Colour
    lips: Colour
    clothes: Colour
    accent: Colour
    background: tuple[Colour, Colour]
    style: str
    garment: str
    pattern: str
    glasses: str
    jewel: str
    side_detail: str
    detail_side: int
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
    lashes: float
    brow_thickness: float
    brow_arch: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lip_fullness: float
    blush: float
    freckles: float
    wrinkles: float
    beard: float
    moustache: float
    has_hat: bool
    has_earrings: bool


def draw_character(seed: int) -> Character:
    """Samples a character; the same seed gives the same character."""
    check_integers(0, seed=seed)
    rng = np.random.default_rng([seed, 0x5C])
    gender = _pick(rng, ("woman", "woman", "man", "man", "person"))
    age = float(rng.beta(1.3, 1.9))
    named = _names(rng, gender, age)
    wardrobe = _wardrobe(rng, gender, named)
    facial = _facial_hair(rng, gender)
    skin = _near(rng, palette.SKINS[named["skin"]], 0.009)
    middle, edge = palette.BACKGROUNDS[named["background"]]
    return Character(
        seed=seed,
        caption=_caption(gender, age, named, wardrobe, facial),
        skin=skin,
        hair=_near(rng, palette.HAIRS[named["hair"]], 0.015),
        eyes=_near(rng, palette.EYES[named["eyes"]], 0.02),
        lips=_lips(rng, skin, is_soft=gender != "woman"),
        clothes=_near(rng, palette.CLOTHES[named["clothes"]], 0.02),
        accent=_near(rng, palette.CLOTHES[named["accent"]], 0.02),
        background=(palette.rgb(middle), palette.rgb(edge)),
        style=named["style"],
        **wardrobe,
        **facial,
        **_geometry(rng, gender, has_beard=facial["beard"] > 0),
        blush=float(rng.uniform(0.15, 0.4)),
        freckles=float(rng.uniform(0.3, 0.6)) if rng.random() < 0.22 else 0.0,
        wrinkles=max(0.0, age - 0.45) * 1.6,
    )


def blend(a: Character, b: Character, share: float) -> Character:
    """Interpolates two characters.

    Args:
        a: At a ``share`` of 0.
        b: At 1.
        share: In [0, 1]; numbers and colours are interpolated, the rest switches at 0.5.

    Returns:
        A character in between; at the ends ``a`` or ``b`` itself.
    """
    if share in (0, 1):
        return b if share else a
    values = {f.name: _mixed(getattr(a, f.name), getattr(b, f.name), share) for f in fields(a)}
    return Character(**values)


def _mixed(a: Any, b: Any, share: float) -> Any:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return tuple(_mixed(x, y, share) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        return a + (b - a) * share
    return a if share < 0.5 else b


def _names(rng: np.random.Generator, gender: str, age: float) -> dict[str, str]:
    """Samples what the caption names: skin, hair, eyes, clothes, background."""
    skin = _pick(rng, palette.SKINS)
    is_deep = skin in palette.DEEP_SKINS
    own = [name for name in palette.HAIRS if name not in palette.GREYS]
    hair = _pick(rng, palette.DEEP_HAIRS if is_deep else own)
    if gender == "man" and hair in ("teal", "pink"):
        hair = "dark brown"
    if age > 0.62 and rng.random() < 0.75:
        hair = _pick(rng, palette.GREYS)
    styles = {
        "woman": ("bob", "long", "wavy", "bun", "ponytail", "braids", "pixie", "curly"),
        "man": ("short", "quiff", "curly", "buzz", "bald", "short", "quiff"),
        "person": ("short", "curly", "pixie", "bob", "bun", "quiff", "wavy"),
    }[gender]
    style = _pick(rng, styles)
    if is_deep and rng.random() < 0.3:
        style = "afro"
    clothes, accent = (str(name) for name in rng.choice(list(palette.CLOTHES), 2, replace=False))
    return {
        "skin": skin,
        "hair": hair,
        "eyes": _pick(rng, ("brown", "brown", "hazel") if is_deep else palette.EYES),
        "style": style,
        "clothes": clothes,
        "accent": accent,
        "background": _pick(rng, palette.BACKGROUNDS),
    }


def _wardrobe(rng: np.random.Generator, gender: str, named: dict[str, str]) -> dict[str, Any]:
    garment, style = _pick(rng, GARMENTS), named["style"]
    shapes = [shape for shape in GLASSES[1:] if gender != "man" or shape != "cat-eye"]
    jewels: tuple[str, ...] = (
        JEWELS if gender == "woman" else ("", "", "", "brooch" if gender == "person" else "pendant")
    )
    if garment in ("scarf", "turtleneck", "hoodie"):
        jewels = ("", "", "brooch") if gender != "man" and garment != "scarf" else ("",)
    details = ("", "", "hoop", "clip", "flower") if gender == "woman" else ("", "", "", "", "hoop")
    detail = _pick(rng, details)
    if style in ("afro", "curly", "pixie", "bald", "buzz") and detail == "clip":
        detail = "hoop"
    can_wear_hat = style in ("short", "buzz", "bob", "long", "wavy", "bald", "braids")
    has_hat = can_wear_hat and rng.random() < 0.14
    if has_hat and detail in ("clip", "flower"):
        detail = ""
    return {
        "garment": garment,
        "pattern": _pick(rng, ("plain", "plain", *PATTERNS[1:])),
        "glasses": _pick(rng, shapes) if rng.random() < 0.32 else "",
        "jewel": _pick(rng, jewels),
        "side_detail": detail,
        "detail_side": int(rng.choice([-1, 1])),
        "has_hat": bool(has_hat),
        "has_earrings": bool(gender == "woman" and detail != "hoop" and rng.random() < 0.45),
    }


def _facial_hair(rng: np.random.Generator, gender: str) -> dict[str, Any]:
    kind = _pick(rng, ("", "", "beard", "beard", "moustache")) if gender == "man" else ""
    strength = float(rng.uniform(0.55, 0.85))
    return {
        "beard": strength if kind == "beard" else 0.0,
        "moustache": strength if kind else 0.0,
    }


def _geometry(rng: np.random.Generator, gender: str, *, has_beard: bool) -> dict[str, Any]:
    """Samples the shape of a face; ``strong`` is the degree of masculine features."""
    strong = {"woman": 0.0, "person": 0.5, "man": 1.0}[gender]
    side, part = float(rng.choice([-1, 1])), float(rng.uniform(0.06, 0.17))
    return {
        "parting": side * part,
        "volume": float(rng.uniform(0.045, 0.09)),
        "fringe": float(rng.uniform(0.0, 0.85)),
        "face_width": float(rng.uniform(0.325, 0.378)),
        "face_height": float(rng.uniform(0.445, 0.490)),
        "jaw": float(rng.uniform(0.1, 0.22) - 0.06 * has_beard - 0.02 * strong),
        "squareness": float(rng.uniform(0.16, 0.46) + 0.2 * strong),
        "eye_size": float(rng.uniform(0.074, 0.091) - 0.003 * strong),
        "eye_gap": float(rng.uniform(0.146, 0.170)),
        "eye_tilt": float(rng.uniform(-0.008, 0.018)),
        "lashes": float(rng.uniform(0.75, 1.0) * (1 - 0.75 * strong)),
        "brow_thickness": float(rng.uniform(0.009, 0.015) + 0.005 * strong),
        "brow_arch": float(rng.uniform(0.016, 0.038) - 0.006 * strong),
        "nose_width": float(rng.uniform(0.043, 0.064) + 0.004 * strong),
        "nose_length": float(rng.uniform(0.142, 0.178)),
        "mouth_width": float(rng.uniform(0.122, 0.153)),
        "lip_fullness": float(rng.uniform(0.026, 0.040) - 0.006 * strong),
    }


def _caption(
    gender: str,
    age: float,
    named: dict[str, str],
    wardrobe: dict[str, Any],
    facial: dict[str, Any],
) -> str:
    hair = _HAIR_WORDS[named["style"]].format(hair=named["hair"])
    hair = hair.replace("a auburn", "an auburn").replace("a ash", "an ash")
    traits = [hair, f"{named['skin']} skin", f"{named['eyes']} eyes"]
    if facial["beard"]:
        traits.append("a short beard")
    elif facial["moustache"]:
        traits.append("a moustache")
    if wardrobe["glasses"]:
        traits.append(f"{wardrobe['glasses']} glasses")
    if wardrobe["has_earrings"]:
        traits.append("gold studs")
    traits += [_DETAIL_WORDS[wardrobe["side_detail"]]] if wardrobe["side_detail"] else []
    traits += [_JEWEL_WORDS[wardrobe["jewel"]]] if wardrobe["jewel"] else []
    if wardrobe["has_hat"]:
        traits.append(_with_article(f"{named['accent']} knitted hat"))
    garment = "jumper" if wardrobe["garment"] == "scarf" else wardrobe["garment"]
    pattern = _PATTERN_WORDS[wardrobe["pattern"]]
    traits.append(_with_article(f"{pattern}{named['clothes']} {garment}"))
    if wardrobe["garment"] == "scarf":
        traits[-1] += f" under {_with_article(named['accent'] + ' scarf')}"
    stage = "young " if age < 0.22 else "older " if age > 0.66 else ""
    person = _with_article(stage + gender).capitalize()
    return (
        f"{person} with {', '.join(traits[:-1])} and {traits[-1]}, "
        f"before {_with_article(named['background'])} background."
    )


def _pick(rng: np.random.Generator, names: Iterable[str]) -> str:
    return str(rng.choice(list(names)))


def _near(rng: np.random.Generator, code: str, spread: float) -> Colour:
    centre = np.array(palette.rgb(code))
    red, green, blue = np.clip(centre + rng.normal(0, spread, 3), 0, 1).tolist()
    return red, green, blue


def _lips(rng: np.random.Generator, skin: Colour, *, is_soft: bool) -> Colour:
    """Samples a lip colour, rosier and darker than the skin; stronger unless ``is_soft``."""
    amount = rng.uniform(0.40, 0.52) if is_soft else rng.uniform(0.55, 0.78)
    rose = np.array([0.74, 0.30, 0.32]) * (0.55 + 0.45 * np.mean(skin))
    red, green, blue = (np.array(skin) * (1 - amount) * 0.96 + rose * amount).tolist()
    return red, green, blue


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
