"""Training data of the VAEs: frames of drawn clips and the audio of a corpus, in memory.

Shape letters: B batch, T frames, S samples, H and W pixels.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor

from streamchar_ref.core.executor import local_executor
from streamchar_ref.loop.fit import Draw
from streamchar_ref.model.config import Config
from streamchar_ref.train.clips import DrawnClip, draw_clip
from streamchar_ref.train.quality import regions
from streamchar_ref.world.corpus import open_corpus

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
    """Frames of many characters, on the training device.

    Args:
        clips: RGB of each, with the interest as a fourth channel, see `VideoBatch`.
        stills: Reference pictures of each, the same way.
        device: Where they are kept and batches are made.
    """

    def __init__(
        self,
        clips: Sequence[UInt8[np.ndarray, "_ H W 4"]],
        stills: Sequence[UInt8[np.ndarray, "_ H W 4"]],
        device: torch.device | str = "cpu",
    ) -> None:
        self._num_frames, self._num_stills = ([len(p) for p in part] for part in (clips, stills))
        starts = np.cumsum([0, *self._num_frames, *self._num_stills])[:-1]
        self._first_frame, self._first_still = np.split(starts, [len(clips)])
        self.pixels = torch.from_numpy(np.concatenate([*clips, *stills])).to(device)

    def __call__(self, draw: Draw, num_frames: int) -> VideoBatch:
        """Draws stretches; the same draw gives the same stretches."""
        rng = np.random.default_rng([draw.seed, draw.step, draw.rank, 0x76])
        rows = np.stack([self._rows(rng, num_frames) for _ in range(draw.batch)])
        pixels = self.pixels[torch.from_numpy(rows).to(self.pixels.device)]
        channels = pixels.permute(0, 1, 4, 2, 3).float()
        return VideoBatch(frames=channels[:, :, :3] / 127.5 - 1, interest=channels[:, :, 3:])

    def _rows(self, rng: np.random.Generator, num_frames: int) -> Int64[np.ndarray, " T"]:
        index = int(rng.integers(len(self._num_frames)))
        if rng.random() < STILL:
            still = self._first_still[index] + int(rng.integers(self._num_stills[index]))
            return np.full(num_frames, still)
        start = int(rng.integers(self._num_frames[index] - num_frames + 1))
        return self._first_frame[index] + start + np.arange(num_frames)


class SoundPool:
    """The audio of utterances, on the training device.

    Args:
        sounds: Waveforms in [-1, 1].
        device: Where they are kept and batches are made.
    """

    def __init__(
        self, sounds: Iterable[Float32[np.ndarray, " _"]], device: torch.device | str = "cpu"
    ) -> None:
        pieces = [_as_int16(samples) for samples in sounds]
        self._lengths = np.array([len(piece) for piece in pieces])
        self._first = np.cumsum([0, *self._lengths])[:-1]
        self._shares = self._lengths / self._lengths.sum()
        self.samples = torch.from_numpy(np.concatenate(pieces)).to(device)

    def __call__(self, draw: Draw, num_samples: int) -> Float[Tensor, "B S"]:
        """Draws stretches; short utterances are padded with silence."""
        rng = np.random.default_rng([draw.seed, draw.step, draw.rank, 0x5D])
        chosen = rng.choice(len(self._lengths), draw.batch, p=self._shares)
        lengths = self._lengths[chosen]
        starts = np.array([int(rng.integers(max(1, n - num_samples + 1))) for n in lengths])
        device = self.samples.device
        begin, end = (
            torch.from_numpy(self._first[chosen] + offset).to(device)[:, None]
            for offset in (starts, lengths)
        )
        rows = begin + torch.arange(num_samples, device=device)
        samples = self.samples[rows.clamp(max=len(self.samples) - 1)]
        return torch.where(rows < end, samples, 0).float() / 32_768


def video_pool(
    folder: Path,
    numbers: Sequence[int],
    config: Config,
    *,
    seed: int,
    jobs: int = 1,
    device: torch.device | str = "cpu",
) -> VideoPool:
    """Draws clips of a corpus and keeps a piece of each.

    Args:
        folder: Of the corpus.
        numbers: Of the clips; see `draw_clip`.
        config: Size and frame rate.
        seed: Of characters and scenes.
        jobs: Processes.
        device: See `VideoPool`.

    Returns:
        The pool; the same arguments give the same pool.
    """
    work = partial(_piece, folder, config, seed)
    pieces = list(each_of(work, numbers, jobs=jobs))
    frames, stills = zip(*pieces, strict=True)
    return VideoPool(frames, stills, device)


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
