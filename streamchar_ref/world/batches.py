"""Windows of clips for training, rendered on the fly.

A batch is a function of the seed and its index, so a stream of batches can be resumed anywhere
and divided among workers.

Shape letters: B windows, T frames in a window, S samples in it, H and W pixels, R pixels of a
reference picture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8

from streamchar_ref.world.clips import Clip, clip_of, own_scene, own_voice
from streamchar_ref.world.corpus import Corpus
from streamchar_ref.world.speech import SAMPLE_RATE, Speech, speak

_MAX_SEED = 2**31


@dataclass(frozen=True, kw_only=True)
class WindowPlan:
    """Settings of the sampled windows.

    Attributes:
        batch_size: Windows in a batch.
        num_frames: Of a window; shorter clips are padded with silence.
        size: Width and height in pixels.
        reference_size: Of the reference picture.
        identities: First character and the one after the last.
        style: One of ``styles.STYLES``.
        fps: Frames per second.
        seed: Of all sampling.
    """

    batch_size: int
    num_frames: int
    size: int
    reference_size: int = 96
    identities: tuple[int, int] = (0, 1_000_000)
    style: str = "painted"
    fps: int = 25
    seed: int = 0

    @property
    def num_samples(self) -> int:
        """Samples of a window, rounded down."""
        return self.num_frames * SAMPLE_RATE // self.fps


@dataclass(frozen=True, kw_only=True)
class WindowBatch:
    """Windows with their ground truth.

    Attributes:
        index: Of the batch.
        frames: RGB.
        samples: At 16 kHz; a window's first sample is that of its first frame.
        phonemes_spoken: Since the start of the clip, by the end of each frame.
        words_spoken: Likewise.
        characters_spoken: Likewise.
        visemes: In the middle of each frame.
        first_frame: Start of the window in the clip.
        identity: Seeds of the characters.
        references: Their reference pictures.
        captions: Their descriptions.
        transcripts: Of the complete clips.
        voices: Names of the voices.
    """

    index: int
    frames: UInt8[np.ndarray, "B T H W 3"]
    samples: Float32[np.ndarray, "B S"]
    phonemes_spoken: Int64[np.ndarray, "B T"]
    words_spoken: Int64[np.ndarray, "B T"]
    characters_spoken: Int64[np.ndarray, "B T"]
    visemes: Int64[np.ndarray, "B T"]
    first_frame: Int64[np.ndarray, " B"]
    identity: Int64[np.ndarray, " B"]
    references: UInt8[np.ndarray, "B R R 3"]
    captions: tuple[str, ...]
    transcripts: tuple[str, ...]
    voices: tuple[str, ...]


def window_batches(
    source: Corpus | Sequence[str],
    plan: WindowPlan,
    *,
    start: int = 0,
    device: str | torch.device = "cpu",
) -> Iterator[WindowBatch]:
    """Generates an endless stream of batches.

    Args:
        source: A corpus of speech, or transcripts to synthesise.
        plan: Settings.
        start: Index of the first batch, to resume a stream.
        device: To render on.

    Yields:
        Batches, each with its index.
    """
    for index in count(start):
        yield draw_batch(source, plan, index=index, device=device)


def draw_batch(
    source: Corpus | Sequence[str],
    plan: WindowPlan,
    *,
    index: int,
    device: str | torch.device = "cpu",
) -> WindowBatch:
    """Generates one batch, deterministic in the arguments.

    Args:
        source: A corpus of speech, or transcripts to synthesise.
        plan: Settings.
        index: Of the batch.
        device: To render on.

    Returns:
        The batch.

    Raises:
        ValueError: If the source is empty.
    """
    if not len(source):
        raise ValueError("there is nothing to say: the source is empty")
    rows = [
        _draw_window(source, plan, np.random.default_rng([plan.seed, index, row, 0x73]))
        for row in range(plan.batch_size)
    ]
    clips = [clip for clip, _, _ in rows]
    starts = [first for _, first, _ in rows]
    return WindowBatch(
        index=index,
        frames=np.stack(
            [
                clip.window(first, plan.num_frames, size=plan.size, device=device)
                for clip, first, _ in rows
            ]
        ),
        samples=np.stack([_sound(clip, first, plan) for clip, first, _ in rows]),
        phonemes_spoken=_cut([clip.phonemes_spoken for clip in clips], starts, plan),
        words_spoken=_cut([clip.words_spoken for clip in clips], starts, plan),
        characters_spoken=_cut([clip.characters_spoken for clip in clips], starts, plan),
        visemes=_cut([clip.visemes for clip in clips], starts, plan),
        first_frame=np.array(starts, np.int64),
        identity=np.array([identity for _, _, identity in rows], np.int64),
        references=np.stack([clip.reference(size=plan.reference_size) for clip in clips]),
        captions=tuple(clip.caption for clip in clips),
        transcripts=tuple(clip.transcript for clip in clips),
        voices=tuple(clip.voice for clip in clips),
    )


def _draw_window(
    source: Corpus | Sequence[str], plan: WindowPlan, rng: np.random.Generator
) -> tuple[Clip, int, int]:
    """Returns a clip, the first frame of the window, and the identity."""
    identity = int(rng.integers(*plan.identities))
    seed = int(rng.integers(_MAX_SEED))
    item = source[int(rng.integers(len(source)))]
    if isinstance(item, str):
        voice = own_voice(identity, plan.style)
        transcript, speech = item, speak(item, voice=voice, seed=seed)
    else:
        transcript, voice = item.transcript, item.voice
        speech = Speech(samples=item.samples, phonemes=item.phonemes, words=item.words)
    own_frames = -(-len(speech.samples) * plan.fps // SAMPLE_RATE)
    clip = clip_of(
        speech,
        transcript=transcript,
        identity=identity,
        voice=voice,
        seed=seed,
        fps=plan.fps,
        tail_frames=max(0, plan.num_frames - own_frames),
        style=plan.style,
        scene=own_scene(identity, seed),
    )
    return clip, int(rng.integers(clip.num_frames - plan.num_frames + 1)), identity


def _sound(clip: Clip, first: int, plan: WindowPlan) -> Float32[np.ndarray, " S"]:
    edge = int(clip.frame_edges[first])
    samples = clip.samples[edge : edge + plan.num_samples]
    return np.pad(samples, (0, plan.num_samples - len(samples)))


def _cut(tracks: list[np.ndarray], starts: list[int], plan: WindowPlan) -> Int64[np.ndarray, "B T"]:
    return np.stack(
        [track[at : at + plan.num_frames] for track, at in zip(tracks, starts, strict=True)]
    )
