"""SyncNet's scores by the judge `sync_world`, for drawn people, under names of their own.

Everything but crop and network is as in `evals.metrics.published`: windows, shifts, padding,
tracks, curve over playing time. Distances are of another network, so that the numbers must not
be compared with ``sync_c`` and ``sync_d``.
"""

from evals.metrics.base import Metric
from evals.metrics.published import AvOffset, SyncConfidence, SyncDistance

_CROPS = {"mesh-crop": "sync_world"}


class SyncConfidenceInWorld(SyncConfidence):
    """How much better the best shift fits than the median one, in nats a window."""

    name = "sync_c_world"
    unit = "nat"
    domain = "world"
    extractors = _CROPS


class SyncDistanceInWorld(SyncDistance):
    """Distance between mouth and sound at the best shift."""

    name = "sync_d_world"
    domain = "world"
    extractors = _CROPS


class AvOffsetInWorld(AvOffset):
    """Frames of 40 ms by which the sound is early (positive) or late; 0 is best.

    At +-15 it is censored: the true offset may lie outside the search.
    """

    name = "av_offset_world"
    domain = "world"
    extractors = _CROPS


SYNC_WORLD: tuple[Metric, ...] = (
    SyncConfidenceInWorld(),
    SyncDistanceInWorld(),
    AvOffsetInWorld(),
)
