"""Videos without a manifest: files and folders become recordings, named after where they lie."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.recording.jsonl import check_folder_name
from evals.recording.recording import Recording
from evals.recording.transaction import place_of
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import read_bytes, real
from streamchar_ref.core.names import MOST_BYTES, file_name, visible
from streamchar_ref.media import MediaError
from streamchar_ref.media.decode import MediaInfo, probe

SUITE = "files"
"""One suite for all, so that samples of the same name in two folders are compared."""
VIDEO_SUFFIXES = frozenset({
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts",
    ".flv", ".wmv", ".ogv", ".3gp", ".mxf",
})  # fmt: skip
SOUND_SUFFIXES = frozenset({
    ".wav", ".mp3", ".flac", ".m4a", ".ogg", ".oga", ".opus", ".aac", ".wma", ".aif", ".aiff",
})  # fmt: skip
# FFmpeg reads pictures and even plain text as video; whatever else is unknown is opened.
_OTHER_SUFFIXES = frozenset({
    ".txt", ".md", ".json", ".jsonl", ".csv", ".tsv", ".yaml", ".yml", ".toml", ".py", ".ipynb",
    ".sh", ".log", ".html", ".pdf", ".tex", ".srt", ".vtt", ".ass", ".png", ".jpg", ".jpeg",
    ".gif", ".bmp", ".tif", ".tiff", ".webp", ".svg", ".heic", ".npy", ".npz", ".pt", ".pth",
    ".ckpt", ".safetensors", ".pkl", ".zip", ".gz", ".tar", ".7z", ".part", ".tmp", ".db", ".ini",
    ".cfg", ".xml",
})  # fmt: skip
_STILL_CODECS = frozenset(["png", "mjpeg", "bmp", "gif", "tiff", "webp", "ansi", "svg"])


@dataclass(frozen=True, kw_only=True)
class MediaFile:
    """A file to be scored.

    Attributes:
        path: Of the file.
        system: Whose it is.
        place: Path from the folder that was named.
    """

    path: Path
    system: str
    place: Path


def is_run(path: Path) -> bool:
    """Whether a folder is a run folder: it holds ``run.json`` or ``recordings/``."""
    return place_of(path, "run.json").is_file() or place_of(path, "recordings").is_dir()


def recordings_of_files(sources: Sequence[Path], system: str = "") -> list[Recording]:
    """Makes a recording of each video, in a fixed order.

    The system is the folder's name; ``sample_id`` is the path in it, with ``-`` between folders
    and without suffix, as far as that tells files apart. A ``.txt`` of the same stem beside a file
    is its transcript; without one there is none. A sound file is the sound of a video of the same
    stem beside it that has none; it is a sample of its own if there is no such video.

    Args:
        sources: Files, and folders that are searched to the bottom; hidden files and run folders
            in them are passed over.
        system: Of all; by default the name of each folder, and of the folder of a file.

    Returns:
        One a video, sorted by system and sample; one whose transcript cannot be read has an error.

    Raises:
        InputError: If a source is missing, holds nothing that can be scored, or ``system`` cannot
            name a folder.
    """
    if system:
        check_folder_name("the videos", "system", system)
    files = {real(file.path): file for source in sources for file in _files_of(source, system)}
    kept = sorted(files.values(), key=lambda file: (file.system, file.place.as_posix(), file.path))
    sounds = _sounds_of_silent_videos([file.path for file in kept])
    kept = [file for file in kept if file.path not in sounds.values()]
    names = _sample_ids(kept)
    return sorted(
        (_recording(file, names[file.path], sounds.get(file.path)) for file in kept),
        key=lambda recording: recording.recording_id,
    )


def _recording(file: MediaFile, sample_id: str, sound: Path | None) -> Recording:
    transcript, problems = "", []
    try:
        transcript = _transcript(file.path)
    except (OSError, InputError) as error:
        problems.append(f"its transcript cannot be read ({error})")
    info = _probed(file.path) if sound is not None else None
    if isinstance(info, OSError) or (info is not None and info.audio_codec):
        why = info if isinstance(info, OSError) else "it could not be read a moment ago"
        problems.append(f"nobody can tell whether it has sound of its own ({why})")
    return Recording(
        sample_id=sample_id,
        system=file.system,
        suite=SUITE,
        transcript=transcript,
        video_path=file.path,
        audio_path=sound,
        error="; ".join(problems),
        error_status="evaluator_failure",
    )


def _files_of(source: Path, system: str) -> Iterator[MediaFile]:
    if source.is_dir():
        name = system or folder_name(real(source).name)
        found = [path for path in _searched(source) if _is_media(path)]
        found = _without_sound_of_videos(found)
        if not found:
            raise InputError(
                f"{source}: holds no videos, and is no run folder (run.json or recordings/)"
            )
        for path in found:
            yield MediaFile(path=path, system=name, place=path.relative_to(source))
    elif source.is_file():
        if source.suffix.lower() == ".jsonl":
            raise InputError(f"{source}: a manifest is named with --manifest {source}")
        if not _is_media(source):
            raise InputError(f"{source}: is no video and no sound")
        name = system or folder_name(real(source).parent.name)
        yield MediaFile(path=source, system=name, place=Path(source.name))
    else:
        raise InputError(f"{source}: there is no such file or folder")


def _searched(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yields files in a fixed order, links followed; not hidden ones, nor those of runs."""
    above |= {real(folder)}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if not is_run(path) and real(path) not in above:  # a link may lead back
                yield from _searched(path, above)
        elif path.is_file():
            yield path


def _is_media(path: Path) -> bool:
    """Goes by the suffix, so that a damaged video is a failed sample; opens what is unknown."""
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES | SOUND_SUFFIXES:
        return True
    if suffix in _OTHER_SUFFIXES:
        return False
    info = _probed(path)
    if isinstance(info, OSError):
        return True  # it may be one: its rows say why nobody can tell
    return info is not None and bool(info.audio_codec or info.video_codec not in _STILL_CODECS)


def _probed(path: Path) -> MediaInfo | OSError | None:
    """What a file holds; nothing if it is no media file, or why it cannot be read."""
    try:
        return probe(path)
    except MediaError:
        return None
    except OSError as error:
        return error


def _without_sound_of_videos(paths: Sequence[Path]) -> list[Path]:
    """Leaves out sound files beside a video that has sound of its own."""
    videos = {path.with_suffix("") for path in paths if not _is_sound(path)}
    silent = _sounds_of_silent_videos(paths).values()
    return [p for p in paths if not _is_sound(p) or p.with_suffix("") not in videos or p in silent]


def _sounds_of_silent_videos(paths: Sequence[Path]) -> dict[Path, Path]:
    """Video without sound, or that cannot be read -> the sound file of its stem beside it."""
    sounds = {path.with_suffix(""): path for path in paths if _is_sound(path)}
    pairs = {p: sounds[p.with_suffix("")] for p in paths
             if not _is_sound(p) and p.with_suffix("") in sounds}  # fmt: skip
    infos = {video: _probed(video) for video in pairs}
    return {
        video: sound
        for video, sound in pairs.items()
        if isinstance(info := infos[video], OSError) or (info and not info.audio_codec)
    }


def _is_sound(path: Path) -> bool:
    return path.suffix.lower() in SOUND_SUFFIXES


def _transcript(path: Path) -> str:
    beside = [path.with_suffix(suffix) for suffix in (".txt", ".TXT")]
    found = next((text for text in beside if os.path.lexists(text)), None)
    if found is None:
        return ""
    try:
        words = read_bytes(found).decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise InputError(f"{found}: not UTF-8 text ({error})") from error
    if "\0" in words:
        raise InputError(f"{found}: not UTF-8 text (it holds NUL; save it as UTF-8)")
    return words


def _sample_ids(files: Sequence[MediaFile]) -> dict[Path, str]:
    """Names files by stem; those of one name by more of their path, and at last by number."""
    longer: tuple[Callable[[MediaFile], str], ...] = (
        lambda file: folder_name("-".join(file.place.with_suffix("").parts)),
        lambda file: folder_name("-".join(file.place.parts)),
        lambda file: folder_name(f"{real(file.path).parent.name}-{file.place.name}"),
    )
    named: dict[Path, str] = {}
    rest = list(files)
    for name in longer:
        count = Counter((file.system, name(file)) for file in rest)
        taken = {(file.system, named[file.path]) for file in files if file.path in named}
        for file in rest:
            if count[file.system, name(file)] == 1 and (file.system, name(file)) not in taken:
                named[file.path] = name(file)
        rest = [file for file in rest if file.path not in named]
    for number, file in enumerate(rest, start=1):
        named[file.path] = f"{longer[1](file)}#{number}"
    return named


def folder_name(text: str) -> str:
    """Makes a text name a folder of a run: no slashes or control signs, never empty or too long."""
    text = os.fsencode(text).decode(errors="backslashreplace")
    name = "".join("_" if sign in "/\\" or ord(sign) < 32 else sign for sign in text)
    name = visible(name).replace("\\", "_")  # bytes that are no UTF-8, marks of direction
    if len(name.encode()) > MOST_BYTES:
        name = file_name(name, MOST_BYTES)
    return name if name not in {"", ".", "..", "*"} else "files"
