"""Good files that every input starts from: videos, a suite, a system, and a run of it, scored."""

import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from streamchar_ref.media.encode import write_mp4
from streamchar_ref.media.wav import write_wav

RATE = 16_000
METRICS = "rtf,exposure_drift"
SYSTEM = '''\
"""Grey pictures and a tone; `Failing` breaks off in one prompt."""

import time

import numpy as np

from streamchar_ref.media import AVChunk


class Toy:
    name = "toy"
    fps = 25
    sample_rate = 16_000

    def stream(self, prompt, *, seed):
        for index in range(3):
            rng = np.random.default_rng(seed + index)
            frames = rng.integers(0, 255, (5, 16, 16, 3)).astype(np.uint8)
            yield AVChunk(index=index, frames=frames, samples=np.full(3200, 0.1, np.float32))


class Slow(Toy):
    def stream(self, prompt, *, seed):
        for chunk in super().stream(prompt, seed=seed):
            time.sleep(0.02)
            yield chunk


class Failing(Toy):
    name = "failing"

    def stream(self, prompt, *, seed):
        for chunk in super().stream(prompt, seed=seed):
            if chunk.index == 2 and prompt.prompt_id == "b":
                raise ValueError("broke off")
            yield chunk
'''


def tone(seconds: float, rate: int = RATE) -> np.ndarray:
    """Returns a sine, float32 [S]."""
    return (0.3 * np.sin(2 * np.pi * 220 * np.arange(round(seconds * rate)) / rate)).astype(
        np.float32
    )


def pictures(count: int, height: int = 32, width: int = 32, seed: int = 0) -> np.ndarray:
    """Returns frames that all differ, uint8 [T, H, W, 3]."""
    still = np.random.default_rng(seed).integers(40, 200, (height, width, 3))
    return ((still[None] + np.arange(count)[:, None, None, None]) % 256).astype(np.uint8)


def write_files(folder: Path) -> None:
    """Writes what a user brings: ``good.mp4``, ``good.wav``, a picture, lists and a system."""
    folder.mkdir(parents=True)
    write_mp4(folder / "good.mp4", [pictures(15)], tone(0.6), fps=25, sample_rate=RATE)
    write_wav(folder / "good.wav", tone(0.6), sample_rate=RATE)
    Image.fromarray(pictures(1)[0]).save(folder / "face.png")
    (folder / "toy.py").write_text(SYSTEM)
    prompts = [
        {"prompt_id": name, "transcript": "Hello there.", "reference_path": "face.png"}
        for name in "ab"
    ]
    write_lines(folder / "suite.jsonl", prompts)
    write_lines(
        folder / "videos.jsonl",
        [{"sample_id": "a", "system": "s", "video_path": "good.mp4", "groups": {"suite": "u"}}],
    )


def write_lines(path: Path, objects: list[dict[str, object]]) -> None:
    """Writes JSON lines."""
    path.write_text("".join(json.dumps(entry) + "\n" for entry in objects))


COMMANDS = (
    ("record", "toy.py:Toy", "--suite", "suite.jsonl", "--out", "run"),
    ("record", "toy.py:Failing", "--suite", "suite.jsonl", "--out", "run"),
    ("score", "run", "--metrics", METRICS, "--jobs", "1", "--native"),
    ("score", "--manifest", "videos.jsonl", "--out", "scored", "--metrics", METRICS, "--jobs", "1"),
)
"""Make ``run`` and ``scored`` in the folder that `write_files` has filled."""
TRAINED = (
    ("train", "prompt", "--preset", "tiny", "--steps", "2", "--out", "trained", "--jobs", "1"),
)
"""Makes ``trained``, a stage with its state and checkpoint."""


def copy(base: Path, target: Path) -> None:
    """Gives an input files of its own."""
    shutil.copytree(base, target, symlinks=True)
