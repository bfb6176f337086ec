"""The feature store: what the cache holds is read, the rest is measured by workers and kept."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from evals.extractors import EXTRACTORS
from evals.features.cache import TrackKeys, feature_files, load_kept, track_keys
from evals.features.companions import (
    Source,
    add_companions,
    by_file,
    of_companions,
    pair_features,
)
from evals.features.extraction import extract, reference_features, unavailable
from evals.features.jobs import Job, run_jobs
from evals.features.missing import Arrays, Missing, failed_reading, is_fault
from evals.features.view import FeatureView
from evals.protocols.base import MetricContext
from evals.recording.content import content_hash
from evals.recording.recording import Recording
from streamchar_ref.core.executors import LOCAL
from streamchar_ref.core.progress import ProgressFn

REFERENCE_EXTRACTORS = ("identity", "identity_world", "arcface")
"""Those that also embed the reference picture, for metrics to find as ``reference_NAME``."""
_OTHER_DOMAIN = Missing(reason="its network is for another domain", status="not_applicable")


class FeatureStore:
    """Features of recordings.

    It owns the cache, the workers, and the decision whose failure a missing feature is.

    Args:
        native: Take files as they are rather than their canonical encode.
        jobs: Workers; results do not depend on it.
        executor: Where they run, see `streamchar_ref.core.executors`.
        progress: Told what is done.
    """

    def __init__(
        self,
        *,
        native: bool = False,
        jobs: int = 1,
        executor: str = LOCAL,
        progress: ProgressFn = lambda what, done, total: None,
    ) -> None:
        self.native, self._progress = native, progress
        self._jobs, self._executor = jobs, executor
        self._pictures: dict[tuple[str, ...], dict[str, Arrays | Missing]] = {}

    def keys(self, recording: Recording) -> TrackKeys:
        """Returns what the features of a recording are kept under, track by track."""
        return track_keys(recording, native=self.native)

    def kept(self, keys: TrackKeys, names: Iterable[str]) -> dict[str, Arrays | Missing]:
        """Returns what the cache holds; extractors that never ran are left out."""
        return load_kept(keys, names)

    def measured(self, recording: Recording, names: Sequence[str]) -> dict[str, Arrays | Missing]:
        """Returns the features of one recording; what is missing is measured in this process."""
        return extract(recording, names, native=self.native)

    def views(self, recordings: Sequence[Recording], names: Sequence[str]) -> list[FeatureView]:
        """Gathers the features of all recordings, with those of their reference pictures.

        Args:
            recordings: Failed ones have no features.
            names: Extractors.

        Returns:
            A view for each recording, in order.
        """
        self._pictures.clear()
        absent = unavailable(names)
        runnable = [name for name in names if name not in absent]
        own, others, pairs = by_file(runnable)
        features: dict[int, dict[str, Arrays | Missing]] = {}
        todo: dict[int, Job] = {}
        sources: list[Source] = [(recording, own) for recording in recordings]
        places = add_companions(sources, others)  # measured by the same workers
        files: dict[str, str] = {}
        for index, (recording, wanted) in enumerate(sources):
            features[index], job = self._look_up(recording, wanted, files)
            if job is not None:
                todo[index] = job
        for index, measured in run_jobs(todo, self._jobs, self._progress, executor=self._executor):
            features[index] |= measured
        return [
            FeatureView(
                features[index]
                | absent
                | of_companions(recording, others, places[index], features, native=self.native)
                | pair_features(recording, pairs, native=self.native)
                | ({} if recording.error else self.reference(recording, names))
            )
            for index, recording in enumerate(recordings)
        ]

    def reference(self, recording: Recording, names: Sequence[str]) -> dict[str, Arrays | Missing]:
        """Returns embeddings of the reference picture as ``reference_NAME``."""
        wanted = [n for n in REFERENCE_EXTRACTORS if n in readable(names, recording.domain)]
        if recording.reference_path is None:
            missing = Missing(reason="no reference picture", status="not_applicable")
            return {f"reference_{name}": missing for name in wanted}
        features = self._of_picture(recording.reference_path, wanted)
        return {f"reference_{name}": features[name] for name in wanted}

    def _of_picture(self, path: Path, names: Sequence[str]) -> dict[str, Arrays | Missing]:
        """Looks up a picture once for all samples that show the same; a fault is tried again."""
        try:
            key = (content_hash(path), *names)
        except OSError:  # what is wrong is said there
            return reference_features(path, names)
        if key not in self._pictures:
            found = reference_features(path, names)
            if any(map(is_fault, found.values())):
                return found
            self._pictures[key] = found
        return self._pictures[key]

    def context(self, recordings: Sequence[Recording], names: Sequence[str]) -> MetricContext:
        """Gathers what a metric may know beyond one recording.

        Args:
            recordings: Of the run. Of several pictures of one identity the first by recording
                counts, whatever the order; those of systems that failed do not count. Samples
                without an identity that show the same picture are of one.
            names: Extractors.

        Returns:
            Embeddings of the reference pictures, and why they are not all there: with fewer of
            them the others' numbers would be other ones.
        """
        embeddings: dict[str, dict[str, np.ndarray]] = {name: {} for name in REFERENCE_EXTRACTORS}
        faults: dict[str, str] = {}
        named_first = sorted(recordings, key=lambda r: ("identity" not in r.groups, r.recording_id))
        for recording in named_first:
            if recording.system_failed:
                continue
            pictures = self.reference(recording, names)
            for name, by_identity in embeddings.items():
                picture = pictures.get(f"reference_{name}")
                if isinstance(picture, Missing):
                    if is_fault(picture):
                        faults.setdefault(name, f"{recording.recording_id}: {picture.reason}")
                elif picture is not None and len(picture["embedding"]):
                    _add_person(by_identity, recording, picture["embedding"][0])
        return MetricContext(references=embeddings, reference_faults=faults)

    def _look_up(
        self, recording: Recording, names: Sequence[str], files: dict[str, str]
    ) -> tuple[dict[str, Arrays | Missing], Job | None]:
        """Reads the cache; what it lacks is a job. ``files`` keeps names of files for the next."""
        wanted = readable(names, recording.domain)
        features: dict[str, Arrays | Missing] = dict.fromkeys(
            set(names) - set(wanted), _OTHER_DOMAIN
        )
        if recording.error:
            why = Missing(reason=recording.error, status=recording.error_status)
            return features | dict.fromkeys(wanted, why), None
        try:
            keys = self.keys(recording)
            files |= feature_files(name for name in wanted if name not in files)
            features |= load_kept(keys, wanted, files=files)
        except Exception as error:  # a file that is gone must not cost the other samples
            return features | dict.fromkeys(wanted, failed_reading(error)), None
        left = tuple(name for name in wanted if name not in features)
        if not left:
            return features, None
        return features, Job(recording=recording, keys=keys, names=left, native=self.native)


def _add_person(
    by_identity: dict[str, np.ndarray], recording: Recording, embedding: np.ndarray
) -> None:
    """Enters a reference picture, unless it is there and nobody says that this is another one."""
    is_named = "identity" in recording.groups
    if is_named or not any(np.array_equal(embedding, own) for own in by_identity.values()):
        by_identity.setdefault(recording.identity, embedding)


def readable(names: Iterable[str], domain: str) -> list[str]:
    """Leaves out the judges of the drawn world for recordings of another domain."""
    return [name for name in names if domain == "world" or not EXTRACTORS[name].judge]
