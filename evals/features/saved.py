"""Features of a reference set in one file, for Frechet and kernel distances without the videos.

The file is an ``.npz`` with a digest at its end. ``about`` says whose clips they are, what each
holds (SHA-256), and all settings of the extractors with those of their input, so that features of
another protocol are noticed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from evals.extractors import EXTRACTORS
from evals.features.cache import feature_protocol
from evals.features.canonical import recording_hash
from evals.features.missing import Arrays, Missing
from evals.features.store import FeatureStore
from evals.features.view import FeatureView
from evals.protocols.base import Unscored, protocol_hash
from evals.recording.recording import Recording
from streamchar_ref.core.cache import file_hash
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import read_bytes, write_atomically
from streamchar_ref.core.sealed import UNREADABLE, seal_bytes, unseal_bytes

VERSION = 1
_SEAL = "reference features"
_ABOUT = "about"


@dataclass(frozen=True, kw_only=True)
class SavedClip:
    """A clip of the reference set.

    Attributes:
        sample_id: Its name.
        sha256: Of the video.
        content: Stands for its files and what is done to them, see `recording_hash`.
    """

    sample_id: str
    sha256: str
    content: str


@dataclass(frozen=True, kw_only=True)
class SavedFeatures:
    """What a file of features holds.

    Attributes:
        path: Of the file.
        system: Whose clips they are.
        domain: Of the clips.
        clips: In the order of their features.
        protocols: Extractor -> everything that decides its features, as JSON values.
        arrays: Extractor -> features of each clip, or why it has none.
    """

    path: Path
    system: str
    domain: str
    clips: Sequence[SavedClip]
    protocols: Mapping[str, Mapping[str, Any]]
    arrays: Mapping[str, Sequence[Arrays | Missing]]

    def views(self, names: Sequence[str]) -> list[FeatureView]:
        """Returns the features of some extractors as those of recordings.

        Args:
            names: Extractors; one that the file does not hold is unavailable in all views.

        Returns:
            One a clip.
        """
        lacking = Missing(
            reason=f"{self.path.name} holds features of {', '.join(self.arrays)} alone; save "
            "others with: streamchar data features --metrics ...",
            status="unavailable",
        )
        return [
            FeatureView(
                {name: self.arrays[name][at] if name in self.arrays else lacking for name in names}
            )
            for at in range(len(self.clips))
        ]


def save_features(
    path: Path,
    recordings: Sequence[Recording],
    names: Sequence[str],
    *,
    store: FeatureStore | None = None,
) -> SavedFeatures:
    """Measures the clips of a reference set, as far as they are not in the cache, and saves.

    Args:
        path: File to write; replaced.
        recordings: The clips, of one system and domain; streams in which the system failed are
            left out, as from a set of recordings.
        names: Extractors.
        store: That measures; one of a single worker by default.

    Returns:
        What the file holds.

    Raises:
        InputError: If there are no clips, they are not of one system and domain, an extractor has
            no weights here, or a clip cannot be read.
    """
    here = [clip for clip in recordings if not clip.system_failed]
    clips = sorted(here, key=lambda clip: clip.recording_id)
    kinds = {(clip.system, clip.domain) for clip in clips}
    if len(kinds) != 1:
        told = ", ".join(sorted(f"{system} ({domain})" for system, domain in kinds)) or "no clips"
        raise InputError(f"{path}: a reference set is of one system and domain, not of {told}")
    ((system, domain),) = kinds
    if broken := next((clip for clip in clips if clip.error), None):
        raise InputError(f"{path}: {broken.recording_id} cannot be read: {broken.error}")
    views = (store or FeatureStore()).views(clips, names)
    arrays = {
        name: [_found(clip, view, name) for clip, view in zip(clips, views, strict=True)]
        for name in names
    }
    saved = SavedFeatures(
        path=path,
        system=system,
        domain=domain,
        clips=[_clip(clip) for clip in clips],
        protocols={name: _protocol(name) for name in names},
        arrays=arrays,
    )
    write_atomically(path, seal_bytes(_SEAL, _packed(saved)))
    return saved


def load_features(path: Path) -> SavedFeatures:
    """Reads a file of `save_features`; nothing is decoded or measured.

    Args:
        path: Of the file.

    Returns:
        What it holds.

    Raises:
        InputError: If it is no such file, was altered, or is of another version.
        OSError: If it cannot be read.
    """
    content = unseal_bytes(_SEAL, read_bytes(path))
    if content is None:
        raise InputError(
            f"{path}: no file of `streamchar data features`, or altered since; save it anew"
        )
    try:
        with np.load(BytesIO(content), allow_pickle=False) as stored:
            return _unpacked(path, {name: stored[name] for name in stored.files})
    except UNREADABLE as error:
        raise InputError(f"{path}: damaged ({error}); save it anew") from error


def _protocol(name: str) -> dict[str, Any]:
    """As JSON has it: tuples are lists."""
    plain: dict[str, Any] = json.loads(
        json.dumps(feature_protocol([name], native=False), default=dict)
    )
    return plain


def _clip(clip: Recording) -> SavedClip:
    return SavedClip(
        sample_id=clip.sample_id,
        sha256=file_hash(clip.video_path),
        content=recording_hash(clip, native=False),
    )


def _found(clip: Recording, view: FeatureView, name: str) -> Arrays | Missing:
    try:
        return view[name]
    except Unscored as why:
        if why.status in {"evaluator_failure", "unavailable"}:  # another try may find it
            raise InputError(f"{name} of {clip.sample_id}: {why.reason}") from why
        return Missing(reason=why.reason, status=why.status)


def _packed(saved: SavedFeatures) -> bytes:
    about = {
        "version": VERSION,
        "system": saved.system,
        "domain": saved.domain,
        "clips": [asdict(clip) for clip in saved.clips],
        "protocols": saved.protocols,
        "hashes": {name: protocol_hash(one) for name, one in saved.protocols.items()},
        "missing": {
            name: {str(at): asdict(one) for at, one in enumerate(found) if isinstance(one, Missing)}
            for name, found in saved.arrays.items()
        },
    }
    arrays = {
        f"{name}/{at}/{key}": np.asarray(values)
        for name, found in saved.arrays.items()
        for at, one in enumerate(found)
        if not isinstance(one, Missing)
        for key, values in one.items()
    }
    buffer = BytesIO()
    text = np.array(json.dumps(about, sort_keys=True))
    np.savez(buffer, allow_pickle=False, **{_ABOUT: text}, **arrays)
    return buffer.getvalue()


def _unpacked(path: Path, stored: Mapping[str, np.ndarray]) -> SavedFeatures:
    about = json.loads(str(stored[_ABOUT]))
    if about["version"] != VERSION:
        raise InputError(f"{path}: of version {about['version']!r:.20}, not {VERSION}; save anew")
    found: dict[str, list[Arrays | Missing]] = {}
    for name in about["protocols"]:
        rows: list[dict[str, np.ndarray]] = [{} for _ in about["clips"]]
        for key, values in stored.items():
            if key.startswith(f"{name}/"):
                _, at, array = key.split("/", 2)
                rows[int(at)][array] = values
        missing = {int(at): Missing(**one) for at, one in about["missing"][name].items()}
        found[name] = [missing.get(at, row) for at, row in enumerate(rows)]
    return SavedFeatures(
        path=path,
        system=about["system"],
        domain=about["domain"],
        clips=[SavedClip(**clip) for clip in about["clips"]],
        protocols=about["protocols"],
        arrays=found,
    )


def own_protocol(name: str) -> dict[str, Any]:
    """Returns what decides the features of an extractor here, to compare a file's with.

    Args:
        name: In `EXTRACTORS`.

    Returns:
        JSON values.

    Raises:
        InputError: If there is no such extractor.
    """
    if name not in EXTRACTORS:
        raise InputError(f"unknown extractor {name!r:.60}; known: {', '.join(EXTRACTORS)}")
    return _protocol(name)
