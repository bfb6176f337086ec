"""Word error rates averaged over recordings, each counted once.

The default is the corpus (micro) rate, in which long recordings count more. seed-tts-eval and
Verse-Bench publish this one; on short recordings the two differ by a factor of two easily.
"""

from dataclasses import replace
from typing import Any

from evals.metrics.text import WordErrorRate
from evals.protocols.base import Features, Metric, MetricContext, Score
from evals.recording.recording import Recording


class MacroWordErrorRate(WordErrorRate):
    """Word error rate of which the mean over recordings is taken, without weights.

    Args:
        recogniser: See `TranscriptMetric`.
        normaliser: See `TranscriptMetric`.
        **settings: See `TranscriptMetric`.
    """

    def __init__(self, recogniser: str, normaliser: str, **settings: Any) -> None:
        super().__init__(recogniser, normaliser, **settings)
        self.protocol = self.protocol.replace("@", "+macro@")

    def own_params(self) -> dict[str, Any]:
        """As the corpus rate, but for the average."""
        return super().own_params() | {"average": "macro"}

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Returns errors per reference word, with the weight of one recording."""
        return replace(super().measure(recording, features, context), weight=1.0)


MACRO: tuple[Metric, ...] = tuple(
    MacroWordErrorRate(recogniser, normaliser, is_default=False)
    for recogniser in ("whisper-base", "moonshine-tiny")
    for normaliser in ("spoken-en", "whisper-en", "seed-tts-en")
)
