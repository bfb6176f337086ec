"""Any program in its own environment: it gets a prompt as JSON and writes files.

The program is given ``prompt.json`` (prompt_id, transcript, pieces, voice, caption, seed, and
reference: path of a PNG) and an output folder. It either writes one ``out.mp4``, or, while it runs
and the harness watches, ``chunk_00000.npz``, ``chunk_00001.npz`` ... with arrays ``frames`` (uint8
[T, H, W, 3]) and ``samples`` (float32 [S], mono in [-1, 1]); a program that keeps account of the
transcript adds ``spoken`` to each, one number, see `AVChunk`. A chunk must appear complete: write
it under another name, then rename it. A chunk's arrival is when the harness has read it; its file
is removed then.

The program ends with the stream: whatever it has started and not stopped is killed. What it prints
goes, first and last lines, into the message of a failure.

With ``persistent=true`` the program is started once and serves all prompts, so that its start and
the loading of its weights are not counted as streaming. It prints the line ``ready``, and flushes
it, once it has loaded. Then each line of its standard input is a request: the content of
``prompt.json``, with ``out``, the output folder of this prompt. It writes chunk files, or
``out.mp4``, there, and at last an empty file ``end``. If a file ``stop`` appears there, the rest is
not wanted: it may end the stream at once. It must go on to the next request until its input ends.
"""

import json
import os
import shlex
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from baselines.chunk_files import Unreadable, read_chunk, regular_file
from baselines.file_chunks import file_chunks
from baselines.program import Program
from evals.extractors import FPS
from evals.recording.role import Role
from evals.recording.system import Prompt, stream_budget
from streamchar_ref.core.errors import InputError
from streamchar_ref.media import AVChunk, MediaError
from streamchar_ref.media.decode import audio, frames, probe
from streamchar_ref.media.lengths import measure

READY = "ready"
END, STOP = "end", "stop"
POLL_S = 0.005
DISK_POLL_S = 0.5
LARGEST_RATE_ERROR = 0.005  # 29.97 fps counts as 30


STARTED_PER_PROMPT = (
    "the program is started for each prompt: its start and the loading of its weights count as "
    "waiting for the first chunk"
)


class CommandFailed(RuntimeError):
    """The program did not deliver; the message ends with its last lines of output."""


class Command:
    """Implements `evals.recording.system.System` by running a program.

    Args:
        command: What to run; ``{prompt}`` and ``{out}`` become the paths of ``prompt.json`` and of
            the output folder. A persistent one has neither.
        persistent: Whether it is started once for all prompts.
        name: Row label in tables.
        fps: Frames per second of its chunk files; an mp4 says it itself: by its timestamps, and
            one that varies or is no whole number is shown at 25.
        sample_rate: Samples per second of its chunk files; an mp4's sound is resampled to it.
        timeout_s: Longest time between two signs of life (start, a chunk, the end), and for a
            persistent one to read its request.
        total_s: Longest time for one prompt.
        disk_gb: Most that may lie in its output folder at a time.
        timing_note: What is to be known of its times, for speed rows.

    Raises:
        InputError: If the command is empty or has an open quotation mark, or a number is not
            above 0.
    """

    role = Role.MODEL

    def __init__(
        self,
        command: str,
        *,
        persistent: bool = False,
        name: str = "command",
        fps: int = 25,
        sample_rate: int = 16_000,
        timeout_s: float = 600.0,
        total_s: float = 21_600.0,
        disk_gb: float = 64.0,
        timing_note: str = "",
    ) -> None:
        self.command = command
        self.name = name
        self.fps = fps
        self.sample_rate = sample_rate
        self.timeout_s = _positive("timeout_s", timeout_s)
        self.total_s = _positive("total_s", total_s)
        self.disk_gb = _positive("disk_gb", disk_gb)
        try:
            self._words = shlex.split(command)
        except (ValueError, AttributeError) as error:
            raise InputError(f"the command {command!r} cannot be run: {error}") from error
        if not self._words:
            raise InputError("the command is empty")
        if persistent and any("{prompt}" in word or "{out}" in word for word in self._words):
            raise InputError(
                "a persistent program is told prompt and folder on its standard input: leave "
                "{prompt} and {out} out of the command"
            )
        self._is_persistent = persistent
        self._server: Program | None = None
        self.timing_note = timing_note or ("" if persistent else STARTED_PER_PROMPT)

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        """Runs the program on one prompt.

        Args:
            prompt: Becomes ``prompt.json``.
            seed: Goes into it.

        Yields:
            Chunks as the program writes them, or its mp4 at the end, cut every 32 frames. All of
            its sound is kept, also what goes on after the picture.

        Raises:
            CommandFailed: If the program cannot be started, exits with an error, is silent for too
                long, does not come to an end, fills the disk, or leaves nothing or a file that
                cannot be read.
        """
        with tempfile.TemporaryDirectory(
            prefix="streamchar-", ignore_cleanup_errors=True
        ) as folder:
            work = Path(folder)
            out = work / "out"
            out.mkdir()
            program: Program | None = None
            try:
                program = self._ask(self._request(prompt, seed, work), work, out)
                num_chunks = 0
                for chunk in self._watch(program, out, prompt):
                    num_chunks += 1
                    yield chunk
                if num_chunks == 0:
                    yield from self._read_mp4(out)
                self._finish(program, out)
            except (Unreadable, MediaError, _Stopped) as error:
                raise self._failed(error, program) from error
            except GeneratorExit:
                self._finish(program, out)
                raise
            except BaseException:
                self._stop(program)
                raise

    def close(self) -> None:
        """Ends a persistent program; the end of this process does so, too."""
        self._stop(self._server)

    def _request(self, prompt: Prompt, seed: int, work: Path) -> dict[str, Any]:
        Image.fromarray(prompt.reference).save(work / "reference.png")
        return {
            "prompt_id": prompt.prompt_id,
            "transcript": prompt.transcript,
            "pieces": [asdict(piece) for piece in prompt.pieces],
            "voice": prompt.voice,
            "caption": prompt.caption,
            "seed": seed,
            "reference": str(work / "reference.png"),
        }

    def _ask(self, request: Mapping[str, Any], work: Path, out: Path) -> Program:
        """Hands a request to the running program, or starts one for it."""
        if self._is_persistent:
            server = self._serving()
            try:
                server.send(json.dumps({**request, "out": str(out)}), timeout_s=self.timeout_s)
            except OSError as error:
                raise _Stopped(f"it takes no request: {error}") from error
            return server
        (work / "prompt.json").write_text(json.dumps(request), encoding="utf-8")
        places = {"{prompt}": str(work / "prompt.json"), "{out}": str(out)}
        return self._start(places)

    def _start(self, places: Mapping[str, str]) -> Program:
        words = list(self._words)
        for name, place in places.items():
            words = [word.replace(name, place) for word in words]
        server = self._is_persistent
        try:
            return Program(words, signal_line=READY if server else "", takes_lines=server)
        except (OSError, ValueError) as error:
            raise CommandFailed(f"cannot start {words[0]!r}: {error}") from error

    def _serving(self) -> Program:
        """The persistent program, ready for a request."""
        if self._server is not None and self._server.has_ended():
            self._stop(self._server)
        if self._server is None:
            self._server = self._start({})
            start = time.monotonic()
            while not self._server.has_signalled():
                if self._server.has_ended():
                    raise _Stopped(f"it ended before it printed {READY!r}")
                if time.monotonic() - start > self.timeout_s:
                    raise _Stopped(f"it has not printed {READY!r} after {self.timeout_s:g} s")
                time.sleep(POLL_S)
        return self._server

    def _finish(self, program: Program | None, out: Path) -> None:
        """Ends a program, or has a persistent one end its stream and keeps it."""
        if program is None or not self._is_persistent:
            self._stop(program)
            return
        (out / STOP).touch()
        start = time.monotonic()
        while not os.path.lexists(out / END):
            if program.has_ended() or time.monotonic() - start > self.timeout_s:
                self._stop(program)
                return
            for path in out.glob("chunk_*.npz"):
                path.unlink()
            time.sleep(POLL_S)

    def _stop(self, program: Program | None) -> None:
        if program is not None:
            program.stop()
        if program is self._server:
            self._server = None

    def _failed(self, error: Exception, program: Program | None) -> CommandFailed:
        """Stops the program, so that all it has printed is there, and says what happened."""
        ended = program or self._server
        self._stop(ended)
        printed = (ended.log() if ended is not None else "") or "(it printed nothing)"
        return CommandFailed(f"output of {self.command!r}:\n{printed}\n{self.name}: {error}")

    def _watch(self, program: Program, out: Path, prompt: Prompt) -> Iterator[AVChunk]:
        start = last_sign = last_weighed = time.monotonic()
        index, budget = 0, stream_budget(prompt, self)
        while True:
            # before the look, so that no chunk is missed
            has_ended = program.has_ended() or (self._is_persistent and os.path.lexists(out / END))
            path, now = out / f"chunk_{index:05d}.npz", time.monotonic()
            if now - last_weighed > DISK_POLL_S:
                self._weigh(out)
                last_weighed = time.monotonic()
            if os.path.lexists(path):
                chunk = read_chunk(path, index)
                budget.add(len(chunk.frames), len(chunk.samples))
                path.unlink()
                yield chunk
                last_sign, index = time.monotonic(), index + 1
            elif has_ended:
                break
            elif now - last_sign > self.timeout_s:
                raise _Stopped(f"nothing new for {self.timeout_s:g} s; stopped it")
            else:
                time.sleep(POLL_S)
            if now - start > self.total_s:
                raise _Stopped(f"has not ended after {self.total_s:g} s; stopped it")
        if self._is_persistent and not os.path.lexists(out / END):
            raise _Stopped(f"it ended in the middle of a stream, after {index} chunks")
        if not self._is_persistent and program.status != 0:
            raise _Stopped(f"exit status {program.status} after {index} chunks")
        late = sorted(path.name for path in out.glob("chunk_*.npz"))
        if late:
            raise _Stopped(f"{late[0]} is there but chunk_{index:05d}.npz is not")

    def _weigh(self, out: Path) -> None:
        used_gb = _bytes_in(out) / 1e9
        if used_gb > self.disk_gb:
            raise _Stopped(
                f"its output folder holds {used_gb:.3g} GB, the limit is {self.disk_gb:g}; "
                "raise it with --set disk_gb=..."
            )

    def _read_mp4(self, out: Path) -> Iterator[AVChunk]:
        path = out / "out.mp4"
        if not os.path.lexists(path):
            raise _Stopped("it left neither chunk files nor out.mp4")
        with regular_file(path):
            pass
        self.fps = _whole_fps(measure(path).fps)
        samples = np.zeros(0, np.float32)
        if probe(path).audio_codec:
            samples = audio(path, sample_rate=self.sample_rate)
        yield from file_chunks(
            frames(path, fps=self.fps), samples, fps=self.fps, sample_rate=self.sample_rate
        )


class _Stopped(Exception):
    """Why a program is not listened to any longer."""


def _positive(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise InputError(f"{name} is {value!r} and must be a number above 0")
    return value


def _bytes_in(folder: Path) -> int:
    """Disk that a folder takes up; links are not followed."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                found = os.lstat(Path(parent, name))
            except FileNotFoundError:  # renamed meanwhile
                continue
            total += found.st_blocks * 512 if stat.S_ISREG(found.st_mode) else 0
    return total


def _whole_fps(fps: float) -> int:
    whole = round(fps)
    return whole if whole and abs(fps / whole - 1) <= LARGEST_RATE_ERROR else FPS
