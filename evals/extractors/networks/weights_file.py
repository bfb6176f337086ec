"""Weights of judges on disk: half precision, with how they were made, the same bytes every time."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import nn

from streamchar_ref.core.files import write_atomically

MAX_BYTES = 2_000_000


def save_weights(path: Path, network: nn.Module, about: Mapping[str, Any]) -> None:
    """Writes a network's weights and buffers.

    Args:
        path: Where; written whole or not at all.
        network: Trained.
        about: How it was made, as JSON values.

    Raises:
        ValueError: If the file would be larger than a judge may be.
    """
    tensors = {name: _small(tensor) for name, tensor in sorted(network.state_dict().items())}
    content = save(tensors, metadata={"about": json.dumps(dict(about), sort_keys=True)})
    if len(content) > MAX_BYTES:
        raise ValueError(f"{path.name}: {len(content)} bytes; a judge has at most {MAX_BYTES}")
    write_atomically(path, content)


def load_weights(path: Path, network: nn.Module) -> None:
    """Reads weights into a network and switches it to inference."""
    with safe_open(str(path), framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    network.load_state_dict({name: _large(tensor) for name, tensor in tensors.items()})
    network.eval()


def about_weights(path: Path) -> dict[str, Any]:
    """Returns how the weights in a file were made; older files have it under ``training``."""
    with safe_open(str(path), framework="pt") as file:
        about: dict[str, Any] = json.loads((file.metadata() or {}).get("about", "{}"))
    made: dict[str, Any] = about.get("training", about)
    return made


def _small(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach().contiguous()
    return tensor.half() if tensor.is_floating_point() else tensor


def _large(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
