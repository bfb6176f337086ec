"""Videos without a manifest: files and folders become recordings named after their paths."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.recording.jsonl import check_folder_name
from evals.recording.recording import Recording
from evals.recording.transaction import place_of
from evals.text.language import language_code
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import read_bytes, real
from streamchar_ref.core.names import MOST_BYTES, file_name, visible
from streamchar_ref.media import MediaError
from streamchar_ref.media.decode import MediaInfo, probe

SUITE = "files"
"""Common suite, so that samples of the same name in two folders are compared."""
VIDEO_SUFFIXES = frozenset({
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts",
    ".flv", ".wmv", ".ogv", ".3gp", ".mxf",
})  # fmt: skip
SOUND_SUFFIXES = frozenset({
    ".wav", ".mp3", ".flac", ".m4a", ".ogg", ".oga", ".opus", ".aac", ".wma", ".aif", ".aiff",
})  # fmt: skip
# FFmpeg reads images and even plain text as video; files with any other suffix are probed.
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
        system: Name of the system that made it.
        place: Path relative to the source folder.
    """

    path: Path
    system: str
    place: Path


def is_run(path: Path) -> bool:
    """Whether a folder is a run folder: it holds ``run.json`` or ``recordings/``."""
    return place_of(path, "run.json").is_file() or place_of(path, "recordings").is_dir()


def recordings_of_files(
    sources: Sequence[Path], system: str = "", language: str = ""
) -> list[Recording]:
    """Makes a recording of each video, in a fixed order.

    The system is the folder's name; ``sample_id`` is the path in the folder without suffix, with
    ``-`` between its parts, made unique where necessary. A ``.txt`` file of the same stem is the
    transcript. A sound file belongs to a silent video of the same stem; without one it is a
    sample of its own.

    Args:
        sources: Files, and folders that are searched recursively; hidden files and run folders
            are skipped.
        system: Of all recordings; by default the name of each folder, or of a file's folder.
        language: Of all transcripts; by default each transcript decides.

    Returns:
        Recordings sorted by system and sample; an unreadable transcript becomes an error.

    Raises:
        InputError: If a source is missing or has nothing to score, ``system`` is not a valid
            folder name, or ``language`` names no language.
    """
    try:
        code = language_code(language)
    except ValueError as error:
        raise InputError(f"the language of the videos: {error}") from error
    if system:
        check_folder_name("the videos", "system", system)
    files = {real(file.path): file for source in sources for file in _files_of(source, system)}
    kept = sorted(files.values(), key=lambda file: (file.system, file.place.as_posix(), file.path))
    sounds = _sounds_of_silent_videos([file.path for file in kept])
    kept = [file for file in kept if file.path not in sounds.values()]
    names = _sample_ids(kept)
    return sorted(
        (_recording(file, names[file.path], sounds.get(file.path), code) for file in kept),
        key=lambda recording: recording.recording_id,
    )


def check_names_of_folders(sources: Sequence[Path]) -> None:
    """Refuses folders of one name in different places: their videos would be one system's.

    Args:
        sources: Files and folders.

    Raises:
        InputError: If two folders have the same name.
    """
    first: dict[str, Path] = {}
    for source in sources:
        folder = real(source) if source.is_dir() else real(source).parent
        other = first.setdefault(folder_name(folder.name), folder)
        if other != folder:
            raise InputError(
                f"{other} and {folder} have the same name, so their videos would be one system: "
                "score each with --system and --out of its own, or both with one --system"
            )


def _recording(file: MediaFile, sample_id: str, sound: Path | None, language: str) -> Recording:
    transcript, problems = "", []
    try:
        transcript = _transcript(file.path)
    except (OSError, InputError) as error:
        problems.append(f"its transcript cannot be read ({error})")
    info = _probed(file.path) if sound is not None else None
    if isinstance(info, OSError) or (info is not None and info.audio_codec):
        why = info if isinstance(info, OSError) else "it could not be read a moment ago"
        problems.append(f"it is unknown whether it has sound of its own ({why})")
    return Recording(
        sample_id=sample_id,
        system=file.system,
        suite=SUITE,
        transcript=transcript,
        video_path=file.path,
        audio_path=sound,
        language=language,
        error="; ".join(problems),
        error_status="evaluator_failure",
    )


def _files_of(source: Path, system: str) -> Iterator[MediaFile]:
    if source.is_dir():
        name = system or folder_name(real(source).name)
        paths = [path for path in _searched(source) if _is_media(path)]
        paths = _without_sound_of_videos(paths)
        if not paths:
            raise InputError(
                f"{source}: holds no videos, and is no run folder (run.json or recordings/)"
            )
        for path in paths:
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
    """Yields files in a fixed order, following links; skips hidden files and run folders."""
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
    """Decides by the suffix, so that a damaged video is a failed sample; probes other files."""
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES | SOUND_SUFFIXES:
        return True
    if suffix in _OTHER_SUFFIXES:
        return False
    info = _probed(path)
    if isinstance(info, OSError):
        return True  # it may be one; its rows will carry the error
    return info is not None and bool(info.audio_codec or info.video_codec not in _STILL_CODECS)


def _probed(path: Path) -> MediaInfo | OSError | None:
    """Probes a file; ``None`` if it is no media file, the error if it cannot be read."""
    try:
        return probe(path)
    except MediaError:
        return None
    except OSError as error:
        return error


def _without_sound_of_videos(paths: Sequence[Path]) -> list[Path]:
    """Drops sound files of videos that have sound of their own."""
    videos = {path.with_suffix("") for path in paths if not _is_sound(path)}
    silent = _sounds_of_silent_videos(paths).values()
    return [p for p in paths if not _is_sound(p) or p.with_suffix("") not in videos or p in silent]


def _sounds_of_silent_videos(paths: Sequence[Path]) -> dict[Path, Path]:
    """Maps videos that are silent or unreadable to the sound file of the same stem."""
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
    candidates = [path.with_suffix(suffix) for suffix in (".txt", ".TXT")]
    text_path = next((text for text in candidates if os.path.lexists(text)), None)
    if text_path is None:
        return ""
    try:
        words = read_bytes(text_path).decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise InputError(f"{text_path}: not UTF-8 text ({error})") from error
    if "\0" in words:
        raise InputError(f"{text_path}: not UTF-8 text (it holds NUL; save it as UTF-8)")
    return words


def _sample_ids(files: Sequence[MediaFile]) -> dict[Path, str]:
    """Names files by path without suffix; duplicates by longer names, finally by number."""
    namings: tuple[Callable[[MediaFile], str], ...] = (
        lambda file: folder_name("-".join(file.place.with_suffix("").parts)),
        lambda file: folder_name("-".join(file.place.parts)),
        lambda file: folder_name(f"{real(file.path).parent.name}-{file.place.name}"),
    )
    named: dict[Path, str] = {}
    rest = list(files)
    for name in namings:
        count = Counter((file.system, name(file)) for file in rest)
        taken = {(file.system, named[file.path]) for file in files if file.path in named}
        for file in rest:
            if count[file.system, name(file)] == 1 and (file.system, name(file)) not in taken:
                named[file.path] = name(file)
        rest = [file for file in rest if file.path not in named]
    for number, file in enumerate(rest, start=1):
        named[file.path] = f"{namings[1](file)}#{number}"
    return named


def folder_name(text: str) -> str:
    """Converts text to a valid folder name: no slashes or controls, neither empty nor too long."""
    text = os.fsencode(text).decode(errors="backslashreplace")
    name = "".join("_" if char in "/\\" or ord(char) < 32 else char for char in text)
    name = visible(name).replace("\\", "_")  # invalid UTF-8, bidirectional marks
    if len(name.encode()) > MOST_BYTES:
        name = file_name(name, MOST_BYTES)
    return name if name not in {"", ".", "..", "*"} else "files"
