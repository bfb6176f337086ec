"""Makes a system by name with settings from the command line."""

import inspect
import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from evals.jsonl import InputError
from evals.system import System, installed_systems


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Reads ``key=value`` pairs; values are JSON where they can be, else text.

    Args:
        pairs: As typed; of two with the same key the last counts.

    Returns:
        Keys to values.

    Raises:
        InputError: If a pair has no ``=``.
    """
    settings = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise InputError(f"--set is key=value, not {pair!r}")
        try:
            settings[key] = json.loads(text)
        except json.JSONDecodeError:
            settings[key] = text
    return settings


def make_system(name: str, settings: Mapping[str, Any]) -> System:
    """Makes an installed system.

    Args:
        name: Of an entry point in the group ``evals.systems``.
        settings: Keyword arguments for what the entry point names.

    Returns:
        The system, ready to stream.

    Raises:
        InputError: If there is no such system, or it has no such setting or needs one.
    """
    systems = installed_systems()
    if name not in systems:
        near = get_close_matches(name, systems, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(f"unknown system {name!r}; {hint}installed: {', '.join(sorted(systems))}")
    make = systems[name].load()
    parameters = inspect.signature(make).parameters
    for key in settings:
        if key not in parameters:
            known = ", ".join(parameters) or "none"
            raise InputError(f"system {name!r} has no setting {key!r}; it has: {known}")
    required = [
        key
        for key, parameter in parameters.items()
        if parameter.default is inspect.Parameter.empty and key not in settings
    ]
    if required:
        raise InputError(f"system {name!r} needs --set {required[0]}=...")
    system: System = make(**settings)
    return system
