"""Verifies weights inside installed packages against the package's own list of files."""

import base64
from functools import cache
from importlib.metadata import PackageNotFoundError, PackagePath, files, version

from streamchar_ref.weights import verify_file

_CODE = frozenset({".py", ".pyc", ".pyd", ".pyi", ".so", ".dylib", ".dll"})


def verify_package(name: str) -> None:
    """Compares the data files of a package with the sha256 in its ``RECORD``.

    Args:
        name: Of a distribution, e.g. ``hama``; packages that are not installed, or have no hashes
            (editable installs), pass.

    Raises:
        WeightsMissing: If a file is missing or cannot be read.
        WeightsAltered: If a file differs from the installed one.

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
    """Whether a file is neither code, which the version identifies, nor installation metadata."""
    is_metadata = entry.parts[0] == ".." or entry.parts[0].endswith(".dist-info")
    return not is_metadata and not _CODE & set(entry.suffixes)


def _hex(value: str) -> str:
    """Converts from unpadded base64, the encoding of ``RECORD``."""
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex()
