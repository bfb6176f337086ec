"""Settings of protocols side by side."""

from collections.abc import Mapping
from typing import Any


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Names the entries in which two settings differ, e.g. ``params.window_s: 2.0, here 4.0``."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        keys = sorted({*one, *other})
        return [
            line
            for key in keys
            for line in differences(
                one.get(key), other.get(key), f"{place}.{key}" if place else str(key)
            )
        ]
    are_lists = isinstance(one, list | tuple) and isinstance(other, list | tuple)
    if are_lists and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [d for at, (a, b) in pairs for d in differences(a, b, f"{place}[{at}]")]
    return [] if one == other else [f"{place}: {one}, here {other}"]
