"""Colours of the painted style, by their names in captions."""

from typing import TypeAlias

Colour: TypeAlias = tuple[float, float, float]

SKINS = {
    "porcelain": "#f7dcc9", "fair": "#f2cdb1", "rosy": "#eebfa8", "golden": "#e3b088",
    "olive": "#cf9d73", "bronze": "#b27a50", "brown": "#8d5b3b", "deep brown": "#6b4330",
}  # fmt: skip
DEEP_SKINS = ("bronze", "brown", "deep brown")
HAIRS = {
    "black": "#2a2429", "dark brown": "#442e26", "chestnut": "#6d412a", "auburn": "#8c4127",
    "red": "#b4502a", "copper": "#c06d36", "honey blond": "#c8964f", "ash blond": "#d8bd8e",
    "grey": "#8b8a8f", "silver": "#b9bcc4", "white": "#dcdad6", "teal": "#2f7d80",
    "pink": "#d17f97",
}  # fmt: skip
GREYS = ("grey", "silver", "white")
DEEP_HAIRS = ("black", "black", "dark brown", "chestnut")
EYES = {
    "brown": "#5b3a22", "hazel": "#80602f", "green": "#4f7d54", "blue": "#4a7fa8",
    "grey": "#697c88",
}  # fmt: skip
CLOTHES = {
    "teal": "#2f7f83", "mustard": "#d39b32", "coral": "#d9694f", "navy": "#34476e",
    "plum": "#74466f", "sage": "#7f9a76", "cream": "#e9dfcb", "brick": "#a9503f",
    "green": "#3f7d52", "sky blue": "#7fb0d0", "charcoal": "#45474e", "rose": "#d88f95",
}  # fmt: skip
BACKGROUNDS = {
    "peach": ("#fbe3d2", "#f3b99b"), "sky": ("#dcecf5", "#a5c9e2"), "mint": ("#e0f1e6", "#a9d4bc"),
    "lilac": ("#ebe4f5", "#c0b1de"), "sand": ("#f6ecd6", "#e2c690"), "rose": ("#fae2e4", "#e8aeb7"),
    "dusk": ("#8d93b8", "#525a86"), "moss": ("#aab897", "#6f8263"), "clay": ("#d6a488", "#a86f55"),
}  # fmt: skip


def rgb(code: str) -> Colour:
    """Parses ``#rrggbb``."""
    red, green, blue = (int(code[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue
