"""How much data each preset is trained on; what a stage does with it is in `stages`."""

from dataclasses import dataclass

from streamchar_ref.core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class DataSize:
    """Amounts of training data.

    Attributes:
        hours: Of speech in the corpus.
        max_mb: Room for it on disk.
        passes: How often each utterance is drawn, with another character each time.
        pool_clips: Characters whose frames the video VAE learns from.
    """

    hours: float
    max_mb: float
    passes: int
    pool_clips: int


_TINY = DataSize(hours=0.02, max_mb=12, passes=1, pool_clips=4)
_MICRO = DataSize(hours=3, max_mb=100, passes=1, pool_clips=640)
_BASE = DataSize(hours=3, max_mb=100, passes=4, pool_clips=2_000)
_SIZES = {"tiny": _TINY, "base": _BASE}
_SIZES |= dict.fromkeys(("micro", "paper_faithful", "monolithic"), _MICRO)


def data_size(preset: str) -> DataSize:
    """Returns how much data a preset is trained on.

    Args:
        preset: Its name.

    Returns:
        The amounts.

    Raises:
        InputError: If the preset is not one to be trained.
    """
    if preset not in _SIZES:
        known = ", ".join(_SIZES)
        raise InputError(f"preset {preset!r:.60} is not one to be trained; those are {known}")
    return _SIZES[preset]
