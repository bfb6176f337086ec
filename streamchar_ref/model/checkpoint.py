"""Weights with their config and origin: a folder of safetensors shards and one index.

The index names every shard with its SHA-256 and holds a digest of itself; a new checkpoint replaces
an old one once it is whole. A checkpoint may hold several networks of the same shape, such as a
student and a critic: the weights of each have its name before theirs (``student.dit.``), and each
has a `SamplerConfig` of its own in the index. What they share has no such prefix.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from streamchar_ref.core.config_values import filled
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import real, remove_abandoned
from streamchar_ref.core.sealed import DIGEST, index_bytes, read_index
from streamchar_ref.core.shape import fault_in
from streamchar_ref.core.swap import newest, replacing_folder, settle
from streamchar_ref.model.config import Config
from streamchar_ref.model.config_json import from_json, to_json
from streamchar_ref.model.shards import (
    REMEDY,
    SHARDS,
    CheckpointError,
    Storage,
    packed,
    read_shard,
    unpacked,
    write_shards,
)
from streamchar_ref.model.streamchar import StreamChar, shapes_of
from streamchar_ref.sampling.config import SamplerConfig

INDEX = "checkpoint.json"
VERSION = 1
PLAIN = "plain"
"""Stands for the network whose weights have no prefix."""
STUDENT = "student"
"""The network that is taken where none is named, if there is one of this name."""
_SHARD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NETWORK_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MODULES = frozenset({"dit", "orchestrator", "prompt", "video_vae", "audio_vae"})


@dataclass(frozen=True, kw_only=True)
class _Shard:
    """What the index says of a shard."""

    sha256: str
    tensors: list[str]


@dataclass(frozen=True, kw_only=True)
class _Index:
    """The fields of an index."""

    version: int
    config: dict[str, Any]
    origin: dict[str, Any]
    storage: Storage
    shards: dict[str, _Shard]
    digest: str
    samplers: dict[str, SamplerConfig] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Weights with their config.

    Attributes:
        config: Of the model; its sampler is that of the network without a prefix.
        tensors: Weights by name, as floating point numbers.
        origin: Where they come from: stages, steps, minutes, data, versions.
        digest: SHA-256 of what the index says, which names those of the shards.
        samplers: How each network with a prefix is sampled, by its name.
    """

    config: Config
    tensors: dict[str, Tensor]
    origin: dict[str, Any]
    digest: str
    samplers: Mapping[str, SamplerConfig] = field(default_factory=dict)

    def model(self, network: str = "") -> StreamChar:
        """Builds the model, ready to stream.

        Args:
            network: See `select`.

        Returns:
            The model in evaluation mode.

        Raises:
            CheckpointError: If there is no such network, or the weights do not fit the config.
            InputError: If there is no model of this config.
        """
        chosen = self.select(network)
        misfit = chosen._misfit(shapes_of(chosen.config))
        if misfit:
            raise CheckpointError(misfit)
        model = StreamChar(chosen.config)
        model.load_state_dict(chosen.tensors)
        return model.eval()

    def select(self, network: str = "") -> "Checkpoint":
        """Returns one of the networks, with the weights that it shares with the others.

        Args:
            network: Its name, or `PLAIN`; by default the student if there is one, else `PLAIN`.

        Returns:
            A checkpoint without prefixes, whose config has the sampler of this network.

        Raises:
            CheckpointError: If there is no such network; names those that are there.
        """
        name = network or (STUDENT if STUDENT in self.samplers else PLAIN)
        if name == PLAIN:
            return replace(self, tensors=self.plain(), samplers={})
        if name not in self.samplers:
            known = ", ".join((PLAIN, *self.samplers))
            raise CheckpointError(f"the checkpoint has no network {name!r:.60}; it has {known}")
        return replace(
            self,
            config=replace(self.config, sampler=self.samplers[name]),
            tensors=self.plain() | part_of(self.tensors, f"{name}.", strip=True),
            samplers={},
        )

    def plain(self) -> dict[str, Tensor]:
        """Returns the weights that have no network's name before theirs."""
        prefixes = tuple(f"{name}." for name in self.samplers)
        return {name: each for name, each in self.tensors.items() if not name.startswith(prefixes)}

    def joined(self, other: "Checkpoint") -> "Checkpoint":
        """Returns this checkpoint with the weights of another one added or in their place.

        Args:
            other: Of the same shape.

        Returns:
            The checkpoint, with the config of this one.

        Raises:
            CheckpointError: If its DiT looks back on another kind of context, which no shape tells.
        """
        wanted, found = (each.config.dit.cached_chunks for each in (self, other))
        if wanted != found and part_of(other.tensors, "dit."):
            raise CheckpointError(
                f"the weights to begin with look back on dit.cached_chunks={found}, not {wanted}: "
                "give the same --set, or let streamchar ablate --only causal_kv train them further"
            )
        return replace(
            self,
            tensors={**self.tensors, **other.tensors},
            origin={**self.origin, **other.origin},
            samplers={**self.samplers, **other.samplers},
        )

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


@dataclass(frozen=True, kw_only=True)
class CheckpointId:
    """What the index of a checkpoint says, without its weights.

    Attributes:
        preset: Of its config.
        digest: See `Checkpoint`.
        networks: Names for `Checkpoint.select`, `PLAIN` first.
    """

    preset: str
    digest: str
    networks: tuple[str, ...]


def identify_checkpoint(folder: Path) -> CheckpointId:
    """Reads the index of a checkpoint, which names all of its bytes, and none of the weights.

    Args:
        folder: Written by `save_checkpoint`.

    Returns:
        Preset, digest and networks.

    Raises:
        CheckpointError: If there is no index, it was altered, or it is of another version.
    """
    folder = newest(real(folder))
    index = _index(folder)
    return CheckpointId(
        preset=_config(folder, index).preset,
        digest=index[DIGEST],
        networks=(PLAIN, *index.get("samplers", {})),
    )


def save_checkpoint(
    folder: Path,
    tensors: Mapping[str, Tensor],
    config: Config,
    *,
    origin: Mapping[str, Any],
    samplers: Mapping[str, SamplerConfig] | None = None,
    storage: Storage = "bfloat16",
) -> None:
    """Writes a checkpoint; what was in the folder before is replaced at the very end.

    Args:
        folder: Where to.
        tensors: Weights by name.
        config: Of the model.
        origin: JSON values that say where the weights come from.
        samplers: How each network with a prefix is sampled, by its name; ``None`` in one is the
            value of the config.
        storage: ``int8`` keeps large matrices as bytes with a scale for each row.

    Raises:
        CheckpointError: If the folder holds something else, or the name of a network cannot be
            one.
        OSError: If the disk is full; the earlier checkpoint is then still whole.
    """
    folder = real(folder)  # a link stays one
    _check_replaceable(folder)
    if wrong := _wrong_network(samplers or {}):
        raise CheckpointError(wrong)
    tidy_checkpoint(folder)
    with replacing_folder(folder) as partial:
        shards = write_shards(partial, packed(tensors, storage))
        index: dict[str, Any] = {
            "version": VERSION,
            "config": to_json(config),
            "origin": dict(origin),
            "storage": storage,
            "shards": shards,
        }
        if samplers:
            index["samplers"] = {
                name: asdict(sampler.over(config.sampler)) for name, sampler in samplers.items()
            }
        (partial / INDEX).write_bytes(index_bytes(index))


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
    place = newest(real(folder))
    folder = folder if place == real(folder) else place
    index = _index(folder)
    config = _config(folder, index)
    if preset and config.preset != preset:
        raise CheckpointError(f"{folder} holds preset {config.preset!r}, not {preset!r}")
    tensors: dict[str, Tensor] = {}
    for name, entry in index["shards"].items():
        tensors |= read_shard(folder, name, entry)
    return Checkpoint(
        config=config,
        tensors=unpacked(folder, tensors),
        origin=index["origin"],
        digest=index[DIGEST],
        samplers=_samplers(folder, index),
    )


def has_checkpoint(folder: Path) -> bool:
    """Says whether there is one, if only beside the folder, where a killed writer has left it."""
    return (newest(real(folder)) / INDEX).is_file()


def part_of(
    tensors: Mapping[str, Tensor], *prefixes: str, strip: bool = False
) -> dict[str, Tensor]:
    """Returns the tensors whose names begin so, if wanted without that beginning."""
    return {
        name.partition(".")[2] if strip else name: tensor
        for name, tensor in tensors.items()
        if name.startswith(prefixes)
    }


def _index(folder: Path) -> dict[str, Any]:
    """Reads the index; those of before there were digests are taken without."""
    path = folder / INDEX
    if not path.is_file():
        raise CheckpointError(f"{folder} is no checkpoint: it has no {INDEX}")
    try:
        index = read_index(path, version=VERSION, remedy=REMEDY, is_digest_needed=False)
    except InputError as error:
        raise CheckpointError(str(error)) from error
    wrong = fault_in(index, _Index) or _wrong_shard(index["shards"])
    wrong = wrong or _wrong_network(index.get("samplers", {}))
    if wrong:
        raise CheckpointError(f"{path} is no index of a checkpoint: {wrong}; {REMEDY}")
    return index


def _wrong_shard(shards: Mapping[str, Any]) -> str:
    """Says which shard has a name that could lead out of the folder; empty if none."""
    for name in shards:
        if not _SHARD_NAME.fullmatch(name):
            return f"a shard is called {name!r:.60}, which is no name of a file beside it"
    return ""


def _wrong_network(names: Iterable[str]) -> str:
    """Says which network has a name that cannot be told from a part of the model; empty if none."""
    for name in names:
        if not _NETWORK_NAME.fullmatch(name) or name in {*_MODULES, PLAIN}:
            return f"a network is called {name!r:.60}, which cannot be its name"
    return ""


def _config(folder: Path, index: Mapping[str, Any]) -> Config:
    try:
        return from_json(index["config"])
    except ValueError as error:
        raise CheckpointError(f"{folder / INDEX}: {error}") from error


def _samplers(folder: Path, index: Mapping[str, Any]) -> dict[str, SamplerConfig]:
    try:
        samplers = index.get("samplers", {})
        return {name: filled(SamplerConfig, values) for name, values in samplers.items()}
    except ValueError as error:
        raise CheckpointError(f"{folder / INDEX}: {error}") from error


def _check_replaceable(folder: Path) -> None:
    """Refuses a folder that holds more than a checkpoint: all of it would be gone."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is a file; choose another folder")
    own = {INDEX, *(path.name for path in folder.glob(SHARDS))}
    others = sorted(path.name for path in folder.iterdir() if path.name not in own)
    if others:
        raise CheckpointError(
            f"{folder} holds something else, such as {others[0]!r:.60}; choose another folder"
        )


def tidy_checkpoint(folder: Path) -> None:
    """Completes or removes what a killed writer of this checkpoint has left."""
    if folder.parent.is_dir():
        settle(real(folder))
        remove_abandoned(folder.parent, deep=False)
