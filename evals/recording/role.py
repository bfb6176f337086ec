"""What a system's row in a table is for."""

from enum import StrEnum
from typing import Literal


class Role(StrEnum):
    """What the scores of a system say."""

    CEILING = "ceiling"
    """What a perfect model would score; shown first, never ranked."""
    FLOOR = "floor"
    """What is scored without any model."""
    NEGATIVE_CONTROL = "negative_control"
    """Wrong on purpose: some metrics must tell it from the truth."""
    MODEL = "model"
    """A system under test."""


RoleName = Literal["ceiling", "floor", "negative_control", "model"]
"""As files have it."""
ROLES = tuple(map(str, Role))


def declared_role(system: object) -> Role:
    """Returns the role that a system or its class declares; ``model`` if it declares none."""
    return Role(getattr(system, "role", Role.MODEL))


def declares_still(system: object) -> bool:
    """Returns whether a system, its class or its recording declares to be silent or not to move."""
    return any(getattr(system, name, False) for name in ("is_silent", "is_still"))


def place_of(role: Role, name: str) -> tuple[bool, bool, str]:
    """Sort key of a system: ceilings first, then models, then floors and negative controls."""
    return role in {Role.FLOOR, Role.NEGATIVE_CONTROL}, role is not Role.CEILING, name
