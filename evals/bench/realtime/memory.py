"""Processes that belong to this one: their peak memory and processor time, read from ``/proc``.

Without ``/proc`` the peak is that of this process since its start, and processor time is unknown.
"""

import os
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_RESET_PEAK = "5"  # proc(5), /proc/pid/clear_refs
_TICKS_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class _Process:
    pid: int
    parent: int
    ticks: int  # of its own and of the children it has waited for


def reset_peak_memory() -> None:
    """Lets `peak_memory_mb` start anew, as far as the system allows."""
    with suppress(OSError):
        (_PROC / "self" / "clear_refs").write_text(_RESET_PEAK)
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        for device in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(device)


def peak_memory_mb() -> float:
    """Peak resident memory of this process, plus that of what it has started.

    Of programs that have ended, the largest counts, once.
    """
    family = [pid for pid in _family(os.getpid()) if pid != os.getpid()]
    running_kb = sum(_peak_kb(pid) for pid in family)
    ended_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    own_kb = _peak_kb(os.getpid()) or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (own_kb + max(running_kb, ended_kb)) / 1024


def family_processor_s() -> float | None:
    """Processor time of this process and all that it has started; ``None`` without ``/proc``."""
    ticks = [process.ticks for process in _family(os.getpid()).values()]
    return sum(ticks) / _TICKS_S if ticks else None


def _family(root: int) -> dict[int, _Process]:
    """A process and its descendants."""
    running = {process.pid: process for process in _processes()}
    found = {root} & running.keys()
    while more := {p.pid for p in running.values() if p.parent in found} - found:
        found |= more
    return {pid: running[pid] for pid in found}


def _processes() -> list[_Process]:
    processes = []
    for folder in _PROC.iterdir() if _PROC.is_dir() else ():
        if not folder.name.isdecimal():
            continue
        with suppress(OSError):  # ended meanwhile
            # The name, in parentheses, may hold anything: proc(5), /proc/pid/stat.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            processes.append(
                _Process(int(folder.name), int(fields[1]), sum(map(int, fields[11:15])))
            )
    return processes


def _peak_kb(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "status").read_text().splitlines()
    except OSError:  # ended meanwhile, or no /proc
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
