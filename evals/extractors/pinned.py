"""Paths of weight files whose contents were checked on this machine just before use."""

import hashlib
from pathlib import Path

from streamchar_ref.weights import locate, registry


def pinned_file(weights: str, file: str) -> Path:
    """Finds a weight file and checks its sha256, since a user may have put it there by hand.

    Args:
        weights: Name in the weights registry.
        file: One of its files.

    Returns:
        Its path.

    Raises:
        WeightsMissing: If it is not on this machine.
        ValueError: If it is another file than the pinned one.
    """
    path = locate(weights) / file
    pin = next(entry for entry in registry()[weights].files if entry.name == file)
    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != pin.sha256:
        raise ValueError(f"{path}: sha256 is {found}, pinned is {pin.sha256}")
    return path
