"""Extractors on one recording, in one decode pass; a missing feature says whose failure it is."""

import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evals.extractors import EXTRACTORS, SOUND_TRACKS, ExtractorSpec
from evals.features.cache import TrackKeys, keep, load_kept, track_keys
from evals.features.canonical import (
    EncodeDamaged,
    intact,
    picture,
    picture_path,
    sound,
    source_scale,
)
from evals.features.missing import Arrays, Missing, failed_reading, is_verdict, without_verdict
from evals.features.view import FeatureView
from evals.protocols.base import Unscored
from evals.recording.content import content_hash
from evals.recording.recording import Recording
from evals.recording.unchanged import FileChanged, unchanged
from evals.text.spoken_language import ENGLISH, spoken_language
from streamchar_ref.core.files import sha256_of
from streamchar_ref.media import MediaError
from streamchar_ref.media.limits import TooLarge
from streamchar_ref.media.picture import read_picture
from streamchar_ref.weights import WeightsMissing

_PICTURE = "picture@2"  # how a reference picture is read


def extract(
    recording: Recording, names: Sequence[str], *, native: bool, keys: TrackKeys | None = None
) -> dict[str, Arrays | Missing]:
    """Runs extractors on one recording and caches what they find.

    Args:
        recording: Files that may be gone, or change meanwhile: then nothing is kept.
        names: Extractors; those of one track share one pass over it.
        native: Take the files as they are rather than the canonical encode.
        keys: The `track_keys` that the files had when they were listed.

    Returns:
        For each name its arrays, or why there are none.
    """
    names = with_upstream(names)
    try:
        with unchanged(recording.video_path, recording.audio_path):
            now = track_keys(recording, native=native)
            if keys is not None and now != keys:
                raise FileChanged(f"{recording.video_path.name} changed meanwhile; score again")
            found = load_kept(now, names)
            new = _run(recording, names, found, native)
            if any(is_verdict(arrays) for arrays in new.values()):
                _read_to_the_end(recording)
    except Exception as error:  # a file that is gone must not cost the other samples
        return dict.fromkeys(names, failed_reading(error))
    return found | {name: keep(now, EXTRACTORS[name], arrays) for name, arrays in new.items()}


def unavailable(names: Iterable[str]) -> dict[str, Missing]:
    """Says which extractors have no weights here, or altered ones, and how to get them."""
    found = {}
    for name in names:
        for spec in [EXTRACTORS[upstream] for upstream in with_upstream([name])]:
            try:
                spec.verify_weights()
            except WeightsMissing as error:
                found[name] = Missing(reason=str(error), status="unavailable")
    return found


def reference_features(path: Path, names: Sequence[str]) -> dict[str, Arrays | Missing]:
    """Returns what extractors and those they come after find in a reference picture.

    Args:
        path: Picture.
        names: Frame extractors.

    Returns:
        From the cache if all of it is there.
    """
    specs = [EXTRACTORS[name] for name in with_upstream(names)]
    try:
        with unchanged(path):
            keys = {"frames": f"{content_hash(path)}-{_PICTURE}"}
            found = load_kept(keys, [spec.name for spec in specs])
            if len(found) == len(specs):
                return {name: without_verdict(known) for name, known in found.items()}
            ran = guarded(lambda: _run_frames([read_picture(path)[None]], specs), specs)
    except FileNotFoundError as error:
        missing = f"reference_path: there is no file {path.name}"
        return {s.name: replace(failed_reading(error), reason=missing) for s in specs}
    except Exception as error:  # as in `extract`
        return {s.name: failed_reading(error) for s in specs}
    return {spec.name: keep(keys, spec, without_verdict(ran[spec.name])) for spec in specs}


def _run(
    recording: Recording, names: Sequence[str], found: Mapping[str, Arrays | Missing], native: bool
) -> dict[str, Arrays | Missing]:
    """Runs the extractors of which nothing is cached."""
    wanted = [EXTRACTORS[name] for name in names if name not in found]
    # A frame extractor reads its upstream batch by batch, so that runs again; a clip's is cached.
    frame_names = with_upstream([spec.name for spec in wanted if spec.track == "frames"])
    over_frames = [EXTRACTORS[name] for name in frame_names]
    over_sound = [spec for spec in wanted if spec.track in SOUND_TRACKS]
    new: dict[str, Arrays | Missing] = {}
    if over_frames:
        new |= guarded(lambda: _over_frames(recording, over_frames, native), over_frames)
    if over_sound:
        new |= guarded(lambda: _over_sound(recording, over_sound, native), over_sound)
    for spec in wanted:
        if spec.track == "clip":
            run = partial(_over_clip, recording, spec, {**found, **new}, native)
            new |= guarded(run, [spec])
    return new


def _read_to_the_end(recording: Recording) -> None:
    """Refuses a verdict on files that the machine cannot read: libav may call them damaged."""
    for path in (recording.video_path, recording.audio_path):
        if path is not None:
            sha256_of(path)


def with_upstream(names: Sequence[str]) -> list[str]:
    """Adds the extractors that some extractors come after, upstream first."""
    ordered: list[str] = []
    for name in names:
        for wanted in (*with_upstream(EXTRACTORS[name].after), name):
            if wanted not in ordered:
                ordered.append(wanted)
    return ordered


def guarded(
    run: Callable[[], dict[str, Arrays | Missing]], specs: Sequence[ExtractorSpec]
) -> dict[str, Arrays | Missing]:
    """Turns what stops a whole pass into a reason for each of its extractors."""
    try:
        try:
            return run()
        except TooLarge:
            raise
        except (MediaError, EncodeDamaged):  # a disk that failed for a moment answers now
            return run()
    except Unscored as why:
        return {s.name: Missing(reason=why.reason, status=why.status) for s in specs}
    except TooLarge as error:  # our limit, and no fault of the file
        return {s.name: Missing(reason=str(error), status="unavailable") for s in specs}
    except MediaError as error:
        return {s.name: Missing(reason=str(error), status="generation_failure") for s in specs}
    except Exception as error:  # a file that nobody thought of must not cost the other samples
        return {s.name: failed_reading(error) for s in specs}


def _over_frames(
    recording: Recording, specs: Sequence[ExtractorSpec], native: bool
) -> dict[str, Arrays | Missing]:
    batches = picture(recording, native=native)
    return _run_frames(batches, specs, scale=source_scale(recording, native=native))


def _run_frames(
    batches: Iterable[np.ndarray], specs: Sequence[ExtractorSpec], *, scale: float = 1.0
) -> dict[str, Arrays | Missing]:
    source = {"scale": np.array(scale)}
    running: dict[str, Any] = {}
    failed: dict[str, Missing] = {}
    for spec in specs:
        _attempt(spec, failed, running, spec.make)
    for batch in batches:
        seen: dict[str, Arrays] = {"source": source}
        for spec in specs:
            _attempt(spec, failed, seen, partial(_update, running, spec.name, batch, seen))
    done: dict[str, Any] = {}
    for spec in specs:
        _attempt(spec, failed, done, partial(_finish, running, spec.name))
    return done | failed


def _update(
    running: Mapping[str, Any], name: str, batch: np.ndarray, seen: Mapping[str, Arrays]
) -> Any:
    return running[name].update(batch, seen)


def _finish(running: Mapping[str, Any], name: str) -> Any:
    return running[name].finish()


def _over_sound(
    recording: Recording, specs: Sequence[ExtractorSpec], native: bool
) -> dict[str, Arrays | Missing]:
    samples = sound(recording, native=native)
    done: dict[str, Any] = {}
    failed: dict[str, Missing] = {}
    for spec in specs:
        _attempt(spec, failed, done, partial(_extract_sound, spec, samples, recording))
    return done | failed


def _extract_sound(spec: ExtractorSpec, samples: np.ndarray, recording: Recording) -> Any:
    if spec.track == "audio":
        return spec.make().extract(samples)
    if not recording.spoken_key:
        raise Unscored("the language of the transcript is open, or the transcript is too long")
    spoken = spoken_language(recording.language, recording.transcript)
    if spec.but_english and spoken.code == ENGLISH:
        raise Unscored(f"{spec.name} is for other languages than English")
    return spec.make().extract(samples, spoken)


def _over_clip(
    recording: Recording,
    spec: ExtractorSpec,
    found: Mapping[str, Arrays | Missing],
    native: bool,
) -> dict[str, Arrays | Missing]:
    if spec.reads_original and recording.holds:
        raise Unscored("reads the file as it came; it has no value as played")
    native = native or spec.reads_original
    make = partial(picture_path, recording, native=native, with_sound=spec.reads_sound)
    samples = sound(recording, native=native)
    done: dict[str, Any] = {}
    failed: dict[str, Missing] = {}
    with nullcontext(make()) if native else intact(make) as path:

        def run() -> Any:
            try:
                return spec.make().extract(path, samples, FeatureView(found))
            except MediaError as error:
                if not native:
                    raise
                raise Unscored(str(error), "generation_failure") from error

        _attempt(spec, failed, done, run)
    return done | failed


def _attempt(
    spec: ExtractorSpec,
    failed: dict[str, Missing],
    results: dict[str, Any],
    step: Callable[[], Any],
) -> None:
    """Keeps what one step of one extractor returns; a failure stops only what comes after it."""
    if spec.name in failed:
        return
    upstream = next((name for name in spec.after if name in failed), None)
    if upstream is not None:
        failed[spec.name] = failed[upstream]
        return
    try:
        results[spec.name] = step()
    except Unscored as why:
        failed[spec.name] = Missing(reason=why.reason, status=why.status)
    except (WeightsMissing, ImportError) as error:
        failed[spec.name] = Missing(reason=_how_to_get(spec, error), status="unavailable")
    except TooLarge as error:
        failed[spec.name] = Missing(reason=str(error), status="unavailable")
    except Exception as error:  # reported in every row that needs it, and logged whole
        failed[spec.name] = Missing(
            reason=f"{spec.name}: {type(error).__name__}: {error}",
            status="evaluator_failure",
            log=traceback.format_exc(),
        )


def _how_to_get(spec: ExtractorSpec, error: Exception) -> str:
    if isinstance(error, WeightsMissing):
        return str(error)
    return f"{spec.name} needs a package that is not installed: {error}"
