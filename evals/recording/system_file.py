"""Imports a system's class from a Python file, with its sibling modules."""

import sys
import traceback
from collections.abc import Callable
from hashlib import sha256
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from inspect import getmembers, isclass
from pathlib import Path
from types import ModuleType
from typing import Any

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import real

_FOLDERS: list[Path] = []
"""Folders of the systems loaded so far."""


def names_a_file(name: str) -> bool:
    """Whether a system's name is ``path/to/file.py:Class`` (or lacks the class)."""
    return name.rpartition(":")[0].endswith(".py") or name.endswith(".py")


def load_class(name: str) -> Callable[..., Any]:
    """Imports a file and returns its class or factory of a system.

    Sibling modules can be imported by name, or relative with a leading dot.

    Args:
        name: ``path/to/file.py:Class``.

    Returns:
        The class, or a function that returns a system.

    Raises:
        InputError: If there is no such file or class, or the import fails.
    """
    text, _, class_name = name.rpartition(":") if not name.endswith(".py") else (name, "", "")
    try:
        path = real(Path(text).expanduser())
    except (RuntimeError, ValueError) as error:  # unknown user, a loop of links, NUL
        raise InputError(f"{text!r} names no file: {error}") from error
    if not path.is_file():
        raise InputError(f"{text}: there is no such file; a system is path/to/file.py:Class")
    module = _imported(path)
    classes = [
        name for name, value in getmembers(module, isclass) if value.__module__ == module.__name__
    ]
    listing = ", ".join(classes) or "none"
    if not class_name:
        example = classes[0] if classes else "Class"
        raise InputError(f"{text}: say which class, e.g. {text}:{example}; it has: {listing}")
    make = getattr(module, class_name, None)
    if not callable(make):
        raise InputError(f"{text} has no class {class_name!r}; it has: {listing}")
    return make


def _imported(path: Path) -> ModuleType:
    package, root = _package(path)
    _import_from(root)
    name = f"{package}.{path.stem}"
    sys.modules.pop(name, None)
    try:
        if (path.parent / "__init__.py").is_file():
            return import_module(name)
        spec = spec_from_file_location(name, path)
        assert spec is not None, "a .py file has a specification"
        assert spec.loader is not None, "a .py file has a loader"
        module = sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise InputError(f"{error.filename}, line {error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:  # its code may raise anything
        lines = [
            f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)
        ]
        place = f", line {lines[-1]}" if lines else ""
        raise InputError(f"{path}{place}: {type(error).__name__}: {error}") from error
    return module


def _package(path: Path) -> tuple[str, Path]:
    """Returns a file's package and the folder from which the package is imported.

    A folder without ``__init__.py`` becomes a package with a generated name.
    """
    names: list[str] = []
    folder = path.parent
    while (folder / "__init__.py").is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    if names:
        return ".".join(names), folder
    name = f"system_{sha256(str(folder).encode()).hexdigest()[:12]}"
    package = sys.modules.setdefault(name, ModuleType(name))
    package.__path__ = [str(folder)]
    return name, folder


def _import_from(folder: Path) -> None:
    """Puts a folder first on the search path and unloads other systems' modules of equal names."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        is_beside = (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()
        if file and is_beside and _is_of_another(Path(file), folder):
            del sys.modules[name]
    _FOLDERS.append(folder)
    sys.path.insert(0, str(folder))


def _is_of_another(file: Path, folder: Path) -> bool:
    return folder not in file.parents and any(other in file.parents for other in _FOLDERS)
