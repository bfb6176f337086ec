"""The machine during a run: what it is, how busy it is, clocks and energy."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from evals.bench.realtime.memory import family_processor_s
from evals.recording.provenance import device

_TICKS_S = os.sysconf("SC_CLK_TCK")
MOST_FOREIGN = 0.1
"""Cores that other processes may use beside a run before the idle rest is looked at."""
LEAST_IDLE = 0.1
"""Cores that must stay idle if other processes use more than that."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """How busy the machine is at one moment.

    Attributes:
        t_s: Monotonic time.
        load_average: Runnable processes of the whole machine, mean of the last minute.
        cores: That this process may use.
        busy_s: Processor time spent on these cores since the machine started; ``None`` if unknown.
        own_s: Of that, by this process and what it has started; ``None`` if unknown.
    """

    t_s: float
    load_average: float
    cores: int
    busy_s: float | None = None
    own_s: float | None = None


LoadFn = Callable[[], Load]


@dataclass(frozen=True, kw_only=True)
class LoadShare:
    """Who used the cores during a run.

    Attributes:
        cores: That could be used.
        own_cores: Used by the run itself, mean; ``None`` if unknown.
        foreign_cores: Used by other processes, mean; ``None`` if unknown.
        load_average: At the start, before the run itself adds to it.
        own_s: Processor time of the run; ``None`` if unknown.
    """

    cores: int
    own_cores: float | None
    foreign_cores: float | None
    load_average: float
    own_s: float | None = None


def read_load() -> Load:
    """Reads the load of this machine now."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    return Load(
        t_s=time.monotonic(),
        load_average=os.getloadavg()[0],
        cores=len(cores) or os.cpu_count() or 1,
        busy_s=_busy_s(cores),
        own_s=family_processor_s(),
    )


def load_share(turns: list[tuple[Load, Load]]) -> LoadShare:
    """Sums up the load before and after each turn of a run.

    Args:
        turns: At least one pair.

    Returns:
        Means over the time of all turns.
    """
    first = turns[0][0]
    spent = sum(after.t_s - before.t_s for before, after in turns)
    own = busy = 0.0
    for before, after in turns:
        ends = (before.own_s, after.own_s, before.busy_s, after.busy_s)
        if None in ends or spent <= 0:
            return LoadShare(
                cores=first.cores, own_cores=None, foreign_cores=None,
                load_average=first.load_average,
            )  # fmt: skip
        own += float(after.own_s) - float(before.own_s)  # type: ignore[arg-type]
        busy += float(after.busy_s) - float(before.busy_s)  # type: ignore[arg-type]
    return LoadShare(
        cores=first.cores,
        own_s=own,
        own_cores=own / spent,
        foreign_cores=max(0.0, busy - own) / spent,
        load_average=first.load_average,
    )


def why_busy(share: LoadShare) -> str:
    """Says why a machine was too busy for a valid run; empty if it was not."""
    if share.foreign_cores is None:
        if share.load_average > share.cores:
            return f"machine busy: load {share.load_average:.1f} on {share.cores} cores"
        return ""
    used = share.foreign_cores + (share.own_cores or 0.0)
    if share.foreign_cores > MOST_FOREIGN and used > share.cores - LEAST_IDLE:
        return (
            f"machine busy: other processes used {share.foreign_cores:.1f} of {share.cores} "
            f"{'core' if share.cores == 1 else 'cores'}"
        )
    return ""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the numbers were measured on.

    Attributes:
        device: Processor, cores and operating system.
        cores: That could be used.
        gpu: Name, driver and clocks as ``nvidia-smi`` prints them; empty without one.
        torch: Version; empty if it is missing.
    """

    device: str
    cores: int
    gpu: str
    torch: str


def this_machine() -> Machine:
    """Describes this machine."""
    from importlib.metadata import PackageNotFoundError, version

    torch = ""
    with suppress(PackageNotFoundError):
        torch = version("torch")
    return Machine(device=device(), cores=read_load().cores, gpu=_gpu(), torch=torch)


def _gpu() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    query = "--query-gpu=name,driver_version,clocks.max.sm,clocks.max.mem,power.limit"
    try:
        done = subprocess.run(
            [program, query, "--format=csv,noheader"],
            capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return "; ".join(done.stdout.strip().splitlines())


def gpu_energy_j() -> float | None:
    """Energy of all NVIDIA devices since their driver was loaded; ``None`` if it does not tell."""
    try:
        nvml: Any = import_module("pynvml")
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(n) for n in range(nvml.nvmlDeviceGetCount())]
        spent_mj = [nvml.nvmlDeviceGetTotalEnergyConsumption(handle) for handle in handles]
    except ImportError:
        return None
    except Exception as error:  # NVML has an exception class for each of its codes
        if type(error).__name__.startswith("NVMLError"):
            return None
        raise
    return sum(spent_mj) / 1000 if spent_mj else None


def _busy_s(cores: set[int]) -> float | None:
    """Processor time spent on some cores, also by other guests of the host (steal)."""
    path = Path("/proc/stat")
    if not path.is_file():
        return None
    names = {f"cpu{core}" for core in cores}
    ticks = 0
    for line in path.read_text().splitlines():
        name, *values = line.split()
        if name in names:
            user, nice, system, _idle, _iowait, *others = map(int, values[:8])  # guests are in user
            ticks += user + nice + system + sum(others)
    return ticks / _TICKS_S
