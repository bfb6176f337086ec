"""A calibration with made-up numbers, for tables and figures."""

from collections.abc import Sequence

import numpy as np

from evals.calibration.faults import FAULTS
from evals.calibration.response import Response, Value, cell_of, set_cell
from evals.calibration.results import Calibration, expectation_of
from evals.metrics import METRICS, SET_METRICS
from evals.protocols.base import Metric
from evals.protocols.set_metric import SetMetric

LEFT_OUT = ("sync_c", "sync_d", "fvd", "av_offset_frames")


def invented(num_clips: int = 12, faults: Sequence[str] = tuple(FAULTS)) -> Calibration:
    """Faults and all default metrics; most do as they must."""
    rng = np.random.default_rng(0)
    metrics = [m for m in METRICS if m.is_default and m.needs and m.name not in LEFT_OUT]
    sets = [m for m in SET_METRICS if m.is_default and m.name not in LEFT_OUT]
    everything: list[Metric | SetMetric] = [*metrics, *sets]
    responses = [
        _response(fault, metric, num_clips, rng) for fault in faults for metric in everything
    ]
    return Calibration(
        suite="invented",
        num_clips=num_clips,
        clip_seconds=4.0,
        floor="another clean take",
        responses=tuple(responses),
        units={metric.name: metric.unit for metric in everything},
        unmeasured={"rtf/arrivals@2": "no trace"},
    )


def _response(
    name: str, metric: Metric | SetMetric, num_clips: int, rng: np.random.Generator
) -> Response:
    fault = FAULTS[name]
    expectation, direction = expectation_of(name, metric)
    obeys = rng.random() < 0.85
    strength = {"moves": 1.0, "leaves": 0.0, "free": 0.4, "untouched": 0.0}[expectation]
    if not obeys and expectation in {"moves", "leaves"}:
        strength = 0.8 - 0.8 * strength
    clean = {f"clip{i}": Value(value=float(rng.normal(3, 0.5))) for i in range(num_clips)}
    cells = []
    for step, dose in enumerate(fault.few, start=1):
        change = (direction or 1) * strength * step * 0.5
        realised = dose if dose != 0.1 else 0.083
        if isinstance(metric, SetMetric):
            cells.append(
                set_cell(2 + 4 * abs(change), dose=dose, realised=realised, n=num_clips, floor=2.0)
            )
            continue
        noise = 0.0 if expectation == "untouched" else 0.15
        faulted = {
            clip: Value(value=value.value + change + float(rng.normal(0, noise)))
            for clip, value in clean.items()
        }
        cells.append(cell_of(clean, faulted, dose=dose, realised=realised, floor=0.1))
    return Response(
        fault=name,
        metric=metric.name,
        protocol=metric.protocol,
        expectation=expectation,
        direction=direction,
        clean=3.0,
        clean_sd=0.5,
        floor=0.1,
        cells=tuple(cells),
        is_set=isinstance(metric, SetMetric),
    )
