"""SyncNet's scores by the judge `sync_world`, for drawn people, under names of their own.

Everything but crop and network is as in `evals.metrics.published`: windows, shifts, padding,
tracks, curve over playing time. Distances are of another network, so that the numbers must not
be compared with ``sync_c`` and ``sync_d``.
"""

from collections.abc import Mapping

from evals.metrics.published import AvOffset, SyncConfidence, SyncDistance
from evals.protocols.base import Features, Metric, MetricContext, Score, Unscored
from evals.recording.recording import Recording

MESH_CROP = {"mesh-crop": "sync_world"}
MIN_CONFIDENCE = 0.6
"""Of an offset, in nats without padding. True pairs of 8 s lie at 2.6 on the average and hardly
any below; stills and silence below 0.6."""


class InWorld:
    """What makes a metric of SyncNet one of the judge, before the metric in a list of bases."""

    domain = "world"
    extractors: Mapping[str, str] = MESH_CROP


class SyncConfidenceInWorld(InWorld, SyncConfidence):
    """How much better the best shift fits than the median one, in nats a window."""

    name = "sync_c_world"
    label = "Sync-C-world"
    is_project_specific = True
    unit = "nat"


class SyncDistanceInWorld(InWorld, SyncDistance):
    """Distance between drawn mouth and sound at the best shift."""

    name = "sync_d_world"
    label = "Sync-D-world"
    is_project_specific = True


class AvOffsetInWorld(InWorld, AvOffset):
    """Frames of 40 ms by which drawn sound is early (positive) or late; 0 is best.

    At +-15 it is censored: the true offset may lie outside the search. There is no offset where no
    shift fits clearly better than the others, as in silence or before a mouth that stands still.
    """

    name = "av_offset_world"
    label = "AV offset-world"

    def __init__(self) -> None:
        super().__init__()
        self.params = {**self.params, "min_sync_c_mask": MIN_CONFIDENCE}

    def measure(self, recording: Recording, features: Features, context: MetricContext) -> Score:
        """Measures all tracks of one recording."""
        score = super().measure(recording, features, context)
        if score.components["sync_c_mask"] < MIN_CONFIDENCE:
            raise Unscored("no shift fits clearly better than the others")
        return score


SYNC_WORLD: tuple[Metric, ...] = (
    SyncConfidenceInWorld(),
    SyncDistanceInWorld(),
    AvOffsetInWorld(),
)
