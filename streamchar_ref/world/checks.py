"""Argument checks."""

from numbers import Integral


def check_integers(least: int, **values: object) -> None:
    """Checks that arguments are integers and not too small.

    Args:
        least: Smallest allowed value.
        **values: By argument name.

    Raises:
        ValueError: If one is invalid; the message names it.
    """
    for name, value in values.items():
        if not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
