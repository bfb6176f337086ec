"""Reads a single picture as a viewer sees it.

Shape letters: H and W pixels.
"""

import math
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from streamchar_ref.core.files import check_is_file
from streamchar_ref.media.chunk import MediaError
from streamchar_ref.media.limits import MAX_PIXELS, TooLarge, check_picture, limit

BACKGROUND = (255, 255, 255)
_DEEP = ("I;16", "I;16L", "I;16B", "I", "F")


def read_picture(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    """Reads a picture upright (EXIF orientation), with transparency over white.

    Args:
        path: Any image that Pillow reads; of an animation, the first frame.

    Returns:
        RGB; 16-bit and float grey is scaled to 8 bits.

    Raises:
        MediaError: If it is not an image.
        OSError: If the file is missing or cannot be read.
        TooLarge: If it has more pixels than the limit.
    """
    check_is_file(path)
    try:
        with _own_limit(path), Image.open(path) as stored:
            check_picture(path, *stored.size)
            return np.asarray(_opaque(ImageOps.exif_transpose(stored)))
    except MediaError:
        raise
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, struct.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # from the operating system, not from Pillow
        raise MediaError(f"{path.name}: not a picture ({error})") from error


@contextmanager
def _own_limit(path: Path) -> Iterator[None]:
    """Replaces Pillow's pixel limit, which refuses twice its number, by ours."""
    most, pillow_limit = limit(MAX_PIXELS), Image.MAX_IMAGE_PIXELS
    try:
        Image.MAX_IMAGE_PIXELS = None if math.isinf(most) else int(most / 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    except Image.DecompressionBombError as error:
        raise TooLarge(f"{path.name}: {error}; to read it, raise {MAX_PIXELS}") from error
    finally:
        Image.MAX_IMAGE_PIXELS = pillow_limit


def _opaque(picture: Image.Image) -> Image.Image:
    if picture.mode in _DEEP:  # Pillow would clip values above 255
        return Image.fromarray(_as_8_bits(np.asarray(picture))).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    ground = Image.new("RGBA", layer.size, (*BACKGROUND, 255))
    return Image.alpha_composite(ground, layer).convert("RGB")


def _as_8_bits(grey: np.ndarray) -> UInt8[np.ndarray, "H W"]:
    """Scales grey to 8 bits: 16-bit types by their range, wider types by the values' range."""
    if grey.dtype.itemsize > 2 and grey.max() <= 1 and grey.dtype.kind == "f":
        grey = grey * 255
    elif grey.dtype.itemsize == 2 or grey.max() > 255:
        grey = grey / 256
    return np.clip(grey, 0, 255).astype(np.uint8)
