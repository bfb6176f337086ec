"""A system whose weights are one number, how much it fades, and checkpoints of it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from evals.recording.system import Prompt
from streamchar_ref.media import AVChunk
from streamchar_ref.model.checkpoint import load_checkpoint, save_checkpoint
from streamchar_ref.model.config import preset
from streamchar_ref.sampling.config import SamplerConfig

STREAMED: list[str] = []
SYSTEM = f"{__file__}:Fades"


class Fades:
    """Brightens from start to end as far as its checkpoint says, and a little by the prompt."""

    fps, sample_rate = 25, 16_000

    def __init__(self, *, checkpoint: str, network: str, label: str, more: float = 0.0) -> None:
        tensors = load_checkpoint(Path(checkpoint)).select(network).tensors
        self.name = label
        self._fade = float(tensors["dit.fade"]) + more

    def stream(self, prompt: Prompt, *, seed: int) -> Iterator[AVChunk]:
        STREAMED.append(f"{self.name}/{prompt.prompt_id}")
        rng = np.random.default_rng([seed, *prompt.prompt_id.encode()])
        if self._fade < 0:
            raise RuntimeError("fades below nothing")
        end = 60 + 12 * self._fade + 4 * rng.random()
        levels = np.repeat([60.0, end], 12).astype(np.uint8)
        frames = np.broadcast_to(levels[:, None, None, None], (24, 32, 32, 3)).copy()
        yield AVChunk(index=0, frames=frames, samples=np.zeros(24 * 640, np.float32))


def save(folder: Path, fade: float, **networks: float) -> Path:
    """Writes a checkpoint whose plain weights and networks fade so much."""
    tensors = {"dit.fade": torch.tensor([fade])}
    tensors |= {f"{name}.dit.fade": torch.tensor([value]) for name, value in networks.items()}
    samplers = {name: SamplerConfig() for name in networks}
    save_checkpoint(
        folder, tensors, preset("tiny"), origin={}, samplers=samplers, storage="float32"
    )
    return folder


def save_steps(folder: Path, fades: Mapping[int, float]) -> str:
    """Writes checkpoints of a training; returns the pattern that finds them."""
    for step, fade in fades.items():
        save(folder / f"step-{step}", 5.0, student=fade, raw=fade + 0.5)
    return str(folder / "step-*")


def write_suite(path: Path, num_prompts: int) -> Path:
    """Writes prompts that all show the same picture."""
    Image.fromarray(np.full((32, 32, 3), 60, np.uint8)).save(path.parent / "grey.png")
    prompts = [
        {"prompt_id": f"p{index}", "transcript": "hi", "reference_path": "grey.png"}
        for index in range(num_prompts)
    ]
    path.write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts))
    return path
