"""Which protocols of speech a run needs, by the languages in it."""

from collections.abc import Iterable, Sequence

from evals.metrics.languages import LANGUAGES
from evals.protocols.base import Metric
from evals.recording.recording import Recording
from evals.text.spoken_language import ENGLISH


def for_languages(
    metrics: Sequence[Metric], recordings: Iterable[Recording], protocol: str
) -> list[Metric]:
    """Leaves out the protocols of other languages where all recordings are in English.

    Args:
        metrics: Chosen by name.
        recordings: All of the run, also if one shard of it is scored.
        protocol: What was asked for; only what is chosen by ``default`` is left out.

    Returns:
        What is measured.
    """
    if protocol != "default" or any(_is_foreign(recording) for recording in recordings):
        return list(metrics)
    return [metric for metric in metrics if metric not in LANGUAGES]


def _is_foreign(recording: Recording) -> bool:
    """Whether a recording is not in English, or may not be."""
    return bool(recording.transcript.strip()) and recording.spoken_key.split("+")[0] != ENGLISH
