"""The interface of a system under test, and how installed systems are found."""

import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from evals.recording.contract import (
    ContractBroken,
    chunk_iterator,
    problem_with_chunk,
    problem_with_lengths,
    problems_with_system,
)  # fmt: skip
from evals.recording.role import Role, declared_role, declares_still
from streamchar_ref.core.errors import InputError
from streamchar_ref.media import AVChunk
from streamchar_ref.media.limits import StreamBudget, stream_limit_s


@dataclass(frozen=True, kw_only=True)
class TextPiece:
    """Part of a transcript with its arrival time.

    Attributes:
        t_s: Seconds after the request; 0 for text available from the start.
        text: Words, joined to the earlier pieces with a space.
    """

    t_s: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One line of a suite.

    Attributes:
        prompt_id: Unique in the suite.
        transcript: All text that the character should say.
        reference: Picture of the character.
        pieces: The transcript as it arrives; one piece at 0 s unless the suite says otherwise.
        voice: Name of the voice; empty if unspecified.
        caption: Description of the character's appearance.
        seed: Of the prompt itself, e.g. for drawing the character in the world.
        groups: Grouping keys for averages, e.g. ``{"identity": "a", "domain": "world"}``.
    """

    prompt_id: str
    transcript: str
    reference: UInt8[np.ndarray, "H W 3"]
    pieces: tuple[TextPiece, ...] = ()
    voice: str = ""
    caption: str = ""
    seed: int = 0
    groups: dict[str, str] = field(default_factory=dict)

    def copied(self) -> "Prompt":
        """Returns what a system is handed: it may alter picture and groups for itself."""
        return replace(self, reference=self.reference.copy(), groups=dict(self.groups))


@runtime_checkable
class System(Protocol):
    """A streaming generator.

    A system may also have ``checkpoint``, a text that names its weights in the recording,
    ``role``, one of `evals.recording.role.Role`, by which tables group and rank it (``model`` by
    default), ``is_silent``, true if it never makes a sound, and ``is_still``, true if its mouth
    never moves: then what needs speech, or lips, does not apply to it. What it may have for
    `evals.bench.realtime` is in `Served`.

    Attributes:
        name: Row label in tables; lower case with underscores.
        fps: Frames per second of its video; a stream may still correct it.
        sample_rate: Samples per second of its audio.
    """

    name: str
    fps: int
    sample_rate: int

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        """Yields chunks as they become playable; the same seed gives the same chunks.

        Args:
            prompt: A copy, for this stream alone.
            seed: Of the generation.

        Returns:
            An iterator over chunks, whose arrays may be written over once the next is asked for.
        """
        ...


class Served(System, Protocol):
    """What a system may also have, all of it optional, so that real time is measured in full.

    Besides these: ``setup_s``, seconds by part of what precedes streaming (``compile``,
    ``capture``); ``device`` and ``precision`` as torch names them, for the measured rates;
    ``timing_note``, a sentence on what its times include.

    Attributes:
        max_streams: Streams that `stream_many` can serve at a time.
        num_parameters: Of its model.
        flops_per_chunk: Counted operations of one chunk of one stream; a multiplication with its
            addition counts as two.
        bytes_per_chunk: Bytes that one chunk of one stream must read and write, counted.
    """

    max_streams: int
    num_parameters: int
    flops_per_chunk: float
    bytes_per_chunk: float

    def stream_many(
        self, prompts: Sequence[Prompt], *, seeds: Sequence[int]
    ) -> Iterator[tuple[int, AVChunk | Exception]]:
        """Streams several prompts at once in this process; without it each has a process.

        Args:
            prompts: All requested now.
            seeds: One for each.

        Returns:
            An iterator over places in ``prompts``, each with its next chunk as soon as that is
            playable. An exception in place of a chunk ends that stream alone, one that is raised
            ends all.
        """
        ...

    def take_parts(self) -> Sequence[tuple[str, float, float]]:
        """Returns and forgets the spans of work since the last call.

        Returns:
            Name of the part, start and end on ``time.perf_counter``.
        """
        ...


def installed_systems() -> dict[str, EntryPoint]:
    """Returns the entry points of the group ``evals.systems``; ``load()`` returns a factory."""
    return {entry.name: entry for entry in entry_points(group="evals.systems")}


@cache
def _installed(name: str) -> object | None:
    """The factory of an installed system, if it can be imported here."""
    entry = installed_systems().get(name)
    try:
        return entry.load() if entry else None
    except ImportError:
        return None


def installed_role(name: str) -> Role:
    """Returns the role of the installed system of a name; ``model`` if there is none.

    A system that cannot be imported here, e.g. as torch is missing, counts as a model.
    """
    try:
        return declared_role(_installed(name))
    except ValueError:
        return Role.MODEL


def installed_is_still(name: str) -> bool:
    """Returns whether the installed system of a name declares to be silent or not to move."""
    return declares_still(_installed(name))


def stream_budget(prompt: Prompt, system: System) -> StreamBudget:
    """Returns the unused stream budget for a prompt."""
    last_s = max((piece.t_s for piece in prompt.pieces), default=0.0)
    limit_s = stream_limit_s(prompt.transcript, last_s)
    return StreamBudget(limit_s=limit_s, fps=system.fps, sample_rate=system.sample_rate)


def problems_with(system: object, prompt: Prompt) -> list[str]:
    """Checks a system against the contract of `System` on one prompt.

    Args:
        system: Any system; it is run twice, or once if the first run violates the contract.
        prompt: A short prompt.

    Returns:
        One sentence for each violation.
    """
    problems = problems_with_system(system)
    if problems:
        return problems
    assert isinstance(system, System), "checked above"
    try:
        chunks, again = (_streamed(system, prompt) for _ in range(2))
    except ContractBroken as broken:
        return [str(broken)]
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # any exception is reported as the problem
        return [in_one_line(error)]
    problems = problems_with_system(system)  # a stream may have changed its rates
    problems += _problems_with_spoken([chunk.spoken for chunk in chunks])
    if not problems:
        problems += _problems_with_lengths(system, chunks)
    if len(chunks) != len(again) or not all(
        np.array_equal(a.frames, b.frames)
        and np.array_equal(a.samples, b.samples)
        and a.spoken == b.spoken
        for a, b in zip(chunks, again, strict=False)
    ):
        problems.append("the same seed gives other chunks")
    return problems


def first_chunks(system: System, prompt: Prompt, *, seed: int, count: int) -> list[AVChunk]:
    """Requests the first chunks of a stream and stops it.

    Args:
        system: Valid by `evals.recording.contract.problems_with_system`.
        prompt: To stream.
        seed: Of the generation.
        count: Maximum number of chunks.

    Returns:
        Valid chunks.

    Raises:
        ContractBroken: If there are none, or one violates the contract.
    """
    stream = islice(chunk_iterator(system.stream(prompt.copied(), seed=seed)), count)
    chunks = _checked(stream, stream_budget(prompt, system))
    frames, samples = [len(c.frames) for c in chunks], [len(c.samples) for c in chunks]
    broken = problem_with_lengths(frames, samples, system.sample_rate / system.fps)
    if broken:
        raise ContractBroken(broken)
    return chunks


def _streamed(system: System, prompt: Prompt) -> list[AVChunk]:
    stream = chunk_iterator(system.stream(prompt.copied(), seed=0))
    return _checked(stream, stream_budget(prompt, system))


def _checked(stream: Iterator[Any], budget: StreamBudget) -> list[AVChunk]:
    """Collects the chunks of a stream; raises at the first invalid one."""
    chunks: list[AVChunk] = []
    for index, chunk in enumerate(stream):
        broken = problem_with_chunk(chunk, index, chunks[0].frames.shape[1:] if chunks else ())
        if broken:
            raise ContractBroken(broken)
        budget.add(len(chunk.frames), len(chunk.samples))
        frames, samples = chunk.frames.copy(), chunk.samples.copy()  # buffers may be used again
        chunks.append(replace(chunk, frames=frames, samples=samples))
    if not chunks:
        raise ContractBroken("it yields no chunks: yield at least one AVChunk for every prompt")
    return chunks


def in_one_line(error: BaseException) -> str:
    """Summarises an exception: the end of its message and the innermost line of the user's code.

    Args:
        error: With its traceback.

    Returns:
        A sentence; lines in installed packages are named only if there are no others.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    place = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    text = "; ".join([line.strip() for line in str(error).splitlines() if line.strip()][-2:])
    return f"it raises {type(error).__name__}{f': {text}' if text else ''}{place}"


def _problems_with_lengths(system: System, chunks: Sequence[AVChunk]) -> list[str]:
    frames, samples = [len(c.frames) for c in chunks], [len(c.samples) for c in chunks]
    if not sum(frames):
        return ["its chunks hold no frames"]
    longer = problem_with_lengths(frames, samples, system.sample_rate / system.fps)
    if longer:
        return [longer]
    video_s, audio_s = sum(frames) / system.fps, sum(samples) / system.sample_rate
    if abs(video_s - audio_s) > 1 / system.fps:
        return [f"{video_s:.2f} s of picture but {audio_s:.2f} s of sound"]
    return []


def _problems_with_spoken(spoken: Sequence[float | None]) -> list[str]:
    """Checks the reported phoneme counts, which are optional."""
    counts = [count for count in spoken if count is not None]
    problems = []
    if counts and len(counts) < len(spoken):
        problems.append("it says for some chunks only what it has spoken")
    if not np.isfinite(counts).all():
        problems.append("some counts of phonemes spoken are NaN or infinite")
    elif (np.diff([0.0, *counts]) < 0).any():
        problems.append("its count of phonemes spoken falls")
    return problems
