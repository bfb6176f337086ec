"""Tasks as SLURM arrays, handed over by submitit."""

import queue
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from streamchar_ref.core.elsewhere import UnfitMachine, packed, run_packed, this_site
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.executor import Executor, WorkerEnded

ResultT = TypeVar("ResultT")
RETRIES = 2
"""How often a task is submitted again whose job was lost."""
_GATHER_S = 0.3
"""Tasks that follow each other within this time share an array."""
_LARGEST_ARRAY = 1_000
_DAY_MIN = 24 * 60


@dataclass(kw_only=True)
class _Task:
    content: bytes
    future: Future[Any] = field(default_factory=Future)
    job: Any = None
    losses: int = 0


class SlurmExecutor(Executor):
    """Runs each function as one job of an array, on one core.

    Partition, account and time limit are SLURM's own variables (``SBATCH_PARTITION``,
    ``SBATCH_ACCOUNT``, ``SBATCH_TIMELIMIT``). Tasks and results pass through a folder that all
    machines must see; it goes when all is done, and stays for its logs if a job was lost.

    Args:
        folder: A new folder on a shared disk.
        jobs: Most jobs of an array at a time.
        gpus: GPUs that a job needs.
        cluster: ``slurm``; submitit's ``local`` in tests.
        poll_s: Seconds between two looks at the jobs.

    Raises:
        InputError: If submitit is not installed or ``sbatch`` is not there.
    """

    is_local = False

    def __init__(
        self, folder: Path, jobs: int, *, gpus: int = 0, cluster: str = "slurm", poll_s: float = 2.0
    ) -> None:
        submitit = import_submitit()
        if cluster == "slurm":
            check_sbatch()
        self.jobs, self._folder, self._poll_s = jobs, folder, poll_s
        self._errors = submitit.core.utils
        self._executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
        parameters = {"name": "streamchar", "cpus_per_task": 1, "timeout_min": _DAY_MIN}
        if gpus:
            parameters["gpus_per_node"] = gpus
        if cluster == "slurm":
            parameters["slurm_array_parallelism"] = jobs
        self._executor.update_parameters(**parameters)
        self._site = this_site()
        self._new: queue.SimpleQueue[_Task] = queue.SimpleQueue()
        self._pending: set[Future[Any]] = set()
        self._lost_one = False
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def submit(self, work: Callable[..., ResultT], *arguments: Any) -> Future[ResultT]:
        """As in `Executor`; a task whose job was lost is submitted again."""
        task = _Task(content=packed(work, arguments))
        self._pending.add(task.future)
        self._new.put(task)
        return task.future

    def _serve(self) -> None:
        running: list[_Task] = []
        while not self._is_over.is_set():
            if new := self._gathered():
                self._submit_array(new)
                running += new
            left = []
            for task in running:
                if self._is_settled(task):
                    self._pending.discard(task.future)
                else:
                    left.append(task)
            running = left
            self._is_over.wait(0.01 if new else self._poll_s)
        for task in running:
            task.job.cancel(check=False)

    def _gathered(self) -> list[_Task]:
        """Takes what was submitted; waits for more until nothing follows."""
        found: list[_Task] = []
        try:
            while len(found) < _LARGEST_ARRAY:
                found.append(self._new.get(timeout=_GATHER_S if found else 0.01))
        except queue.Empty:
            return found
        return found

    def _submit_array(self, tasks: Sequence[_Task]) -> None:
        try:
            with self._executor.batch():
                jobs = [self._executor.submit(run_packed, self._site, t.content) for t in tasks]
        except Exception as error:  # sbatch's own refusal: for whoever waits for a result
            for task in tasks:
                task.future.set_exception(UnfitMachine(f"SLURM takes no jobs: {error}"))
                self._pending.discard(task.future)
            return
        for task, job in zip(tasks, jobs, strict=True):
            task.job = job

    def _is_settled(self, task: _Task) -> bool:
        if task.future.done():
            return True
        if not task.job.done():
            return False
        try:
            task.job.result().settle(task.future)
        except self._errors.FailedJobError as error:  # not begun: `run_packed` raises nothing
            last = str(error).strip().splitlines()[-1]
            task.future.set_exception(UnfitMachine(f"a SLURM job could not begin: {last}"))
        except Exception as error:  # cancelled, killed, out of memory or time; or no result
            self._lost_one = True
            task.losses += 1
            if task.losses <= RETRIES:
                self._submit_array([task])
                return False
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            told = f"lost {task.losses} times: {reason}; logs: {self._folder}"
            task.future.set_exception(WorkerEnded(told))
        return True

    def __exit__(self, *raised: object) -> None:
        if raised[0] is None:
            wait(list(self._pending))
        self._is_over.set()
        self._thread.join()
        if not self._lost_one:
            shutil.rmtree(self._folder, ignore_errors=True)


def new_folder(parent: Path) -> Path:
    """Makes an own folder for the tasks of one command."""
    folder = parent / f"tasks-{time.time_ns():x}"
    folder.mkdir(parents=True)
    return folder


def import_submitit() -> Any:
    """Returns submitit; raises `InputError` if it is not installed."""
    try:
        import submitit
    except ImportError as error:
        raise InputError(
            f"--executor slurm needs submitit ({error}): pip install 'streamchar[cluster]'"
        ) from error
    return submitit


def check_sbatch() -> None:
    """Raises `InputError` on a machine that cannot submit SLURM jobs."""
    if shutil.which("sbatch") is None:
        raise InputError(
            "--executor slurm: there is no sbatch on PATH; give the command on a login node of a "
            "SLURM cluster"
        )
