"""The drawn world's own rendering of a prompt, and two negative controls made from it.

`GroundTruth` is the ceiling on the world. `ShiftedSound` must lose on lip-sync alone, and
`FrozenPicture` on everything that moves, or a metric is broken.
"""

import re
from collections.abc import Iterator

import numpy as np

from evals.recording.role import Role
from evals.recording.system import Prompt
from streamchar_ref.media import AVChunk
from streamchar_ref.world.clips import Clip, make_clip

CHUNK_FRAMES = 32


class GroundTruth:
    """The prompt's character of the world says the prompt's transcript.

    Args:
        size: Width and height of the picture.
    """

    name = "ground_truth"
    role = Role.CEILING
    fps = 25
    sample_rate = 16_000

    def __init__(self, *, size: int = 256) -> None:
        if size < 16:
            raise ValueError(f"size must be at least 16, not {size}")
        self.size = size

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        """Yields chunks of 1.28 s; another ``seed`` is another take of the same words."""
        yield from chunks_of(world_clip(prompt, seed=seed), self.size)


class ShiftedSound:
    """The true clip with its sound late.

    Args:
        size: Width and height of the picture.
        shift_frames: How late; the character stays idle as long at the end.
    """

    name = "shifted_sound"
    role = Role.NEGATIVE_CONTROL
    fps = 25
    sample_rate = 16_000

    def __init__(self, *, size: int = 256, shift_frames: int = 8) -> None:
        if shift_frames < 0:
            raise ValueError(f"shift_frames must not be negative, it is {shift_frames}")
        self.truth = GroundTruth(size=size)
        self.shift_frames = shift_frames

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        """Yields what `GroundTruth` does, with silence before the sound."""
        clip = world_clip(prompt, seed=seed, tail_frames=self.shift_frames)
        late = self.shift_frames * clip.frame_samples
        samples = np.pad(clip.samples, (late, 0))[: len(clip.samples)]
        for chunk in chunks_of(clip, self.truth.size):
            start = chunk.index * CHUNK_FRAMES * clip.frame_samples
            own = samples[start : start + len(chunk.samples)]
            end = chunk.index * CHUNK_FRAMES + len(chunk.frames) - self.shift_frames
            spoken = spoken_by(clip, end)
            yield AVChunk(index=chunk.index, frames=chunk.frames, samples=own, spoken=spoken)


class FrozenPicture:
    """The true sound with the first frame held.

    Args:
        size: Width and height of the picture.
    """

    name = "frozen_picture"
    role = Role.NEGATIVE_CONTROL
    is_still = True
    fps = 25
    sample_rate = 16_000

    def __init__(self, *, size: int = 256) -> None:
        self.truth = GroundTruth(size=size)

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        """Yields what `GroundTruth` does, without movement."""
        clip = world_clip(prompt, seed=seed)
        first = next(clip.frames(size=self.truth.size, chunk_frames=1))
        chunk_samples = CHUNK_FRAMES * clip.frame_samples
        for index, start in enumerate(range(0, len(clip.samples), chunk_samples)):
            samples = clip.samples[start : start + chunk_samples]
            frames = np.repeat(first, len(samples) // clip.frame_samples, axis=0)
            spoken = spoken_by(clip, index * CHUNK_FRAMES + len(frames))
            yield AVChunk(index=index, frames=frames, samples=samples, spoken=spoken)


def world_clip(prompt: Prompt, *, seed: int, tail_frames: int = 0) -> Clip:
    """Finds the clip behind a prompt of the world.

    Args:
        prompt: With the group ``identity`` set to ``character-<seed>``.
        seed: 0 for the prompt's own take, another number for another one.
        tail_frames: Idle frames to add at the end.

    Returns:
        The clip; its frames are drawn when asked for.

    Raises:
        ValueError: If the prompt has no character of the world.
    """
    identity = re.fullmatch(r"character-(\d+)", prompt.groups.get("identity", ""))
    if identity is None or prompt.groups.get("domain") != "world":
        raise ValueError(
            f"prompt {prompt.prompt_id!r} shows nobody of the synthetic world, so there is no "
            "ground truth for it; use a suite whose prompts have a 'character', such as smoke"
        )
    return make_clip(
        prompt.transcript,
        identity=int(identity[1]),
        voice=prompt.voice,
        seed=prompt.seed + seed,
        tail_frames=tail_frames,
    )


def chunks_of(clip: Clip, size: int) -> Iterator[AVChunk]:
    """Draws a clip of the world in chunks of 1.28 s.

    Args:
        clip: What to stream.
        size: Width and height of the picture.

    Yields:
        Frames with their sound, and what the clip's labels say has been spoken by their end.
    """
    chunk_samples = CHUNK_FRAMES * clip.frame_samples
    for index, frames in enumerate(clip.frames(size=size, chunk_frames=CHUNK_FRAMES)):
        start = index * chunk_samples
        samples = clip.samples[start : start + chunk_samples]
        spoken = spoken_by(clip, index * CHUNK_FRAMES + len(frames))
        yield AVChunk(index=index, frames=frames, samples=samples, spoken=spoken)


def spoken_by(clip: Clip, num_frames: int) -> float:
    """Returns the phonemes begun in the first frames of a clip; none before it starts."""
    return float(clip.phonemes_spoken[num_frames - 1]) if num_frames > 0 else 0.0
