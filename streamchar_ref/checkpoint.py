"""Weights with their config and origin: a folder of safetensors shards and one index.

The index is written last and names every shard with its SHA-256, so a folder is whole or it is
not a checkpoint; a new one takes the place of an old one once it is whole.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load, save
from torch import Tensor

from streamchar_ref.config import Config, from_json, to_json
from streamchar_ref.errors import InputError
from streamchar_ref.streamchar import StreamChar

INDEX = "checkpoint.json"
VERSION = 1
MAX_SHARD_BYTES = 15_000_000
Storage = Literal["float32", "bfloat16", "int8"]
_SCALE = ".scale"
_MIN_QUANTISED = 1024  # smaller tensors cost little and matter much


class CheckpointError(InputError):
    """A folder that is no checkpoint, a damaged one, or one of another preset."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a folder holds.

    Attributes:
        config: Of the model.
        tensors: Its weights, as floating point numbers.
        origin: Where they come from: stages, steps, minutes, data, versions.
        digest: SHA-256 of the index, which names those of the shards.
    """

    config: Config
    tensors: dict[str, Tensor]
    origin: dict[str, Any]
    digest: str

    def model(self) -> StreamChar:
        """Builds the model, ready to stream.

        Returns:
            The model in evaluation mode.

        Raises:
            CheckpointError: If the weights do not fit the config.
        """
        model = StreamChar(self.config)
        misfit = self._misfit(model.state_dict())
        if misfit:
            raise CheckpointError(misfit)
        model.load_state_dict(self.tensors)
        return model.eval()

    def _misfit(self, wanted: Mapping[str, Tensor]) -> str:
        """Says in one line how the weights differ from those of a whole model; empty if not."""
        lacking = [name for name in wanted if name not in self.tensors]
        unknown = [name for name in self.tensors if name not in wanted]
        shared = wanted.keys() & self.tensors.keys()
        other = [name for name in sorted(shared) if wanted[name].shape != self.tensors[name].shape]
        if lacking and not unknown and not other:
            stages = ", ".join(self.origin) or "unknown"
            parts = ", ".join(dict.fromkeys(name.split(".")[0] for name in lacking))
            return (
                f"not a whole model: it holds what was trained in stage {stages}, and lacks "
                f"weights of {parts}; join the stages of a run with: streamchar train export "
                f"--preset {self.config.preset} --out RUN"
            )
        if lacking or unknown or other:
            first = (lacking + unknown + other)[0]
            return (
                f"the weights do not fit their config: {len(lacking)} are missing, {len(unknown)} "
                f"unknown, {len(other)} of another shape, e.g. {first}; was it written by another "
                "version?"
            )
        return ""


def save_checkpoint(
    folder: Path,
    tensors: Mapping[str, Tensor],
    config: Config,
    *,
    origin: Mapping[str, Any],
    storage: Storage = "bfloat16",
) -> None:
    """Writes a checkpoint; what was in the folder before is replaced at the very end.

    Args:
        folder: Where to.
        tensors: Weights by name.
        config: Of the model.
        origin: JSON values that say where the weights come from.
        storage: ``int8`` keeps large matrices as bytes with a scale for each row.

    Raises:
        OSError: If the disk is full; the earlier checkpoint is then still whole.
    """
    partial = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        shards = _write_shards(partial, _packed(tensors, storage))
        index = {
            "version": VERSION,
            "config": to_json(config),
            "origin": dict(origin),
            "storage": storage,
            "shards": shards,
        }
        (partial / INDEX).write_text(json.dumps(index, indent=1, sort_keys=True), encoding="utf-8")
        _replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load_checkpoint(folder: Path, *, preset: str = "") -> Checkpoint:
    """Reads a checkpoint and checks every byte of it.

    Args:
        folder: Written by `save_checkpoint`.
        preset: Refuse any other, if given.

    Returns:
        Config, weights and origin.

    Raises:
        CheckpointError: If a shard is missing or altered, the version is another one, or the
            preset is not the one asked for; says which and what to do.
    """
    index, digest = _index(folder)
    config = _config(folder, index)
    if preset and config.preset != preset:
        raise CheckpointError(f"{folder} holds preset {config.preset!r}, not {preset!r}")
    tensors: dict[str, Tensor] = {}
    for name, known in index["shards"].items():
        tensors |= load(_verified(folder / name, known["sha256"]))
    return Checkpoint(
        config=config, tensors=dict(_unpacked(tensors)), origin=index["origin"], digest=digest
    )


def part_of(
    tensors: Mapping[str, Tensor], *prefixes: str, strip: bool = False
) -> dict[str, Tensor]:
    """Returns the tensors whose names begin so, if wanted without that beginning."""
    found = {name: tensor for name, tensor in tensors.items() if name.startswith(prefixes)}
    return {name.partition(".")[2]: found[name] for name in found} if strip else found


def _index(folder: Path) -> tuple[dict[str, Any], str]:
    path = folder / INDEX
    if not path.is_file():
        raise CheckpointError(f"{folder} is no checkpoint: it has no {INDEX}")
    content = path.read_bytes()
    try:
        index = json.loads(content)
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if index.get("version") != VERSION:
        raise CheckpointError(
            f"{path} has version {index.get('version')}, this program reads {VERSION}"
        )
    return index, sha256(content).hexdigest()


def _config(folder: Path, index: Mapping[str, Any]) -> Config:
    try:
        return from_json(index["config"])
    except ValueError as error:
        raise CheckpointError(f"{folder / INDEX}: {error}") from error


def _verified(path: Path, digest: str) -> bytes:
    if not path.is_file():
        raise CheckpointError(f"shard {path.name} is missing in {path.parent}; copy it again")
    content = path.read_bytes()
    if sha256(content).hexdigest() != digest:
        raise CheckpointError(f"shard {path} is damaged: its SHA-256 is not that of the index")
    return content


def _packed(tensors: Mapping[str, Tensor], storage: Storage) -> dict[str, Tensor]:
    packed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        if storage == "int8" and tensor.ndim >= 2 and tensor.numel() >= _MIN_QUANTISED:
            rows = tensor.float().flatten(1)
            scale = rows.abs().amax(dim=1).clamp_min(1e-12) / 127
            packed[name] = (rows / scale[:, None]).round().to(torch.int8).view(tensor.shape)
            packed[name + _SCALE] = scale.half()
        elif tensor.is_floating_point() and storage != "float32" and tensor.ndim >= 2:
            packed[name] = tensor.bfloat16()
        else:
            packed[name] = tensor.clone()
    return packed


def _unpacked(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors.items():
        if name.endswith(_SCALE) and name.removesuffix(_SCALE) in tensors:
            continue
        if tensor.dtype == torch.int8:
            scale = tensors[name + _SCALE]
            yield name, (tensor.flatten(1).float() * scale[:, None]).view(tensor.shape)
        else:
            yield name, tensor.float() if tensor.is_floating_point() else tensor


def _write_shards(folder: Path, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Writes shards; returns what the index tells of each."""
    told = {}
    for number, shard in enumerate(_shards(tensors)):
        name = f"weights-{number:02d}.safetensors"
        content = save(shard)
        (folder / name).write_bytes(content)
        told[name] = {"sha256": sha256(content).hexdigest(), "tensors": sorted(shard)}
    return told


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


def _replace(partial: Path, folder: Path) -> None:
    old = folder.with_name(f"{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
