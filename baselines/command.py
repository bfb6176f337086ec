"""Any program in its own environment: it gets a prompt as JSON and writes files.

The program is given ``prompt.json`` (prompt_id, transcript, pieces, voice, caption, seed, and
reference: path of a PNG) and an output folder. It either writes one ``out.mp4``, or, while it runs
and the harness watches, ``chunk_00000.npz``, ``chunk_00001.npz`` ... with arrays ``frames`` (uint8
[T, H, W, 3]) and ``samples`` (float32 [S], mono in [-1, 1]); a program that keeps account of the
transcript adds ``spoken`` to each, one number, see `AVChunk`. A chunk must appear complete: write
it under another name, then rename it. A chunk's arrival is when the harness has read it.
"""

import json
import os
import shlex
import signal
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from baselines.file_chunks import file_chunks
from evals.extractors import FPS
from evals.system import Prompt
from streamchar_ref.media import AVChunk, MediaError
from streamchar_ref.media.decode import audio, frames, probe
from streamchar_ref.media.lengths import measure

POLL_S = 0.005
LOG_LINES = 60
LARGEST_RATE_ERROR = 0.005  # 29.97 fps counts as 30


class CommandFailed(RuntimeError):
    """The program did not deliver; the message ends with its last lines of output."""


class Command:
    """Implements `evals.system.System` by running a program once a prompt.

    Args:
        command: What to run; ``{prompt}`` and ``{out}`` become the paths of ``prompt.json`` and of
            the output folder.
        name: Row label in tables.
        fps: Frames per second of its chunk files; an mp4 says it itself: by its timestamps, and
            one that varies or is no whole number is shown at 25.
        sample_rate: Samples per second of its chunk files; an mp4's sound is resampled to it.
        timeout_s: Longest time between two signs of life (start, a chunk, the end).
    """

    def __init__(
        self,
        command: str,
        *,
        name: str = "command",
        fps: int = 25,
        sample_rate: int = 16_000,
        timeout_s: float = 600.0,
    ) -> None:
        self.command = command
        self.name = name
        self.fps = fps
        self.sample_rate = sample_rate
        self.timeout_s = timeout_s

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
                long, or leaves nothing or a file that cannot be read.
        """
        with tempfile.TemporaryDirectory(prefix="streamchar-") as folder:
            work = Path(folder)
            out = work / "out"
            out.mkdir()
            process = self._start(prompt, seed, work, out)
            try:
                num_chunks = 0
                for chunk in self._watch(process, work, out):
                    num_chunks += 1
                    yield chunk
                if num_chunks == 0:
                    yield from self._read_mp4(work, out)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)  # what it started goes with it
                process.wait()

    def _start(self, prompt: Prompt, seed: int, work: Path, out: Path) -> "subprocess.Popen[bytes]":
        Image.fromarray(prompt.reference).save(work / "reference.png")
        request = {
            "prompt_id": prompt.prompt_id,
            "transcript": prompt.transcript,
            "pieces": [asdict(piece) for piece in prompt.pieces],
            "voice": prompt.voice,
            "caption": prompt.caption,
            "seed": seed,
            "reference": str(work / "reference.png"),
        }
        (work / "prompt.json").write_text(json.dumps(request), encoding="utf-8")
        words = [
            word.replace("{prompt}", str(work / "prompt.json")).replace("{out}", str(out))
            for word in shlex.split(self.command)
        ]
        try:
            with (work / "log.txt").open("wb") as log:
                return subprocess.Popen(
                    words,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
        except OSError as error:
            raise CommandFailed(f"cannot start {words[0]!r}: {error}") from error

    def _watch(
        self, process: "subprocess.Popen[bytes]", work: Path, out: Path
    ) -> Iterator[AVChunk]:
        last_sign, index = time.monotonic(), 0
        while True:
            has_ended = process.poll() is not None  # before the look, so that no chunk is missed
            path = out / f"chunk_{index:05d}.npz"
            if path.is_file():
                yield self._read_chunk(path, index, work)
                last_sign, index = time.monotonic(), index + 1
            elif has_ended:
                break
            elif time.monotonic() - last_sign > self.timeout_s:
                raise self._failure(work, f"nothing new for {self.timeout_s:g} s; stopped it")
            else:
                time.sleep(POLL_S)
        if process.returncode != 0:
            raise self._failure(work, f"exit status {process.returncode} after {index} chunks")
        late = sorted(path.name for path in out.glob("chunk_*.npz"))[index:]
        if late:
            raise self._failure(work, f"{late[0]} is there but chunk_{index:05d}.npz is not")

    def _read_chunk(self, path: Path, index: int, work: Path) -> AVChunk:
        try:
            with np.load(path, allow_pickle=False) as stored:
                pixels, samples = stored["frames"], stored["samples"]
                spoken = float(stored["spoken"].item()) if "spoken" in stored else None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise self._failure(work, f"{path.name} cannot be read ({error})") from error
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3:
            raise self._failure(work, f"{path.name}: frames must be uint8 [T, H, W, 3]")
        if samples.ndim != 1:
            raise self._failure(work, f"{path.name}: samples must be float32 [S]")
        return AVChunk(
            index=index, frames=pixels, samples=samples.astype(np.float32), spoken=spoken
        )

    def _read_mp4(self, work: Path, out: Path) -> Iterator[AVChunk]:
        path = out / "out.mp4"
        if not path.is_file():
            raise self._failure(work, "it left neither chunk files nor out.mp4")
        try:
            self.fps = _whole_fps(measure(path).fps)
            samples = np.zeros(0, np.float32)
            if probe(path).audio_codec:
                samples = audio(path, sample_rate=self.sample_rate)
            yield from file_chunks(
                frames(path, fps=self.fps), samples, fps=self.fps, sample_rate=self.sample_rate
            )
        except MediaError as error:
            raise self._failure(work, str(error)) from error

    def _failure(self, work: Path, reason: str) -> CommandFailed:
        log = (work / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "\n".join(log[-LOG_LINES:]) or "(it printed nothing)"
        return CommandFailed(f"output of {self.command!r}:\n{tail}\n{self.name}: {reason}")


def _whole_fps(fps: float) -> int:
    whole = round(fps)
    return whole if whole and abs(fps / whole - 1) <= LARGEST_RATE_ERROR else FPS
