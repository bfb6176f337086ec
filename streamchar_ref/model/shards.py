"""Weights in files: safetensors shards of a limited size, in one of three storage formats."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import real

MAX_SHARD_BYTES = 15_000_000
SHARDS = "weights-*.safetensors"
REMEDY = "copy or train it again"
Storage = Literal["float32", "bfloat16", "int8"]
"""``int8`` keeps large matrices as bytes with a scale for each row, all else as ``bfloat16``."""
_SCALE = ".scale"
_MIN_QUANTISED = 1024  # smaller tensors cost little and matter much


class CheckpointError(InputError):
    """A folder that is no checkpoint, a damaged one, or one of another preset."""


def write_shards(folder: Path, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Writes shards.

    Args:
        folder: Where to.
        tensors: What `packed` returned.

    Returns:
        The entry of each shard in the index: its SHA-256 and the names of its tensors.
    """
    entries = {}
    for number, shard in enumerate(_shards(tensors)):
        name = f"weights-{number:02d}.safetensors"
        content = save(shard)
        (folder / name).write_bytes(content)
        entries[name] = {"sha256": sha256(content).hexdigest(), "tensors": sorted(shard)}
    return entries


def read_shard(folder: Path, name: str, entry: Mapping[str, Any]) -> dict[str, Tensor]:
    """Reads a shard.

    Args:
        folder: Of the checkpoint.
        name: Of the file.
        entry: What the index says of it.

    Returns:
        Packed tensors by name.

    Raises:
        CheckpointError: If the file is missing, or its bytes or tensors are not those of the
            index.
    """
    path = folder / name
    if path.is_symlink() and real(path).parent != real(folder):
        raise CheckpointError(f"shard {path} is a link out of its folder; copy the file itself")
    if not path.is_file():
        raise CheckpointError(f"shard {name} is missing in {folder}; copy it again")
    content = path.read_bytes()
    if sha256(content).hexdigest() != entry["sha256"]:
        raise CheckpointError(
            f"shard {path} is damaged: its SHA-256 is not that of the index; {REMEDY}"
        )
    try:
        tensors = load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f"shard {path} is no safetensors file ({error}); {REMEDY}") from error
    if sorted(tensors) != entry["tensors"]:
        raise CheckpointError(f"shard {path} holds other weights than the index says; {REMEDY}")
    return tensors


def packed(tensors: Mapping[str, Tensor], storage: Storage) -> dict[str, Tensor]:
    """Converts weights to a storage format; vectors and small tensors keep their precision."""
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        if storage == "int8" and tensor.ndim >= 2 and tensor.numel() >= _MIN_QUANTISED:
            rows = tensor.float().flatten(1)
            scale = _scale_of(rows)
            levels = (rows / scale.float()[:, None]).round().clamp(-127, 127)
            stored[name] = levels.to(torch.int8).view(tensor.shape)
            stored[name + _SCALE] = scale
        elif tensor.is_floating_point() and storage != "float32" and tensor.ndim >= 2:
            stored[name] = tensor.bfloat16()
        else:
            stored[name] = tensor.clone()
    return stored


def _scale_of(rows: Float[Tensor, "R _"]) -> Float[Tensor, " R"]:
    """The step of each row in half precision, never too small for its largest weight.

    Half precision has fixed steps of 2^-24 below 2^-14, which for rows of tiny weights are coarse.
    """
    needed = rows.abs().amax(dim=1) / 127
    nearest = needed.half()
    is_fine = nearest >= 2**-14
    upwards = ((needed / 2**-24).ceil().clamp_min(1) * 2**-24).half()
    return torch.where(is_fine, nearest, upwards)


def unpacked(folder: Path, stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Converts stored tensors back to floating point numbers.

    Args:
        folder: Of the checkpoint, for messages.
        stored: Tensors of all shards.

    Returns:
        Weights by name.

    Raises:
        CheckpointError: If a matrix of bytes has no scale for each of its rows.
    """
    return dict(_unpacked(folder, stored))


def _unpacked(folder: Path, stored: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in stored.items():
        if name.endswith(_SCALE) and name.removesuffix(_SCALE) in stored:
            continue
        if tensor.dtype == torch.int8:
            scale = stored.get(name + _SCALE)
            if scale is None or tensor.ndim < 2 or scale.shape != tensor.shape[:1]:
                raise CheckpointError(f"{folder}: {name} has no scale for each row; {REMEDY}")
            yield name, (tensor.flatten(1).float() * scale[:, None]).view(tensor.shape)
        else:
            yield name, tensor.float() if tensor.is_floating_point() else tensor


def _shards(tensors: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Fills shards in the order of names; one that is larger than a shard stands alone."""
    shard: dict[str, Tensor] = {}
    size = 0
    for name in sorted(tensors):
        added = tensors[name].numel() * tensors[name].element_size() + 256  # its line in the header
        if shard and size + added > MAX_SHARD_BYTES:
            yield shard
            shard, size = {}, 0
        shard[name] = tensors[name]
        size += added
    yield shard
