"""What it means that a metric shows something as better than it can be, metric by metric.

A metric that is not named here, imported or of a plug-in, gets no reason rather than a wrong one.
"""

from evals.protocols.info import Axis
from evals.protocols.tool import is_import
from reports.axes import info_of

_DISTANCES = ("id_distance", "id_world_distance", "csim", "id_rank1", "id_world_rank1")
_ID_DRIFTS = (
    "id_drift", "id_world_drift", "id_drift_abs", "id_slope_per_min", "id_world_slope_per_min",
)  # fmt: skip
_PICTURE_DRIFTS = ("colour_drift", "exposure_drift", "sharpness_drift")
_UNSTEADY = ("flicker", "mesh_wobble")
_LIKE_THE_START = ("subject_consistency", "human_identity", "vde_subject", "vde_sharpness")
_SYNC_DISTANCES = ("sync_d", "sync_d0", "sync_d_world", "sync_d0_world")

_BEYOND_TRUTH = {
    "even, clear voices are recognised better than real speech: below the truth, the rate says "
    "how easy a voice is to recognise, not that more words are right": (
        "wer", "cer", "phoneme_error_rate", "per_world",
    ),
    "real lips are in sync: more than that is a mouth that suits the measure": (
        "mesh_sync", "mesh_sync_at_zero", "envelope_sync", "sync_c", "sync_c0", "sync_c_world",
        "sync_c0_world", *_SYNC_DISTANCES,
    ),
    "real sound and picture are in step: what the truth has beyond zero is the error of the "
    "measure": (
        "mesh_offset_ms", "av_offset_frames", "av_offset_world", "mesh_drift_ms_per_min",
        "sync_drift_ms_per_min", "sync_drift_world_ms_per_min",
    ),
    "nobody is more alike than the person: soft, averaged and still faces lie nearer to a "
    "reference picture than frames of a real take": _DISTANCES,
    "a real take drifts by itself, too: less than that is less movement, not better quality": (
        *_ID_DRIFTS, *_PICTURE_DRIFTS,
    ),
    "a real take is never quite steady: less change than that is less movement, not better "
    "quality": (*_UNSTEADY, *_LIKE_THE_START),
    "a real voice varies by itself, too: less than that is an even voice, not a better one": (
        "voice_drift",
    ),
    "real video cannot be less real: sets that are small, soft or copies of the reference set "
    "have shorter distances": ("fid_lite0", "fvd", "fvd_world", "kvd", "kvd_world", "fid", "kid"),
}  # fmt: skip
_STILL = {
    "silence and a still mouth are near to each other": _SYNC_DISTANCES,
    "a picture that does not change keeps its face": (
        *_DISTANCES, *_ID_DRIFTS, "id_coverage", "human_identity",
    ),
    "a picture that does not change has no drift": (
        *_PICTURE_DRIFTS, "subject_consistency", "vde_subject", "vde_sharpness",
    ),
    "a picture that does not change neither shakes nor flickers": _UNSTEADY,
}  # fmt: skip
_NOTHING_TO_COMPUTE = "it computes nothing that a model has to"


def _by_metric(names: dict[str, tuple[str, ...]]) -> dict[str, str]:
    return {metric: why for why, metrics in names.items() for metric in metrics}


BEYOND_TRUTH = _by_metric(_BEYOND_TRUTH)
"""Metric -> what a value means that is better than the truth's."""

STILL = _by_metric(_STILL)
"""Metric -> why a still or silent system is best; speed aside."""


def why_beyond_truth(metric: str) -> str:
    """Returns what a value beyond the truth means; empty where the truth is no bound."""
    return BEYOND_TRUTH.get(metric, "")


def why_still_is_best(metric: str, protocol: str) -> str:
    """Returns why what does nothing is ahead of all; empty where nothing is known."""
    if info_of(metric).axis is Axis.SPEED and not is_import(protocol):
        return _NOTHING_TO_COMPUTE
    return STILL.get(metric, "")
