"""Weights with their config and origin: a folder of safetensors shards and one index.

The index is written last, names every shard with its SHA-256 and holds a digest of itself, so a
folder is whole or it is not a checkpoint; a new one takes the place of an old one once it is whole.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import (
    partial_path,
    real,
    remove,
    remove_abandoned,
    sync,
    sync_folder,
)
from streamchar_ref.core.sealed import DIGEST, index_bytes, read_index
from streamchar_ref.model.config import Config, from_json, to_json
from streamchar_ref.model.streamchar import StreamChar, shapes_of

INDEX = "checkpoint.json"
VERSION = 1
MAX_SHARD_BYTES = 15_000_000
Storage = Literal["float32", "bfloat16", "int8"]
_SHARDS = "weights-*.safetensors"
_SHARD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SCALE = ".scale"
_REMEDY = "copy or train it again"
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
        digest: SHA-256 of what the index says, which names those of the shards.
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
            InputError: If there is no model of this config.
        """
        misfit = self._misfit(shapes_of(self.config))
        if misfit:
            raise CheckpointError(misfit)
        model = StreamChar(self.config)
        model.load_state_dict(self.tensors)
        return model.eval()

    def _misfit(self, wanted: Mapping[str, torch.Size]) -> str:
        """Says in one line how the weights differ from those of a whole model; empty if not."""
        lacking = [name for name in wanted if name not in self.tensors]
        unknown = [name for name in self.tensors if name not in wanted]
        shared = wanted.keys() & self.tensors.keys()
        other = [name for name in sorted(shared) if wanted[name] != self.tensors[name].shape]
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
    folder = real(folder)  # a link stays one
    _check_replaceable(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    tidy_checkpoint(folder)
    partial = partial_path(folder)
    partial.mkdir()
    try:
        shards = _write_shards(partial, _packed(tensors, storage))
        index = {
            "version": VERSION,
            "config": to_json(config),
            "origin": dict(origin),
            "storage": storage,
            "shards": shards,
        }
        (partial / INDEX).write_bytes(index_bytes(index))
        sync(partial)
        _replace(partial, folder)
    finally:
        remove(partial)


def load_checkpoint(folder: Path, *, preset: str = "") -> Checkpoint:
    """Reads a checkpoint and checks every byte of it.

    Args:
        folder: Written by `save_checkpoint`.
        preset: Refuse any other, if given.

    Returns:
        Config, weights and origin.

    Raises:
        CheckpointError: If the index or a shard is missing or altered, the version is another
            one, or the preset is not the one asked for; says which and what to do.
    """
    if not (folder / INDEX).is_file() and has_checkpoint(folder):
        folder = _set_aside(real(folder))
    index = _index(folder)
    config = _config(folder, index)
    if preset and config.preset != preset:
        raise CheckpointError(f"{folder} holds preset {config.preset!r}, not {preset!r}")
    tensors: dict[str, Tensor] = {}
    for name, known in index["shards"].items():
        tensors |= _loaded(folder, name, known)
    return Checkpoint(
        config=config,
        tensors=dict(_unpacked(folder, tensors)),
        origin=index["origin"],
        digest=index[DIGEST],
    )


def has_checkpoint(folder: Path) -> bool:
    """Says whether there is one, if only where a killed writer has set it aside."""
    return (folder / INDEX).is_file() or (_set_aside(real(folder)) / INDEX).is_file()


def part_of(
    tensors: Mapping[str, Tensor], *prefixes: str, strip: bool = False
) -> dict[str, Tensor]:
    """Returns the tensors whose names begin so, if wanted without that beginning."""
    found = {name: tensor for name, tensor in tensors.items() if name.startswith(prefixes)}
    return {name.partition(".")[2]: found[name] for name in found} if strip else found


def _index(folder: Path) -> dict[str, Any]:
    """Reads the index; those of before there were digests are taken without."""
    path = folder / INDEX
    if not path.is_file():
        raise CheckpointError(f"{folder} is no checkpoint: it has no {INDEX}")
    try:
        index = read_index(path, version=VERSION, remedy=_REMEDY, is_digest_needed=False)
    except InputError as error:
        raise CheckpointError(str(error)) from error
    wrong = _wrong_fields(index)
    if wrong:
        raise CheckpointError(f"{path} is no index of a checkpoint: {wrong}; {_REMEDY}")
    return index


def _wrong_fields(index: Mapping[str, Any]) -> str:
    """Says what an index lacks or has of another kind; empty if nothing."""
    kinds = {"config": dict, "origin": dict, "storage": str, "shards": dict}
    if index.keys() - {"version", DIGEST} != kinds.keys():
        return f"it has the fields {', '.join(index):.200}"
    for name, kind in kinds.items():
        if not isinstance(index[name], kind):
            return f"{name} is {index[name]!r:.60}"
    if index["storage"] not in get_args(Storage):
        return f"storage is {index['storage']!r:.60}"
    for name, known in index["shards"].items():
        if not _SHARD_NAME.fullmatch(name):
            return f"a shard is called {name!r:.60}, which is no name of a file beside it"
        if not isinstance(known, dict) or known.keys() != {"sha256", "tensors"}:
            return f"shard {name!r:.60} is described as {known!r:.60}"
        if not isinstance(known["sha256"], str) or not isinstance(known["tensors"], list):
            return f"shard {name!r:.60} is described as {known!r:.60}"
    return ""


def _config(folder: Path, index: Mapping[str, Any]) -> Config:
    try:
        return from_json(index["config"])
    except ValueError as error:
        raise CheckpointError(f"{folder / INDEX}: {error}") from error


def _loaded(folder: Path, name: str, known: Mapping[str, Any]) -> dict[str, Tensor]:
    """Reads a shard whose bytes and tensors are those that the index names."""
    path = folder / name
    if path.is_symlink() and real(path).parent != real(folder):
        raise CheckpointError(f"shard {path} is a link out of its folder; copy the file itself")
    if not path.is_file():
        raise CheckpointError(f"shard {name} is missing in {folder}; copy it again")
    content = path.read_bytes()
    if sha256(content).hexdigest() != known["sha256"]:
        raise CheckpointError(
            f"shard {path} is damaged: its SHA-256 is not that of the index; {_REMEDY}"
        )
    try:
        tensors = load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"shard {path} is no safetensors file ({error}); {_REMEDY}"
        ) from error
    if sorted(tensors) != known["tensors"]:
        raise CheckpointError(f"shard {path} holds other weights than the index says; {_REMEDY}")
    return tensors


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


def _unpacked(folder: Path, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors.items():
        if name.endswith(_SCALE) and name.removesuffix(_SCALE) in tensors:
            continue
        if tensor.dtype == torch.int8:
            scale = tensors.get(name + _SCALE)
            if scale is None or tensor.ndim < 2 or scale.shape != tensor.shape[:1]:
                raise CheckpointError(f"{folder}: {name} has no scale for each row; {_REMEDY}")
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


def _check_replaceable(folder: Path) -> None:
    """Refuses a folder that holds more than a checkpoint: all of it would be gone."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is a file; choose another folder")
    own = {INDEX, *(path.name for path in folder.glob(_SHARDS))}
    others = sorted(path.name for path in folder.iterdir() if path.name not in own)
    if others:
        raise CheckpointError(
            f"{folder} holds something else, such as {others[0]!r:.60}; choose another folder"
        )


def _set_aside(folder: Path) -> Path:
    """Where the old checkpoint is between the two renames of `_replace`."""
    return folder.parent / f".{folder.name}.old"


def tidy_checkpoint(folder: Path) -> None:
    """Puts right what a writer of this checkpoint that was killed has left."""
    old = _set_aside(folder)
    if (folder / INDEX).is_file():
        remove(old)
    elif (old / INDEX).is_file() and not folder.exists():
        old.rename(folder)
    if folder.parent.is_dir():
        remove_abandoned(folder.parent, deep=False)


def _replace(partial: Path, folder: Path) -> None:
    old = _set_aside(folder)
    if (old / INDEX).is_file():
        remove(folder)  # not whole, see `tidy_checkpoint`, while the old one is
    elif folder.exists():
        folder.rename(old)
    partial.rename(folder)
    sync_folder(folder.parent)
    remove(old)
