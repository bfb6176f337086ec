"""A sample as the scorers see it: where its files are and what was asked, nothing decoded."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from evals.recording.role import Role

# What is never closed is matched once, to the end, and kept: time in proportion to the length.
_TAGS = (re.compile(r"(\[[^\]]*\])|\[[^\]]*\Z"), re.compile(r"(<[^>]*>)|<[^>]*\Z"))


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """When one chunk could first be played.

    Attributes:
        t_s: Seconds from the request, on the harness's monotonic clock.
        num_frames: Video frames in the chunk.
        num_samples: Audio samples in the chunk.
        spoken: Phonemes of the transcript begun by the end of the chunk, by the system's own
            account; see `streamchar_ref.media.AVChunk`.
    """

    t_s: float
    num_frames: int
    num_samples: int
    spoken: float | None = None


@dataclass(frozen=True, kw_only=True)
class Trace:
    """How a stream arrived.

    Attributes:
        arrivals: One a chunk, in playing order.
        fps: Video frames per second.
        sample_rate: Audio samples per second.
        is_warm: Whether a warm-up request went before; cold runs have no speed scores.
        device: What it ran on.
    """

    arrivals: tuple[Arrival, ...]
    fps: float
    sample_rate: int
    is_warm: bool = True
    device: str = ""

    @property
    def t_arrival_s(self) -> np.ndarray:
        """Arrival of each chunk in seconds from the request, shape [K]."""
        return np.array([arrival.t_s for arrival in self.arrivals])

    @property
    def t_playable_s(self) -> np.ndarray:
        """Arrival of each chunk with which playing can go on, in seconds, shape [P]."""
        return self.t_arrival_s[self._gains > 0]

    @property
    def media_s(self) -> np.ndarray:
        """How much longer each of the same chunks lets the stream play, in seconds, shape [P].

        A frame can play once it is there and so is its sound, to within a frame; a stream without
        frames is counted in samples. Chunks with nothing in them, or with one track ahead of the
        other, are no chunks to a player.
        """
        gains = self._gains[self._gains > 0]
        return gains / (self.fps if self._has_frames else self.sample_rate)

    @property
    def _has_frames(self) -> bool:
        return any(arrival.num_frames for arrival in self.arrivals)

    @property
    def _gains(self) -> np.ndarray:
        """Frames, or samples if there are no frames, that each chunk makes playable, shape [K]."""
        frames = np.cumsum([arrival.num_frames for arrival in self.arrivals], dtype=int)
        samples = np.cumsum([arrival.num_samples for arrival in self.arrivals], dtype=int)
        if not self._has_frames:
            return np.diff(samples, prepend=0)
        heard = np.floor(samples / self.sample_rate * self.fps + 1 + 1e-6).astype(int)
        heard[samples == samples[-1]] = frames[-1]  # no more sound will come
        return np.diff(np.minimum(frames, heard), prepend=0)

    @property
    def sound_ends_s(self) -> np.ndarray:
        """Where each chunk's sound ends in playing time, in seconds, shape [K]."""
        return np.cumsum([arrival.num_samples for arrival in self.arrivals]) / self.sample_rate


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One finished stream, or one video of a manifest.

    Attributes:
        sample_id: Unique for a system, suite and seed.
        system: What made it.
        suite: Which prompts it answers.
        seed: Of the generation.
        transcript: What should be said; empty where that is not known.
        video_path: Picture, and the sound too unless ``audio_path`` is given.
        audio_path: Sound in a file of its own.
        reference_path: Picture of the character.
        language: Of the transcript, see `evals.text.language.language_code`; empty if not said.
        checkpoint: Of the system, if it says.
        chunk_frames: Video frames in a chunk, if known.
        trace: Arrival times, if they were recorded.
        trace_error: Why there is no trace although one was named.
        trace_status: Of the rows that need a trace where there is none.
        groups: What to average over: identity, voice, domain (``real`` or ``world``) and so on.
        role: Of the system; ``None`` if the recording does not say.
        is_silent: Whether the system says of itself that it makes no sound, as a still does.
        is_still: Whether it says of itself that its mouth does not move.
        error: Why there is nothing to score; empty if there is.
        error_status: Whose failure ``error`` is: the system's, or ours if a file is gone or cannot
            be read.
    """

    sample_id: str
    system: str
    suite: str
    transcript: str
    video_path: Path
    seed: int = 0
    audio_path: Path | None = None
    reference_path: Path | None = None
    language: str = ""
    checkpoint: str = ""
    chunk_frames: int | None = None
    trace: Trace | None = None
    trace_error: str = ""
    trace_status: Literal["not_applicable", "generation_failure", "evaluator_failure"] = (
        "not_applicable"
    )
    groups: dict[str, str] = field(default_factory=dict)
    role: Role | None = None
    is_silent: bool = False
    is_still: bool = False
    error: str = ""
    error_status: Literal["generation_failure", "evaluator_failure"] = "generation_failure"

    @property
    def words_asked(self) -> int:
        """How many words were to be said, cut at blanks; tags such as ``[laughs]`` are none."""
        text = self.transcript or ""
        for tag in _TAGS:
            text = tag.sub(lambda match: " " if match[1] else match[0], text)
        words = text.split()
        return sum(any(sign.isalnum() for sign in word) for word in words)

    @property
    def recording_id(self) -> str:
        """``system/suite/sample_id/seed``."""
        return f"{self.system}/{self.suite}/{self.sample_id}/{self.seed}"

    @property
    def domain(self) -> str:
        """``real`` unless the groups say ``world``."""
        return self.groups.get("domain", "real")

    @property
    def identity(self) -> str:
        """Who is shown; samples without one are their own identity."""
        return self.groups.get("identity", self.sample_id)
