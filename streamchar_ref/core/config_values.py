"""Values for the fields of a config, from the command line and from JSON, checked by their types.

What is wrong with one is said in a line that names the field.
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin

from streamchar_ref.core.errors import InputError

ConfigT = TypeVar("ConfigT")

MAX_NUMBER = 1_000_000
_MAX_LAYERS = 1_000
_LAYERS = ("num_layers", "num_blocks", "encoder_blocks")


def override(config: ConfigT, assignments: Sequence[str]) -> ConfigT:
    """Copies a config with dotted assignments applied, such as ``stream.sink_latents=0``.

    Args:
        config: A frozen dataclass, whose fields may be such, too.
        assignments: ``path=value``; the value is JSON, a plain word is a string.

    Returns:
        A new config; the one passed in is unchanged.

    Raises:
        InputError: If a path names no field, a value is of another kind, or the config refuses it.
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
        inner[name] = _value(text)
    return _changed(config, changes)


def filled(kind: type[ConfigT], values: Any) -> ConfigT:
    """Makes a config out of JSON values.

    Args:
        kind: A dataclass, whose fields may be such, too.
        values: An object with all fields that have no default, and no others.

    Returns:
        The config.

    Raises:
        InputError: If a field is missing, unknown or of another kind, or the config refuses it.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{kind.__name__} is {values!r:.60}")
    kinds = _kinds(kind)
    arguments = {}
    for name, value in values.items():
        if name not in kinds:
            raise InputError(f"{kind.__name__} has no field {name!r:.60}")
        if isinstance(kinds[name], type) and dataclasses.is_dataclass(kinds[name]):
            arguments[name] = filled(kinds[name], value)
            continue
        arguments[name] = tuple(value) if isinstance(value, list) else value
        if wrong := _wrong(kinds[name], arguments[name], name):
            raise InputError(wrong)
    return _made(lambda: kind(**arguments))


def _changed(config: ConfigT, changes: Mapping[str, Any]) -> ConfigT:
    """Applies all changes at once, since some fit each other only."""
    kinds = _kinds(type(config))
    values = {}
    for name, value in changes.items():
        if name not in kinds:
            raise InputError(
                f"{type(config).__name__} has no field {name!r:.60}; it has {', '.join(kinds)}"
            )
        old = getattr(config, name)
        if dataclasses.is_dataclass(old) and isinstance(value, dict):
            value = _changed(old, value)
        may_change = old is None or (type(old), type(value)) == (float, int)
        if type(value) is not type(old) and not may_change:
            raise InputError(f"{name} is a {type(old).__name__} like {old!r}, not {value!r:.60}")
        if wrong := _wrong(kinds[name], value, name):
            raise InputError(wrong)
        values[name] = value
    return _made(lambda: replace(config, **values))  # type: ignore[type-var]


def _made(make: Any) -> Any:
    try:
        return make()
    except InputError:
        raise
    except (ValueError, TypeError, ArithmeticError) as error:  # what fields say of each other
        raise InputError(str(error)) from error


def _kinds(kind: type) -> dict[str, Any]:
    return {field.name: field.type for field in dataclasses.fields(kind)}


def _wrong(kind: Any, value: Any, name: str) -> str:
    """Says in a line why a value will not do for a field; empty if it will."""
    if get_origin(kind) is UnionType:  # one kind, or None
        return "" if value is None else _wrong(get_args(kind)[0], value, name)
    if get_origin(kind) is Literal and value not in get_args(kind):
        return f"{name} is {' or '.join(map(str, get_args(kind)))}, not {value!r:.60}"
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        if not isinstance(value, tuple) or len(value) != len(kinds):
            return f"{name} is {len(kinds)} numbers, not {value!r:.60}"
        return next(filter(None, map(_wrong, kinds, value, [name] * len(kinds))), "")
    if kind is str and not isinstance(value, str):
        return f"{name} is a word, not {value!r:.60}"
    if kind is float and (type(value) not in (int, float) or not math.isfinite(value)):
        return f"{name} is a number, not {value!r:.60}"
    most = _MAX_LAYERS if name in _LAYERS else MAX_NUMBER
    if kind is int and (type(value) is not int or abs(value) > most):
        return f"{name} is a whole number of at most {most}, not {value!r:.60}"
    return ""


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return tuple(value) if isinstance(value, list) else value
