"""Weights inside installed packages: they are what the package's own list of files says."""

import base64
from functools import cache
from importlib.metadata import PackageNotFoundError, PackagePath, files, version

from streamchar_ref.weights import verify_file

_CODE = frozenset({".py", ".pyc", ".pyd", ".pyi", ".so", ".dylib", ".dll"})


def verify_package(name: str) -> None:
    """Compares the data files of a package with the sha256 that came with it.

    Args:
        name: Of a distribution, e.g. ``hama``; one that is not installed is left to its import,
            and one without hashes (installed as a link to its source) is taken as it is.

    Raises:
        WeightsMissing: If a file is not there or cannot be read.
        WeightsAltered: If a file is not the one that was installed.

    Source:
        "Recording installed projects", packaging.python.org: the file ``RECORD``.
    """
    for entry, sha256 in _data_files(name):
        verify_file(
            entry.locate(),  # type: ignore[arg-type]
            sha256,
            name=f"{name}/{entry}",
            remedy=f"install it again: pip install --force-reinstall --no-deps "
            f"{name}=={version(name)}",
        )


@cache
def _data_files(name: str) -> tuple[tuple[PackagePath, str], ...]:
    try:
        listed = files(name) or ()
    except PackageNotFoundError:
        return ()
    return tuple(
        (entry, _hex(entry.hash.value))
        for entry in listed
        if entry.hash is not None and entry.hash.mode == "sha256" and _is_data(entry)
    )


def _is_data(entry: PackagePath) -> bool:
    """Whether it is neither code, which the version stands for, nor about the installation."""
    is_installers = entry.parts[0] == ".." or entry.parts[0].endswith(".dist-info")
    return not is_installers and not _CODE & set(entry.suffixes)


def _hex(value: str) -> str:
    """From base64 without padding, as ``RECORD`` has it."""
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex()
