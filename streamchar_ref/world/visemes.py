"""Viseme classes: phonemes that look alike on the lips, the same for every style."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from streamchar_ref.world.speech import SILENCE, TimedPhoneme

GROUPS: dict[str, tuple[str, ...]] = {
    "rest": (SILENCE,),
    "closed": ("P", "B", "M"),
    "lip_teeth": ("F", "V"),
    "tongue_teeth": ("TH", "DH"),
    "ridge": ("T", "D", "N", "L"),
    "hiss": ("S", "Z"),
    "push": ("SH", "ZH", "CH", "JH"),
    "back": ("K", "G", "NG", "HH"),
    "r": ("R", "ER"),
    "round": ("W", "UW", "UH", "OW", "OY", "AO"),
    "spread": ("IY", "IH", "EY", "Y"),
    "mid": ("EH", "AH"),
    "open": ("AA", "AE", "AW", "AY"),
}
VISEMES = tuple(GROUPS)
"""Names of the classes; a viseme is an index into them."""
_INDEX = {phone: index for index, phones in enumerate(GROUPS.values()) for phone in phones}


def viseme_track(
    phonemes: Sequence[TimedPhoneme], *, num_frames: int, fps: float
) -> Int64[np.ndarray, " T"]:
    """Returns the viseme in the middle of each frame; after the end, ``rest``."""
    middles = (np.arange(num_frames) + 0.5) / fps
    ends = np.array([p.t1_s for p in phonemes])
    classes = np.array([*(_INDEX[p.phone] for p in phonemes), 0])
    return classes[np.searchsorted(ends, middles, side="right")]
