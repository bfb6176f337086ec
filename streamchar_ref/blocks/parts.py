"""The parts that blocks are made of, as functions that return JSON values."""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from streamchar_ref.core.errors import InputError

_TRAINING = 0.45
"""Share of a stage's time limit that is spent on training; the rest is for what comes before."""


def rates(device: str) -> dict[str, Any]:
    """Measures the matrix rate in half precision and the copy rate."""
    import torch

    from streamchar_ref.model.rates import measure_rates, memory_bytes

    is_cuda = device.startswith("cuda")
    return {
        **asdict(measure_rates(device, torch.bfloat16)),
        "device": torch.cuda.get_device_name(device) if is_cuda else device,
        "memory_bytes": memory_bytes(device),
        "torch": torch.__version__,
        "python": sys.version.split()[0],
    }


def chunk(preset: str, device: str, chunks: int) -> dict[str, Any]:
    """Times a chunk of the plain path by part, see `bench scale`."""
    from streamchar_ref.blocks.scale import bench_scale
    from streamchar_ref.model.config import preset as named

    return bench_scale(named(preset), device=device, chunks=chunks)


def training(preset: str, stage: str, device: str, limit_s: float) -> dict[str, Any]:
    """Trains a stage for a part of its time limit, see `bench training`."""
    from streamchar_ref.model.config import preset as named
    from streamchar_ref.train.bench import bench_training

    cost = bench_training(named(preset), stage, device=device, seconds=_TRAINING * limit_s)
    return asdict(cost)


def compiled(preset: str, stage: str, device: str, num_steps: int = 10) -> dict[str, Any]:
    """Trains a stage for some steps with compiled blocks; compiling is in ``first_s``."""
    from streamchar_ref.model.config import preset as named
    from streamchar_ref.train.bench import bench_training

    cost = bench_training(
        named(preset), stage, device=device, num_steps=num_steps, is_compiled=True
    )
    return asdict(cost)


def command(arguments: Sequence[str]) -> dict[str, Any]:
    """Runs ``streamchar ARGUMENTS`` and returns the last lines that it prints.

    The verbs of other packages are found by the metadata of an installed `streamchar`; where it is
    not installed, its ``streamchar.egg-info`` folder in the current folder does as well.

    Args:
        arguments: Of the command line.

    Returns:
        Them.

    Raises:
        InputError: If it fails; the log has what it printed.
    """
    program = "from streamchar_ref.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True, check=False
    )
    sys.stdout.write(done.stdout)
    is_measured = done.returncode in (0, 1) and done.stdout.strip()  # 1: failures above policy
    if not is_measured:  # Python ends with 1 as well, and prints nothing here
        raise InputError(f"streamchar {shlex.join(arguments)} ended with {done.returncode}")
    return {"command": shlex.join(arguments), "printed": done.stdout.splitlines()[-40:]}


def realtime(
    preset: str, device: str, arguments: Sequence[str], num_steps: int = 4
) -> dict[str, Any]:
    """Runs ``bench realtime`` on a model with random weights, which never stops by itself.

    Args:
        preset: Of the model.
        device: Where.
        arguments: Of the command, beside the system and its settings.
        num_steps: Of its sampler.

    Returns:
        See `command`.
    """
    from streamchar_ref.model.checkpoint import save_checkpoint
    from streamchar_ref.model.config import preset as named
    from streamchar_ref.model.random_weights import random_model
    from streamchar_ref.streaming.cost import student_sampler

    config = named(preset)
    config = replace(config, sampler=student_sampler(num_steps).over(config.sampler))
    model = random_model(config)
    model.orchestrator.over_out.bias.data.fill_(-1e3)
    with TemporaryDirectory() as folder:
        save_checkpoint(Path(folder), model.state_dict(), config, origin={})
        own = ["--set", f"checkpoint={folder}", "--set", f"device={device}"]
        return command(["bench", "realtime", *variants(preset, device), *own, *arguments])


_ON_A_GPU = {
    "graphs": ("graphs=true",),
    "half": ("graphs=true", "path=engine", "precision=bfloat16", "picture_precision=bfloat16"),
    "fp8": ("graphs=true", "precision=fp8", "picture_precision=bfloat16"),
}
"""Ways of the engine that are measured beside the one by default."""


def variants(preset: str, device: str) -> list[str]:
    """Names the ways in which ``bench realtime`` streams a model.

    Args:
        preset: Of the model.
        device: Where.

    Returns:
        Arguments of the command: the engine by default, and on a GPU what only a GPU can do.
    """
    ways = _ON_A_GPU if device.startswith("cuda") else {}
    systems = ",".join(f"{name}=streamchar_ref" for name in (preset, *ways))
    settings = [f"{name}:{value}" for name, values in ways.items() for value in values]
    return ["--systems", systems, *(part for each in settings for part in ("--set", each))]
