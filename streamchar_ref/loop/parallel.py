"""Training on several processes started by ``torchrun``: the same code, wrapped.

Small models are copied to every process (DDP), large ones spread over them (FSDP).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from streamchar_ref.core.errors import InputError

SHARDED_ABOVE = 1_000_000_000
"""Parameters beyond which weights and moments are spread over the processes (FSDP)."""
_PATIENCE = timedelta(hours=6)  # while the first process makes speech and latents


@dataclass(frozen=True, kw_only=True)
class DistContext:
    """The processes that train together.

    Attributes:
        rank: Number of this one.
        size: Number of all.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def of_this_process(cls, device: str = "cpu") -> "DistContext":
        """Joins the group that ``torchrun`` names in the environment; alone without it.

        Args:
            device: ``cpu`` or ``cuda``, where training will be; the first call decides.

        Returns:
            This process and the number of all.
        """
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        if not dist.is_initialized():
            on_gpu = device.startswith("cuda")
            if on_gpu:
                torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
            dist.init_process_group("nccl" if on_gpu else "gloo", timeout=_PATIENCE)
        return cls(rank=dist.get_rank(), size=size)

    @property
    def is_first(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def all_true(self, condition: bool) -> bool:
        """Returns whether a condition holds in all processes; waits for all of them."""
        if self.size == 1:
            return condition
        votes = torch.tensor([int(condition)], device=_device())
        dist.all_reduce(votes, dist.ReduceOp.MIN)
        return bool(votes)

    def broadcast(self, number: int) -> int:
        """Returns the number that the first process has."""
        if self.size == 1:
            return number
        tensor = torch.tensor([number], device=_device())
        dist.broadcast(tensor, 0)
        return int(tensor)

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Returns each number's sum over the processes."""
        if self.size == 1:
            return list(numbers)
        sums = torch.tensor(numbers, dtype=torch.float64, device=_device())
        dist.all_reduce(sums)
        return sums.tolist()

    def wrap(self, stage: nn.Module, *, is_spreadable: bool = True) -> nn.Module:
        """Averages gradients over the processes.

        It comes before the optimisers are made, for it may replace the weights.

        Args:
            stage: Returns its loss and parts of it. A large one is spread in place, each entry of
                its module lists on its own; all processes must use the same of its weights.
            is_spreadable: Whether that may be done. It may not be where weights require gradients
                in some steps only, as in a stage with several groups of weights.

        Returns:
            What is to be called in the place of the stage.

        Raises:
            InputError: If the stage is large but must not be spread.
        """
        if self.size == 1:
            return stage
        if sum(p.numel() for p in stage.parameters()) <= SHARDED_ABOVE:
            return DistributedDataParallel(
                _LossOnly(stage), find_unused_parameters=True, broadcast_buffers=False
            )
        if not is_spreadable:
            raise InputError(
                f"a stage with several groups of weights cannot be spread over {self.size} "
                f"processes, as one of more than {SHARDED_ABOVE} weights must be; use one process"
            )
        lists = [module for module in stage.modules() if isinstance(module, nn.ModuleList)]
        for entry in (entry for modules in reversed(lists) for entry in modules):
            fully_shard(entry)
        fully_shard(stage)
        return stage

    def unwrap(self, stage: nn.Module) -> None:
        """Gives every process all weights of a stage that was spread; all must call it."""
        gathered: dict[Tensor, nn.Parameter] = {}  # a weight may be in several modules
        for module in stage.modules():
            for name, weight in list(module.named_parameters(recurse=False)):
                if isinstance(weight, DTensor):
                    if weight not in gathered:
                        full = weight.full_tensor().detach()
                        gathered[weight] = nn.Parameter(full, weight.requires_grad)
                    setattr(module, name, gathered[weight])
        for module in stage.modules():
            if isinstance(module, FSDPModule):
                _forget(module)


class _LossOnly(nn.Module):
    """A stage whose parts have no gradient: DDP would wait for that of weights only they use."""

    def __init__(self, stage: nn.Module) -> None:
        super().__init__()
        self.stage = stage

    def forward(self, draw: Any) -> tuple[Tensor, dict[str, Tensor]]:
        loss, parts = self.stage(draw)
        return loss, {name: part.detach() for name, part in parts.items()}


def gather_full(content: Any, *, keep: bool = True) -> Any:
    """Gathers all spread tensors of nested dicts and lists; all processes must call it.

    Args:
        content: Also holds other things, which stay as they are.
        keep: Whether this process wants the tensors; the others get ``None`` in their place.

    Returns:
        The same with whole tensors.
    """
    if isinstance(content, DTensor):
        full = content.full_tensor()
        return full if keep else None
    if isinstance(content, dict):
        return {name: gather_full(each, keep=keep) for name, each in content.items()}
    if isinstance(content, list):
        return [gather_full(each, keep=keep) for each in content]
    return content


def distribute_like(tensor: Tensor, model: Tensor) -> Tensor:
    """Moves a whole tensor to the device of another one, and spreads it if that is spread."""
    tensor = tensor.to(model.device)
    if not isinstance(model, DTensor):
        return tensor
    return distribute_tensor(tensor, model.device_mesh, model.placements, src_data_rank=None)


def _forget(module: nn.Module) -> None:
    """Undoes `fully_shard`, for which torch has no function, where the weights are whole again."""
    state = fully_shard.state(module)  # type: ignore[attr-defined]
    state._pre_forward_hook_handle.remove()
    state._post_forward_hook_handle.remove()
    module.__class__ = type(module).__mro__[2]  # the class before FSDPModule was put in front


def _device() -> str:
    return "cuda" if dist.get_backend() == "nccl" else "cpu"
