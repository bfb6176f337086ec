"""Training data of the VAEs: frames of drawn clips and the audio of a corpus, in memory.

Shape letters: B batch, T frames, S samples, H and W pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from streamchar_ref.core.executor import local_executor
from streamchar_ref.loop.fit import Draw
from streamchar_ref.model.config import Config
from streamchar_ref.train.clips import DrawnClip, draw_clip
from streamchar_ref.train.quality import regions
from streamchar_ref.world.corpus import Corpus, open_corpus

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

HELD_OUT = 24
"""Utterances at the end of a corpus that nothing is trained on."""
STILL = 0.1
"""Share of stretches that repeat one reference picture."""
_LIPS = np.uint8(4)
"""Weight of the lips, a twentieth of the picture, where the face has weight 1."""
CLIP_FRAMES = 128
"""Frames of a clip that a pool keeps: more faces are worth more than longer clips."""


@dataclass(frozen=True, kw_only=True)
class VideoBatch:
    """Short pieces of video.

    Attributes:
        frames: Values in [-1, 1].
        interest: How much each pixel counts: 1 in the face, 4 at the lips, 0 elsewhere.
    """

    frames: Float[Tensor, "B T 3 H W"]
    interest: Float[Tensor, "B T 1 H W"]


class VideoPool:
    """Frames of many characters.

    Args:
        clips: RGB of each, with the interest as a fourth channel, see `VideoBatch`.
        stills: Reference pictures of each, the same way.
    """

    def __init__(
        self,
        clips: Sequence[UInt8[np.ndarray, "_ H W 4"]],
        stills: Sequence[UInt8[np.ndarray, "_ H W 4"]],
    ) -> None:
        self.clips, self.stills = list(clips), list(stills)

    def __call__(self, draw: Draw, num_frames: int) -> VideoBatch:
        """Draws stretches; the same draw gives the same stretches."""
        rng = np.random.default_rng([draw.seed, draw.step, draw.rank, 0x76])
        pixels = np.stack([self._stretch(rng, num_frames) for _ in range(draw.batch)])
        channels = torch.from_numpy(pixels).permute(0, 1, 4, 2, 3).float()
        return VideoBatch(frames=channels[:, :, :3] / 127.5 - 1, interest=channels[:, :, 3:])

    def _stretch(self, rng: np.random.Generator, num_frames: int) -> UInt8[np.ndarray, "T H W 4"]:
        index = int(rng.integers(len(self.clips)))
        if rng.random() < STILL:
            stills = self.stills[index]
            return np.repeat(stills[int(rng.integers(len(stills)))][None], num_frames, axis=0)
        clip = self.clips[index]
        start = int(rng.integers(len(clip) - num_frames + 1))
        return clip[start : start + num_frames]


class SoundPool:
    """The audio of utterances.

    Args:
        corpus: Speech.
        numbers: Of the utterances.
    """

    def __init__(self, corpus: Corpus, numbers: Sequence[int]) -> None:
        self._sounds = [_as_int16(corpus[number].samples) for number in numbers]
        lengths = np.array([len(sound) for sound in self._sounds])
        self._shares = lengths / lengths.sum()

    def __call__(self, draw: Draw, num_samples: int) -> Float[Tensor, "B S"]:
        """Draws stretches; short utterances are padded with silence."""
        rng = np.random.default_rng([draw.seed, draw.step, draw.rank, 0x5D])
        chosen = rng.choice(len(self._sounds), draw.batch, p=self._shares)
        stretches = np.zeros((draw.batch, num_samples), np.float32)
        for row, index in zip(stretches, chosen, strict=True):
            sound = self._sounds[index]
            start = int(rng.integers(max(1, len(sound) - num_samples + 1)))
            stretch = sound[start : start + num_samples]
            row[: len(stretch)] = stretch / 32_768
        return torch.from_numpy(stretches)


def video_pool(
    folder: Path, numbers: Sequence[int], config: Config, *, seed: int, jobs: int = 1
) -> VideoPool:
    """Draws clips of a corpus and keeps a piece of each.

    Args:
        folder: Of the corpus.
        numbers: Of the clips; see `draw_clip`.
        config: Size and frame rate.
        seed: Of characters and scenes.
        jobs: Processes.

    Returns:
        The pool; the same arguments give the same pool.
    """
    work = partial(_piece, folder, config, seed)
    pieces = list(each_of(work, numbers, jobs=jobs))
    return VideoPool([frames for frames, _ in pieces], [stills for _, stills in pieces])


def each_of(
    work: Callable[[ItemT], ResultT], items: Sequence[ItemT], *, jobs: int
) -> Iterator[ResultT]:
    """Does some work on every item, in order, in this process or in several of one thread each."""
    with local_executor(min(jobs, len(items))) as executor:
        yield from executor.map(work, items)


def _piece(
    folder: Path, config: Config, seed: int, number: int
) -> tuple[UInt8[np.ndarray, "_ H W 4"], UInt8[np.ndarray, "_ H W 4"]]:
    stream = config.stream
    drawn = draw_clip(
        open_corpus(folder),
        number,
        size=stream.size,
        fps=stream.fps,
        seed=seed,
        max_frames=CLIP_FRAMES,
    )
    stills = np.pad(drawn.references, ((0, 0), (0, 0), (0, 0), (0, 1)))
    return np.concatenate([drawn.frames, _interest(drawn)], axis=-1), stills


def _interest(drawn: DrawnClip) -> UInt8[np.ndarray, "T H W 1"]:
    """Finds face and lips at half the resolution, in a quarter of the time."""
    count, height = drawn.frames.shape[:2]
    masks = regions(drawn.clip, num_frames=count, size=height // 2)
    small = np.where(masks["lips"], _LIPS, masks["face"].astype(np.uint8))
    return small.repeat(2, axis=1).repeat(2, axis=2)[..., None]


def _as_int16(samples: Float32[np.ndarray, " S"]) -> np.ndarray:
    return (samples * 32_768).round().clip(-32_768, 32_767).astype(np.int16)
