"""Clean clips on disk, from the world or from finished files; any process can open them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
from jaxtyping import Float, Float32
from PIL import Image

from evals.calibration.faults.base import (
    FPS,
    FRAME_SAMPLES,
    SAMPLE_RATE,
    Batches,
    SpokenWord,
    Take,
)
from evals.features.extraction import extract
from evals.features.missing import Missing
from evals.protocols.base import Unscored
from evals.recording.jsonl import check_folder_name
from evals.recording.recording import Recording
from evals.recording.system import Prompt
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import write_atomically
from streamchar_ref.core.shape import Count, fault_in, read_shaped
from streamchar_ref.media.decode import audio, frames, probe
from streamchar_ref.media.encode import write_lossless
from streamchar_ref.media.picture import read_picture
from streamchar_ref.media.wav import write_wav

SIZE = 256
MAX_SIDE = 512
MORPH_FRAMES = 5
"""A character that changes is rendered in pieces of this many frames."""
_OTHER_SEED_OFFSET = 500_009  # from a character's seed to that of its replacement
_RECOGNISER = "asr_whisper"
_REMEDY = "delete the folder of the clip and give the same command again"


@dataclass(frozen=True, kw_only=True)
class WorldTakeSpec:
    """Inputs of a world clip.

    Attributes:
        transcript: Spoken text.
        identity: Seed of the character.
        voice: Name of the voice; empty for the character's default.
        seed: Of the take.
        style: Of the drawing.
    """

    transcript: str
    identity: int
    voice: str
    seed: int
    style: str = "painted"


class SyntheticWorld:
    """Regenerates a world clip; implements `evals.calibration.faults.base.World`."""

    def __init__(self, origin: WorldTakeSpec) -> None:
        self.origin = origin

    @cached_property
    def clip(self) -> Any:
        """The clean clip; regenerated clips share its scene."""
        return self._clip(self.origin, None)

    def say(self, transcript: str) -> tuple[Batches, Float32[np.ndarray, " S"]]:
        """Same character, voice and scene, other words."""
        clip = self._clip(replace(self.origin, transcript=transcript), self.clip.scene)
        return clip.frames(size=SIZE), clip.samples

    def another_take(self) -> tuple[Batches, Float32[np.ndarray, " S"]]:
        """Same words, character, voice and scene, another random take."""
        clip = self._clip(replace(self.origin, seed=self.origin.seed + 1), self.clip.scene)
        return clip.frames(size=SIZE), clip.samples

    def seed_take(self, number: int, share: float) -> tuple[Batches, Float32[np.ndarray, " S"]]:
        """The take of a seed so many after the clip's; the first two move towards their mean.

        Args:
            number: 0 is the clip's own seed; 0 and 1 can be moved.
            share: Of the way to their mean: idle motion becomes the mean of both, and the voice
                loses so much of its variation.

        Returns:
            Picture and sound, which are equal for both seeds at a share of 1.
        """
        from streamchar_ref.world.clips import clip_of, own_voice
        from streamchar_ref.world.motion import IDLE
        from streamchar_ref.world.scene import resting
        from streamchar_ref.world.speech import speak
        from streamchar_ref.world.styles import STYLES

        origin, scene, style = self.origin, self.clip.scene, STYLES[self.origin.style]
        voice = origin.voice or own_voice(origin.identity, origin.style)
        seed = origin.seed + number
        speech = speak(origin.transcript, voice=voice, seed=seed, variation=1 - share)
        clip = clip_of(
            speech, transcript=origin.transcript, identity=origin.identity, voice=voice, seed=seed,
            fps=FPS, tail_frames=0, style=origin.style, scene=scene,
        )  # fmt: skip
        both = [
            resting(
                style.move(
                    clip.phonemes, num_frames=clip.num_frames, fps=FPS, seed=origin.seed + other
                ),
                scene,
            )
            for other in (0, 1)
            if share
        ]
        idle = {
            name: np.float32(1 - share) * getattr(clip.motion, name)
            + np.float32(share / 2) * sum(getattr(motion, name) for motion in both)
            for name in IDLE
            if share
        }
        moved = replace(clip, motion=replace(clip.motion, **idle))
        return moved.frames(size=SIZE), moved.samples

    def with_other(self, shares: Float[np.ndarray, " T"]) -> Batches:
        """Same motion, with the character blended with another one by a share per frame."""
        from streamchar_ref.world.character import blend
        from streamchar_ref.world.styles import STYLES

        clip, style = self.clip, STYLES[self.origin.style]
        other = style.draw_character(self.origin.identity + _OTHER_SEED_OFFSET)
        is_ramp = len(np.unique(shares)) > 2
        if is_ramp and self.origin.style != "painted":
            raise Unscored(f"characters of the style {self.origin.style!r} cannot be mixed")
        for start in range(0, len(shares), MORPH_FRAMES):
            piece = shares[start : start + MORPH_FRAMES]
            for share, part in _runs(piece[-1:].repeat(len(piece)) if is_ramp else piece):
                unmixed = {0.0: clip.character, 1.0: other}.get(share)
                person = unmixed if unmixed is not None else blend(clip.character, other, share)
                motion = clip.motion[start + part.start : start + part.stop]
                yield from replace(clip, character=person, motion=motion).frames(size=SIZE)

    def _clip(self, origin: WorldTakeSpec, scene: Any) -> Any:
        from streamchar_ref.world.clips import make_clip  # torch, only where clips are made

        return make_clip(
            origin.transcript,
            identity=origin.identity,
            voice=origin.voice,
            seed=origin.seed,
            fps=FPS,
            style=origin.style,
            scene=scene,
        )


def _runs(values: Float[np.ndarray, " T"]) -> list[tuple[float, slice]]:
    """Splits into runs of equal values."""
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1), len(values)]
    return [(float(values[start]), slice(int(start), int(stop))) for start, stop in pairwise(edges)]


def write_world_take(folder: Path, prompt: Prompt, *, suite: str, seconds: float | None) -> None:
    """Generates a clip for a world prompt.

    Args:
        folder: Of the clip.
        prompt: With a character of the world.
        suite: Its suite.
        seconds: Maximum length; words that do not fit are dropped.

    Raises:
        InputError: If the prompt has no world character.
    """
    kind, _, number = prompt.groups.get("identity", "").partition("-")
    if prompt.groups.get("domain") != "world" or kind != "character" or not number.isdigit():
        raise InputError(
            f"prompt {prompt.prompt_id!r} shows nobody of the synthetic world; calibrate your own "
            "files with --manifest"
        )
    origin = WorldTakeSpec(
        transcript=prompt.transcript,
        identity=int(number),
        voice=prompt.voice,
        seed=prompt.seed,
    )
    clip = SyntheticWorld(origin).clip
    if seconds is not None and clip.num_frames > seconds * FPS:
        fitting = sum(word.t1_s <= seconds for word in clip.words)
        shorter = " ".join(prompt.transcript.split()[: max(1, fitting)])
        origin = replace(origin, transcript=shorter)
        clip = SyntheticWorld(origin).clip
    _write(
        folder,
        clip.frames(size=SIZE),
        clip.samples,
        {
            "transcript": origin.transcript,
            "suite": suite,
            "groups": prompt.groups,
            "words": [[word.text, word.t0_s, word.t1_s] for word in clip.words],
            "world": vars(origin),
        },
        reference=prompt.reference,
    )


def write_file_take(
    folder: Path, recording: Recording, *, seconds: float | None, other: str
) -> None:
    """Copies a finished recording at 25 fps and times its words with a recogniser.

    Args:
        folder: Of the clip.
        recording: A user's.
        seconds: Maximum length; clip and transcript end with a complete word.
        other: Folder name of a clip of another identity; empty if there is none.

    Raises:
        MediaError: If the recording cannot be read or lacks picture or sound.
    """
    side = min(MAX_SIDE, *_sides(recording.video_path))
    batches = frames(recording.video_path, fps=FPS, short_side=side // 2 * 2)
    samples = audio(recording.audio_path or recording.video_path, sample_rate=SAMPLE_RATE)
    words, transcript = _recognised_words(recording), recording.transcript
    if seconds is not None and len(samples) > seconds * SAMPLE_RATE:
        words = [word for word in words if word[2] <= seconds]
        transcript = " ".join(transcript.split()[: len(words)])
        num_frames = round((words[-1][2] if words else seconds) * FPS) + 1
        batches, samples = _first(batches, num_frames), samples[: num_frames * FRAME_SAMPLES]
    _write(
        folder,
        batches,
        samples,
        {
            "transcript": transcript,
            "suite": recording.suite,
            "groups": recording.groups,
            "words": words,
            "other": other,
        },
        reference=recording.reference_path,
    )


def _sides(path: Path) -> tuple[int, int]:
    info = probe(path)
    return info.width or MAX_SIDE, info.height or MAX_SIDE


def _first(batches: Batches, num_frames: int) -> Batches:
    for batch in batches:
        if num_frames > 0:
            yield batch[:num_frames]
        num_frames -= len(batch)


def _recognised_words(recording: Recording) -> list[tuple[str, float, float]]:
    """Recognised words with times; empty if the recogniser is unavailable."""
    asr = extract(recording, [_RECOGNISER], native=False)[_RECOGNISER]
    if isinstance(asr, Missing):
        return []
    spans = zip(asr["words"], asr["word_start_s"], asr["word_end_s"], strict=True)
    return [(str(text), float(start), float(end)) for text, start, end in spans]


def _write(
    folder: Path,
    batches: Batches,
    samples: np.ndarray,
    meta: Mapping[str, Any],
    *,
    reference: np.ndarray | Path | None,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    num_frames = write_lossless(folder / "video.mkv", batches, fps=FPS)
    write_wav(folder / "audio.wav", samples, sample_rate=SAMPLE_RATE)
    if reference is not None:
        picture = reference if isinstance(reference, np.ndarray) else read_picture(reference)
        Image.fromarray(picture).save(folder / "reference.png")
    text = json.dumps({**meta, "num_frames": num_frames}, indent=1, sort_keys=True)
    write_atomically(folder / "take.json", text.encode())


class _TakeFile(TypedDict):
    """Fields of ``take.json``."""

    transcript: str
    suite: str
    groups: dict[str, str]
    words: list[tuple[str, float, float]]
    num_frames: Count
    other: NotRequired[str]
    world: NotRequired[dict[str, Any]]


def read_take(folder: Path) -> _TakeFile:
    """Reads ``take.json`` of a clip.

    Args:
        folder: Of the clip.

    Returns:
        Its fields.

    Raises:
        InputError: If it is damaged.
    """
    path = folder / "take.json"
    take = read_shaped(path, _TakeFile, remedy=_REMEDY)
    fault = fault_in(take["world"], WorldTakeSpec) if "world" in take else ""
    if other := take.get("other", ""):
        check_folder_name(str(path), "other", other)
    if fault:
        raise InputError(f"{path}: damaged, world: {fault}; {_REMEDY}")
    return take


def open_take(folder: Path) -> Take:
    """Opens a clip of `write_world_take` or `write_file_take`."""
    meta = read_take(folder)
    size = _sides(folder / "video.mkv")
    other = meta.get("other", "")
    return Take(
        clip_id=folder.name,
        transcript=meta["transcript"],
        samples=audio(folder / "audio.wav", sample_rate=SAMPLE_RATE),
        words=tuple(SpokenWord(text=w, t0_s=t0, t1_s=t1) for w, t0, t1 in meta["words"]),
        num_frames=meta["num_frames"],
        open_frames=partial(frames, folder / "video.mkv"),
        open_other=partial(_resized, folder.parent / other / "video.mkv", size) if other else None,
        world=SyntheticWorld(WorldTakeSpec(**meta["world"])) if "world" in meta else None,
    )


def _resized(path: Path, size: tuple[int, int]) -> Batches:
    for batch in frames(path):
        yield np.stack([np.asarray(Image.fromarray(frame).resize(size)) for frame in batch])


def recording_of(
    folder: Path, *, video_path: Path | None = None, audio_path: Path | None = None
) -> Recording:
    """Returns the clip as a recording, optionally with replaced tracks."""
    meta = read_take(folder)
    reference = folder / "reference.png"
    return Recording(
        sample_id=folder.name,
        system="calibration",
        suite=meta["suite"],
        transcript=meta["transcript"],
        video_path=video_path or folder / "video.mkv",
        audio_path=audio_path or folder / "audio.wav",
        reference_path=reference if reference.is_file() else None,
        groups=meta["groups"],
    )
