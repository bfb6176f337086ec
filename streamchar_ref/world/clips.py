"""The pieces of the world joined: a character says a transcript, and everything is known."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8

from streamchar_ref.world.character import Character, draw_character
from streamchar_ref.world.motion import Motion, move
from streamchar_ref.world.render import render
from streamchar_ref.world.speech import (
    SAMPLE_RATE,
    SILENCE,
    Speech,
    TimedPhoneme,
    TimedWord,
    speak,
)


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A character that speaks; its frames are drawn when asked for.

    Attributes:
        character: Who.
        transcript: What is said.
        voice: Name of the voice.
        seed: Of the take.
        fps: Frames per second.
        samples: Mono at 16 kHz, a whole number of frames long.
        phonemes: They tile the sound from 0 to its end.
        words: With times.
        motion: A value for every frame; ``motion.gap`` is the true lip gap.
    """

    character: Character
    transcript: str
    voice: str
    seed: int
    fps: int
    samples: Float32[np.ndarray, " S"]
    phonemes: tuple[TimedPhoneme, ...]
    words: tuple[TimedWord, ...]
    motion: Motion

    @property
    def num_frames(self) -> int:
        """Length of the picture."""
        return len(self.motion)

    @property
    def frame_samples(self) -> int:
        """Audio samples that belong to a frame."""
        return SAMPLE_RATE // self.fps

    @property
    def caption(self) -> str:
        """What the character looks like, in words."""
        return self.character.caption

    @property
    def phonemes_spoken(self) -> Int64[np.ndarray, " T"]:
        """For each frame, how many speech sounds have begun by the end of it."""
        starts = [p.t0_s for p in self.phonemes if p.phone != SILENCE]
        ends = (np.arange(self.num_frames) + 1) / self.fps
        return np.searchsorted(np.array(starts), ends).astype(np.int64)

    def frames(
        self, *, size: int, chunk_frames: int = 32, device: str | torch.device = "cpu"
    ) -> Iterator[UInt8[np.ndarray, "T H W 3"]]:
        """Draws the clip piece by piece.

        Args:
            size: Width and height in pixels.
            chunk_frames: Frames in a piece; the last one may be shorter.
            device: Where to draw.

        Yields:
            RGB frames.
        """
        for start in range(0, self.num_frames, chunk_frames):
            part = self.motion[start : start + chunk_frames]
            yield render(self.character, part, size=size, device=device)


def make_clip(
    transcript: str,
    *,
    identity: int,
    voice: str = "joe",
    seed: int = 0,
    fps: int = 25,
    tail_frames: int = 0,
) -> Clip:
    """Lets a character say a transcript; the same arguments give the same clip.

    Args:
        transcript: English text.
        identity: Seed of the character.
        voice: One of ``speech.VOICES``.
        seed: Of the take: small variations of the voice, blinks, head movement.
        fps: Frames per second; it must divide 16000.
        tail_frames: Frames of silence to add at the end.

    Returns:
        The clip.

    Raises:
        ValueError: If a frame would not be a whole number of samples.
    """
    if SAMPLE_RATE % fps:
        raise ValueError(f"{SAMPLE_RATE} samples a second are not whole frames at {fps} fps")
    speech = speak(transcript, voice=voice, seed=seed)
    frame_samples = SAMPLE_RATE // fps
    num_frames = -(-len(speech.samples) // frame_samples) + tail_frames
    samples = np.pad(speech.samples, (0, num_frames * frame_samples - len(speech.samples)))
    return Clip(
        character=draw_character(identity),
        transcript=transcript,
        voice=voice,
        seed=seed,
        fps=fps,
        samples=samples,
        phonemes=_stretched(speech, num_frames / fps),
        words=speech.words,
        motion=move(speech.phonemes, num_frames=num_frames, fps=fps, seed=seed),
    )


def _stretched(speech: Speech, length_s: float) -> tuple[TimedPhoneme, ...]:
    """Lets the last silence last to the end of the last frame."""
    return (*speech.phonemes[:-1], replace(speech.phonemes[-1], t1_s=length_s))
