"""Which checkpoints a pattern matches, in the order of their steps, and which of their networks."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.swap import settled_name
from streamchar_ref.model.checkpoint import (
    INDEX,
    PLAIN,
    STUDENT,
    CheckpointId,
    has_checkpoint,
    identify_checkpoint,
)

_DIGITS = 12  # of a digest, as recordings name weights


@dataclass(frozen=True, kw_only=True)
class SweepEntry:
    """One network of one checkpoint: a system of the sweep.

    Attributes:
        system: Row label in the run.
        step: From the name of the folder; ``None`` for the baseline.
        network: Name in the checkpoint; ``plain`` for the weights without a prefix.
        checkpoint: ``sha256:`` and the first digits of the digest.
        folder: Where the checkpoint lies.
    """

    system: str
    step: int | None
    network: str
    checkpoint: str
    folder: Path


def find_entries(patterns: Sequence[str], networks: Sequence[str] = ()) -> list[SweepEntry]:
    """Finds the whole checkpoints that match, and their networks.

    A folder without an index is no checkpoint yet and is left out: a checkpoint is swapped into
    place when it is whole.

    Args:
        patterns: Folders, or globs such as ``runs/a/dmd_chunk/step-*``.
        networks: Those to take where they are there; by default the student, and of a checkpoint
            without one the plain weights.

    Returns:
        By step, then in the order of ``networks``; empty if there is no checkpoint.

    Raises:
        InputError: If a folder's name has no number, two have the same, an index is damaged, or
            no checkpoint has a network that is asked for.
    """
    found: dict[int, tuple[Path, CheckpointId]] = {}
    for folder in _folders(patterns):
        if not has_checkpoint(folder):
            continue
        step = step_of(folder)
        if step in found:
            raise InputError(
                f"{found[step][0]} and {folder} are both step {step}; sweep each training on its "
                "own, with an --out of its own"
            )
        found[step] = (folder, identify_checkpoint(folder))
    known = {name for _, one in found.values() for name in one.networks}
    unknown = [name for name in networks if name not in known]
    if found and unknown:
        raise InputError(
            f"no checkpoint has a network {unknown[0]!r:.60}; there are: {', '.join(sorted(known))}"
        )
    return [
        _entry(f"{name}_{step:06d}", step, name, *found[step])
        for step in sorted(found)
        for name in (networks or (default_network(found[step][1]),))
        if name in found[step][1].networks
    ]


def baseline_entry(name: str) -> SweepEntry:
    """Finds the checkpoint that the steps are held against.

    Args:
        name: Folder of a checkpoint, and after a colon a network of it if not the default.

    Returns:
        The entry; its label holds its digest, so that another baseline is another system.

    Raises:
        InputError: If there is no such checkpoint or network.
    """
    place, colon, network = name.rpartition(":")
    if not colon or has_checkpoint(Path(name)):
        place, network = name, ""
    folder = Path(place)
    identity = identify_checkpoint(folder)
    network = network or default_network(identity)
    if network not in identity.networks:
        there = ", ".join(identity.networks)
        raise InputError(f"{folder} has no network {network!r:.60}; it has {there}")
    return _entry(f"against_{network}_{identity.digest[:8]}", None, network, folder, identity)


def check_unchanged(entry: SweepEntry) -> None:
    """Raises an error if the checkpoint of an entry was replaced since it was found."""
    if _short(identify_checkpoint(entry.folder).digest) != entry.checkpoint:
        raise InputError(
            f"{entry.folder} was replaced while it was read; give the same command again"
        )


def default_network(identity: CheckpointId) -> str:
    """Returns the network that streams where none is named."""
    return STUDENT if STUDENT in identity.networks else PLAIN


def why_none(patterns: Sequence[str]) -> str:
    """Says why no checkpoint was found, and what to do."""
    folders = _folders(patterns)
    shown = ", ".join(patterns)
    if folders:
        return (
            f"{shown}: {len(folders)} folders match and none is a checkpoint; {folders[0]} has no "
            f"{INDEX}"
        )
    return f"{shown}: no folder matches; wait for one with --watch"


def step_of(folder: Path) -> int:
    """Returns the last number in a folder's name."""
    numbers = re.findall(r"\d{1,18}", folder.name)
    if not numbers:
        raise InputError(f"{folder}: the name has no number of a step, as step-000100 has")
    return int(numbers[-1])


def _folders(patterns: Sequence[str]) -> list[Path]:
    """Returns the folders that match, each once, without those that are being written."""
    matches = sorted({Path(match) for pattern in patterns for match in glob(pattern)})
    return [path for path in matches if path.is_dir() and settled_name(path.name) == path.name]


def _entry(
    system: str, step: int | None, network: str, folder: Path, identity: CheckpointId
) -> SweepEntry:
    return SweepEntry(
        system=system,
        step=step,
        network=network,
        checkpoint=_short(identity.digest),
        folder=folder,
    )


def _short(digest: str) -> str:
    return f"sha256:{digest[:_DIGITS]}"
