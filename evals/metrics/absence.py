"""Missing speech, faces and lip motion count as the system's failure, not as missing data.

A recording with a transcript was to be a picture that speaks. Without a sound track, or with one
that holds no speech, the text metrics count every word as left out, which is what a viewer gets;
whatever else needs speech fails as the system's failure and lowers coverage. So does what needs a
face where no frame shows one, and what needs lips where they never move. Where nothing was to be
said, or the system says beforehand that it is silent or still, such metrics are not applicable.

Shape letters: K stretches of speech, N spans of time.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from evals.protocols.base import Features, Unscored
from evals.recording.recording import Recording

SPEECH = "speech"
"""Name of the extractor that says when somebody speaks."""
FASTEST_WORDS_A_S = 6.0
"""Nobody is understood who speaks faster; ordinary speech has 2 to 3.5 words a second."""


def missing_speech(recording: Recording, reason: str) -> Unscored:
    """Returns what to raise where a metric needs speech and the recording has none.

    Args:
        recording: Says whether it was to speak.
        reason: For a reader of the table.

    Returns:
        A generation failure if it was, else not applicable.
    """
    return _missing(recording, reason, "it is silent" if recording.is_silent else "")


def missing_lips(recording: Recording, reason: str) -> Unscored:
    """As `missing_speech`, where a metric needs a face, or lips that move."""
    return _missing(recording, reason, "its mouth is still" if recording.is_still else "")


def _missing(recording: Recording, reason: str, declared: str) -> Unscored:
    if declared:
        return Unscored(f"{reason}: the system declares that {declared}")
    if recording.words_asked:
        return Unscored(f"{reason} although words were asked for", "generation_failure")
    return Unscored(reason)


def require_face(recording: Recording, features: Features) -> None:
    """Refuses numbers about a face where no frame shows one.

    Args:
        recording: Says whether it was to speak.
        features: With those of the extractor ``face``.

    Raises:
        Unscored: If there is no face; see `missing_lips`.
    """
    if not features["face"]["has_mesh"].any():
        raise missing_lips(recording, "no face in any frame")


def require_speech(recording: Recording, features: Features) -> None:
    """Refuses numbers about speech where there is none.

    Args:
        recording: Says whether it was to speak.
        features: With those of the extractor `SPEECH`.

    Raises:
        Unscored: If the sound holds no speech; see `missing_speech`.
    """
    speech = features[SPEECH]
    if not len(speech["start_s"]):
        has_sound = float(speech["duration_s"]) > 0
        raise missing_speech(recording, f"no {'speech in the ' if has_sound else ''}sound")


def speech_ends_early(recording: Recording, features: Features) -> str:
    """Says whether there is less speech than the words that were asked for can take.

    Args:
        recording: For its transcript.
        features: With those of the extractor `SPEECH`.

    Returns:
        How little there is; empty if it may be all.
    """
    speech = features[SPEECH]
    spoken_s = float((speech["end_s"] - speech["start_s"]).sum())
    if recording.is_silent or spoken_s >= recording.words_asked / FASTEST_WORDS_A_S:
        return ""
    return f"{spoken_s:.1f} s of speech for {recording.words_asked} words"


def seconds_of_speech(
    speech: Mapping[str, np.ndarray],
    start_s: Float[np.ndarray, " N"],
    stop_s: Float[np.ndarray, " N"],
) -> Float[np.ndarray, " N"]:
    """Returns how much speech each span holds.

    Args:
        speech: Features of the extractor `SPEECH`.
        start_s: Starts of the spans.
        stop_s: Their ends.

    Returns:
        Seconds.
    """
    low = np.maximum(start_s[:, None], speech["start_s"][None, :])
    high = np.minimum(stop_s[:, None], speech["end_s"][None, :])
    return np.maximum(high - low, 0).sum(axis=1)
