"""Arguments that are wrong are named before anything is made of them."""

from numbers import Integral


def check_whole(least: int, **values: object) -> None:
    """Refuses what is not a whole number, or too small.

    Args:
        least: Smallest number that will do.
        **values: By the names that the caller knows them by.

    Raises:
        ValueError: If one will not do; says which.
    """
    for name, value in values.items():
        if not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
