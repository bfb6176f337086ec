"""Features that need another file of a sample: its ground truth, or the voice it was to have.

The other file is an input, as a reference picture is: what is wrong with it is no fault of the
system.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from evals.extractors import EXTRACTORS, ExtractorSpec
from evals.features.cache import keep, load_kept
from evals.features.canonical import picture, picture_size, track_hash
from evals.features.extraction import guarded
from evals.features.missing import Arrays, Missing, failed_reading, is_verdict
from evals.protocols.base import Unscored, other_size
from evals.recording.recording import Recording
from evals.recording.unchanged import unchanged
from streamchar_ref.media import MediaError

Source = tuple[Recording, Sequence[str]]
"""A file and the extractors that run on it."""
_WORDS = {"ground_truth_path": "no ground truth", "voice_reference_path": "no reference voice"}


def by_file(names: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Splits extractors by what they read.

    Args:
        names: Of extractors.

    Returns:
        Those that read the sample itself, those of another file, those of both together.
    """
    tracks = {name: EXTRACTORS[name].track for name in names}
    own = [name for name in names if tracks[name] not in {"other", "pair"}]
    return (
        own,
        [n for n in names if tracks[n] == "other"],
        [n for n in names if tracks[n] == "pair"],
    )


def add_companions(sources: list[Source], others: Sequence[str]) -> list[dict[str, int]]:
    """Appends the other files of all samples to the files that are measured.

    Args:
        sources: One a sample; extended.
        others: Extractors of the track ``other``.

    Returns:
        For each sample, field of `Recording` -> place of that file in ``sources``.
    """
    places: list[dict[str, int]] = [{} for _ in sources]
    fields = sorted({EXTRACTORS[name].companion for name in others})
    for index, (recording, _) in enumerate(list(sources)):
        for field in fields:
            path = _path(recording, field)
            if path is not None and not recording.error:
                wanted = [
                    EXTRACTORS[n].after[0] for n in others if EXTRACTORS[n].companion == field
                ]
                places[index][field] = len(sources)
                sources.append((companion_of(recording, path), wanted))
    return places


def of_companions(
    recording: Recording,
    others: Sequence[str],
    places: Mapping[str, int],
    features: Mapping[int, Mapping[str, Arrays | Missing]],
    *,
    native: bool,
) -> dict[str, Arrays | Missing]:
    """Picks the features of a sample's other files, under the names of their extractors.

    Args:
        recording: The sample.
        others: Extractors of the track ``other``.
        places: Of its files, see `add_companions`.
        features: Of all files.
        native: Whether files are taken as they are, not their canonical encode.

    Returns:
        Features, those of a picture with ``sizes``: width and height of both; or why not.
    """
    found: dict[str, Arrays | Missing] = {}
    for name in others:
        spec = EXTRACTORS[name]
        if spec.companion in places:
            known = features[places[spec.companion]][spec.after[0]]
            found[name] = _as_input(known, spec.companion)
            if EXTRACTORS[spec.after[0]].track == "frames":
                found[name] = _with_sizes(found[name], recording, spec, native=native)
        else:
            found[name] = _absent(recording, spec)
    return found


def pair_features(
    recording: Recording, names: Sequence[str], *, native: bool
) -> dict[str, Arrays | Missing]:
    """Compares a sample with its ground truth, frame by frame in time from the first of each.

    Args:
        recording: The sample.
        names: Extractors of the track ``pair``.
        native: Whether files are taken as they are, not their canonical encode.

    Returns:
        Features, with the number of frames of both, or why there are none; kept in the cache.
    """
    path = recording.ground_truth_path
    if not names or path is None or recording.error:
        return {name: _absent(recording, EXTRACTORS[name]) for name in names}
    specs = [EXTRACTORS[name] for name in names]
    truth = companion_of(recording, path)
    try:
        with unchanged(recording.video_path, path):
            hashes = [track_hash(one, "frames", native=native) for one in (recording, truth)]
            keys = {"pair": "-".join(hashes)}
            found = load_kept(keys, names)
            left = [spec for spec in specs if spec.name not in found]
            run = partial(_run_pairs, recording, truth, left, native)
            new = guarded(run, left) if left else {}
    except FileNotFoundError as error:
        missing = f"ground_truth_path: there is no file {path.name}"
        return {name: replace(failed_reading(error), reason=missing) for name in names}
    except Exception as error:  # as in `extract`: the other samples are still measured
        return {name: failed_reading(error) for name in names}
    return found | {spec.name: keep(keys, spec, new[spec.name]) for spec in left}


def companion_of(recording: Recording, path: Path) -> Recording:
    """Returns a recording of another file of a sample, for extractors to read.

    The stream's stalls are no part of it.
    """
    return replace(
        recording, video_path=path, audio_path=None, reference_path=None, trace=None,
        trace_error="", holds=(), error="",
    )  # fmt: skip


def _run_pairs(
    recording: Recording, truth: Recording, specs: Sequence[ExtractorSpec], native: bool
) -> dict[str, Arrays | Missing]:
    running = {spec.name: spec.make() for spec in specs}
    ours, theirs = _frames(recording, native=native), _truth_frames(truth, native=native)
    num_ours = num_theirs = 0
    while True:
        frame, true = next(ours, None), next(theirs, None)
        num_ours, num_theirs = num_ours + (frame is not None), num_theirs + (true is not None)
        if frame is None and true is None:
            break
        if frame is None or true is None:
            continue  # only counted: what one of the two does not show is not compared
        if frame.shape != true.shape:
            raise other_size(frame.shape[1::-1], true.shape[1::-1])
        for extractor in running.values():
            extractor.update(frame, true)
    counts = {"num_frames": np.array(num_ours), "num_truth_frames": np.array(num_theirs)}
    return {name: {**extractor.finish(), **counts} for name, extractor in running.items()}


def _frames(recording: Recording, *, native: bool) -> Iterator[np.ndarray]:
    for batch in picture(recording, native=native):
        yield from batch


def _truth_frames(truth: Recording, *, native: bool) -> Iterator[np.ndarray]:
    try:
        yield from _frames(truth, native=native)
    except (MediaError, Unscored) as error:
        raise Unscored(f"ground_truth_path: {error}", "evaluator_failure") from error


def _with_sizes(
    found: Arrays | Missing, recording: Recording, spec: ExtractorSpec, *, native: bool
) -> Arrays | Missing:
    """Adds the sizes of both pictures: what is measured in pixels is of one picture only."""
    path = _path(recording, spec.companion)
    if isinstance(found, Missing) or path is None:
        return found
    try:
        pair = (recording, companion_of(recording, path))
        sizes = np.array([picture_size(one, native=native) for one in pair])
    except Unscored as why:
        return Missing(reason=why.reason, status=why.status)
    except Exception as error:  # as in `extract`
        return failed_reading(error)
    return {**found, "sizes": sizes}


def _path(recording: Recording, field: str) -> Path | None:
    path: Path | None = getattr(recording, field)
    return path


def _absent(recording: Recording, spec: ExtractorSpec) -> Missing:
    if recording.error:
        return Missing(reason=recording.error, status=recording.error_status)
    return Missing(
        reason=f"{_WORDS[spec.companion]}: the manifest's {spec.companion}", status="not_applicable"
    )


def _as_input(found: Arrays | Missing, field: str) -> Arrays | Missing:
    """What is broken in an input is not the system's failure."""
    if isinstance(found, Missing) and is_verdict(found):
        return replace(found, status="evaluator_failure", reason=f"{field}: {found.reason}")
    return found
