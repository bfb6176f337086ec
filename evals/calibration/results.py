"""Results of a calibration: the response of each metric to each fault, as CSV and JSON."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evals.calibration.calibrate import (
    CalibrationPlan,
    digest_of,
    floor_fault,
    set_views,
    tracks_of,
)
from evals.calibration.faults import FAULTS, FLOORS
from evals.calibration.faults.seeds import COLLAPSED
from evals.calibration.faults.takes import read_take
from evals.calibration.response import (
    DoseResponse,
    Expectation,
    Response,
    Value,
    cell_of,
    deviation,
    floor_of,
    mean_of,
    set_cell,
)
from evals.calibration.seed_pairs import pair_response
from evals.calibration.units import CLEAN, Measured, Unit
from evals.features.view import FeatureView
from evals.protocols.base import Metric
from evals.protocols.set_metric import SetMetric
from evals.protocols.takes_metric import TakesMetric
from evals.scoring.results import csv_text, guard_cell
from evals.scoring.score import score_set

CSV_FIELDS = (
    "fault", "dose_unit", "dose", "realised_dose", "metric", "protocol", "metric_unit",
    "expectation", "n", "num_unmeasured", "reason", "clean_mean", "clean_sd", "faulted_mean",
    "change", "ci_low", "ci_high", "clean_floor", "effect_size", "is_detected",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """All responses of a calibration.

    Attributes:
        suite: Name of the suite or manifest.
        num_clips: Number of clean clips.
        clip_seconds: Mean length of a clip.
        floor: Description of the clean floor.
        responses: By fault, then by metric.
        units: Metric -> its unit.
        unmeasured: Protocol -> why it has no value on any clean clip.
        skipped: Fault -> why it cannot be applied to any clip.
        protocols: Protocol -> hash.
    """

    suite: str
    num_clips: int
    clip_seconds: float
    floor: str
    responses: tuple[Response, ...]
    units: Mapping[str, str]
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    protocols: Mapping[str, str] = field(default_factory=dict)

    @property
    def faults(self) -> list[str]:
        """Names of the faults that were injected, in the order of tables."""
        injected = {response.fault for response in self.responses}
        return [name for name in FAULTS if name in injected]

    @property
    def metrics(self) -> list[tuple[str, str]]:
        """Metrics with their protocols, in the order in which they were measured."""
        return list(dict.fromkeys((r.metric, r.protocol) for r in self.responses))

    def of(self, fault: str, protocol: str) -> Response | None:
        """Returns the response of one protocol to one fault."""
        for response in self.responses:
            if (response.fault, response.protocol) == (fault, protocol):
                return response
        return None


def responses_of(plan: CalibrationPlan, measured: Mapping[Unit, Measured]) -> Calibration:
    """Computes all responses from the measurements.

    Args:
        plan: Of the calibration.
        measured: From `evals.calibration.calibrate.measure`.

    Returns:
        The calibration; metrics without a value on any clean clip, and faults that cannot be
        applied to any clip, are listed with their reasons.
    """
    table = _Table(plan, measured)
    skipped = {name: why for name in plan.faults if (why := table.error_of(name))}
    faults = [name for name in plan.faults if name not in skipped]
    responses: list[Response] = []
    unmeasured: dict[str, str] = {}
    for metric in plan.metrics:
        digest = digest_of(metric)
        clean = table.values(CLEAN, 0.0, digest)
        if math.isnan(mean_of(clean)):
            unmeasured[metric.protocol] = next((v.reason for v in clean.values()), "")
            continue
        responses += [table.response(name, metric, digest) for name in faults]
    sets = _Sets(table)
    for set_metric in plan.set_metrics:
        if why := sets.reason_without(set_metric):
            unmeasured[set_metric.protocol] = why
            continue
        responses += [sets.response(name, set_metric) for name in faults]
    for takes_metric in plan.takes_metrics if plan.has_pairs else ():
        pairs = pair_response(plan, measured, takes_metric)
        if pairs.reason:
            unmeasured[takes_metric.protocol] = pairs.reason
            continue
        responses.append(
            _response(
                COLLAPSED, takes_metric, pairs.cells, pairs.clean, pairs.clean_sd, pairs.floor
            )
        )
    all_metrics: list[Metric | SetMetric | TakesMetric] = [*plan.metrics, *plan.set_metrics]
    all_metrics += plan.takes_metrics if plan.has_pairs else ()
    return Calibration(
        suite=plan.suite,
        num_clips=len(plan.clips),
        clip_seconds=table.clip_seconds(),
        floor=FLOORS[floor_fault(plan)].label,
        responses=tuple(sorted(responses, key=lambda r: list(FAULTS).index(r.fault))),
        units={metric.name: metric.unit for metric in all_metrics},
        unmeasured=unmeasured,
        skipped=skipped,
        protocols={metric.protocol: digest_of(metric) for metric in all_metrics},
    )


class _Table:
    """Looks up measurements and computes responses of metrics per clip."""

    def __init__(self, plan: CalibrationPlan, measured: Mapping[Unit, Measured]) -> None:
        self.plan, self.measured = plan, measured

    def units(self, fault: str, dose: float) -> dict[str, Measured]:
        """Clip -> its measurements."""
        units = {clip: self.measured.get(Unit(clip, fault, dose)) for clip in self.plan.clips}
        return {clip: unit for clip, unit in units.items() if unit is not None}

    def values(self, fault: str, dose: float, digest: str) -> dict[str, Value]:
        """Clip -> value of one metric."""
        return {clip: unit.values[digest] for clip, unit in self.units(fault, dose).items()}

    def error_of(self, fault: str) -> str:
        """Why the fault applies to no clip; empty if it applies to one."""
        errors = [
            unit.error
            for dose in self.plan.faults[fault]
            for unit in self.units(fault, dose).values()
        ]
        return errors[0] if errors and all(errors) else ""

    def realised(self, fault: str, dose: float) -> float:
        """Mean realised dose over the clips with the fault."""
        doses = [u.realised for u in self.units(fault, dose).values() if not u.error]
        return sum(doses) / len(doses) if doses else math.nan

    def clip_seconds(self) -> float:
        """Mean length of the clean clips."""
        folders = [self.plan.out / "clips" / clip for clip in self.plan.clips]
        counts = [read_take(folder)["num_frames"] for folder in folders]
        return sum(counts) / len(counts) / 25

    def response(self, fault: str, metric: Metric, digest: str) -> Response:
        """One metric under one fault."""
        clean = self.values(CLEAN, 0.0, digest)
        floor = floor_of(clean, self.values(floor_fault(self.plan), 1.0, digest))
        cells = [
            cell_of(
                clean,
                self.values(fault, dose, digest),
                dose=dose,
                realised=self.realised(fault, dose),
                floor=floor,
            )
            for dose in self.plan.faults[fault]
        ]
        return _response(fault, metric, cells, mean_of(clean), deviation(clean), floor)


class _Sets:
    """Distances of faulted sets from the clean set."""

    def __init__(self, table: _Table) -> None:
        self.table = table
        self.clean = self._views(CLEAN, 0.0)
        self.again = self._floor_sets()
        self.floors: dict[str, tuple[float, str]] = {}

    def reason_without(self, metric: SetMetric) -> str:
        """Why there is no floor, and so no response; empty if there is one."""
        return self._floor(metric)[1]

    def response(self, fault: str, metric: SetMetric) -> Response:
        """One set metric under one fault."""
        floor = self._floor(metric)[0]
        cells = []
        for dose in self.table.plan.faults[fault]:
            views = self._views(fault, dose)
            value, reason = self._distance(metric, views, self.clean)
            realised = self.table.realised(fault, dose)
            if reason:
                cells.append(
                    DoseResponse(dose=dose, realised=realised, n=len(views), reason=reason)
                )
            else:
                cells.append(
                    set_cell(value, dose=dose, realised=realised, n=len(views), floor=floor)
                )
        return _response(fault, metric, cells, floor, floor, floor)

    def _views(self, fault: str, dose: float) -> list[FeatureView]:
        return set_views(self.table.plan, self.table.measured, fault, dose)

    def _floor_sets(self) -> tuple[Sequence[FeatureView], Sequence[FeatureView]]:
        """Another take of each clip and the clean ones; for finished files two halves."""
        fault = floor_fault(self.table.plan)
        if fault == "another_take":
            return self._views(fault, 1.0), self.clean
        return self.clean[::2], self.clean[1::2]

    def _floor(self, metric: SetMetric) -> tuple[float, str]:
        if metric.protocol not in self.floors:
            self.floors[metric.protocol] = self._distance(metric, *self.again)
        return self.floors[metric.protocol]

    def _distance(
        self, metric: SetMetric, views: Sequence[FeatureView], reference: Sequence[FeatureView]
    ) -> tuple[float, str]:
        groups = next(iter(self.table.plan.clips.values())).groups
        score = score_set(metric, views, reference, groups.get("domain", "real"), [])
        return score.value, score.reason


def _response(
    fault: str,
    metric: Metric | SetMetric | TakesMetric,
    cells: Iterable[DoseResponse],
    clean: float,
    clean_sd: float,
    floor: float,
) -> Response:
    expectation, direction = expectation_of(fault, metric)
    return Response(
        fault=fault,
        metric=metric.name,
        protocol=metric.protocol,
        expectation=expectation,
        direction=direction,
        clean=clean,
        clean_sd=clean_sd,
        floor=floor,
        cells=tuple(cells),
        is_set=isinstance(metric, SetMetric),
    )


def expectation_of(fault: str, metric: Metric | SetMetric | TakesMetric) -> tuple[Expectation, int]:
    """Expected effect of a fault on a metric, and the sign of the change."""
    kind = FAULTS[fault]
    if not kind.tracks & tracks_of(metric):
        return "untouched", 0
    direction = kind.direction_of(metric.name)
    if direction is not None:
        return "moves", direction
    return ("leaves" if kind.must_leave(metric.name) else "free"), 0


def response_csv(calibration: Calibration) -> str:
    """Returns a tidy table with one row per fault, dose, metric and protocol."""
    rows = [list(CSV_FIELDS)]
    for response in calibration.responses:
        unit = FAULTS[response.fault].unit
        for cell in response.cells:
            values = (
                response.fault, unit, cell.dose, cell.realised, response.metric,
                response.protocol, calibration.units[response.metric], response.expectation,
                cell.n, cell.num_unmeasured, cell.reason, response.clean, response.clean_sd,
                cell.value, cell.change, cell.low, cell.high, response.floor, cell.effect,
                cell.is_detected,
            )  # fmt: skip
            rows.append([_text(value) for value in values])
    return csv_text(rows)


def as_json(calibration: Calibration) -> dict[str, Any]:
    """Returns the calibration as JSON values; numbers that are not finite become ``None``."""
    return {
        "schema_version": 1,
        "suite": calibration.suite,
        "num_clips": calibration.num_clips,
        "clip_seconds": calibration.clip_seconds,
        "floor": calibration.floor,
        "protocols": dict(calibration.protocols),
        "unmeasured": dict(calibration.unmeasured),
        "skipped": dict(calibration.skipped),
        "responses": [_response_json(response) for response in calibration.responses],
    }


def _response_json(response: Response) -> dict[str, Any]:
    return {
        **{name: _plain(value) for name, value in vars(response).items() if name != "cells"},
        "verdict": response.verdict,
        "smallest_dose": _plain(response.smallest_dose),
        "is_monotone": response.is_monotone,
        "cells": [{n: _plain(v) for n, v in vars(cell).items()} for cell in response.cells],
    }


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return guard_cell(value) if isinstance(value, str) else str(value)
