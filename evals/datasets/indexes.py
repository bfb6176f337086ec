"""Published indexes of talking-face datasets: which seconds of which video are a clip.

Sources:
    EMTD: ``EMTD_dataset`` of antgroup/echomimic_v2, a CSV of URL and two time codes.
    HDTF: ``HDTF_dataset`` of MRzzm/HDTF (CC BY 4.0), text files with names, times and crops.
    TalkVid: FreedomIntelligence/TalkVid, a JSON list with times, link, person and language.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

from streamchar_ref.core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Part of the picture, in pixels of a video of a known height.

    Attributes:
        left: First column.
        width: Columns.
        top: First row.
        height: Rows.
        of_height: Height of the whole picture that these numbers are for.
    """

    left: int
    width: int
    top: int
    height: int
    of_height: int


@dataclass(frozen=True, kw_only=True)
class IndexedClip:
    """One line of an index.

    Attributes:
        clip_id: Unique in the dataset; a valid file name.
        sources: Names, without suffix, that its video may have.
        start_s: First second.
        end_s: End.
        groups: Identity, and language where the index says it.
        crop: Part of the picture, if published.
    """

    clip_id: str
    sources: tuple[str, ...]
    start_s: float
    end_s: float
    groups: Mapping[str, str] = field(default_factory=dict)
    crop: Crop | None = None


def read_index(dataset: str, root: Path) -> list[IndexedClip]:
    """Reads the index of a dataset.

    Args:
        dataset: ``emtd``, ``hdtf`` or ``talkvid``.
        root: Folder that holds the published index files somewhere.

    Returns:
        Clips in the order of the index.

    Raises:
        InputError: If the dataset is unknown, the index is not there, or a line cannot be read.
    """
    if dataset not in READERS:
        raise InputError(f"unknown dataset {dataset!r:.60}; known: {', '.join(READERS)}")
    if not root.is_dir():
        raise InputError(f"--root {root}: there is no such folder")
    pattern, where, read = READERS[dataset]
    files = sorted(path for path in root.rglob(pattern) if path.is_file())
    if not files:
        raise InputError(f"{root} holds no {pattern}: put the index of {where} there")
    clips = [clip for path in files for clip in _guarded(read, path)]
    names = [clip.clip_id for clip in clips]
    twice = next((name for name in names if names.count(name) > 1), None) if clips else "no clip"
    if twice is not None:
        raise InputError(f"{files[0]}: {twice} is there {'twice' if clips else ''}".strip())
    return clips


def seconds(code: str) -> float:
    """Reads ``HH:MM:SS.mmm``, ``MM:SS`` or seconds; raises `ValueError`."""
    parts = [float(part) for part in code.strip().split(":")]
    if not 1 <= len(parts) <= 3 or any(part < 0 for part in parts):
        raise ValueError(f"{code!r} is no time code")
    return sum(part * 60**power for power, part in enumerate(reversed(parts)))


def _guarded(read: Callable[[Path], Iterator[IndexedClip]], path: Path) -> list[IndexedClip]:
    try:
        clips = list(read(path))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise InputError(f"{path} is not as published: {type(error).__name__}: {error}") from error
    for clip in clips:
        if not 0 <= clip.start_s < clip.end_s:
            raise InputError(f"{path}: {clip.clip_id} ends before it begins")
    return clips


def _emtd(path: Path) -> Iterator[IndexedClip]:
    count: dict[str, int] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            video = _video_id(row["URL"])
            number = count[video] = count.get(video, -1) + 1
            yield IndexedClip(
                clip_id=_file_name(f"{video}_{number}"),
                sources=(video,),
                start_s=seconds(row["Start Timecode"]),
                end_s=seconds(row["End Timecode"]),
                groups={"identity": video},
            )


def _hdtf(path: Path) -> Iterator[IndexedClip]:
    part = path.name.removesuffix("_annotion_time.txt")
    urls = _table(path.with_name(f"{part}_video_url.txt"))
    heights = _table(path.with_name(f"{part}_resolution.txt"))
    crops = _table(path.with_name(f"{part}_crop_wh.txt"))
    for name, spans in _table(path).items():
        for number, span in enumerate(spans):
            start, end = span.split("-")
            clip = f"{name}_{number}"
            video = [_video_id(urls[name][0])] if name in urls else []
            yield IndexedClip(
                clip_id=_file_name(clip),
                sources=(name, *video),
                start_s=seconds(start),
                end_s=seconds(end),
                groups={"identity": name, "language": "en"},
                crop=_crop(crops.get(clip), heights.get(name)),
            )


def _talkvid(path: Path) -> Iterator[IndexedClip]:
    content = json.loads(path.read_text(encoding="utf-8"))
    for entry in content if isinstance(content, list) else [content]:
        about: Mapping[str, Any] = entry.get("info", {})
        video = _video_id(about["Video Link"])
        yield IndexedClip(
            clip_id=_file_name(entry["id"]),
            sources=(video,),
            start_s=float(entry["start-time"]),
            end_s=float(entry["end-time"]),
            groups={
                "identity": str(about.get("Person ID", video)),
                **({"language": about["Language"]} if about.get("Language") else {}),
            },
        )


READERS: dict[str, tuple[str, str, Callable[[Path], Iterator[IndexedClip]]]] = {
    "emtd": (
        "echomimicv2_benchmark_url+start_timecode+end_timecode.txt",
        "github.com/antgroup/echomimic_v2 (EMTD_dataset)",
        _emtd,
    ),
    "hdtf": ("*_annotion_time.txt", "github.com/MRzzm/HDTF (HDTF_dataset)", _hdtf),
    "talkvid": ("*.json", "huggingface.co/datasets/FreedomIntelligence/TalkVid", _talkvid),
}
"""Dataset -> name of its index files, where they are published, reader."""


def _table(path: Path) -> dict[str, list[str]]:
    """Name without suffix -> the other words of a line; empty if the file is not there."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8-sig").replace("\ufeff", "").splitlines()
    rows = [line.split() for line in lines if line.strip()]
    return {row[0].removesuffix(".mp4"): row[1:] for row in rows}


def _crop(words: list[str] | None, height: list[str] | None) -> Crop | None:
    if not words or not height:
        return None
    left, width, top, rows = map(int, words)
    return Crop(left=left, width=width, top=top, height=rows, of_height=int(height[0]))


def _video_id(url: str) -> str:
    """The id of a YouTube address; another address's last part."""
    address = urlparse(url.strip())
    found = parse_qs(address.query).get("v") or [address.path.rstrip("/").rpartition("/")[2]]
    if not found[0]:
        raise ValueError(f"{url!r} names no video")
    return found[0]


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.-]", "_", text)
