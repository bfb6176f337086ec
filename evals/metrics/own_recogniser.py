"""The metrics of speech on a recogniser that the user names with ``--asr``."""

from evals.extractors.find_asr import OwnRecogniser
from evals.metrics.languages import OF_LANGUAGES
from evals.metrics.macro import MacroWordErrorRate
from evals.metrics.text import WordErrorRate
from evals.protocols.base import Metric

PUBLISHED = ("whisper-en", "seed-tts-en", "raw")
"""Normalisers of English under which others publish."""


class _FirstVersion(WordErrorRate):
    version = 1


class _FirstMacroVersion(MacroWordErrorRate):
    version = 1


def own_metrics(recogniser: OwnRecogniser) -> tuple[Metric, ...]:
    """Makes the metrics of a recogniser.

    Args:
        recogniser: Whose SHA-256 enters all hashes with its extractor's settings.

    Returns:
        Those of any language, measured by default; and of English alone, under the published
        normalisers.
    """
    name, extractor = f"asr:{recogniser.name}", recogniser.extractor
    return (
        *(kind(name, extractor, with_english=True) for kind in OF_LANGUAGES),
        *(
            kind(name, normaliser, extractor=extractor, is_default=False)
            for normaliser in PUBLISHED
            for kind in (_FirstVersion, _FirstMacroVersion)
        ),
    )
