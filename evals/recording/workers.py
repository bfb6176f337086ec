"""Recording by workers: each prompt is one task, and one process looks after the run folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from evals.recording.make_system import make_system
from evals.recording.record import (
    RecordPlan,
    check_system,
    clean_up,
    is_recorded,
    record_one,
    warm_up,
)
from evals.recording.system import Prompt, System
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.executor import Executor, WorkerEnded, result_of
from streamchar_ref.core.lock import only_writer
from streamchar_ref.core.progress import ProgressFn

BESIDE_OTHERS = (
    "recorded by workers that may have shared a machine: streams beside it slow a stream down"
)


@dataclass(frozen=True, kw_only=True)
class Maker:
    """How a worker gets the system.

    Attributes:
        name: See `make_system`.
        settings: For it.
    """

    name: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What was recorded.

    Attributes:
        name: Of the system, as it calls itself.
        counts: As `evals.recording.record.record` returns them.
    """

    name: str
    counts: dict[str, int]


def record_by_workers(
    maker: Maker,
    prompts: Sequence[Prompt],
    plan: RecordPlan,
    executor: Executor,
    *,
    progress: ProgressFn = lambda what, done, total: None,
) -> Recorded:
    """Records every prompt that the run folder lacks, each by some worker.

    A worker makes the system once and warms it up once, then serves any number of prompts. Frames
    and samples are those of `evals.recording.record.record`; arrival times say that other streams
    may have run beside.

    Args:
        maker: Of the system.
        prompts: Of one suite.
        plan: Run folder, which all machines must see, seed and settings.
        executor: Runs the tasks.
        progress: Called with ``(prompt_id, done, total)``.

    Returns:
        Name of the system, and counts.

    Raises:
        InputError: As `evals.recording.record.record`, or if workers were lost: all other prompts
            are recorded by then.
        OSError: If a machine fails, e.g. its disk is full.
    """
    plan = replace(plan, timing_note=BESIDE_OTHERS)
    with only_writer(plan.out, verb="record"):
        name = result_of(executor.submit(_name_of, maker, plan))
        clean_up(name, prompts, plan)
        todo = [prompt for prompt in prompts if not is_recorded(name, prompt, plan)]
        counts = {"recorded": 0, "failed": 0, "kept": len(prompts) - len(todo)}
        futures = [executor.submit(_record_there, maker, prompt, plan) for prompt in todo]
        lost: dict[str, str] = {}
        for done, (prompt, future) in enumerate(zip(todo, futures, strict=True)):
            progress(f"{name}: {prompt.prompt_id}", done, len(todo))
            try:
                counts["recorded" if future.result() else "failed"] += 1
            except WorkerEnded as error:
                lost[prompt.prompt_id] = str(error)
        progress(name, len(todo), len(todo))
        clean_up(name, todo, plan)  # what lost workers have left
    if lost:
        reason = next(iter(lost.values()))
        raise InputError(
            f"{len(lost)} of {len(todo)} prompts were not recorded, as their workers were lost "
            f"({', '.join(lost)}: {reason}); the same command records them"
        )
    return Recorded(name=name, counts=counts)


@dataclass(kw_only=True)
class _Ready:
    """The system of this worker process."""

    system: System
    is_warm: bool = False


def _name_of(maker: Maker, plan: RecordPlan) -> str:
    return _ready(maker, plan).system.name


def _record_there(maker: Maker, prompt: Prompt, plan: RecordPlan) -> bool:
    ready = _ready(maker, plan)
    if not ready.is_warm:
        warm_up(ready.system, prompt, plan)
        ready.is_warm = True
    return record_one(ready.system, prompt, plan)


def _ready(maker: Maker, plan: RecordPlan) -> _Ready:
    ready = _made(maker.name, json.dumps(dict(maker.settings)))
    check_system(ready.system, plan)
    return ready


@lru_cache(maxsize=1)
def _made(name: str, settings: str) -> _Ready:
    return _Ready(system=make_system(name, json.loads(settings)))
