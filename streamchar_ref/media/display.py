"""Pixels as stored -> pixels as shown: turned upright, with square pixels.

Shape letters: H and W pixels.
"""

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.sidedata.sidedata import Type
from jaxtyping import UInt8

_LONGEST_PIXEL = 4  # a ratio beyond is damage


@dataclass(frozen=True, kw_only=True)
class Display:
    """How a player shows a stored frame.

    Attributes:
        is_swapped: Rows become columns.
        is_flipped_x: Left and right change places, after the swap.
        is_flipped_y: Top and bottom change places, after the swap.
        pixel_aspect: Width of a stored pixel over its height.
    """

    is_swapped: bool = False
    is_flipped_x: bool = False
    is_flipped_y: bool = False
    pixel_aspect: Fraction = Fraction(1)

    def __str__(self) -> str:
        """Describes the transformation in words; empty for the identity."""
        turns = {
            (True, True, False): "turned by 90 degrees",
            (False, True, True): "turned by 180 degrees",
            (True, False, True): "turned by 270 degrees",
            (False, False, False): "",
        }
        key = (self.is_swapped, self.is_flipped_x, self.is_flipped_y)
        words = [turns.get(key, "mirrored")]
        if self.pixel_aspect != 1:
            ratio = f"{self.pixel_aspect.numerator}:{self.pixel_aspect.denominator}"
            words.append(f"stretched from pixels of {ratio}")
        return " and ".join(word for word in words if word)

    def stretched(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of stored frames once pixels are square; none gets smaller."""
        if self.pixel_aspect >= 1:
            return round(width * self.pixel_aspect), height
        return width, round(height / self.pixel_aspect)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of frames as shown."""
        wide, high = self.stretched(width, height)
        return (high, wide) if self.is_swapped else (wide, high)

    def turn(self, picture: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "_H _W 3"]:
        """Turns a stored picture upright."""
        upright = picture.swapaxes(0, 1) if self.is_swapped else picture
        upright = upright[:, ::-1] if self.is_flipped_x else upright
        return upright[::-1] if self.is_flipped_y else upright


def display_of(stream: av.VideoStream, frame: av.VideoFrame) -> Display:
    """Reads display matrix and sample aspect ratio.

    Args:
        stream: Of the frame.
        frame: The first one.

    Returns:
        How to show it; angles are rounded to quarter turns.
    """
    aspect = stream.sample_aspect_ratio or Fraction(1)
    if not 1 / _LONGEST_PIXEL <= aspect <= _LONGEST_PIXEL:
        aspect = Fraction(1)
    if Type.DISPLAYMATRIX not in frame.side_data:
        return Display(pixel_aspect=aspect)
    stored = bytes(frame.side_data[Type.DISPLAYMATRIX])  # type: ignore[typeddict-item]  # av's stub
    # libavutil/display.h: x' = a x + c y, y' = b x + d y, with y pointing down.
    a, b, _, c, d = np.frombuffer(stored, np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Display(
            is_swapped=True, is_flipped_x=c < 0, is_flipped_y=b < 0, pixel_aspect=aspect
        )  # fmt: skip
    return Display(is_flipped_x=a < 0, is_flipped_y=d < 0, pixel_aspect=aspect)
