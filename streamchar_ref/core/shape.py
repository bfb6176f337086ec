"""Validates JSON values against Python type hints; a message names the place and the fault.

Supported hints: ``str``, ``bool``, ``int``, ``float``, ``None``, ``Any``, unions, ``Literal``,
lists, dictionaries with string keys, tuples of fixed length, a ``TypedDict`` or a dataclass, and
`Annotated` with `AtLeast` or `Above`.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import read_json

T = TypeVar("T")
_LARGEST = 2**63
"""Integers below it fit a table's 64-bit column."""


@dataclasses.dataclass(frozen=True)
class AtLeast:
    """An inclusive lower bound."""

    low: float

    def __str__(self) -> str:
        return f"at least {self.low:g}"


@dataclasses.dataclass(frozen=True)
class Above:
    """An exclusive lower bound."""

    low: float

    def __str__(self) -> str:
        return f"above {self.low:g}"


Count = Annotated[int, AtLeast(0)]
NonNegative = Annotated[float, AtLeast(0)]
Positive = Annotated[float, Above(0)]


def read_shaped(path: Path, shape: type[T], *, remedy: str) -> T:
    """Reads a JSON object and validates it.

    Args:
        path: UTF-8 text.
        shape: A ``TypedDict``.
        remedy: What to do if the file is of no use, e.g. ``delete it``.

    Returns:
        The object.

    Raises:
        InputError: If it is damaged or of another shape; names file, place and remedy.
        OSError: If it cannot be read.
    """
    try:
        value = read_json(path)
    except InputError as error:
        raise InputError(f"{error}; {remedy}") from error
    fault = fault_in(value, shape)
    if fault:
        raise InputError(f"{path}: damaged, {fault}; {remedy}")
    return value  # type: ignore[return-value]


def fault_in(value: Any, shape: Any) -> str:
    """Describes the first mismatch between a value and a type hint.

    Args:
        value: From JSON.
        shape: A type hint.

    Returns:
        The fault and its place in the value; empty if the value matches.
    """
    if _fits(shape)(value):
        return ""
    place, fault = next(_faults(value, shape, ""), ("", ""))
    return f"{place.lstrip('.') or 'it'} {fault}" if fault else ""


def _faults(value: Any, shape: Any, place: str) -> Iterator[tuple[str, str]]:
    origin, inner = get_origin(shape), get_args(shape)
    if origin is NotRequired:
        yield from _faults(value, inner[0], place)
    elif origin is Annotated:
        yield from _out_of_bounds(value, inner, place)
    elif is_typeddict(shape) or dataclasses.is_dataclass(shape):
        yield from _faults_in_fields(value, shape, place)
    elif origin in (list, Sequence):
        yield from _faults_in_items(value, list, inner[0], place)
    elif origin in (dict, Mapping):
        yield from _faults_in_items(value, dict, inner[1], place)
    elif origin is tuple:
        yield from _faults_in_tuple(value, inner, place)
    elif not _fits(shape)(value):
        yield place, f"is {_shown(value)}, not {in_words(shape)}"


def _out_of_bounds(value: Any, inner: Sequence[Any], place: str) -> Iterator[tuple[str, str]]:
    yield from _faults(value, inner[0], place)
    for bound in inner[1:]:
        if _is_beyond(value, bound):
            yield place, f"is {_shown(value)} and must be {bound}"


def _faults_in_fields(value: Any, shape: Any, place: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        yield place, f"is {_shown(value)}, not an object"
        return
    hints, required = _fields_of(shape)
    for name in sorted(required - value.keys()):
        yield place, f"lacks {name!r}"
    for name, item in value.items():
        if name in hints:
            yield from _faults(item, hints[name], f"{place}.{name}")
        elif dataclasses.is_dataclass(shape):
            yield place, f"has the unknown field {name!r:.60}"


@cache
def _fields_of(shape: Any) -> tuple[dict[str, Any], frozenset[str]]:
    hints = get_type_hints(shape, include_extras=True)
    if is_typeddict(shape):
        return hints, shape.__required_keys__
    missing = dataclasses.MISSING
    fields = dataclasses.fields(shape)
    needed = {f.name for f in fields if f.default is missing and f.default_factory is missing}
    return {field.name: hints[field.name] for field in fields}, frozenset(needed)


def _faults_in_items(value: Any, kind: Any, inner: Any, place: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, kind):
        yield place, f"is {_shown(value)}, not {'a list' if kind is list else 'an object'}"
        return
    if inner is Any:
        return
    pairs: Iterable[tuple[Any, Any]] = enumerate(value) if kind is list else value.items()
    for key, item in pairs:
        yield from _faults(item, inner, f"{place}[{key!r:.60}]")


def _faults_in_tuple(value: Any, inner: Sequence[Any], place: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list | tuple) or len(value) != len(inner):
        yield place, f"is {_shown(value)}, not a list of {len(inner)}"
        return
    for index, (item, shape) in enumerate(zip(value, inner, strict=True)):
        yield from _faults(item, shape, f"{place}[{index}]")


@cache
def _fits(shape: Any) -> Callable[[Any], bool]:
    """Returns a test for a type hint that agrees with `_faults` and is fast: most values fit."""
    origin, inner = get_origin(shape), get_args(shape)
    if origin is NotRequired:
        return _fits(inner[0])
    if origin is Annotated:
        return _is_within(_fits(inner[0]), inner[1:])
    if is_typeddict(shape) or dataclasses.is_dataclass(shape):
        return _has_fields(shape)
    if origin in (list, Sequence):
        item = _fits(inner[0])
        return lambda value: isinstance(value, list) and all(map(item, value))
    if origin in (dict, Mapping):
        item = _fits(inner[1])
        return lambda value: isinstance(value, dict) and all(map(item, value.values()))
    if origin is tuple:
        tests = [_fits(one) for one in inner]
        return lambda value: (
            isinstance(value, list | tuple)
            and len(value) == len(tests)
            and all(test(item) for test, item in zip(tests, value, strict=True))
        )
    return _is_one_of(shape)


def _is_one_of(shape: Any) -> Callable[[Any], bool]:
    if shape is Any:
        return lambda value: True
    if get_origin(shape) in (Union, UnionType):
        options = [_fits(option) for option in get_args(shape)]
        return lambda value: any(option(value) for option in options)
    if get_origin(shape) is Literal:
        return lambda value: isinstance(value, str) and value in get_args(shape)
    if shape in (int, float):
        kinds = (int,) if shape is int else (int, float)
        return lambda value: (
            isinstance(value, kinds)
            and not isinstance(value, bool)
            and (isinstance(value, float) or abs(value) < _LARGEST)
        )
    if shape in (None, NoneType):
        return lambda value: value is None
    return lambda value: isinstance(value, shape)


def _is_within(fits: Callable[[Any], bool], bounds: Sequence[Any]) -> Callable[[Any], bool]:
    return lambda value: fits(value) and not any(_is_beyond(value, bound) for bound in bounds)


def _is_beyond(value: Any, bound: Any) -> bool:
    if isinstance(bound, AtLeast):
        return value is not None and value < bound.low
    return isinstance(bound, Above) and value <= bound.low


def _has_fields(shape: Any) -> Callable[[Any], bool]:
    other = _fits(Any) if is_typeddict(shape) else lambda value: False

    def fits(value: Any) -> bool:
        tests, required = _field_tests(shape)
        return (
            isinstance(value, dict)
            and required <= value.keys()
            and all(tests.get(name, other)(item) for name, item in value.items())
        )

    return fits


@cache
def _field_tests(shape: Any) -> tuple[dict[str, Callable[[Any], bool]], frozenset[str]]:
    hints, required = _fields_of(shape)
    return {name: _fits(hint) for name, hint in hints.items()}, required


def in_words(shape: Any) -> str:
    """Describes a type hint in words."""
    if get_origin(shape) in (Union, UnionType):
        return " or ".join(map(in_words, get_args(shape)))
    if get_origin(shape) is Literal:
        return f"one of {', '.join(get_args(shape))}"
    if get_origin(shape) is Annotated:
        return f"{in_words(get_args(shape)[0])} {get_args(shape)[1]}"
    if get_origin(shape) is list:
        return f"a list of {in_words(get_args(shape)[0])}s".replace("an object", "object")
    words = {
        str: "text",
        int: "a whole number below 2^63",
        float: "a number",
        bool: "true or false",
        dict: "an object",
    }
    return words.get(
        get_origin(shape) or shape, "null" if shape in (None, NoneType) else str(shape)
    )


def _shown(value: Any) -> str:
    return f"{json.dumps(value):.60}"
