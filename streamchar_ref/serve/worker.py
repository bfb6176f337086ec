"""The one thread that owns the networks: it opens, steps and closes streams."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from streamchar_ref.core.errors import InputError
from streamchar_ref.serve.captions import captions_of
from streamchar_ref.serve.wire import IS_LAST, SKIPS_WAIT, ChunkTimes, pack_chunk
from streamchar_ref.streaming.engine_config import EngineChunk
from streamchar_ref.streaming.engine_streams import SAID
from streamchar_ref.streaming.live import LiveTranscript, Piece
from streamchar_ref.world.reference import Person

_POLL_S = 0.01
MOST_UNSAID = 5_000
"""Phonemes that a visitor may have waiting: some eight minutes."""
ALL_SAID = "all is said"
STOPPED = "stopped"


@runtime_checkable
class StreamEngine(Protocol):
    """Makes the chunks of several streams; only the worker's thread calls it."""

    def open(
        self, transcript: LiveTranscript, *, prompt: str, reference: np.ndarray, seed: int = 0
    ) -> int:
        """Admits a stream and returns its number; raises `InputError` where it cannot."""

    def step(self) -> Sequence[EngineChunk]:
        """Makes what is most urgent, none if nothing is due."""

    def close(self, stream: int) -> None:
        """Ends a stream early."""


@runtime_checkable
class Viewer(Protocol):
    """Where a stream goes; its methods are called in the worker's thread and return at once."""

    def deliver(self, message: bytearray) -> None:
        """Takes a packed chunk."""

    def tell(self, kind: str, **values: Any) -> None:
        """Takes a message about the stream."""


@dataclass(kw_only=True)
class _Stream:
    number: int
    viewer: Viewer
    transcript: LiveTranscript
    person: Person
    samples: int = 0
    spoken: float = 0.0
    silent_s: float = 0.0
    """For how long the pointer has not moved."""
    has_said_all: bool = False
    shown: tuple[Piece, ...] = ()


class Worker:
    """Runs an engine in a thread of its own.

    Args:
        engine: Of the networks; from `start` on, nobody else may call it.
        fps: Frames a second.
        sample_rate: Of the sound.
        idle_s: For how long a stream that has said all waits for more text.
        clock: Seconds.
    """

    def __init__(
        self,
        engine: StreamEngine,
        *,
        fps: float,
        sample_rate: int,
        idle_s: float = 20.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._engine = engine
        self._is_stopping = False
        self._fps, self._sample_rate, self._idle_s = fps, sample_rate, idle_s
        self._clock = clock
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._streams: dict[int, _Stream] = {}
        self._of_viewer: dict[Viewer, int] = {}
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends all streams, and the thread after the step that it is at."""
        self._commands.put(self._end)
        self._thread.join()

    def speak(self, viewer: Viewer, piece: Piece, person: Person, seed: int = 0) -> None:
        """Lets a viewer's character say a text, after what it is saying; opens its stream."""
        self._commands.put(lambda: self._speak(viewer, piece, person, seed))

    def replace(self, viewer: Viewer, piece: Piece, person: Person, seed: int = 0) -> None:
        """Swaps what a viewer's character has not said yet; opens a stream if it has none."""
        self._commands.put(lambda: self._speak(viewer, piece, person, seed, replaces=True))

    def leave(self, viewer: Viewer, reason: str = STOPPED) -> None:
        """Ends the stream of a viewer, if there is one, and tells it why."""
        self._commands.put(lambda: self._leave(viewer, reason))

    def _run(self) -> None:
        wait_s: float | None = None
        while not self._is_stopping:
            command = self._next_command(wait_s)
            try:
                if command is not None:
                    command()
                    wait_s = 0.0
                elif self._streams:
                    wait_s = 0.0 if self._step() else _POLL_S
                else:
                    wait_s = None
            except Exception as error:  # of a viewer that has gone, say: the others go on
                self._report("a visitor was not served", error)
                wait_s = 0.0

    def _next_command(self, wait_s: float | None) -> Callable[[], None] | None:
        try:
            return self._commands.get(timeout=wait_s)
        except queue.Empty:
            return None

    def _end(self) -> None:
        for viewer in list(self._of_viewer):
            self._leave(viewer, STOPPED)
        self._is_stopping = True

    def _speak(
        self, viewer: Viewer, piece: Piece, person: Person, seed: int, *, replaces: bool = False
    ) -> None:
        stream = self._streams.get(self._of_viewer.get(viewer, -1))
        if stream is not None and stream.transcript.is_finished:
            self._leave(viewer, ALL_SAID)
            stream = None
        if stream is None:
            self._open(viewer, piece, person, seed)
        elif not _is_same(person, stream.person):
            self._leave(viewer, STOPPED)
            self._open(viewer, piece, person, seed)
        elif replaces:
            stream.transcript.replace(piece)
        elif stream.transcript.num_unsaid + piece.length > MOST_UNSAID:
            viewer.tell("error", reason="there is much to say already: wait, or say this instead")
        else:
            stream.transcript.append(piece)
            self._show(stream)

    def _open(self, viewer: Viewer, piece: Piece, person: Person, seed: int) -> None:
        transcript = LiveTranscript(piece)
        try:
            number = self._engine.open(
                transcript, prompt=person.prompt, reference=person.picture, seed=seed
            )
        except InputError as error:
            viewer.tell("refused", reason=str(error))
            return
        except Exception as error:
            self._report("opening a stream failed", error)
            viewer.tell("refused", reason=_in_words(error))
            return
        self._streams[number] = _Stream(
            number=number, viewer=viewer, transcript=transcript, person=person
        )
        self._of_viewer[viewer] = number
        viewer.tell("begun", stream=number)
        self._show(self._streams[number])

    def _leave(self, viewer: Viewer, reason: str) -> None:
        number = self._of_viewer.pop(viewer, None)
        if number is not None:
            del self._streams[number]
            self._engine.close(number)
            viewer.tell("ended", stream=number, reason=reason)

    def _step(self) -> bool:
        start_s = self._clock()
        try:
            made = self._engine.step()
        except (
            Exception
        ) as error:  # of a lost device, say: every stream is told, and the page stays
            self._report("a step failed", error)
            for viewer in list(self._of_viewer):
                self._leave(viewer, _in_words(error))
            return True
        for step in made:
            self._hand_over(step, start_s, self._clock())
        return bool(made)

    def _hand_over(self, step: EngineChunk, start_s: float, made_s: float) -> None:
        stream = self._streams.get(step.stream)
        if stream is None:
            return
        chunk, transcript = step.chunk, stream.transcript
        spoken = stream.spoken if chunk.spoken is None else chunk.spoken
        transcript.said(spoken)
        self._show(stream)
        if len(chunk.frames):
            skips = stream.has_said_all and spoken > stream.spoken
            message = pack_chunk(
                chunk,
                ChunkTimes(
                    start_s=stream.samples / self._sample_rate,
                    made_s=made_s,
                    took_s=made_s - start_s,
                ),
                stream=step.stream,
                fps=self._fps,
                sample_rate=self._sample_rate,
                flags=IS_LAST * step.is_last | SKIPS_WAIT * skips,
            )
            stream.viewer.deliver(message)
        self._follow(stream, spoken, len(chunk.samples))
        if step.is_last:
            self._leave(stream.viewer, ALL_SAID)

    def _follow(self, stream: _Stream, spoken: float, samples: int) -> None:
        """Notes what a chunk has said, and finishes the text of a stream that is silent long."""
        length_s = samples / self._sample_rate
        moves = spoken > stream.spoken
        stream.silent_s = 0.0 if moves else stream.silent_s + length_s
        stream.samples, stream.spoken = stream.samples + samples, spoken
        # By what was handed over: the transcript knows of chunks that are still being decoded.
        is_end = spoken >= len(stream.transcript.text) - SAID
        stream.has_said_all = is_end or (stream.has_said_all and not moves)
        if stream.silent_s > self._idle_s:
            stream.transcript.finish()

    def _show(self, stream: _Stream) -> None:
        """Sends the captions if they have changed."""
        pieces = stream.transcript.pieces
        if pieces is not stream.shown:
            stream.shown = pieces
            end = len(stream.transcript.text)
            stream.viewer.tell("captions", words=captions_of(pieces), end=end)

    def _report(self, what: str, error: Exception) -> None:
        logging.getLogger(__name__).error("%s", what, exc_info=error)


def _is_same(one: Person, other: Person) -> bool:
    return one.prompt == other.prompt and np.array_equal(one.picture, other.picture)


def _in_words(error: Exception) -> str:
    first = str(error).partition("\n")[0]
    return f"the engine stopped: {first or type(error).__name__:.200}"
