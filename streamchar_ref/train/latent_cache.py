"""Encoded clips with their labels, on disk and in memory.

Shape letters: N phonemes, F video latents, A audio latents, C and Ca channels, h and w cells,
R reference pictures.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float16, Float32, Int16

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import parse_json, replacing
from streamchar_ref.core.sealed import UNREADABLE, seal, verify_seal
from streamchar_ref.networks.text import PHONES
from streamchar_ref.world.speech import SILENCE, TimedPhoneme

STACKED = (
    "tokens", "start", "end", "position", "row", "phone", "gap", "mouth", "video", "audio",
    "reference",
)  # fmt: skip
"""Arrays of a clip in a file."""


@dataclass(frozen=True, kw_only=True)
class LatentClip:
    """One utterance of a character.

    Attributes:
        prompt: What the character looks and sounds like.
        identity: Number of the character.
        tokens: The transcript, see `text.PhonemeText.tokens`.
        start: When each phoneme begins, in audio latents.
        end: When it ends.
        position: Phonemes said by the end of each audio latent, with the fraction of the one
            that is being said.
        row: Phoneme that is being said in the middle of each audio latent; -1 in silence.
        phone: Its class, 0 for silence.
        gap: True lip gap in the middle of each audio latent.
        mouth: Share of each cell that the mouth takes.
        video: Whitened latents.
        audio: Whitened latents.
        reference: Latents of several reference pictures.
    """

    prompt: str
    identity: int
    tokens: Int16[np.ndarray, "N 4"]
    start: Float32[np.ndarray, " N"]
    end: Float32[np.ndarray, " N"]
    position: Float32[np.ndarray, " A"]
    row: Int16[np.ndarray, " A"]
    phone: Int16[np.ndarray, " A"]
    gap: Float32[np.ndarray, " A"]
    mouth: Float16[np.ndarray, "F h w"]
    video: Float16[np.ndarray, "F C h w"]
    audio: Float16[np.ndarray, "A Ca"]
    reference: Float16[np.ndarray, "R C h w"]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Labels of speech at each audio latent, see `LatentClip`."""

    start: Float32[np.ndarray, " N"]
    end: Float32[np.ndarray, " N"]
    position: Float32[np.ndarray, " A"]
    row: Int16[np.ndarray, " A"]
    phone: Int16[np.ndarray, " A"]


def timing_of(phonemes: Sequence[TimedPhoneme], *, num_latents: int, latent_s: float) -> Timing:
    """Derives the labels of speech from its phonemes.

    Args:
        phonemes: They tile the sound.
        num_latents: A; the speech may end before.
        latent_s: Seconds of an audio latent.

    Returns:
        Times of each phoneme; position, row and class for each latent.
    """
    spoken = [p for p in phonemes if p.phone != SILENCE]
    starts, ends = (np.array([getattr(p, name) for p in spoken]) for name in ("t0_s", "t1_s"))
    classes = np.array([1 + PHONES.index(p.phone) for p in spoken])
    time_s = (np.arange(num_latents) + 1) * latent_s
    done = np.searchsorted(ends, time_s, side="right")
    at = np.minimum(done, len(spoken) - 1)
    share = (time_s - starts[at]) / np.maximum(ends[at] - starts[at], 1e-6)
    position = done + np.where(done < len(spoken), share.clip(0, 1), 0)
    middle_s = time_s - latent_s / 2
    row = np.searchsorted(starts, middle_s, side="right") - 1
    is_said = (row >= 0) & (middle_s < ends[row.clip(min=0)])
    row = np.where(is_said, row, -1)
    return Timing(
        start=(starts / latent_s).astype(np.float32),
        end=(ends / latent_s).astype(np.float32),
        position=position.astype(np.float32),
        row=row.astype(np.int16),
        phone=np.where(is_said, classes[row], 0).astype(np.int16),
    )


def save_latents(path: Path, clips: Sequence[LatentClip], *, made_of: str = "") -> None:
    """Writes clips into one file, which numpy reads without pickles.

    Args:
        path: Where to.
        clips: In order.
        made_of: Digest of all inputs, see `is_latent_file`.
    """
    arrays = {}
    for name in STACKED:
        parts = [getattr(clip, name) for clip in clips]
        arrays[name] = np.concatenate(parts)
        arrays[f"{name}_length"] = np.array([len(part) for part in parts])
    about = [{"prompt": clip.prompt, "identity": clip.identity} for clip in clips]
    text = json.dumps({"made_of": made_of, "clips": about})
    arrays["told"] = np.frombuffer(text.encode(), np.uint8)
    with replacing(path) as partial:
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        seal(partial)


def is_latent_file(path: Path, *, made_of: str) -> bool:
    """Whether a file is intact and was made of the same inputs."""
    if not path.is_file():
        return False
    try:
        verify_seal(path)
        with np.load(path) as file:
            return bool(parse_json(file["told"].tobytes())["made_of"] == made_of)
    except UNREADABLE:
        return False  # it is made again


def load_latents(paths: Iterable[Path]) -> list[LatentClip]:
    """Reads what `save_latents` wrote, file after file.

    Args:
        paths: Of the files.

    Returns:
        The clips.

    Raises:
        InputError: If a file was altered, cut or written by something else; names it.
    """
    return [clip for path in paths for clip in _read(path)]


def _read(path: Path) -> list[LatentClip]:
    verify_seal(path)
    try:
        with np.load(path) as file:
            headers = parse_json(file["told"].tobytes())["clips"]
            parts = {
                name: np.split(file[name], np.cumsum(file[f"{name}_length"])[:-1])
                for name in STACKED
            }
        clips = []
        for index, header in enumerate(headers):
            arrays: dict[str, Any] = {name: parts[name][index] for name in STACKED}
            clips.append(LatentClip(**header, **arrays))
        return clips
    except UNREADABLE as error:
        raise InputError(f"{path} holds no clips; delete it, and it is made again") from error


assert {field.name for field in fields(LatentClip)} == {"prompt", "identity", *STACKED}
