"""Which protocols of speech a run needs: by the languages in it, and by the user's recogniser."""

from collections.abc import Iterable, Sequence

from evals.extractors.find_asr import find_asr
from evals.metrics.languages import LANGUAGES
from evals.metrics.own_recogniser import own_metrics
from evals.protocols.base import Metric
from evals.protocols.set_metric import SetMetric
from evals.protocols.takes_metric import TakesMetric
from evals.recording.recording import Recording
from evals.scoring.choice import choose_metrics
from evals.text.spoken_language import ENGLISH

ASR_HELP = (
    "Another recogniser, beside the packaged ones: a folder or file of weights, or "
    "faster-whisper:large-v3 if it is on this machine."
)


def choose_for(
    recordings: Sequence[Recording],
    names: Sequence[str],
    protocol: str,
    asr: str | Sequence[Metric],
) -> tuple[list[Metric], list[SetMetric | TakesMetric]]:
    """Chooses what to compute, see `choose_metrics`.

    Args:
        recordings: All of the run, also if one shard of it is scored. The protocols of other
            languages are measured by ``default`` only where there are other languages.
        names: Metrics; all if empty.
        protocol: ``default``, ``all`` or a protocol id.
        asr: Another recogniser, see `find_asr`, or its metrics; none if empty.

    Returns:
        Metrics of samples; metrics of several recordings together.

    Raises:
        InputError: If a name is unknown, or the recogniser is not on this machine.
    """
    own = own_metrics_of(asr) if isinstance(asr, str) else asr
    chosen, sets = choose_metrics(names, protocol, own)
    return for_languages(chosen, recordings, protocol), sets


def own_metrics_of(asr: str) -> tuple[Metric, ...]:
    """Returns the metrics on another recogniser; none without a name."""
    return own_metrics(find_asr(asr)) if asr else ()


def for_languages(
    metrics: Sequence[Metric], recordings: Iterable[Recording], protocol: str
) -> list[Metric]:
    """Leaves out the protocols of other languages where all recordings are in English.

    Args:
        metrics: Chosen by name.
        recordings: All of the run.
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
