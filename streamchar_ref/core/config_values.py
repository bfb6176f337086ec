"""Builds configs (frozen dataclasses) from JSON values and from ``path=value`` assignments."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_type_hints

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import parse_value
from streamchar_ref.core.shape import fault_in

ConfigT = TypeVar("ConfigT")

MAX_NUMBER = 1_000_000
_MAX_LAYERS = 1_000
_LAYERS = ("num_layers", "num_blocks", "encoder_blocks")


def override(config: ConfigT, assignments: Sequence[str]) -> ConfigT:
    """Copies a config with dotted assignments applied, such as ``stream.sink_latents=0``.

    All assignments are applied at once, because some values are valid only together.

    Args:
        config: A frozen dataclass; its fields may be dataclasses.
        assignments: ``path=value``; the value is JSON, and a plain word is a string.

    Returns:
        A new config; the one passed in is unchanged.

    Raises:
        InputError: If a path names no field, a value has the wrong type, or the config rejects it.
    """
    changes: dict[str, Any] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise InputError(f"{assignment!r:.100} is not path=value")
        *parents, name = path.split(".")
        inner = changes
        for parent in parents:
            inner = inner.setdefault(parent, {})
            if not isinstance(inner, dict):
                raise InputError(f"{assignment!r:.100}: {parent!r:.60} is given a value, too")
        inner[name] = _parsed(text)
    return filled(type(config), _merged(config, changes))


def filled(kind: type[ConfigT], values: Any) -> ConfigT:
    """Builds a config from JSON values.

    Args:
        kind: A dataclass; its fields may be dataclasses.
        values: An object with all fields that have no default, and no others.

    Returns:
        The config.

    Raises:
        InputError: If a field is missing, unknown or of the wrong type, or the config rejects it.
    """
    if fault := fault_in(values, kind):
        raise InputError(f"{kind.__name__}: {fault}")
    return _built(kind, values)


def _built(kind: type[ConfigT], values: Mapping[str, Any]) -> ConfigT:
    hints, arguments = get_type_hints(kind), {}
    for name, value in values.items():
        if dataclasses.is_dataclass(hints[name]):
            arguments[name] = _built(hints[name], value)
            continue
        arguments[name] = tuple(value) if isinstance(value, list) else value
        _check_numbers(name, arguments[name])
    try:
        return kind(**arguments)
    except InputError:
        raise
    except (ValueError, TypeError, ArithmeticError) as error:  # from the config's own checks
        raise InputError(str(error)) from error


def _check_numbers(name: str, value: Any) -> None:
    """Rejects sizes that no machine could build, and numbers that are not finite."""
    most = _MAX_LAYERS if name in _LAYERS else MAX_NUMBER
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, int) and abs(number) > most:
            raise InputError(f"{name} is a whole number of at most {most}, not {number!r:.60}")
        if isinstance(number, float) and not math.isfinite(number):
            raise InputError(f"{name} is a number, not {number}")


def _merged(config: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of a config with nested changes applied."""
    values = dataclasses.asdict(config)
    for name, value in changes.items():
        if name not in values:
            fields = ", ".join(values)
            raise InputError(f"{type(config).__name__} has no field {name!r:.60}; it has {fields}")
        current = getattr(config, name)
        if value is None and current is not None:
            raise InputError(f"{name} cannot be null, it is {current!r:.60}")
        is_nested = dataclasses.is_dataclass(current) and isinstance(value, dict)
        values[name] = _merged(current, value) if is_nested else value
    return values


def _parsed(text: str) -> Any:
    try:
        return parse_value(text)
    except ValueError:
        return text
