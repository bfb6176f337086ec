"""Which protocols of speech a run needs: by the languages in it, and by the user's recogniser."""

from collections.abc import Sequence

from evals.extractors.find_asr import find_asr
from evals.metrics.languages import LANGUAGES
from evals.metrics.own_recogniser import own_metrics
from evals.protocols.base import Metric
from evals.protocols.profile import DEFAULT
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
    *,
    profile: str = "",
) -> tuple[list[Metric], list[SetMetric | TakesMetric]]:
    """Chooses what to compute, see `choose_metrics`.

    Args:
        recordings: All of the run, also if one shard of it is scored. Where one is in another
            language than English, ``default`` has the protocols of other languages, too.
        names: Metrics; all if empty.
        protocol: ``default``, ``all`` or a protocol id.
        asr: Another recogniser, see `find_asr`, or its metrics; none if empty.
        profile: Name of a set of protocols in place of one.

    Returns:
        Metrics of samples; metrics of several recordings together.

    Raises:
        InputError: If a name is unknown, or the recogniser is not on this machine.
    """
    own = own_metrics_of(asr) if isinstance(asr, str) else asr
    chosen, sets = choose_metrics(names, protocol, profile=profile, more=own)
    if protocol == DEFAULT and profile in ("", DEFAULT) and any(map(_is_foreign, recordings)):
        asked = {metric.name for metric in chosen}
        chosen += [metric for metric in LANGUAGES if metric.name in asked]
    return chosen, sets


def own_metrics_of(asr: str) -> tuple[Metric, ...]:
    """Returns the metrics on another recogniser; none without a name."""
    return own_metrics(find_asr(asr)) if asr else ()


def _is_foreign(recording: Recording) -> bool:
    """Whether a recording is not in English, or may not be."""
    return bool(recording.transcript.strip()) and recording.spoken_key.split("+")[0] != ENGLISH
