"""Chooses an executor by what stands behind ``--executor``."""

from streamchar_ref.core.cache import cache_folder
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.executor import Executor, local_executor
from streamchar_ref.core.ray_executor import RayExecutor, import_ray
from streamchar_ref.core.slurm_executor import (
    SlurmExecutor,
    check_sbatch,
    import_submitit,
    new_folder,
)

LOCAL = "local"


def check_executor(name: str) -> None:
    """Looks before the work whether an executor can be had.

    Args:
        name: ``local``, ``ray``, ``ray:ADDRESS`` or ``slurm``.

    Raises:
        InputError: If there is no such executor, or what it needs is not installed here.
    """
    kind = name.partition(":")[0]
    if name != kind and kind != "ray":
        raise InputError(f"--executor {name!r:.60}: an address goes with ray alone, ray:HOST:PORT")
    if kind == "ray":
        import_ray()
    elif kind == "slurm":
        import_submitit()
        check_sbatch()
    elif kind != LOCAL:
        raise InputError(f"--executor {name!r:.60} is none of local, ray, ray:ADDRESS, slurm")


def open_executor(name: str, jobs: int, *, gpus: int = 0) -> Executor:
    """Starts an executor.

    Args:
        name: As in `check_executor`.
        jobs: Workers at a time; a Ray cluster at an address has its own number.
        gpus: GPUs that a task needs; on this machine all tasks share what there is.

    Returns:
        The executor, to be used in a ``with`` block.

    Raises:
        InputError: If it cannot be had, or there is no cluster at the address.
    """
    check_executor(name)
    kind, _, address = name.partition(":")
    if kind == "ray":
        return RayExecutor(address, jobs, gpus=gpus)
    if kind == "slurm":
        return SlurmExecutor(new_folder(cache_folder() / "slurm"), jobs, gpus=gpus)
    return local_executor(jobs)
