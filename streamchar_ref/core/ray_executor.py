"""Tasks on a Ray cluster, or on workers of a Ray that is started here and ends with the block."""

import os
import socket
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from streamchar_ref.core.elsewhere import Outcome, UnfitMachine, packed, run_packed, this_site
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.executor import Executor, WorkerEnded

ResultT = TypeVar("ResultT")
RETRIES = 2
"""How often a task runs again whose worker was lost."""
_OBJECT_STORE_BYTES = 200_000_000
_CONNECT_S = 5.0
_STARTS = 3
"""Ray gives up after 30 s, which a busy machine may need."""
_NO_CLUSTER = (
    "start one with: ray start --head; or leave the address out for workers on this machine"
)


class RayExecutor(Executor):
    """Runs each function as one Ray task on one core.

    A Ray that this process has already started (``ray.init``) is used, and left as it is.

    Args:
        address: Of a running cluster: ``HOST:PORT``, ``ray://HOST:PORT`` or ``auto``; empty starts
            one on this machine.
        jobs: Workers of a Ray that is started here; a cluster says itself what it has.
        gpus: GPUs that a task needs.

    Raises:
        InputError: If Ray is not installed, or there is no cluster at the address.
    """

    is_local = False

    def __init__(self, address: str, jobs: int, *, gpus: float = 0) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
        os.environ.setdefault("RAY_task_oom_retries", str(RETRIES))  # endless by default
        os.environ.setdefault("RAY_worker_niceness", "0")  # 15 by default, slower than `local`
        self._ray = import_ray()
        self._is_ours = not self._ray.is_initialized()
        if self._is_ours:
            self._start(address, jobs)
        self.jobs = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        self._site = self._ray.put(this_site())
        self._pending: set[Future[Any]] = set()
        # Ray hands exceptions over in a wrapping of its own, so `run_packed` returns them.
        remote = self._ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)
        self._task = remote(run_packed)

    def submit(self, work: Callable[..., ResultT], *arguments: Any) -> Future[ResultT]:
        """As in `Executor`; a task whose worker was lost runs again on another one."""
        future: Future[ResultT] = Future()
        self._pending.add(future)
        reference = self._task.remote(self._site, packed(work, arguments))
        reference.future().add_done_callback(lambda done: self._settle(done, future))
        return future

    def _settle(self, done: "Future[Outcome]", future: Future[Any]) -> None:
        try:
            done.result().settle(future)
        except self._ray.exceptions.RayTaskError as error:  # not begun: `run_packed` raises nothing
            future.set_exception(UnfitMachine(_not_begun(error)))
        except Exception as error:  # every other one is Ray's word on a lost worker or machine
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            future.set_exception(WorkerEnded(f"lost {RETRIES + 1} times: {reason}"))
        self._pending.discard(future)

    def _start(self, address: str, jobs: int) -> None:
        _check_reachable(address)
        options: dict[str, Any] = {"address": address or "local", "log_to_driver": False}
        if not address:
            options |= {
                "num_cpus": jobs, "include_dashboard": False,
                "object_store_memory": _OBJECT_STORE_BYTES,
            }  # fmt: skip
        for left in reversed(range(_STARTS)):
            try:
                self._ray.init(logging_level="error", configure_logging=False, **options)
                return
            except ConnectionError as error:
                raise InputError(f"no Ray cluster at {address!r}; {_NO_CLUSTER}") from error
            except Exception as error:  # Ray's own class for a start that took too long
                self._ray.shutdown()
                if not left:
                    raise InputError(f"Ray does not start: {error}") from error

    def __exit__(self, *raised: object) -> None:
        if raised[0] is None:
            wait(list(self._pending))
        if self._is_ours:
            self._ray.shutdown()


def import_ray() -> Any:
    """Returns Ray; raises `InputError` if it is not installed."""
    try:
        import ray
    except ImportError as error:
        raise InputError(
            f"--executor ray needs Ray ({error}): pip install 'streamchar[cluster]'"
        ) from error
    return ray


def _check_reachable(address: str) -> None:
    """Looks for a listener first: Ray itself waits for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not address or address == "auto":
        return
    if not host or not port.isdecimal():
        raise InputError(f"--executor ray:{address}: the address is HOST:PORT, ray://... or auto")
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"no Ray cluster at {address!r} ({error}); {_NO_CLUSTER}") from error


def _not_begun(error: Exception) -> str:
    last = str(error).strip().splitlines()[-1]
    return f"a Ray worker could not begin ({last}); install streamchar on all machines"
