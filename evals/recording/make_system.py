"""Creates a system by name or from a file, with settings from the command line."""

import inspect
import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from evals.recording.system import in_one_line, installed_systems
from evals.recording.system_file import load_class, names_a_file
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import parse_value


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """Parses ``key=value`` pairs; a value that is not JSON is text.

    Args:
        pairs: As typed; the last of equal keys counts.

    Returns:
        Keys to values.

    Raises:
        InputError: If a pair has no ``=``, or a value is NaN, infinite, nested too deeply, or not
            UTF-8 text.
    """
    settings = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise InputError(f"--set is key=value, not {pair!r}")
        try:
            text.encode()
            settings[key] = parse_value(text)
        except json.JSONDecodeError:
            settings[key] = text
        except ValueError as error:
            raise InputError(f"--set {key:.60}: {error}") from error
    return settings


def make_system(name: str, settings: Mapping[str, Any]) -> Any:
    """Creates a system that is installed or defined in a file.

    Args:
        name: Of an entry point in the group ``evals.systems``, or ``path/to/file.py:Class``.
        settings: Keyword arguments of the class or factory.

    Returns:
        The system, not yet checked against `evals.recording.contract`.

    Raises:
        InputError: If there is no such system, it cannot be created, or a setting is unknown or
            missing.
    """
    make = load_class(name) if names_a_file(name) else _installed(name)
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError) as error:
        raise InputError(f"system {name!r} is no class of a system: {error}") from error
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    named = {p.name: p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    for key in settings:
        if key not in named and not takes_any:
            known = ", ".join(named) or "none"
            raise InputError(f"system {name!r} has no setting {key!r}; it has: {known}")
    required = [
        key
        for key, parameter in named.items()
        if parameter.default is inspect.Parameter.empty and key not in settings
    ]
    if required:
        raise InputError(f"system {name!r} needs --set {required[0]}=...")
    try:
        return make(**settings)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # its constructor may raise anything
        raise InputError(f"system {name!r} cannot be made: {in_one_line(error)}") from error


def _installed(name: str) -> Any:
    systems = installed_systems()
    if name not in systems:
        near = get_close_matches(name, systems, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(
            f"unknown system {name!r}; {hint}installed: {', '.join(sorted(systems))}; one in a "
            "file is path/to/file.py:Class"
        )
    try:
        return systems[name].load()
    except (Exception, SystemExit) as error:  # importing another package may raise anything
        raise InputError(f"system {name!r} cannot be imported: {in_one_line(error)}") from error
