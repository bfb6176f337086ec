"""Cuts the clips of an index, has them transcribed, and writes a suite and a manifest.

All of it goes on where it was: clips that are there are kept, and so are the texts in
``transcripts.tsv``, which is the file to correct them in.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from evals.datasets.indexes import Crop, IndexedClip
from evals.features.missing import Missing
from evals.features.saved import save_features
from evals.features.store import FeatureStore
from evals.recording.rates import FPS, SAMPLE_RATE
from evals.recording.recording import Recording
from evals.text.language import language_code
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import sha256_of, write_atomically
from streamchar_ref.core.progress import ProgressFn
from streamchar_ref.media import MediaError
from streamchar_ref.media.decode import audio, frames, probe
from streamchar_ref.media.encode import write_mp4

VIDEO_SUFFIXES = {".mp4", ".mkv", ".webm", ".mov", ".mpg"}
SYSTEM = "real"
"""Name of the system that the real clips count as."""
RECOGNISED = "recognised"
SAVED = "reference.npz"
"""File of the clips' features."""


@dataclass(frozen=True, kw_only=True)
class ImportPlan:
    """What to import.

    Attributes:
        dataset: Its name.
        root: Folder of the fetched videos.
        out: Folder of the suite.
        recogniser: Extractor that transcribes; empty leaves texts to be typed in.
        features: Extractors whose features of the clips are saved.
    """

    dataset: str
    root: Path
    out: Path
    recogniser: str
    features: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What came of it.

    Attributes:
        clips: Clips of the suite.
        gone: Clip -> why it is not in the suite.
        notes: Clip -> what is not as published.
    """

    clips: list[str]
    gone: dict[str, str]
    notes: dict[str, str]


def import_clips(
    clips: Sequence[IndexedClip],
    plan: ImportPlan,
    progress: ProgressFn = lambda what, done, total: None,
) -> Imported:
    """Imports the clips whose videos are there.

    Args:
        clips: Of the index.
        plan: Where from and to.
        progress: Told what is done.

    Returns:
        Which clips are in the suite, and why others are not.

    Raises:
        InputError: If no clip could be cut, or ``transcripts.tsv`` is damaged.
    """
    videos = _videos(plan.root)
    texts = read_transcripts(plan.out / "transcripts.tsv")
    gone: dict[str, str] = {}
    notes: dict[str, str] = {}
    survivors: list[dict[str, Any]] = []
    rows: dict[str, tuple[str, str]] = {}
    for done, clip in enumerate(clips):
        progress(clip.clip_id, done, len(clips))
        source = next((videos[name] for name in clip.sources if name in videos), None)
        if source is None:
            gone[clip.clip_id] = f"no video named {' or '.join(clip.sources)}"
            continue
        try:
            path, note = cut_clip(source, clip, plan.out / "clips")
        except MediaError as error:
            gone[clip.clip_id] = str(error)
            continue
        if note:
            notes[clip.clip_id] = note
        rows[clip.clip_id] = texts.get(clip.clip_id) or _recognised(path, plan.recogniser)
        survivors.append(_survivor(clip, source, path))
    progress("clips", len(clips), len(clips))
    if not survivors:
        raise InputError(
            f"{plan.root}: no clip could be cut; the first: {next(iter(gone.items()))}"
        )
    by_id = {clip.clip_id: clip for clip in clips}
    _write(plan, [by_id[name] for name in rows], rows, survivors, gone)
    if plan.features:
        clips_there = [recording_of(plan.out / "clips" / f"{name}.mp4", name) for name in rows]
        save_features(plan.out / SAVED, clips_there, plan.features)
    return Imported(clips=list(rows), gone=gone, notes=notes)


def cut_clip(source: Path, clip: IndexedClip, folder: Path) -> tuple[Path, str]:
    """Cuts a clip at 25 fps and 16 kHz (H.264 crf 18), with its first frame as a picture.

    Args:
        source: The whole video.
        clip: Which seconds and, if published, which part of the picture.
        folder: For ``CLIP.mp4`` and ``CLIP.png``; a clip that is there is kept.

    Returns:
        The clip, and what is not as published.

    Raises:
        MediaError: If the source cannot be read, or is shorter than the index says.
    """
    path, picture = folder / f"{clip.clip_id}.mp4", folder / f"{clip.clip_id}.png"
    crop, note = clip.crop, ""
    if crop is not None and probe(source).height != crop.of_height:
        height = probe(source).height
        note = f"not cropped: the crop is for {crop.of_height} rows, the video has {height}"
        crop = None
    if path.is_file() and picture.is_file():
        return path, note
    folder.mkdir(parents=True, exist_ok=True)
    first, end = round(clip.start_s * FPS), round(clip.end_s * FPS)
    samples = audio(source, sample_rate=SAMPLE_RATE) if probe(source).audio_codec else None
    if samples is not None:
        samples = samples[first * SAMPLE_RATE // FPS : end * SAMPLE_RATE // FPS]
    shown: list[np.ndarray] = []
    batches = _between(frames(source, fps=FPS), first, end, crop, shown)
    partial = path.with_name(f".{path.name}")
    count = write_mp4(partial, batches, samples, fps=FPS, sample_rate=SAMPLE_RATE)
    if count < end - first - FPS // 5:
        partial.unlink()
        raise MediaError(f"{source.name} ends {(end - first - count) / FPS:.1f} s before the clip")
    Image.fromarray(shown[0]).save(picture)
    partial.replace(path)
    return path, note


def recording_of(path: Path, clip_id: str, language: str = "") -> Recording:
    """Returns a clip as a recording of the system `SYSTEM`."""
    return Recording(
        sample_id=clip_id,
        system=SYSTEM,
        suite="",
        transcript="",
        video_path=path,
        language=language,
    )


def read_transcripts(path: Path) -> dict[str, tuple[str, str]]:
    """Reads ``transcripts.tsv``: clip -> (text, who it is by); raises `InputError`."""
    if not path.is_file():
        return {}
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()[1:], 2):
        columns = line.split("\t")
        if len(columns) != 3:
            raise InputError(f"{path}:{number}: three columns are due, separated by tabs")
        found[columns[0]] = (columns[1].strip(), columns[2])
    return found


def _videos(root: Path) -> dict[str, Path]:
    paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES)
    return {path.stem: path for path in reversed(paths)}


def _between(
    batches: Iterable[np.ndarray], first: int, end: int, crop: Crop | None, shown: list[np.ndarray]
) -> Iterator[np.ndarray]:
    place = 0
    for batch in batches:
        start, place = place, place + len(batch)
        part = batch[max(0, first - start) : max(0, end - start)]
        if crop is not None:
            part = part[:, crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
        if len(part):
            if not shown:
                shown.append(part[0].copy())
            yield np.ascontiguousarray(part)
        if place >= end:
            return


def _recognised(path: Path, recogniser: str) -> tuple[str, str]:
    if not recogniser:
        return "", RECOGNISED
    found = FeatureStore().measured(recording_of(path, path.stem), [recogniser])[recogniser]
    if isinstance(found, Missing):
        raise InputError(f"{path.name} cannot be transcribed: {found.reason}; or: --recogniser ''")
    return " ".join(str(found["text"][0]).split()), RECOGNISED


def _survivor(clip: IndexedClip, source: Path, path: Path) -> dict[str, Any]:
    return {
        "clip_id": clip.clip_id, "source": source.name, "source_sha256": sha256_of(source),
        "start_s": clip.start_s, "end_s": clip.end_s, "sha256": sha256_of(path),
    }  # fmt: skip


def _write(
    plan: ImportPlan,
    clips: Sequence[IndexedClip],
    rows: Mapping[str, tuple[str, str]],
    survivors: Sequence[dict[str, Any]],
    gone: Mapping[str, str],
) -> None:
    table = ["clip_id\ttext\tby"]
    table += [f"{name}\t{text}\t{by}" for name, (text, by) in rows.items()]
    write_atomically(plan.out / "transcripts.tsv", ("\n".join(table) + "\n").encode())
    prompts, samples = [], []
    for clip in clips:
        text = rows[clip.clip_id][0]
        language = _language(clip)
        groups = {
            **clip.groups,
            "suite": plan.dataset,
            **({"language": language} if language else {}),
        }
        shared = {"reference_path": f"clips/{clip.clip_id}.png", "groups": groups}
        if text:
            prompts.append({"prompt_id": clip.clip_id, "transcript": text, **shared})
        sample = {"sample_id": clip.clip_id, "system": SYSTEM, "transcript": text, **shared}
        sample |= {"video_path": f"clips/{clip.clip_id}.mp4"}
        samples.append(sample | ({"language": language} if language else {}))
    lost = [{"clip_id": name, "reason": reason} for name, reason in gone.items()]
    for name, lines in (
        (f"{plan.dataset}.jsonl", prompts), ("manifest.jsonl", samples),
        ("survivors.jsonl", survivors), ("gone.jsonl", lost),
    ):  # fmt: skip
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        write_atomically(plan.out / name, text.encode())


def _language(clip: IndexedClip) -> str:
    told = clip.groups.get("language", "")
    try:
        return language_code(told) if told else ""
    except ValueError:
        return ""
