"""What the harness asks of a system under test, and how it finds one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from streamchar_ref.media import AVChunk


@dataclass(frozen=True, kw_only=True)
class TextPiece:
    """Part of a transcript, and when it becomes known.

    Attributes:
        t_s: Seconds after the request; 0 for text that is there from the start.
        text: Words, to be joined to the earlier pieces with a space.
    """

    t_s: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One line of a suite.

    Attributes:
        prompt_id: Unique in the suite.
        transcript: All that the character should say.
        reference: Picture of the character.
        pieces: The transcript as it arrives; one piece at 0 s unless the suite says otherwise.
        voice: Name of the voice; empty if the suite leaves it open.
        caption: What the character looks like, in words.
        seed: Of the prompt itself, e.g. for drawing the character in the world.
        groups: What to average over, e.g. ``{"identity": "a", "domain": "world"}``.
    """

    prompt_id: str
    transcript: str
    reference: UInt8[np.ndarray, "H W 3"]
    pieces: tuple[TextPiece, ...] = ()
    voice: str = ""
    caption: str = ""
    seed: int = 0
    groups: dict[str, str] = field(default_factory=dict)


@runtime_checkable
class System(Protocol):
    """A streaming generator, ours or a baseline.

    A system may also have ``checkpoint``, a text that names its weights in the recording, and
    ``is_silent``, true if it never makes a sound: then what needs speech does not apply to it.

    Attributes:
        name: Row label in tables; lower case with underscores.
        fps: Frames per second of its video, known at the latest when a stream has ended.
        sample_rate: Samples per second of its audio.
    """

    name: str
    fps: int
    sample_rate: int

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        """Yields chunks as they become playable; the same seed gives the same chunks."""
        ...


def installed_systems() -> dict[str, EntryPoint]:
    """Returns the entry points of the group ``evals.systems``; ``load()`` gives what makes one."""
    return {entry.name: entry for entry in entry_points(group="evals.systems")}


def problems_with(system: System, prompt: Prompt) -> list[str]:
    """Checks that a system keeps the contract of `System` on one prompt.

    Args:
        system: Any system; it is run twice.
        prompt: A short prompt.

    Returns:
        One sentence for each broken rule; empty when there is none.
    """
    chunks, again = (list(system.stream(prompt, seed=0)) for _ in range(2))
    if not chunks:
        return ["it yields no chunks"]
    problems = []
    if [chunk.index for chunk in chunks] != list(range(len(chunks))):
        problems.append("chunk indices do not count up from 0")
    if len({chunk.frames.shape[1:] for chunk in chunks}) > 1:
        problems.append("the frame size changes between chunks")
    if not all(np.isfinite(chunk.samples).all() for chunk in chunks):
        problems.append("some audio samples are NaN or infinite")
    if any(np.abs(chunk.samples).max(initial=0) > 1 for chunk in chunks):
        problems.append("some audio samples are outside [-1, 1]")
    problems += _problems_with_account([chunk.spoken for chunk in chunks])
    seconds = sum(len(chunk.frames) for chunk in chunks) / system.fps
    heard = sum(len(chunk.samples) for chunk in chunks) / system.sample_rate
    if abs(seconds - heard) > 1 / system.fps:
        problems.append(f"{seconds:.2f} s of picture but {heard:.2f} s of sound")
    if len(chunks) != len(again) or not all(
        np.array_equal(a.frames, b.frames)
        and np.array_equal(a.samples, b.samples)
        and a.spoken == b.spoken
        for a, b in zip(chunks, again, strict=False)
    ):
        problems.append("the same seed gives other chunks")
    return problems


def _problems_with_account(spoken: Sequence[float | None]) -> list[str]:
    """Checks what a system says it has spoken; keeping no account is no problem."""
    told = [count for count in spoken if count is not None]
    problems = []
    if told and len(told) < len(spoken):
        problems.append("it says for some chunks only what it has spoken")
    if not np.isfinite(told).all():
        problems.append("some counts of phonemes spoken are NaN or infinite")
    elif (np.diff([0.0, *told]) < 0).any():
        problems.append("its count of phonemes spoken falls")
    return problems
