"""Reference pictures of a stream: a character of the world, or a picture with a face.

Shape letters: H and W pixels.
"""

from dataclasses import dataclass
from importlib.metadata import entry_points

import numpy as np
from jaxtyping import UInt8

from streamchar_ref.core.errors import InputError
from streamchar_ref.weights import WeightsMissing
from streamchar_ref.world.clips import own_voice
from streamchar_ref.world.styles import STYLES
from streamchar_ref.world.voices import prompt_of

REFERENCE_SIZE = 256
FACES = "streamchar.faces"
"""Entry points that count the faces in a picture, [H, W, 3] as bytes."""
STYLE = STYLES["painted"]
"""In which the shipped model's characters are drawn."""
_MOST_DIGITS = 18


class NobodyLooked(RuntimeError):
    """Nothing that finds faces can run here; the message says what is missing."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who speaks.

    Attributes:
        picture: Reference picture, RGB.
        prompt: What they look and sound like.
    """

    picture: UInt8[np.ndarray, "H W 3"]
    prompt: str


def check_voice(voice: str) -> None:
    """Refuses the name of a voice that does not exist; an empty name is right.

    Args:
        voice: Its name.

    Raises:
        InputError: If there is none of this name.
    """
    if voice and voice not in STYLE.voices:
        raise InputError(f"unknown voice {voice!r}; known: {', '.join(STYLE.voices)}")


def drawn_person(number: str, *, voice: str = "", caption: str = "") -> Person:
    """Draws a character of the world.

    Args:
        number: Of the character, in decimal digits.
        voice: Name of a voice; by default the character's own.
        caption: What they look like, in words; by default the character's own.

    Returns:
        Picture and prompt.

    Raises:
        InputError: If the number is too long, or there is no such voice.
    """
    check_voice(voice)
    if len(number) > _MOST_DIGITS:
        raise InputError(f"--character {number:.20}...: numbers have {_MOST_DIGITS} digits at most")
    drawn = STYLE.draw_character(int(number))
    return Person(
        picture=STYLE.portrait(drawn, size=REFERENCE_SIZE, seed=0),
        prompt=prompt_of(caption or str(drawn.caption), voice or own_voice(int(number))),
    )


def count_faces(picture: UInt8[np.ndarray, "H W 3"]) -> int:
    """Counts the faces in a picture.

    Args:
        picture: RGB.

    Returns:
        Their number.

    Raises:
        NobodyLooked: If nothing that finds faces is installed and can run.
    """
    try:
        counts = [entry.load()(picture) for entry in entry_points(group=FACES)]
    except (ImportError, WeightsMissing) as error:
        raise NobodyLooked(str(error)) from error
    if not counts:
        raise NobodyLooked("nothing that finds faces is installed")
    return int(max(counts))
