"""Two negative controls: one track is the ground truth, the other belongs to other words.

`CascadeOracle` is what a cascade would be whose voice is perfect and whose face does not listen;
`ShuffledAudio` has the right face and says the right words in the wrong order. Both move and
speak as the truth does, so only lip-sync, and for the second one the words, may tell them from it.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from baselines.ground_truth import chunks_of, world_clip
from evals.recording.role import Role
from evals.recording.system import Prompt
from streamchar_ref.media import AVChunk
from streamchar_ref.world.clips import Clip


class CascadeOracle:
    """The true speech with the lips of another sentence: the same words in another order.

    Args:
        size: Width and height of the picture.
    """

    name = "cascade_oracle"
    role = Role.NEGATIVE_CONTROL
    fps = 25
    sample_rate = 16_000

    def __init__(self, *, size: int = 256) -> None:
        self.size = size

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        """Yields the true sound and the picture of a shuffled transcript."""
        truth = world_clip(prompt, seed=seed)
        other = _shuffled(prompt, seed=seed, num_frames=truth.num_frames)
        motion = other.motion[: truth.num_frames]
        yield from chunks_of(replace(truth, motion=motion), self.size)


class ShuffledAudio:
    """The true picture with its words spoken in another order: the floor of lip-sync scores.

    Args:
        size: Width and height of the picture.
    """

    name = "shuffled_audio"
    role = Role.NEGATIVE_CONTROL
    fps = 25
    sample_rate = 16_000

    def __init__(self, *, size: int = 256) -> None:
        self.size = size

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        """Yields the true picture and the sound of a shuffled transcript."""
        truth = world_clip(prompt, seed=seed)
        other = _shuffled(prompt, seed=seed, num_frames=truth.num_frames)
        samples = other.samples[: len(truth.samples)]
        yield from chunks_of(replace(truth, samples=samples), self.size)


def _shuffled(prompt: Prompt, *, seed: int, num_frames: int) -> Clip:
    """Says the words in another order, for at least as long."""
    transcript = shuffled_words(prompt.transcript, seed=prompt.seed + seed)
    other = replace(prompt, transcript=transcript)
    clip = world_clip(other, seed=seed)
    missing = num_frames - clip.num_frames
    return clip if missing <= 0 else world_clip(other, seed=seed, tail_frames=missing)


def shuffled_words(transcript: str, *, seed: int) -> str:
    """Puts words in a random order in which no word stays where it was, if there are two.

    Args:
        transcript: English text; marks stay with their words.
        seed: Of the order.

    Returns:
        The same words, joined by spaces.
    """
    words = np.array(transcript.split())
    order = np.random.default_rng([seed, 0x5F]).permutation(len(words))
    places = np.empty_like(order)
    places[order] = np.roll(order, 1)  # one cycle through all places moves every word
    return " ".join(words[places].tolist())
