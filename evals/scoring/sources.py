"""What samples were made of when they were scored, to notice files that are replaced."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import astuple
from typing import Any

from evals.protocols.base import protocol_hash
from evals.recording.content import content_hash
from evals.recording.recording import Recording

Sample = tuple[str, str, str, int]
"""System, suite, sample_id and seed."""
_NAME = re.compile(r"([^/]+)/([^/]+)/([^/]+)/(-?[0-9]{1,18})")


def source_of(recording: Recording) -> str:
    """Stands for all that the numbers of a sample are measured from.

    Args:
        recording: Its files, text and arrival times.

    Returns:
        A hash, for a failed stream of its failure; empty where we could not read it.
    """
    if recording.error:
        return protocol_hash({"error": recording.error}) if recording.system_failed else ""
    files = (
        recording.video_path, recording.audio_path, recording.reference_path,
        recording.ground_truth_path, recording.voice_reference_path,
    )  # fmt: skip
    arrivals = () if recording.trace is None else recording.trace.arrivals
    about = {
        "transcript": recording.transcript,
        "language": recording.language,
        "arrivals": [list(astuple(arrival)) for arrival in arrivals],
    }
    try:
        return protocol_hash({"files": content_hash(*files), **about})
    except (OSError, ValueError):  # gone, or with a time that is no number
        return ""


def sources_of(recordings: Iterable[Recording]) -> dict[str, str]:
    """Returns `source_of` each recording of which it is known, by ``recording_id``."""
    found = {recording.recording_id: source_of(recording) for recording in recordings}
    return {name: source for name, source in found.items() if source}


def samples_in(told: Mapping[str, Any]) -> set[Sample]:
    """Returns the samples whose sources ``run.json`` holds."""
    found = filter(None, map(_NAME.fullmatch, told.get("sources", {})))
    return {(own[1], own[2], own[3], int(own[4])) for own in found}


def is_replaced(recording: Recording, told: Mapping[str, Any], now: Mapping[str, str]) -> bool:
    """Whether a sample was scored when it was made of something else.

    Args:
        recording: The sample.
        told: ``run.json``; older ones do not say.
        now: From `sources_of`.

    Returns:
        False where it is not known.
    """
    name = recording.recording_id
    before = told.get("sources", {}).get(name)
    return name in now and before is not None and before != now[name]


def is_added(recording: Recording, told: Mapping[str, Any]) -> bool:
    """Whether a sample came to a run after others of its system and suite had been scored.

    Args:
        recording: The sample.
        told: ``run.json``; older ones do not say.

    Returns:
        False where it is not known.
    """
    before = told.get("sources", {})
    beside = f"{recording.system}/{recording.suite}/"
    return recording.recording_id not in before and any(one.startswith(beside) for one in before)
