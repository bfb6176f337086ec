"""Numbers for trackers of experiments: TensorBoard, W&B, trackio. All are optional."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from streamchar_ref.core.errors import InputError

LogFn = Callable[[Mapping[str, float], int], None]
"""Takes numbers by name, and the step that they belong to."""
TRACKERS = ("tensorboard", "wandb", "trackio")
PROJECT = "streamchar"


@contextmanager
def tracking(name: str, folder: Path, run_name: str) -> Iterator[LogFn]:
    """Opens a tracker for one run.

    Numbers that are NaN or infinite are left out. A run that goes on at an earlier step replaces
    what TensorBoard has after it.

    Args:
        name: One of `TRACKERS`; empty tracks nothing.
        folder: Where local files go: ``FOLDER/tensorboard``, ``FOLDER/wandb``. trackio has a place
            of its own.
        run_name: Shown by the tracker.

    Yields:
        Logs one row of numbers.

    Raises:
        InputError: If the name is unknown or its package is not installed.
    """
    if not name:
        yield lambda row, step: None
    elif name == "tensorboard":
        with _tensorboard(folder / "tensorboard" / run_name) as log:
            yield log
    elif name in TRACKERS:
        with _like_wandb(name, folder, run_name) as log:
            yield log
    else:
        raise InputError(f"--track {name!r:.60} is none of {', '.join(TRACKERS)}")


def check_tracker(name: str) -> None:
    """Looks before the work whether a tracker can be had; raises `InputError`."""
    if name and name not in TRACKERS:
        raise InputError(f"--track {name!r:.60} is none of {', '.join(TRACKERS)}")
    if name:
        _module(name)


@contextmanager
def _tensorboard(folder: Path) -> Iterator[LogFn]:
    _module("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    writers: list[SummaryWriter] = []

    def log(row: Mapping[str, float], step: int) -> None:
        if not writers:
            writers.append(SummaryWriter(str(folder), purge_step=step))
        for name, value in _numbers(row).items():
            writers[0].add_scalar(name, value, step)

    try:
        yield log
    finally:
        for writer in writers:
            writer.close()


@contextmanager
def _like_wandb(name: str, folder: Path, run_name: str) -> Iterator[LogFn]:
    """W&B, and trackio, which has the same three functions."""
    module = _module(name)
    options: dict[str, Any] = {"dir": str(folder)} if name == "wandb" else {}
    module.init(project=PROJECT, name=run_name, **options)
    try:
        yield lambda row, step: module.log(_numbers(row), step=step)
    finally:
        module.finish()


def _numbers(row: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in row.items() if math.isfinite(value)}


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(
            f"--track {name} needs a package ({error}): pip install 'streamchar[track-{name}]'"
        ) from error
