"""What identifies weights and packages that the registry does not pin."""

import os
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from streamchar_ref.core.cache import file_hash


@cache
def versioned(package: str) -> str:
    """``name==version``; only the name of a package that is not installed."""
    try:
        return f"{package}=={version(package)}" if package else ""
    except PackageNotFoundError:
        return package


def named_weights(variable: str) -> dict[str, str]:
    """Returns the SHA-256 of the file or folder that an environment variable names, if it does."""
    path = Path(os.environ.get(variable, "") or os.devnull)
    if path.is_dir():
        return {"own_weights": folder_hash(path)}
    return {"own_weights": file_hash(path)} if path.is_file() else {}


def folder_hash(folder: Path) -> str:
    """Returns the SHA-256 of the names and the SHA-256 of all visible files in a folder."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    text = "\n".join(f"{file_hash(path)}  {path.name}" for path in files)
    return sha256(text.encode()).hexdigest()
