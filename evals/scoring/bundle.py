"""A run as one zip file: scores, protocols, samples and, if wanted, media, each with its sha256.

``SHA256SUMS`` has a line for every other file, as ``sha256sum`` writes it. ``samples.jsonl`` holds
what is known of each sample, with its media by content: a file is ``media/SHA256SUFFIX``, in the
zip or not. The same run gives the same bytes.
"""

import hashlib
import re
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from evals.protocols.card import CARDS, bibliography, card_of, read_card
from evals.recording.recording import Arrival, Recording, Trace
from evals.recording.role import Role
from evals.recording.transaction import place_of
from evals.scoring.protocol_ids import split_protocol
from evals.scoring.results import ScoreRow, dump_json
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import parse_json, replacing, sha256_of

SUMS = "SHA256SUMS"
SAMPLES = "samples.jsonl"
RESULTS = ("run.json", "scores.jsonl", "summary.json", "windows.csv")
MEDIA = "media"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_DATE = (1980, 1, 1, 0, 0, 0)
_COPY_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A sample of a bundle.

    Attributes:
        recording: With the names of its media in the bundle as paths.
        media: Name in the bundle -> sha256.
    """

    recording: Recording
    media: Mapping[str, str]


def bundle_run(
    run: Path,
    recordings: Sequence[Recording],
    rows: Sequence[ScoreRow],
    out: Path,
    *,
    extra: Mapping[str, bytes],
    with_media: bool = False,
) -> dict[str, str]:
    """Writes a run as a zip file.

    Args:
        run: Run folder with scores.
        recordings: Of its samples, as far as they can be read.
        rows: Its scores, for the protocols.
        out: The zip file.
        extra: Further files by name, e.g. tables and figures.
        with_media: Whether videos, sounds and pictures go in, too.

    Returns:
        Name in the zip -> sha256.

    Raises:
        OSError: If a file cannot be read.
    """
    files: dict[str, bytes | Path] = {name: place_of(run, name) for name in RESULTS}
    files |= extra
    files |= _of_protocols(rows)
    files["environment.txt"] = environment().encode()
    lines, media = _samples(recordings)
    files[SAMPLES] = "".join(line + "\n" for line in lines).encode()
    if with_media:
        files |= media
    sums = {name: _digest(content) for name, content in sorted(files.items())}
    files[SUMS] = "".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode()
    with replacing(out) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name in sorted(files):
            _add(archive, name, files[name])
    return sums


def environment() -> str:
    """Returns installed distributions as a requirements file."""
    names = {(one.metadata["Name"] or "").lower(): one.version for one in distributions()}
    return "".join(f"{name}=={version}\n" for name, version in sorted(names.items()) if name)


def unpack(bundle: Path, folder: Path) -> dict[str, str]:
    """Unpacks a bundle and compares each file with its sha256.

    Args:
        bundle: Zip file.
        folder: Where to.

    Returns:
        Name -> what is wrong with it; empty if all is as it was written.

    Raises:
        InputError: If it is no bundle.
    """
    try:
        with zipfile.ZipFile(bundle) as archive:
            return _unpacked(archive, folder)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise InputError(f"{bundle}: no zip file that can be read ({error})") from error
    except KeyError as error:
        raise InputError(f"{bundle}: no bundle of a run: it holds no {SUMS}") from error


def read_samples(folder: Path) -> list[Sample]:
    """Reads the samples of an unpacked bundle.

    Args:
        folder: Of the bundle.

    Returns:
        Samples, whose paths are in the folder's media folder.

    Raises:
        InputError: If a line is damaged.
    """
    samples = []
    for number, line in enumerate((folder / SAMPLES).read_bytes().splitlines(), start=1):
        try:
            samples.append(_sample(parse_json(line), folder))
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{SAMPLES}, line {number}: damaged ({error})") from error
    return samples


def link_media(samples: Iterable[Sample], folder: Path, source: Path) -> list[str]:
    """Finds media in a folder by their content and links them into the bundle's.

    Args:
        samples: Of the bundle.
        folder: Unpacked bundle.
        source: Searched with all its folders.

    Returns:
        Names of media that are not there.
    """
    wanted = {digest: name for sample in samples for name, digest in sample.media.items()}
    suffixes = {Path(name).suffix for name in wanted.values()}
    (folder / MEDIA).mkdir(exist_ok=True)
    for path in sorted(source.rglob("*")):
        if path.suffix.lower() in suffixes and path.is_file():
            name = wanted.pop(sha256_of(path), "")
            if name and not (folder / name).exists():
                (folder / name).symlink_to(path.resolve())
    return sorted(name for name in wanted.values() if not (folder / name).exists())


def _of_protocols(rows: Sequence[ScoreRow]) -> dict[str, bytes]:
    """The cards of the protocols used, and what they cite."""
    used = {split_protocol(row.protocol).bare for row in rows}
    cards = {id(card): card for card in map(card_of, used) if card}.values()
    names = {name for card in cards for name in card.protocols}
    files = {
        f"protocols/cards/{path.name}": path.read_bytes()
        for path in sorted(CARDS.glob("*.toml"))
        if names & set(read_card(path).protocols)
    }
    cited = sorted({key for card in cards for key in card.cites})
    entries = "\n\n".join(bibliography()[key] for key in cited)
    return files | {"protocols/references.bib": f"{entries}\n".encode()}


def _samples(recordings: Sequence[Recording]) -> tuple[list[str], dict[str, Path]]:
    lines, media = [], {}
    for recording in sorted(recordings, key=lambda one: one.recording_id):
        entry: dict[str, Any] = {}
        for field in fields(Recording):
            value = getattr(recording, field.name)
            if isinstance(value, Path):
                if not value.is_file():
                    continue
                digest = sha256_of(value)
                name = f"{MEDIA}/{digest}{value.suffix.lower()}"
                media[name] = value
                entry[field.name] = {MEDIA: name, "sha256": digest}
            elif isinstance(value, Trace):
                entry[field.name] = asdict(value)
            elif value is not None:
                entry[field.name] = value
        lines.append(dump_json(entry))
    return lines, media


def _sample(entry: dict[str, Any], folder: Path) -> Sample:
    media = {}
    for key, value in entry.items():
        if isinstance(value, dict) and MEDIA in value:
            name = str(value[MEDIA])
            if not re.fullmatch(rf"{MEDIA}/[0-9a-f]{{64}}(\.\w+)?", name):
                raise ValueError(f"{name!r} is no name of a medium")
            media[name] = str(value["sha256"])
            entry[key] = folder / name
    if "trace" in entry:
        trace = entry["trace"]
        arrivals = tuple(Arrival(**arrival) for arrival in trace.pop("arrivals"))
        entry["trace"] = Trace(arrivals=arrivals, **trace)
    if "role" in entry:
        entry["role"] = Role(entry["role"])
    entry["holds"] = tuple((after, count) for after, count in entry.get("holds", ()))
    entry.setdefault("video_path", folder / MEDIA / "none")
    return Sample(recording=Recording(**entry), media=media)


def recordings_in(samples: Iterable[Sample], folder: Path) -> list[Recording]:
    """Returns the recordings of an unpacked bundle; those without their media have an error."""
    recordings = []
    for sample in samples:
        is_here = bool(sample.media) and all((folder / name).exists() for name in sample.media)
        gone = not is_here and not sample.recording.error
        error: dict[str, Any] = {"error": "its media are not here"} if gone else {}
        error |= {"error_status": "evaluator_failure"} if gone else {}
        recordings.append(replace(sample.recording, **error))
    return recordings


def _digest(content: bytes | Path) -> str:
    return sha256_of(content) if isinstance(content, Path) else hashlib.sha256(content).hexdigest()


def _add(archive: zipfile.ZipFile, name: str, content: bytes | Path) -> None:
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_STORED if name.startswith(MEDIA) else zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    info.create_system = 3  # the same on every system
    if isinstance(content, bytes):
        archive.writestr(info, content)
        return
    info.file_size = content.stat().st_size
    with content.open("rb") as source, archive.open(info, "w") as target:
        shutil.copyfileobj(source, target, _COPY_BYTES)


def _unpacked(archive: zipfile.ZipFile, folder: Path) -> dict[str, str]:
    sums = dict(_sums(archive.read(SUMS).decode(errors="replace")))
    names = [name for name in archive.namelist() if name != SUMS]
    wrong = {name: "is missing" for name in sums if name not in names}
    wrong |= {name: "is in the zip twice" for name in names if names.count(name) > 1}
    wrong |= {name: f"is not in {SUMS}" for name in names if name not in sums}
    for name in sorted(set(names) & set(sums)):
        path = Path(name)
        if path.is_absolute() or ".." in path.parts:
            wrong[name] = "is no name inside a folder; not unpacked"
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with archive.open(name) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy, _COPY_BYTES)
        except (zipfile.BadZipFile, EOFError) as error:
            wrong[name] = f"cannot be unpacked ({error})"
            continue
        if (digest := sha256_of(target)) != sums[name]:
            wrong[name] = f"sha256 is {digest}, written was {sums[name]}"
    return wrong


def _sums(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise InputError(f"{SUMS}: {line!r:.100} is no line of it")
        yield match[2], match[1]
