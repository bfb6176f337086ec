"""Who can speak on the page: numbered characters, and pictures that a visitor brings."""

import io
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from streamchar_ref.core.errors import InputError
from streamchar_ref.media import MediaError
from streamchar_ref.media.picture import read_picture
from streamchar_ref.world.reference import NobodyLooked, Person, count_faces, drawn_person
from streamchar_ref.world.voices import prompt_of

MAX_PICTURE_BYTES = 8 * 2**20
_SHOWN_PX = 512


@lru_cache(maxsize=64)
def character(number: str, voice: str = "") -> Person:
    """Draws a character, or returns it as drawn before; see `drawn_person`."""
    return drawn_person(number, voice=voice)


def person_of_picture(content: bytes) -> Person:
    """Reads a visitor's picture and looks for one face in it.

    Args:
        content: A picture file of any kind that Pillow reads.

    Returns:
        The picture and a prompt that says nothing of it; `with_voice` adds a voice.

    Raises:
        InputError: If it is too large, no picture, or shows no face or several.
    """
    if len(content) > MAX_PICTURE_BYTES:
        raise InputError(f"the picture has more than {MAX_PICTURE_BYTES // 2**20} MB")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(content)
        try:
            picture = read_picture(path)
        except MediaError as error:
            raise InputError("this file cannot be read as a picture; try a JPEG or PNG") from error
    try:
        count = count_faces(picture)
    except NobodyLooked:
        count = 1  # as `generate` does: taken, since nobody can tell
    if count != 1:
        found = "no face was found" if not count else f"{count} faces were found"
        raise InputError(f"{found} in this picture; take one person from the front")
    return Person(picture=_square(picture), prompt="")


def with_voice(person: Person, voice: str) -> Person:
    """Returns a visitor's picture with a voice of the world."""
    return Person(picture=person.picture, prompt=prompt_of("", voice))


def as_jpeg(picture: np.ndarray) -> bytes:
    """Encodes a picture for the page."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=90)
    return out.getvalue()


def _square(picture: np.ndarray) -> np.ndarray:
    """Cuts a picture to the square in its middle, as the model does, and makes it small."""
    height, width, _ = picture.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = Image.fromarray(picture[top : top + side, left : left + side])
    return np.asarray(middle.resize((_SHOWN_PX, _SHOWN_PX), Image.Resampling.LANCZOS))
