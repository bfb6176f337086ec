"""Worker processes: how many threads they have, and how they end."""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any

from streamchar_ref.core.workers import end_with_parent

_MOST = 1_000
ProgressFn = Callable[[str, int, int], None]
"""Told ``(what, done, total)``."""


def executor(jobs: int) -> Executor:
    """Workers for that many jobs at a time; one job runs in this process."""
    if jobs <= 1:
        return _Here()
    return workers(jobs)


def workers(jobs: int) -> ProcessPoolExecutor:
    """Fresh processes, each on one thread, that end with this one.

    They do not import the user's script again, as spawned processes do by default: a script
    without ``if __name__ == "__main__"`` would measure everything once in each of them.
    """
    return _Workers(
        max_workers=min(jobs, _MOST), mp_context=_WithoutScript(), initializer=start_worker
    )


class _Workers(ProcessPoolExecutor):
    """Ends soon after an exception, as of Ctrl-C: what has not begun is not begun."""

    def __exit__(self, *raised: object) -> None:
        self.shutdown(wait=True, cancel_futures=raised[0] is not None)


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


class _Here(Executor):
    """Runs each job at once in this process: what ``jobs=1`` means."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Returns a finished future."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # for whoever asks for the result, as from a worker
            future.set_exception(error)
        return future


def submit(pool: Executor, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """As ``pool.submit``; a pool that has broken already shows it in the future."""
    try:
        return pool.submit(work, *arguments)
    except BrokenProcessPool as error:
        future: Future[Any] = Future()
        future.set_exception(error)
        return future


def watch(futures: Sequence[Future[Any]], what: str, progress: ProgressFn) -> None:
    """Waits for all futures, whatever becomes of them, and tells how many are done."""
    for done, future in enumerate(futures):
        progress(what, done, len(futures))
        wait([future])
    progress(what, len(futures), len(futures))


def start_worker() -> None:
    """Limits this worker's threads, and ends it when its parent ends."""
    limit_threads()
    end_with_parent()


def limit_threads() -> None:
    """Keeps a worker to one thread in every numerical library it may import."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
