"""Reads a single picture as a viewer sees it.

Shape letters: H and W pixels.
"""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from streamchar_ref.files import check_is_file
from streamchar_ref.media.chunk import MediaError

BACKGROUND = (255, 255, 255)
_DEEP = ("I;16", "I;16L", "I;16B", "I", "F")


def read_picture(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    """Reads a picture upright: EXIF orientation is followed, transparency lies on white.

    Args:
        path: Any still that Pillow reads; of an animation, the first frame.

    Returns:
        RGB; deep grey is brought to 8 bits.

    Raises:
        MediaError: If it is no picture.
        OSError: If the file is missing or cannot be read.
    """
    check_is_file(path)
    try:
        with Image.open(path) as stored:
            return np.asarray(_opaque(ImageOps.exif_transpose(stored)))
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's, not Pillow's
        raise MediaError(f"{path.name}: not a picture ({error})") from error


def _opaque(picture: Image.Image) -> Image.Image:
    if picture.mode in _DEEP:  # Pillow would clip what is above 255
        return Image.fromarray(_as_8_bits(np.asarray(picture))).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    ground = Image.new("RGBA", layer.size, (*BACKGROUND, 255))
    return Image.alpha_composite(ground, layer).convert("RGB")


def _as_8_bits(grey: np.ndarray) -> UInt8[np.ndarray, "H W"]:
    """Takes 16 bits for the range of 16-bit grey; of wider types, what the values reach."""
    if grey.dtype.itemsize > 2 and grey.max() <= 1 and grey.dtype.kind == "f":
        grey = grey * 255
    elif grey.dtype.itemsize == 2 or grey.max() > 255:
        grey = grey / 256
    return np.clip(grey, 0, 255).astype(np.uint8)
