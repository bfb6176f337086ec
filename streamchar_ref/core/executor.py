"""Where functions run: in this process, or in worker processes that end with it.

Everything that works in parallel asks for an `Executor`. Executors on other machines are in
`ray_executor` and `slurm_executor`; `executors` chooses one.
"""

import os
import sys
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any, TypeVar

from streamchar_ref.core.errors import InputError
from streamchar_ref.core.progress import ProgressFn

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
WorkerEnded = BrokenProcessPool
"""What a future raises whose worker was ended by the system."""
_MAX_WORKERS = 1_000


class Executor(ABC):
    """Runs functions; a context manager that ends its workers.

    After an exception in the block, as of Ctrl-C, what has not begun is not begun.

    Attributes:
        jobs: How many functions run at a time.
        is_local: Whether all of them run on this machine. An executor on other machines has tried
            again by itself before it says `WorkerEnded`.
    """

    jobs: int = 1
    is_local: bool = True

    @abstractmethod
    def submit(self, work: Callable[..., ResultT], *arguments: Any) -> Future[ResultT]:
        """Runs a function of a module with arguments that can be pickled.

        Args:
            work: The function.
            *arguments: For it.

        Returns:
            Its result, or the exception that it raised; `WorkerEnded` if its worker was ended.
        """

    def map(self, work: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> Iterator[ResultT]:
        """Yields the result of each item, in order.

        Args:
            work: Takes one item.
            items: Submitted at once.

        Yields:
            Results.

        Raises:
            InputError: If a worker was ended by the system.
        """
        futures = deque([self.submit(work, item) for item in items])
        while futures:
            yield result_of(futures.popleft())

    def __enter__(self) -> "Executor":
        return self

    def __exit__(self, *raised: object) -> None:
        return None


class InProcess(Executor):
    """Runs each function at once in this process: what ``jobs=1`` means."""

    def submit(self, work: Callable[..., ResultT], *arguments: Any) -> Future[ResultT]:
        """Returns a finished future."""
        future: Future[ResultT] = Future()
        try:
            future.set_result(work(*arguments))
        except Exception as error:  # for whoever asks for the result, as from a worker
            future.set_exception(error)
        return future

    def map(self, work: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> Iterator[ResultT]:
        """Yields the result of each item when it is asked for."""
        return map(work, items)


class WorkerProcesses(Executor):
    """Runs functions in fresh processes, each on one thread, that end with this one.

    They do not import the user's script again, as spawned processes do by default: a script
    without ``if __name__ == "__main__"`` would run once in each of them.

    Args:
        jobs: How many processes.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = min(jobs, _MAX_WORKERS)
        self._pool = ProcessPoolExecutor(
            self.jobs, mp_context=_WithoutScript(), initializer=start_worker
        )

    def submit(self, work: Callable[..., ResultT], *arguments: Any) -> Future[ResultT]:
        """As in `Executor`; a pool that has broken already shows it in the future."""
        try:
            return self._pool.submit(work, *arguments)
        except WorkerEnded as error:
            future: Future[ResultT] = Future()
            future.set_exception(error)
            return future

    def __exit__(self, *raised: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=raised[0] is not None)


def local_executor(jobs: int) -> Executor:
    """Returns an executor of this machine; one job runs in this process."""
    return InProcess() if jobs <= 1 else WorkerProcesses(jobs)


def result_of(future: Future[ResultT]) -> ResultT:
    """Returns a result.

    Args:
        future: From `Executor.submit`.

    Returns:
        What the function returned.

    Raises:
        InputError: If its worker was ended by the system.
    """
    try:
        return future.result()
    except WorkerEnded as error:
        raise InputError(
            "a worker process was ended by the system, as it does when memory is short; the same "
            "command with fewer --jobs needs less, --jobs 1 needs least"
        ) from error


def watch(futures: Sequence[Future[Any]], what: str, progress: ProgressFn) -> None:
    """Waits for all futures, whatever becomes of them, and tells how many are done."""
    for done, future in enumerate(futures):
        progress(what, done, len(futures))
        wait([future])
    progress(what, len(futures), len(futures))


def start_worker() -> None:
    """Keeps a worker to one thread in every numerical library, and ends it with its parent."""
    one_thread_only()
    end_with_parent()


def one_thread_only() -> None:
    """Keeps this process to one thread in every numerical library."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    if "torch" in sys.modules:  # it has read the environment already
        sys.modules["torch"].set_num_threads(1)


def end_with_parent() -> None:
    """Ends this process when the one that started it ends, even if that one was killed."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _SpawnWithoutScript(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")  # has no file to be imported from
        try:
            return SpawnProcess._Popen(process_obj)
        finally:
            sys.modules["__main__"] = script


class _WithoutScript(SpawnContext):
    Process = _SpawnWithoutScript
