"""Trajectories of the guided teacher: what a student regresses.

The windows of a batch are drawn anew from its number; kept on disk are the teacher's samples of
them. Shape letters: B batch, K noise levels of the student.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Int64
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from streamchar_ref.core.device import has_bfloat16
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import replacing
from streamchar_ref.core.progress import ProgressFn
from streamchar_ref.loop.stage import Draw
from streamchar_ref.model.config_json import to_json
from streamchar_ref.model.streamchar import StreamChar
from streamchar_ref.sampling import flow
from streamchar_ref.sampling.condition import prefill
from streamchar_ref.sampling.config import SamplerConfig
from streamchar_ref.sampling.flow import Latents
from streamchar_ref.sampling.sampler import sample_chunk
from streamchar_ref.train.distill.config import DistillConfig
from streamchar_ref.train.windows import TrainingWindow, WindowPool

_OFFSET = 0x7261_6A00
"""Added to the seed, so that no other stage draws these windows."""
RowsT = TypeVar("RowsT")


@dataclass(frozen=True, kw_only=True)
class TrajectoryBatch:
    """Trajectories of the windows of a batch, in half precision.

    Attributes:
        video: Video latents at each of the student's noise levels, [B, K, F, C, h, w].
        audio: Audio latents at each, [B, K, A, Ca].
        clean_video: Where they end, [B, F, C, h, w].
        clean_audio: Where they end, [B, A, Ca].
    """

    video: Tensor
    audio: Tensor
    clean_video: Tensor
    clean_audio: Tensor

    @property
    def clean(self) -> Latents:
        """Where the trajectories end, in single precision."""
        return self.clean_video.float(), self.clean_audio.float()

    def at(self, level: Int64[Tensor, " B"]) -> Latents:
        """Returns where each trajectory is at one of the noise levels."""
        rows = torch.arange(len(level), device=level.device)
        return self.video[rows, level].float(), self.audio[rows, level].float()


class TrajectoryPool:
    """Batches of guided trajectories, and the windows that they belong to.

    Args:
        windows: Where the windows are drawn from.
        batches: Their trajectories.
        sigmas: K noise levels of the student, from 1 down, without 0.
        seed: That the windows were drawn with.

    Attributes:
        spread: Standard deviations of the teacher's clean latents, video and audio.
        most: Windows that can be drawn at once.
    """

    spread: tuple[Tensor, ...]
    most: int

    def __init__(
        self,
        windows: WindowPool,
        batches: Sequence[TrajectoryBatch],
        sigmas: Sequence[float],
        *,
        seed: int,
    ) -> None:
        self._windows, self._batches, self._seed = windows, batches, seed
        self.sigmas, self.most = tuple(sigmas), len(batches[0].video)
        some = [batch.clean for batch in batches[:8]]
        self.spread = tuple(torch.cat(each).std() for each in zip(*some, strict=True))

    def __call__(self, draw: Draw) -> tuple[TrainingWindow, TrajectoryBatch]:
        """Draws some windows of one batch.

        In steps one after the other, each batch comes once before any comes again.

        Args:
            draw: Of the update; at most as many samples as a batch of trajectories has.

        Returns:
            The windows and their trajectories, on the training device.

        Raises:
            InputError: If more samples are asked for.
        """
        count = len(self._batches)
        if draw.batch > self.most:
            raise InputError(
                f"a batch of {draw.batch} is more than the {self.most} trajectories that are drawn "
                "together: give a smaller --batch, or --set distill.window_batch=..."
            )
        turn, number = divmod(draw.step, count)
        shuffle = torch.Generator().manual_seed((self._seed + turn) * 1_009 + draw.rank)
        index = int(torch.randperm(count, generator=shuffle)[number])
        trajectories = self._batches[index]
        window = self._windows(_drawn(index, len(trajectories.video), self._seed))
        device = window.video.device
        chosen = replace(draw, group=f"{draw.group}-rows").generator()
        rows = torch.randperm(len(trajectories.video), generator=chosen)[: draw.batch]
        rows = rows.to(device)
        return take_rows(window, rows), take_rows(trajectories, rows)


def trajectory_pool(
    teacher: StreamChar,
    windows: WindowPool,
    config: DistillConfig,
    folder: Path,
    *,
    origin: Mapping[str, Any],
    seed: int = 0,
    progress: ProgressFn | None = None,
) -> TrajectoryPool:
    """Integrates the guided teacher on many windows; what is on disk already is read.

    Args:
        teacher: Whose config says how it is guided and from how much noise it starts.
        windows: Where the windows are drawn from.
        config: How many, and in how many steps.
        folder: Where they are kept, in a folder of their own for each teacher and setting.
        origin: What else they depend on, such as the clips; JSON values.
        seed: Of windows and noise.
        progress: Told how many batches are done.

    Returns:
        The trajectories.
    """
    sampler = replace(teacher.config.sampler, kind="ab2", num_steps=config.trajectory_steps)
    digest = _digest(teacher, config, sampler, {**origin, "seed": seed})
    folder = folder / f"trajectories-{digest[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    count = -(-config.num_windows // config.window_batch)
    batches = []
    for index in range(count):
        path = folder / f"{index:05d}.safetensors"
        batch = _read(path, config)
        if batch is None:
            drawn = _drawn(index, config.window_batch, seed + _OFFSET)
            batch = integrate(teacher, windows(drawn), config, sampler, drawn)
            with replacing(path) as partial:
                save_file({name: each.cpu() for name, each in vars(batch).items()}, partial)
            if progress:
                progress("trajectories", index + 1, count)
        batches.append(batch_on(batch, teacher.device))
    sigmas = flow.shifted_sigmas(config.num_steps, sampler.required("shift"))[:-1]
    return TrajectoryPool(windows, batches, sigmas, seed=seed + _OFFSET)


@torch.no_grad()
def integrate(
    teacher: StreamChar,
    window: TrainingWindow,
    config: DistillConfig,
    sampler: SamplerConfig,
    draw: Draw,
) -> TrajectoryBatch:
    """Integrates the guided teacher on one batch of windows.

    Args:
        teacher: The networks.
        window: The windows.
        config: Says which points are kept.
        sampler: Of the teacher.
        draw: Of the noise.

    Returns:
        The trajectories, at the student's noise levels and at their end.
    """
    generator = draw.generator(window.video.device)
    points: list[Latents] = []

    def noise() -> Latents:
        return tuple(
            torch.randn(x.shape, generator=generator, device=x.device)
            for x in (window.video, window.audio)
        )

    device = window.video.device.type
    with torch.autocast(device, torch.bfloat16, enabled=has_bfloat16(device)):
        condition = prefill(teacher, window.inputs, window.context)
        clean = sample_chunk(condition, sampler, noise, visit=points.append)
    kept = points[:: config.trajectory_steps // config.num_steps]
    video, audio = (torch.stack(each, dim=1).half() for each in zip(*kept, strict=True))
    return TrajectoryBatch(
        video=video, audio=audio, clean_video=clean[0].half(), clean_audio=clean[1].half()
    )


def take_rows(batch: RowsT, rows: Int64[Tensor, " _"]) -> RowsT:
    """Returns some samples of a dataclass of tensors, which may be nested."""
    taken: dict[str, Any] = {}
    for each in fields(batch):  # type: ignore[arg-type]
        value = getattr(batch, each.name)
        nested = is_dataclass(value)
        taken[each.name] = take_rows(value, rows) if nested else value.index_select(0, rows)
    return replace(batch, **taken)  # type: ignore[type-var]


def batch_on(batch: TrajectoryBatch, device: torch.device) -> TrajectoryBatch:
    """Copies trajectories to a device."""
    return replace(batch, **{name: each.to(device) for name, each in vars(batch).items()})


def _drawn(index: int, batch: int, seed: int) -> Draw:
    return Draw(step=index, batch=batch, seed=seed)


def _read(path: Path, config: DistillConfig) -> TrajectoryBatch | None:
    """Reads a batch; one that is missing or cut is made anew."""
    if not path.is_file():
        return None
    try:
        batch = TrajectoryBatch(**load_file(path))
    except (SafetensorError, TypeError):
        return None
    is_whole = batch.video.shape[:2] == (config.window_batch, config.num_steps)
    return batch if is_whole else None


def _digest(
    teacher: StreamChar, config: DistillConfig, sampler: SamplerConfig, origin: Mapping[str, Any]
) -> str:
    """Identifies everything that trajectories depend on but the number of windows."""
    own = ("num_steps", "trajectory_steps", "window_batch", "motion_sigma", "visible")
    values = {name: getattr(config, name) for name in own}
    values["device"] = teacher.device.type  # noise on the context is drawn there
    if not has_bfloat16(teacher.device.type):
        values["precision"] = "float32"
    model = to_json(teacher.config) | {"sampler": asdict(sampler)}
    told = [values, model, dict(origin)]
    digest = sha256(json.dumps(told, sort_keys=True).encode())
    for name, weight in teacher.state_dict().items():
        if name.startswith(("dit.", "orchestrator.")):
            digest.update(name.encode() + weight.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
