"""All metrics: a new one is a class that describes itself, and an entry here."""

from evals.extractors import EXTRACTORS
from evals.metrics.appearance import APPEARANCE
from evals.metrics.diversity import DIVERSITY
from evals.metrics.drift_error import DRIFT_ERRORS
from evals.metrics.face_damage import FACE_DAMAGE
from evals.metrics.full_reference import FULL_REFERENCE
from evals.metrics.human_identity import HUMAN_IDENTITY
from evals.metrics.identity import IDENTITY, IDENTITY_CONTRAST, IDENTITY_WORLD
from evals.metrics.languages import LANGUAGES
from evals.metrics.macro import MACRO
from evals.metrics.mesh_sync import SYNC
from evals.metrics.per_world import PER_WORLD
from evals.metrics.phoneme_error_rate import PHONEMES
from evals.metrics.pointer import POINTER
from evals.metrics.published import PUBLISHED, SECOND_BACK_END, WITHOUT_CROP
from evals.metrics.speed import SPEED_METRICS
from evals.metrics.subject import SUBJECT
from evals.metrics.sync_drift import SYNC_DETAIL
from evals.metrics.sync_protocols import BY_RECIPE
from evals.metrics.sync_world import SYNC_WORLD
from evals.metrics.text import COMPLETENESS, ERROR_RATES
from evals.metrics.video import VIDEO_SETS
from evals.metrics.video_protocols import VIDEO_PROTOCOLS
from evals.metrics.voice import DNSMOS, VOICE
from evals.metrics.voice_published import VOICE_PUBLISHED
from evals.metrics.voice_reference import VOICE_REFERENCE
from evals.protocols.base import Metric
from evals.protocols.info import MetricInfo
from evals.protocols.set_metric import SetMetric
from evals.protocols.takes_metric import TakesMetric
from evals.protocols.tool import imported_infos

METRICS: tuple[Metric, ...] = (
    *ERROR_RATES,
    *PHONEMES,
    *PER_WORLD,
    *COMPLETENESS,
    *LANGUAGES,
    *MACRO,
    *POINTER,
    *SYNC,
    *SYNC_WORLD,
    *SYNC_DETAIL,
    *IDENTITY,
    *IDENTITY_WORLD,
    *IDENTITY_CONTRAST,
    *SUBJECT,
    *HUMAN_IDENTITY,
    *DRIFT_ERRORS,
    *APPEARANCE,
    *PUBLISHED,
    *WITHOUT_CROP,
    *SECOND_BACK_END,
    *BY_RECIPE,
    *VOICE,
    *VOICE_REFERENCE,
    *VOICE_PUBLISHED,
    *DNSMOS,
    *FULL_REFERENCE,
    *FACE_DAMAGE,
    *SPEED_METRICS,
)
SET_METRICS: tuple[SetMetric, ...] = (*VIDEO_SETS, *VIDEO_PROTOCOLS)
TAKES_METRICS: tuple[TakesMetric, ...] = (*DIVERSITY,)
EVERY_METRIC: tuple[Metric | SetMetric | TakesMetric, ...] = (
    *METRICS,
    *SET_METRICS,
    *TAKES_METRICS,
)
INFOS: dict[str, MetricInfo] = {
    **{metric.name: metric.info for metric in EVERY_METRIC},
    **imported_infos(),
}
"""Metric name -> what readers must know of it, in the order of tables within an axis.

Imported metrics come last.
"""


def readers_of(weights: str) -> list[str]:
    """Names the metrics that cannot be measured without the weights called ``weights``."""
    return [
        metric.name
        for metric in EVERY_METRIC
        if any(_reads(extractor, weights) for extractor in metric.needs)
    ]


def _reads(extractor: str, weights: str) -> bool:
    spec = EXTRACTORS.get(extractor)  # a voice or a picture of the reference is none
    return spec is not None and (
        weights in spec.weights or any(_reads(name, weights) for name in spec.after)
    )
