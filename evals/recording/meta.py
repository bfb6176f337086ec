"""``meta.json``, the metadata of one recorded stream."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

from evals.recording.damage import REMEDY, Digest
from evals.recording.role import RoleName
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.shape import Above, Count, Positive, read_shaped
from streamchar_ref.core.swap import settled_name


class Meta(TypedDict):
    """Fields of ``meta.json``; rates are ``None`` where a failed stream made them invalid."""

    system: str
    suite: str
    sample_id: str
    seed: int
    settings: dict[str, Any]
    checkpoint: str
    prompt_hash: str
    transcript: str
    language: str
    groups: dict[str, str]
    fps: Positive | None
    sample_rate: Annotated[int, Above(0)] | None
    num_frames: Count
    num_samples: Count
    role: NotRequired[RoleName]
    is_silent: NotRequired[bool]
    is_still: NotRequired[bool]
    is_warm: bool
    timing_note: NotRequired[str]
    device: str
    files: NotRequired[dict[str, Digest]]
    digest: NotRequired[str]


def with_digest(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Adds ``digest``, the SHA-256 of all other fields."""
    others = {name: value for name, value in meta.items() if name != "digest"}
    text = json.dumps(others, sort_keys=True)
    return {**others, "digest": hashlib.sha256(text.encode()).hexdigest()}


def read_meta(folder: Path) -> Meta:
    """Reads ``meta.json`` of a recording folder.

    Args:
        folder: ``.../SYSTEM/SUITE/SAMPLE_ID/SEED``.

    Returns:
        Its fields.

    Raises:
        InputError: If the file is damaged, or its fields do not match the folder's path.
    """
    path = folder / "meta.json"
    meta = read_shaped(path, Meta, remedy=REMEDY)
    identity = (meta["system"], meta["suite"], meta["sample_id"], str(meta["seed"]))
    if "digest" in meta and meta != with_digest(meta):
        raise InputError(f"{path}: was altered after it was written; {REMEDY}")
    *above, last = folder.absolute().parts[-4:]
    if identity != (*above, settled_name(last)):
        raise InputError(
            f"{path}: says that it is of {'/'.join(identity)}: the folder was renamed or copied; "
            "give it its name back, or delete it"
        )
    return meta
