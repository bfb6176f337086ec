"""Clips: a character speaks a transcript, with complete ground truth."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8

from streamchar_ref.world.checks import check_integers
from streamchar_ref.world.motion import Motion
from streamchar_ref.world.scene import Scene, draw_scene, resting
from streamchar_ref.world.speech import (
    SAMPLE_RATE,
    SILENCE,
    Speech,
    TimedPhoneme,
    TimedWord,
    speak,
)
from streamchar_ref.world.styles import STYLES
from streamchar_ref.world.visemes import viseme_track
from streamchar_ref.world.voices import VOICES

HIGH_VOICE = 1.25
"""Smallest product of the pitch and formant factors of a female-sounding voice."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A speaking character; frames are rendered on demand.

    Attributes:
        character: Of the type of its style.
        transcript: Spoken text.
        voice: Name of the voice.
        seed: Of the take.
        fps: Frames per second.
        style: Name of the drawing style, one of ``styles.STYLES``.
        scene: Light, framing and resting pose.
        samples: Mono at 16 kHz, from 0 to ``frame_edges[-1]``.
        phonemes: They tile the sound from 0 to its end.
        words: With times.
        motion: One value per frame; ``motion.gap`` is the exact lip gap.
    """

    character: Any
    transcript: str
    voice: str
    seed: int
    fps: int
    style: str
    scene: Scene
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
        """Audio samples that belong to a frame.

        Raises:
            ValueError: If they are not a whole number, as at 24 fps; then use `frame_edges`.
        """
        if SAMPLE_RATE % self.fps:
            raise ValueError(
                f"{SAMPLE_RATE} samples a second are not whole frames at {self.fps} fps; "
                "use frame_edges"
            )
        return SAMPLE_RATE // self.fps

    @property
    def frame_edges(self) -> Int64[np.ndarray, " T_plus_1"]:
        """First sample of each frame, and the end: ``t * 16000 / fps``, rounded down."""
        return np.arange(self.num_frames + 1) * SAMPLE_RATE // self.fps

    @property
    def caption(self) -> str:
        """Description of the character."""
        return str(self.character.caption)

    @property
    def spoken_text(self) -> str:
        """The spoken words, joined by spaces."""
        return " ".join(word.text for word in self.words)

    @property
    def phonemes_spoken(self) -> Int64[np.ndarray, " T"]:
        """Number of phonemes begun by the end of each frame."""
        return self._begun([p.t0_s for p in self.phonemes if p.phone != SILENCE])

    @property
    def words_spoken(self) -> Int64[np.ndarray, " T"]:
        """Number of words begun by the end of each frame."""
        return self._begun([word.t0_s for word in self.words])

    @property
    def characters_spoken(self) -> Int64[np.ndarray, " T"]:
        """Number of characters of `spoken_text` spoken by the end of each frame.

        Characters are spread evenly over a word; a space counts once the next word begins.
        """
        times, counts, end = [0.0], [0], -1
        for word in self.words:
            times += [word.t0_s, word.t1_s]
            counts += [end + 1, end + 1 + len(word.text)]
            end = counts[-1]
        return np.floor(np.interp(self._frame_ends, times, counts) + 1e-9).astype(np.int64)

    @property
    def visemes(self) -> Int64[np.ndarray, " T"]:
        """Viseme of each frame, an index into ``visemes.VISEMES``."""
        return viseme_track(self.phonemes, num_frames=self.num_frames, fps=self.fps)

    @property
    def _frame_ends(self) -> np.ndarray:
        return (np.arange(self.num_frames) + 1) / self.fps

    def _begun(self, starts: list[float]) -> Int64[np.ndarray, " T"]:
        return np.searchsorted(np.array(starts), self._frame_ends).astype(np.int64)

    def frames(
        self, *, size: int, chunk_frames: int = 32, device: str | torch.device = "cpu"
    ) -> Iterator[UInt8[np.ndarray, "T H W 3"]]:
        """Renders the clip in pieces.

        Args:
            size: Width and height in pixels.
            chunk_frames: Frames in a piece; the last one may be shorter.
            device: To render on.

        Yields:
            RGB frames.
        """
        for start in range(0, self.num_frames, chunk_frames):
            part = self.motion[start : start + chunk_frames]
            yield self._drawn(part, size, device)

    def window(
        self, start: int, num_frames: int, *, size: int, device: str | torch.device = "cpu"
    ) -> UInt8[np.ndarray, "T H W 3"]:
        """Renders a range of frames."""
        return self._drawn(self.motion[start : start + num_frames], size, device)

    def reference(self, *, size: int = 256, seed: int = 0) -> UInt8[np.ndarray, "H W 3"]:
        """Renders the character's reference picture."""
        return STYLES[self.style].portrait(self.character, size=size, seed=seed)

    def _drawn(
        self, motion: Motion, size: int, device: str | torch.device
    ) -> UInt8[np.ndarray, "T H W 3"]:
        batches = STYLES[self.style].render_batches(
            self.character, motion, size=size, scene=self.scene, device=device
        )
        return np.concatenate([np.zeros((0, size, size, 3), np.uint8), *batches])


def own_voice(identity: int, style: str = "painted") -> str:
    """Returns the fixed voice of an identity.

    A character captioned as a woman gets a high voice, a man a low one, others any.
    """
    voices = STYLES[style].voices
    caption_words = set(str(STYLES[style].draw_character(identity).caption).split())
    if caption_words & {"woman", "man"}:
        is_high = "woman" in caption_words
        voices = tuple(v for v in voices if _is_high(v) == is_high)
    rng = np.random.default_rng([identity, 0x70])
    return str(voices[int(rng.integers(len(voices)))])


def _is_high(voice: str) -> bool:
    return VOICES[voice].pitch * VOICES[voice].formant >= HIGH_VOICE


def own_scene(identity: int, seed: int) -> Scene:
    """Returns the default scene of an identity and a seed."""
    return draw_scene(int(np.random.default_rng([identity, seed, 0x71]).integers(2**31)))


def make_clip(
    transcript: str,
    *,
    identity: int,
    voice: str = "",
    seed: int = 0,
    fps: int = 25,
    tail_frames: int = 0,
    style: str = "painted",
    scene: Scene | None = None,
    rate_wpm: float | None = None,
    room: Any = None,
) -> Clip:
    """Generates a clip of a character that speaks a transcript, deterministic in the arguments.

    Args:
        transcript: English text.
        identity: Seed of the character.
        voice: A voice of any style; empty for the character's default.
        seed: Of the take: small variations of the voice, scene, blinks, head motion.
        fps: Frames per second. If a frame is not a whole number of samples (24 fps), the sound
            is cut at `Clip.frame_edges`, which are rounded down.
        tail_frames: Frames of silence to add at the end.
        style: One of ``styles.STYLES``.
        scene: Light, framing, resting pose; by default sampled from identity and seed.
        rate_wpm: Words per minute, see ``speech.speak``.
        room: Echo and noise, see ``speech.speak``.

    Returns:
        The clip.

    Raises:
        ValueError: If there is no such style or voice, or a number is negative or not whole.
    """
    if style not in STYLES:
        raise ValueError(f"unknown style {style!r}; known: {', '.join(STYLES)}")
    check_integers(0, identity=identity, seed=seed, tail_frames=tail_frames)
    check_integers(1, fps=fps)
    voice = voice or own_voice(identity, style)
    scene = own_scene(identity, seed) if scene is None else scene
    given = {"rate_wpm": rate_wpm, "room": room}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    speech = speak(transcript, voice=voice, seed=seed, **options)
    return clip_of(
        speech,
        transcript=transcript,
        identity=identity,
        voice=voice,
        seed=seed,
        fps=fps,
        tail_frames=tail_frames,
        style=style,
        scene=scene,
    )


def clip_of(
    speech: Speech,
    *,
    transcript: str,
    identity: int,
    voice: str,
    seed: int,
    fps: int,
    tail_frames: int,
    style: str,
    scene: Scene,
) -> Clip:
    """Makes a clip from existing speech, see `make_clip`."""
    num_frames = -(-len(speech.samples) * fps // SAMPLE_RATE) + tail_frames
    num_samples = num_frames * SAMPLE_RATE // fps
    samples = np.pad(speech.samples, (0, num_samples - len(speech.samples)))
    motion = STYLES[style].move(speech.phonemes, num_frames=num_frames, fps=fps, seed=seed)
    return Clip(
        character=STYLES[style].draw_character(identity),
        transcript=transcript,
        voice=voice,
        seed=seed,
        fps=fps,
        style=style,
        scene=scene,
        samples=samples,
        phonemes=_stretched(speech, num_frames / fps),
        words=speech.words,
        motion=resting(motion, scene),
    )


def _stretched(speech: Speech, length_s: float) -> tuple[TimedPhoneme, ...]:
    """Extends the last silence to the end of the last frame."""
    return (*speech.phonemes[:-1], replace(speech.phonemes[-1], t1_s=length_s))
