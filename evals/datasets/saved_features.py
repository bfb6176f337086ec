"""Features of real clips in files of their own, for Frechet distances without the videos."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np

from evals.extractors import EXTRACTORS
from evals.features.missing import Arrays, Missing
from evals.features.store import FeatureStore
from evals.features.view import FeatureView
from evals.protocols.base import protocol_hash
from evals.recording.recording import Recording
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import write_atomically
from streamchar_ref.core.sealed import seal_bytes, unseal_bytes


def save_features(folder: Path, recordings: Sequence[Recording], names: Sequence[str]) -> None:
    """Measures clips and saves what was found; files that are there are kept.

    Args:
        folder: Gets ``EXTRACTOR-HASH/CLIP.npz``; the hash is that of the extractor's protocol.
        recordings: The clips.
        names: Extractors.

    Raises:
        InputError: If an extractor has no weights here, or a clip cannot be measured.
    """
    store = FeatureStore()
    for name in names:
        for recording in recordings:
            path = _path(folder, name, recording.sample_id)
            if path.is_file():
                continue
            found = store.measured(recording, [name])[name]
            if isinstance(found, Missing):
                raise InputError(f"{name} of {recording.sample_id}: {found.reason}")
            write_atomically(path, seal_bytes(path.name, _packed(found)))


def load_features(folder: Path, names: Sequence[str]) -> list[FeatureView]:
    """Reads saved features as the reference set of `SetMetric.score_set`.

    Args:
        folder: From `save_features`.
        names: Extractors that the metric needs.

    Returns:
        One view a clip, by name; nothing is decoded or measured.

    Raises:
        InputError: If there are no features of these extractors as they are now, or a file is
            damaged.
    """
    folders = [_path(folder, name, "x").parent for name in names]
    clips = sorted({path.stem for path in folders[0].glob("*.npz")}) if folders else []
    if not clips:
        raise InputError(f"{folder} holds no features of {', '.join(names)} in this version")
    return [FeatureView({n: _load(_path(folder, n, clip)) for n in names}) for clip in clips]


def _path(folder: Path, name: str, clip_id: str) -> Path:
    return folder / f"{name}-{protocol_hash(EXTRACTORS[name].protocol())}" / f"{clip_id}.npz"


def _packed(found: Arrays) -> bytes:
    buffer = BytesIO()
    np.savez(
        buffer, allow_pickle=False, **{name: np.asarray(array) for name, array in found.items()}
    )
    return buffer.getvalue()


def _load(path: Path) -> Arrays:
    try:
        content = unseal_bytes(path.name, path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if content is None:
        raise InputError(f"{path} was altered; remove it, then give the import again")
    with np.load(BytesIO(content), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
