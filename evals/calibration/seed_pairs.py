"""Metrics of several takes in a calibration: pairs of takes of a clip, clean and collapsed.

A clip's clean pair is itself and another take; its faulted pair are the same two seeds, moved
towards their mean. The floor is what a third clean take in the place of the second changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from evals.calibration.calibrate import CalibrationPlan, view_of
from evals.calibration.faults.seeds import COLLAPSED, PARTNER, THIRD_TAKE
from evals.calibration.faults.takes import recording_of
from evals.calibration.response import DoseResponse, Value, cell_of, deviation, floor_of, mean_of
from evals.calibration.units import CLEAN, Measured, Unit
from evals.calibration.worker import STORE
from evals.features.view import FeatureView
from evals.protocols.takes_metric import SeedTake, TakesMetric
from evals.scoring.score import extractors_of

Which = tuple[str, float]
"""Fault and dose of a take."""
_OWN: Which = (CLEAN, 0.0)
_OTHER: Which = ("another_take", 1.0)
_THIRD: Which = (THIRD_TAKE, 1.0)


@dataclass(frozen=True, kw_only=True)
class PairResponse:
    """A metric of takes under the collapse of seeds.

    Attributes:
        clean: Mean over the clips' clean pairs.
        clean_sd: Standard deviation over them.
        floor: Largest change with another clean pair.
        cells: One per dose.
        reason: Why there is no clean value; empty if there is one.
    """

    clean: float
    clean_sd: float
    floor: float
    cells: tuple[DoseResponse, ...]
    reason: str = ""


def pair_response(
    plan: CalibrationPlan, measured: Mapping[Unit, Measured], metric: TakesMetric
) -> PairResponse:
    """Computes how a metric of takes answers to the collapse of seeds.

    Args:
        plan: Of the calibration; `COLLAPSED` is among its faults.
        measured: From `evals.calibration.calibrate.measure`.
        metric: Of takes; one that is relative refers to the clean pair.

    Returns:
        The response; paired by clip, as that of other metrics.
    """
    pairs = _Pairs(plan, measured, metric)
    clean = pairs.values(_OWN, _OTHER)
    floor = floor_of(clean, pairs.values(_OWN, _THIRD))
    cells = [
        cell_of(
            clean,
            pairs.values((PARTNER, dose), (COLLAPSED, dose)),
            dose=dose,
            realised=dose,
            floor=floor,
        )
        for dose in plan.faults[COLLAPSED]
    ]
    is_scored = any(value.value == value.value for value in clean.values())
    reason = "" if is_scored else next((each.reason for each in clean.values()), "no pair of takes")
    return PairResponse(
        clean=mean_of(clean),
        clean_sd=deviation(clean),
        floor=floor,
        cells=tuple(cells),
        reason=reason,
    )


class _Pairs:
    """Measures pairs of takes of each clip."""

    def __init__(
        self, plan: CalibrationPlan, measured: Mapping[Unit, Measured], metric: TakesMetric
    ) -> None:
        self.plan, self.measured, self.metric = plan, measured, metric
        self.names = extractors_of([metric])

    def values(self, first: Which, second: Which) -> dict[str, Value]:
        """Clip -> value of two takes of it; clips that lack one are left out."""
        found = {}
        for clip in self.plan.clips:
            takes = [self._take(clip, *which) for which in (first, second, _OWN, _OTHER)]
            there = [take for take in takes if take is not None]
            if len(there) == len(takes):
                score = self.metric.score_takes(there[:2], there[2:])
                found[clip] = Value(
                    value=float(score.value), weight=float(score.weight), reason=score.reason
                )
        return found

    def _take(self, clip: str, fault: str, dose: float) -> SeedTake | None:
        unit = self.measured.get(Unit(clip, fault, dose))
        if unit is None or not unit.keys:
            return None
        recording = recording_of(self.plan.out / "clips" / clip)
        reference = STORE.reference(recording, self.names)
        features = FeatureView({**view_of(unit, self.names), **reference})
        return SeedTake(recording=recording, features=features)
