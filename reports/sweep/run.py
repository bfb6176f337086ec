"""The whole sweep: measure what is new, write table, figure and JSON, and wait for more."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evals.commands.reasons import why_failed
from evals.scoring.results import ScoreRow, dump_json
from reports.build import write_figures
from reports.load import load_runs
from reports.sweep.checkpoints import SweepEntry, baseline_entry, find_entries
from reports.sweep.figure import sweep_figure
from reports.sweep.measure import SweepPlan, failed_of, measure
from reports.sweep.results import Sweep, sweep_of
from reports.sweep.table import alarm_line, sweep_markdown
from streamchar_ref.core.files import write_atomically
from streamchar_ref.core.lock import only_writer
from streamchar_ref.core.progress import ProgressFn

JSON_FILE = "sweep.json"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Which checkpoints are swept.

    Attributes:
        patterns: See `reports.sweep.checkpoints.find_entries`.
        networks: Likewise.
        against: Baseline, see `reports.sweep.checkpoints.baseline_entry`; empty for none.
    """

    patterns: tuple[str, ...]
    networks: tuple[str, ...] = ()
    against: str = ""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """How to wait for checkpoints that are not there yet.

    Attributes:
        minutes: When to stop; ``None`` for not before an interruption.
        poll_s: Seconds between looks.
        clock: Monotonic seconds.
        sleep: Waits for so many seconds.
    """

    minutes: float | None = None
    poll_s: float = 10.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, kw_only=True)
class SweepOutcome:
    """What a sweep leaves.

    Attributes:
        sweep: Results; ``None`` if no checkpoint was there.
        rows: Scores behind them.
        failed: A line for each error of a recording.
    """

    sweep: Sweep | None = None
    rows: tuple[ScoreRow, ...] = ()
    failed: tuple[str, ...] = field(default=())


def run_sweep(
    source: Source,
    plan: SweepPlan,
    *,
    watch: Watch | None = None,
    progress: ProgressFn = lambda what, done, total: None,
    tell: Callable[[str], None] = lambda line: None,
) -> SweepOutcome:
    """Measures the checkpoints that are there, and if asked to those that come.

    What the run folder has already is not measured again, so a sweep that was stopped goes on
    where it was. Table, figure and JSON are written after each checkpoint that is new.

    Args:
        source: Which checkpoints.
        plan: What they are put to.
        watch: How to wait for more; by default not at all. An interruption while it waits is the
            end of the watch and no error.
        progress: Told what is done.
        tell: Given a line for each checkpoint and each alarm, once.

    Returns:
        The results of all that was measured.

    Raises:
        InputError: If a checkpoint or setting cannot be used, or a checkpoint was replaced after
            it had been recorded.
    """
    ends_s = _end(watch)
    state = _State(plan=plan, progress=progress, tell=tell)
    with only_writer(plan.out, verb="sweep"):
        state.baseline = baseline_entry(source.against) if source.against else None
        while True:
            found = find_entries(source.patterns, source.networks)
            state.add([entry for entry in found if state.measured.get(entry.system) != entry])
            if watch is None or watch.clock() >= ends_s or not _waited(watch, ends_s):
                return state.outcome


@dataclass(kw_only=True)
class _State:
    """What a sweep has measured and told so far."""

    plan: SweepPlan
    progress: ProgressFn
    tell: Callable[[str], None]
    baseline: SweepEntry | None = None
    measured: dict[str, SweepEntry] = field(default_factory=dict)
    failed: dict[str, None] = field(default_factory=dict)
    told: set[tuple[str, str]] = field(default_factory=set)
    outcome: SweepOutcome = SweepOutcome()

    def add(self, new: Sequence[SweepEntry]) -> None:
        """Measures entries; writes results after each that was not there before, and at the end."""
        if self.baseline and new and not self.measured:
            self._measure(self.baseline)
        for entry in new:
            is_new = self._measure(entry)
            self.measured[entry.system] = entry
            if is_new or entry is new[-1]:
                self._write()

    def _measure(self, entry: SweepEntry) -> bool:
        is_new = measure(entry, self.plan, self.progress)
        self.failed |= dict.fromkeys(why_failed(failed_of(entry, self.plan)))
        self.tell(f"measured: {entry.system} ({entry.checkpoint})")
        return is_new

    def _write(self) -> None:
        entries, failed = list(self.measured.values()), tuple(self.failed)
        self.outcome = _written(entries, self.baseline, self.plan, failed)
        for metric, point in self.outcome.sweep.alarms if self.outcome.sweep else []:
            alarm = (metric.protocol, point.entry.system)  # its numbers change with each step
            if alarm not in self.told:
                self.tell(alarm_line(metric, point))
            self.told.add(alarm)


def _end(watch: Watch | None) -> float:
    if watch is None or watch.minutes is None:
        return float("inf")
    return watch.clock() + 60 * watch.minutes


def _waited(watch: Watch, ends_s: float) -> bool:
    """Waits until the next look; false if interrupted, which is how a watch without limit ends."""
    try:
        watch.sleep(max(0.0, min(watch.poll_s, ends_s - watch.clock())))
    except KeyboardInterrupt:
        return False
    return True


def _written(
    entries: Sequence[SweepEntry],
    baseline: SweepEntry | None,
    plan: SweepPlan,
    failed: tuple[str, ...],
) -> SweepOutcome:
    """Reads the scores back and writes what readers look at."""
    runs = load_runs([plan.out])
    rows = plan.rows_of([*entries, *([baseline] if baseline else [])], runs.rows)
    sweep = sweep_of(
        rows,
        entries,
        infos=runs.infos,
        identities=runs.identities,
        baseline=baseline,
        suite=plan.suite,
        seed=plan.seed,
        num_prompts=len(plan.prompts),
    )
    write_sweep(sweep, plan.out)
    return SweepOutcome(sweep=sweep, rows=tuple(rows), failed=failed)


def write_sweep(sweep: Sweep, out: Path) -> None:
    """Writes ``sweep.json``, the table under ``tables/`` and the figure under ``figures/``."""
    text = dump_json(sweep.as_json(), indent=1) + "\n"
    write_atomically(out / JSON_FILE, text.encode())
    if sweep.metrics:
        figure = sweep_figure(sweep)
        write_atomically(out / "tables" / f"{figure.name}.md", sweep_markdown(sweep).encode())
        write_figures([figure], out / "figures")
