"""Contact sheets of characters."""

import math
from collections.abc import Iterable

import numpy as np
from jaxtyping import UInt8

from streamchar_ref.world.clips import own_scene
from streamchar_ref.world.scene import resting
from streamchar_ref.world.styles import STYLES

_AWAKE_FRAME = 12  # before the first blink


def contact_sheet(
    identities: Iterable[int], *, size: int, style: str = "painted", references: bool = False
) -> UInt8[np.ndarray, "H W 3"]:
    """Renders characters side by side, in rows of equal length.

    Args:
        identities: Their seeds.
        size: Width of one picture in pixels.
        style: One of ``styles.STYLES``.
        references: Whether to render reference pictures instead of streams.

    Returns:
        One picture; the rest of the last row is white.
    """
    draw = _reference if references else _streamed
    pictures = [draw(identity, size, style) for identity in identities]
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    sheet = np.full((rows * size, columns * size, 3), 255, np.uint8)
    for index, picture in enumerate(pictures):
        top, left = (size * at for at in divmod(index, columns))
        sheet[top : top + size, left : left + size] = picture
    return sheet


def _reference(identity: int, size: int, style: str) -> UInt8[np.ndarray, "H W 3"]:
    return STYLES[style].portrait(STYLES[style].draw_character(identity), size=size)


def _streamed(identity: int, size: int, style: str) -> UInt8[np.ndarray, "H W 3"]:
    scene, drawn = own_scene(identity, 0), STYLES[style]
    motion = resting(drawn.move([], num_frames=_AWAKE_FRAME + 1, seed=identity), scene)
    character, last = drawn.draw_character(identity), motion[_AWAKE_FRAME:]
    return next(iter(drawn.render_batches(character, last, size=size, scene=scene)))[0]
