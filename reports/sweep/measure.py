"""Records and scores the networks of checkpoints, each once, on the same prompts and noise."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals.protocols.base import Metric, protocol_hash
from evals.protocols.set_metric import SetMetric
from evals.protocols.takes_metric import TakesMetric
from evals.recording.make_system import make_system
from evals.recording.meta import read_meta
from evals.recording.record import RecordPlan, failures, record
from evals.recording.run_folder import read_recording, recording_folder
from evals.recording.system import Prompt
from evals.scoring.persist import score_run
from evals.scoring.results import SET_ID, ScoreRow
from evals.scoring.run_reader import RunReader
from evals.scoring.score import Options, params_of
from reports.sweep.checkpoints import SweepEntry, check_unchanged
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import has_file, read_json, write_atomically
from streamchar_ref.core.progress import ProgressFn
from streamchar_ref.core.swap import settle

SYSTEM = "streamchar_ref"
_STATE = "sweep_scored.json"
_OWN = ("checkpoint", "network", "label")  # settings that say which entry a system streams


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """What every checkpoint is put to.

    Attributes:
        out: Run folder.
        suite: Name of the suite.
        prompts: Of the suite; the same for all.
        seed: Of the generation: the same noise for all.
        settings: Of the system, beside checkpoint, network and label.
        baseline_settings: Of the baseline, over ``settings``.
        metrics: With a value for each recording.
        set_metrics: With a value for all of a system together.
        options: Of scoring.
        system: A system that takes the settings ``checkpoint``, ``network`` and ``label``.
        retry_failed: Whether to record failed samples again.
    """

    out: Path
    suite: str
    prompts: tuple[Prompt, ...]
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    baseline_settings: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
    set_metrics: tuple[SetMetric | TakesMetric, ...] = ()
    options: Options = field(default_factory=Options)
    system: str = SYSTEM
    retry_failed: bool = False

    def __post_init__(self) -> None:
        for name in (*self.settings, *self.baseline_settings):
            if name in _OWN:
                raise InputError(f"the sweep itself sets {name!r} of the system; leave it out")

    def settings_of(self, entry: SweepEntry) -> dict[str, Any]:
        """Returns what the system of an entry is made with, beside which entry it is."""
        others = self.baseline_settings if entry.step is None else {}
        return {**self.settings, **others}

    def folders(self, entry: SweepEntry) -> list[Path]:
        """Returns where the recordings of an entry are, or will be."""
        return [
            recording_folder(self.out, entry.system, self.suite, prompt.prompt_id, self.seed)
            for prompt in self.prompts
        ]

    def rows_of(self, entries: Sequence[SweepEntry], rows: Iterable[ScoreRow]) -> list[ScoreRow]:
        """Returns the rows of some entries on these prompts, with this seed and these metrics."""
        systems = {entry.system for entry in entries}
        samples = {(prompt.prompt_id, self.seed) for prompt in self.prompts} | {(SET_ID, 0)}
        protocols = {metric.protocol for metric in (*self.metrics, *self.set_metrics)}
        return [
            row
            for row in rows
            if row.suite == self.suite
            and row.system in systems
            and row.protocol in protocols
            and (row.sample_id, row.seed) in samples
        ]


def measure(entry: SweepEntry, plan: SweepPlan, progress: ProgressFn) -> bool:
    """Records and scores one entry, as far as the run lacks it.

    Args:
        entry: Which network of which checkpoint.
        plan: What it is put to.
        progress: Told what is done.

    Returns:
        Whether there was anything to do.

    Raises:
        InputError: If the run has recordings of other weights or settings under this label, or
            the system cannot be made.
    """
    record_plan = _record_plan(entry, plan)
    _check_recorded(entry, plan, record_plan.settings)
    if not all(_is_kept(folder, retry=plan.retry_failed) for folder in plan.folders(entry)):
        which = {"checkpoint": str(entry.folder), "network": entry.network, "label": entry.system}
        made = make_system(plan.system, {**plan.settings_of(entry), **which})
        check_unchanged(entry)
        record(made, plan.prompts, record_plan, progress=progress)
    content = _content(plan.folders(entry))
    if _is_scored(entry, plan, content):
        return False
    score_run(
        plan.out,
        [read_recording(folder) for folder in plan.folders(entry)],
        metrics=plan.metrics,
        set_metrics=plan.set_metrics,
        options=plan.options,
        progress=progress,
    )
    _note_scored(entry, plan, content)
    return True


def failed_of(entry: SweepEntry, plan: SweepPlan) -> dict[str, list[Path]]:
    """Returns the recordings that failed, see `evals.recording.record.failures`."""
    return failures(entry.system, plan.prompts, _record_plan(entry, plan))


def _record_plan(entry: SweepEntry, plan: SweepPlan) -> RecordPlan:
    """Recordings say which weights they are of, wherever these lay."""
    own = {"checkpoint": entry.checkpoint, "network": entry.network}
    return RecordPlan(
        out=plan.out,
        suite=plan.suite,
        seed=plan.seed,
        settings={**plan.settings_of(entry), **own},
        retry_failed=plan.retry_failed,
    )


def _check_recorded(entry: SweepEntry, plan: SweepPlan, settings: Mapping[str, Any]) -> None:
    """Refuses recordings of other weights, or made with other settings."""
    for folder in plan.folders(entry):
        settle(folder)
        if not has_file(folder / "meta.json"):
            continue
        then = read_meta(folder)["settings"]
        if then == settings:
            continue
        where = folder.parents[2]
        remedy = f"choose another --out, or remove {where} to record it anew"
        if then.get("checkpoint") != entry.checkpoint:
            raise InputError(
                f"{entry.folder} was replaced: {where} holds recordings of "
                f"{then.get('checkpoint')}, the checkpoint is now {entry.checkpoint}; {remedy}"
            )
        raise InputError(f"{where} was recorded with {then}, now it is {settings}; {remedy}")


def _is_kept(folder: Path, *, retry: bool) -> bool:
    if not has_file(folder / "meta.json"):
        return False
    return not (retry and has_file(folder / "error.txt"))


def _content(folders: Sequence[Path]) -> str:
    """Names the content of recordings: their metadata hold the digests of all files."""
    digest = hashlib.sha256()
    for folder in folders:
        digest.update(f"{folder.parent.name}\n".encode() + (folder / "meta.json").read_bytes())
    return digest.hexdigest()


def _is_scored(entry: SweepEntry, plan: SweepPlan, content: str) -> bool:
    """Says whether these recordings have a row for each metric as it is computed now."""
    known = _state(plan.out).get(entry.system, {})
    if known.get("content") != content or not _protocols(plan) <= set(known["protocols"]):
        return False
    found = plan.rows_of([entry], RunReader(plan.out).rows())
    rows = {(row.sample_id, row.protocol) for row in found if _is_final(row)}
    samples = [prompt.prompt_id for prompt in plan.prompts]
    wanted = {(sample, metric.protocol) for sample in samples for metric in plan.metrics}
    return rows >= wanted | {(SET_ID, metric.protocol) for metric in plan.set_metrics}


def _is_final(row: ScoreRow) -> bool:
    """Says whether measuring again would give the same: not where a judge failed or was missing."""
    return row.status not in {"evaluator_failure", "unavailable"}


def _protocols(plan: SweepPlan) -> set[str]:
    metrics: list[Metric | SetMetric | TakesMetric] = [*plan.metrics, *plan.set_metrics]
    return {protocol_hash(params_of(metric, plan.options)) for metric in metrics}


def _note_scored(entry: SweepEntry, plan: SweepPlan, content: str) -> None:
    """Keeps which recordings were scored; a run that is killed before it scores them again."""
    state = _state(plan.out)
    state[entry.system] = {"content": content, "protocols": sorted(_protocols(plan))}
    text = json.dumps(state, indent=1, sort_keys=True)
    write_atomically(plan.out / _STATE, f"{text}\n".encode())


def _state(run: Path) -> dict[str, Any]:
    path = run / _STATE
    return read_json(path) if has_file(path) else {}
