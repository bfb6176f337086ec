"""Known faults at several doses into clean clips, measured with every metric; goes on where it was.

A clip is made once, and each fault leaves the track alone that it does not touch, so that the
features of that track are those of the clean clip. What was measured is kept in ``units.jsonl``.
"""

import math
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypedDict

from evals.calibration.faults.seeds import COLLAPSED, PARTNER, THIRD_TAKE
from evals.calibration.faults.takes import recording_of
from evals.calibration.response import Value
from evals.calibration.units import CLEAN, Measured, Unit, append_unit, read_units
from evals.calibration.worker import STORE, Found, make_clip, measure_unit, tracks_read
from evals.features.companions import by_file
from evals.features.extraction import unavailable
from evals.features.jobs import keep_sent
from evals.features.missing import Arrays, Missing
from evals.features.view import FeatureView
from evals.protocols.base import Metric, MetricContext, protocol_hash
from evals.protocols.set_metric import SetMetric
from evals.protocols.takes_metric import TakesMetric
from evals.recording.recording import Recording
from evals.recording.system import Prompt
from evals.scoring.results import dump_json
from evals.scoring.score import Options, extractors_of, params_of, score_one
from streamchar_ref.core.device import CPU, device_name
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.executor import Executor, result_of
from streamchar_ref.core.executors import LOCAL, open_executor
from streamchar_ref.core.files import has_file, write_atomically
from streamchar_ref.core.progress import ProgressFn
from streamchar_ref.core.shape import read_shaped

_SOURCES = ("streamchar_ref/world", "evals/calibration/faults")


@dataclass(frozen=True, kw_only=True)
class CalibrationPlan:
    """What to calibrate, and with what.

    Attributes:
        out: Folder of the calibration.
        clips: Clip -> prompt of the world, or a user's own recording.
        suite: Name of the suite or manifest.
        faults: By name, with the doses of each.
        metrics: With a value for every clip.
        set_metrics: With a value for all clips together.
        takes_metrics: With a value for several takes of a clip; they answer to the collapse of
            seeds alone, which files of a user cannot have.
        seconds: Longest clip; whole by default.
        jobs: Workers; results do not depend on it.
        executor: Where they run, see `streamchar_ref.core.executors`.
    """

    out: Path
    clips: Mapping[str, Prompt | Recording]
    suite: str
    faults: Mapping[str, tuple[float, ...]]
    metrics: Sequence[Metric]
    set_metrics: Sequence[SetMetric] = ()
    takes_metrics: Sequence[TakesMetric] = ()
    seconds: float | None = None
    jobs: int = 1
    executor: str = LOCAL

    @property
    def has_pairs(self) -> bool:
        """Whether there are pairs of takes for metrics of takes."""
        is_world = floor_fault(self) == "another_take"
        return bool(self.takes_metrics) and COLLAPSED in self.faults and is_world


def measure(
    plan: CalibrationPlan, progress: ProgressFn = lambda what, done, total: None
) -> dict[Unit, Measured]:
    """Makes the clips, injects the faults and measures; what is there already is kept.

    Args:
        plan: What to do.
        progress: Told ``(what, done, total)``.

    Returns:
        Every unit: clean clips, the floor, and all faults at all doses.

    Raises:
        InputError: If the folder holds another calibration, or a worker process was ended.
    """
    _check_same(plan)
    gpus = int(device_name() != CPU)
    with open_executor(plan.executor, plan.jobs, gpus=gpus) as executor:
        _make_clips(plan, executor, progress)
        bench = _Bench(plan)
        for name, units in _rounds(plan):
            todo = [unit for unit in units if not bench.knows(unit)]
            _run(bench, executor, todo, name, progress)
    shutil.rmtree(plan.out / "scratch", ignore_errors=True)
    wanted = {unit for _, units in _rounds(plan) for unit in units}
    return {unit: found for unit, found in bench.measured.items() if unit in wanted}


def set_views(
    plan: CalibrationPlan, measured: Mapping[Unit, Measured], fault: str, dose: float
) -> list[FeatureView]:
    """Features that the set metrics read, of every clip that has this fault at this dose."""
    names = extractors_of(plan.set_metrics)
    units = [measured.get(Unit(clip, fault, dose)) for clip in plan.clips]
    return [FeatureView(view_of(unit, names)) for unit in units if unit is not None and unit.keys]


def view_of(unit: Measured, names: Sequence[str]) -> dict[str, Arrays | Missing]:
    """Returns kept features of a unit, with a reason for each that is not there."""
    gap = Missing(reason="not measured on clips of this domain", status="not_applicable")
    return {
        **dict.fromkeys(names, gap),
        **unavailable(names),
        **STORE.kept(unit.keys, names),
    }


def floor_fault(plan: CalibrationPlan) -> str:
    """The change without a fault that these clips can have: another take, or one more encode."""
    is_world = all(isinstance(source, Prompt) for source in plan.clips.values())
    return "another_take" if is_world else "plain_reencode"


def digest_of(metric: Metric | SetMetric | TakesMetric) -> str:
    """Protocol hash of a metric on canonical input."""
    return protocol_hash(params_of(metric, Options(native=STORE.native)))


def _rounds(plan: CalibrationPlan) -> list[tuple[str, list[Unit]]]:
    """Clean clips first: the others share their tracks. Then clip by clip."""
    floor = floor_fault(plan)
    faulted = [
        Unit(clip, fault, dose)
        for clip in plan.clips
        for fault, doses in {floor: (1.0,), **plan.faults}.items()
        for dose in doses
    ]
    beside = [(PARTNER, dose) for dose in plan.faults.get(COLLAPSED, ())] + [(THIRD_TAKE, 1.0)]
    takes = [Unit(clip, *which) for clip in plan.clips for which in beside if plan.has_pairs]
    return [
        ("clean clips", [Unit(clip, CLEAN, 0.0) for clip in plan.clips]),
        ("faults", faulted),
        ("takes", takes),
    ]


class _Bench:
    """Keeps what was measured and turns features into values."""

    def __init__(self, plan: CalibrationPlan) -> None:
        self.plan = plan
        self.journal = plan.out / "units.jsonl"
        self.recordings = {clip: recording_of(plan.out / "clips" / clip) for clip in plan.clips}
        domains = {recording.domain for recording in self.recordings.values()}
        of_several: list[SetMetric | TakesMetric] = [*plan.set_metrics]
        of_several += plan.takes_metrics if plan.has_pairs else ()
        everything: list[Metric | SetMetric | TakesMetric] = [*plan.metrics, *of_several]
        names = extractors_of([m for m in everything if {m.domain} & {"any", *domains}])
        own, others, pairs = by_file(names)
        alone = Missing(reason="a clip of a calibration has no other file", status="not_applicable")
        self.absent = unavailable(own) | dict.fromkeys([*others, *pairs], alone)
        self.names = [name for name in names if name not in self.absent]
        self.digests = {digest_of(metric): metric for metric in plan.metrics}
        self.for_sets = [n for n in extractors_of(of_several) if n in self.names]
        self.measured = read_units(self.journal)
        self.context: MetricContext | None = None

    def knows(self, unit: Unit) -> bool:
        """Whether nothing of it has to be measured any more."""
        found = self.measured.get(unit)
        if found is None or any(not self._is_settled(found, one) for one in self.digests):
            return False
        return not found.keys or len(STORE.kept(found.keys, self.for_sets)) == len(self.for_sets)

    def _is_settled(self, found: Measured, digest: str) -> bool:
        """Whether a value is there, or cannot be had still; weights may have come since."""
        if digest not in found.values:
            return False
        lacks_weights = "weights pull" in found.values[digest].reason
        return not lacks_weights or any(n in self.absent for n in self.digests[digest].needs)

    def take_in(self, unit: Unit, found: Found) -> None:
        """Scores one unit and writes it down."""
        keep_sent(found.keys, found.sent)
        features = {**STORE.kept(found.keys, self.names), **found.failed} if found.keys else {}
        values = {
            digest: self._value(unit, metric, features, found.error)
            for digest, metric in self.digests.items()
        }
        earlier = self.measured.get(unit)
        kept = earlier.values if earlier is not None and earlier.keys == found.keys else {}
        self.measured[unit] = Measured(
            realised=found.realised,
            keys=found.keys,
            values={**kept, **values},
            error=found.error,
        )
        append_unit(self.journal, unit, self.measured[unit])

    def _value(
        self, unit: Unit, metric: Metric, features: Mapping[str, Arrays | Missing], error: str
    ) -> Value:
        if error:
            return Value(value=math.nan, weight=0.0, reason=error)
        recording = self.recordings[unit.clip]
        if self.context is None:
            clean = list(self.recordings.values())
            self.context = STORE.context(clean, self.names)
        reference = STORE.reference(recording, self.names)
        view = FeatureView({**features, **self.absent, **reference})
        score = score_one(recording, metric, view, self.context, [])
        return Value(value=float(score.value), weight=float(score.weight), reason=score.reason)


def _run(
    bench: _Bench, executor: Executor, units: Sequence[Unit], name: str, progress: ProgressFn
) -> None:
    """Measures units a few ahead; encodes of a clip go when the last of its units is done."""
    left = {clip: sum(unit.clip == clip for unit in units) for clip in bench.plan.clips}
    files: dict[str, set[Path]] = {clip: set() for clip in bench.plan.clips}

    def submit(unit: Unit) -> Future[Found]:
        there = not executor.is_local
        return executor.submit(measure_unit, bench.plan.out, unit, bench.names, there)

    for done, (unit, found) in enumerate(_ahead(units, submit, 3 * executor.jobs)):
        progress(name, done, len(units))
        bench.take_in(unit, found)
        left[unit.clip] -= 1
        files[unit.clip] |= set(found.files)
        if not left[unit.clip]:
            for path in files.pop(unit.clip):
                path.unlink(missing_ok=True)
    progress(name, len(units), len(units))


def _ahead(
    units: Iterable[Unit], submit: Callable[[Unit], Future[Found]], depth: int
) -> Iterator[tuple[Unit, Found]]:
    waiting: deque[tuple[Unit, Future[Found]]] = deque()
    for unit in units:
        waiting.append((unit, submit(unit)))
        if len(waiting) >= depth:
            first, future = waiting.popleft()
            yield first, result_of(future)
    for first, future in waiting:
        yield first, result_of(future)


def _make_clips(plan: CalibrationPlan, executor: Executor, progress: ProgressFn) -> None:
    todo = [c for c in plan.clips if not has_file(plan.out / "clips" / c / "take.json")]
    futures = [executor.submit(make_clip, plan.out / "clips" / c, *_source(plan, c)) for c in todo]
    for done, future in enumerate(futures):
        progress("making clips", done, len(futures))
        result_of(future)
    if todo:
        progress("making clips", len(todo), len(todo))


def _source(plan: CalibrationPlan, clip: str) -> tuple[Prompt | Recording, str, float | None, str]:
    """Source, suite, length, and a clip of another identity, if the manifest names identities."""
    source, others = plan.clips[clip], ""
    if isinstance(source, Recording) and "identity" in source.groups:
        names = list(plan.clips)
        place = names.index(clip)
        for name in names[place + 1 :] + names[:place]:
            person = plan.clips[name].groups.get("identity", source.groups["identity"])
            if person != source.groups["identity"]:
                others = name
                break
    return source, plan.suite, plan.seconds, others


class _Made(TypedDict):
    """Fields of ``calibrate.json``."""

    suite: str
    seconds: float | None
    clips: list[str]
    made_with: str


def _check_same(plan: CalibrationPlan) -> None:
    """Refuses to mix two calibrations in one folder."""
    path = plan.out / "calibrate.json"
    now: _Made = {
        "suite": plan.suite,
        "seconds": plan.seconds,
        "clips": list(plan.clips),
        "made_with": _digest(_SOURCES),
    }
    earlier = read_shaped(path, _Made, remedy="choose another --out") if has_file(path) else now
    for name, value in now.items():
        if dict(earlier)[name] != value:
            what = "version of the world or the faults" if name == "made_with" else name
            raise InputError(
                f"{plan.out} holds a calibration of another {what}; choose another --out"
            )
    write_atomically(path, (dump_json(now, indent=1) + "\n").encode())


def _digest(folders: Sequence[str]) -> str:
    """Stands for the code that makes clips and faults: with another one, clips are others."""
    root = Path(__file__).resolve().parents[2]
    digest = sha256()
    for path in sorted(p for folder in folders for p in (root / folder).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def tracks_of(metric: Metric | SetMetric | TakesMetric) -> frozenset[str]:
    """Which tracks a metric rests on, ``picture`` and ``sound``; none for metrics of speed."""
    return tracks_read(metric.needs)
