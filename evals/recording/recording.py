"""A sample to be scored: paths, prompt and arrival trace, without decoded media."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from evals.recording.role import Role
from evals.text.spoken_language import spoken_language
from streamchar_ref.media.limits import MAX_LETTERS, excess

# An unclosed tag is matched once, to the end, and kept: time grows linearly with the length.
_TAGS = (re.compile(r"(\[[^\]]*\])|\[[^\]]*\Z"), re.compile(r"(<[^>]*>)|<[^>]*\Z"))


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """Arrival of one chunk.

    Attributes:
        t_s: Seconds from the request, on the harness's monotonic clock.
        num_frames: Video frames in the chunk.
        num_samples: Audio samples in the chunk.
        spoken: Phonemes of the transcript begun by the end of the chunk, as reported by the
            system; see `streamchar_ref.media.AVChunk`.
    """

    t_s: float
    num_frames: int
    num_samples: int
    spoken: float | None = None


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Arrival times of a stream's chunks.

    Attributes:
        arrivals: One per chunk, in playing order.
        fps: Video frames per second.
        sample_rate: Audio samples per second.
        is_warm: Whether a warm-up request preceded; cold runs have no speed scores.
        device: That the system ran on.
        timing_note: What the system says about its own times, e.g. that they include its start.
    """

    arrivals: tuple[Arrival, ...]
    fps: float
    sample_rate: int
    is_warm: bool = True
    device: str = ""
    timing_note: str = ""

    @property
    def t_arrival_s(self) -> np.ndarray:
        """Arrival of each chunk in seconds from the request, shape [K]."""
        return np.array([arrival.t_s for arrival in self.arrivals])

    @property
    def t_playable_s(self) -> np.ndarray:
        """Arrival of each chunk that makes more media playable, in seconds, shape [P]."""
        return self.t_arrival_s[self._gains > 0]

    @property
    def media_s(self) -> np.ndarray:
        """Media that each of these chunks makes playable, in seconds, shape [P].

        A frame is playable once it and its sound have arrived, to within a frame; a stream without
        frames is counted in samples. Empty chunks, and chunks that only advance one track, make
        nothing playable.
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
        with_sound = np.floor(samples / self.sample_rate * self.fps + 1 + 1e-6).astype(int)
        with_sound[samples == samples[-1]] = frames[-1]  # no more sound will come
        return np.diff(np.minimum(frames, with_sound), prepend=0)

    @property
    def sound_ends_s(self) -> np.ndarray:
        """End of each chunk's sound in playing time, in seconds, shape [K]."""
        return np.cumsum([arrival.num_samples for arrival in self.arrivals]) / self.sample_rate


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One finished stream, or one video of a manifest.

    Attributes:
        sample_id: Unique for a system, suite and seed.
        system: Name of the system that made it.
        suite: Suite of its prompt.
        seed: Of the generation.
        transcript: Text that should be said; empty if unknown.
        video_path: Video, with the sound unless ``audio_path`` is given.
        audio_path: Separate sound file.
        reference_path: Picture of the character.
        ground_truth_path: Video of the same performance that the system was to make.
        voice_reference_path: Sound, or video, of the voice that it was to speak with.
        language: Of the transcript, see `evals.text.language.language_code`; empty if unspecified.
        checkpoint: Of the system, if reported.
        chunk_frames: Video frames in a chunk, if known.
        trace: Arrival times, if they were recorded.
        trace_error: Why a named trace cannot be used.
        trace_status: Status of rows that need a missing trace.
        holds: Pauses that are put in before scoring, as a viewer had them: after which frame of
            the canonical encode, and how many frames long; see `evals.recording.played`.
        groups: Grouping keys: identity, voice, domain (``real`` or ``world``) and so on.
        role: Of the system; ``None`` if the recording does not say.
        is_silent: Whether the system declares that it makes no sound.
        is_still: Whether the system declares that its mouth does not move.
        error: Why there is nothing to score; empty otherwise.
        error_status: Whether ``error`` is the system's failure, the evaluator's (a missing or
            unreadable file), or nobody's (a stream as played whose arrival is not known, or that
            stalled beyond a limit).
    """

    sample_id: str
    system: str
    suite: str
    transcript: str
    video_path: Path
    seed: int = 0
    audio_path: Path | None = None
    reference_path: Path | None = None
    ground_truth_path: Path | None = None
    voice_reference_path: Path | None = None
    language: str = ""
    checkpoint: str = ""
    chunk_frames: int | None = None
    trace: Trace | None = None
    trace_error: str = ""
    trace_status: Literal["not_applicable", "generation_failure", "evaluator_failure"] = (
        "not_applicable"
    )
    holds: tuple[tuple[int, int], ...] = ()
    groups: dict[str, str] = field(default_factory=dict)
    role: Role | None = None
    is_silent: bool = False
    is_still: bool = False
    error: str = ""
    error_status: Literal[
        "not_applicable", "generation_failure", "evaluator_failure", "unavailable"
    ] = "generation_failure"

    @property
    def words_asked(self) -> int:
        """Number of words in the transcript, without tags such as ``[laughs]``."""
        text = self.transcript or ""
        for tag in _TAGS:
            text = tag.sub(lambda match: " " if match[1] else match[0], text)
        words = text.split()
        return sum(any(char.isalnum() for char in word) for word in words)

    @property
    def spoken_key(self) -> str:
        """Stands for the language to be spoken, see `SpokenLanguage.key`; empty if it is open."""
        if excess("", len(self.transcript), MAX_LETTERS, ""):
            return ""
        try:
            return spoken_language(self.language, self.transcript).key
        except ValueError:
            return ""

    @property
    def recording_id(self) -> str:
        """``system/suite/sample_id/seed``."""
        return f"{self.system}/{self.suite}/{self.sample_id}/{self.seed}"

    @property
    def system_failed(self) -> bool:
        """Whether a set goes without it; one that we could not read is missing from its set."""
        return bool(self.error) and self.error_status == "generation_failure"

    @property
    def domain(self) -> str:
        """``real`` unless the groups say ``world``."""
        return self.groups.get("domain", "real")

    @property
    def identity(self) -> str:
        """Identity group; a sample without one is its own identity, in its suite."""
        return self.groups.get("identity", f"{self.suite}/{self.sample_id}")
