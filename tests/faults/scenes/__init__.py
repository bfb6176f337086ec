"""Kinds of inputs in which processes are killed, meet each other, or have no room to write.

The folder that the commands write must in the end be, byte for byte, that of an undisturbed run.
So that nothing need be left out of the comparison, `record` gets a clock that ticks evenly. Of
training, ``seconds`` of ``state.pt`` and ``minutes`` of ``checkpoint.json`` are left out, which are
times; and of ``log.csv`` all but the steps: a line holds means since the one before it, or since
training went on.
"""

from collections.abc import Callable
from functools import partial

from tests.faults.scenes import disks, kills, races
from tests.faults.scenes.stage import JOBS, Stage

KILLS = {f"killed_{job}": partial(kills.killed, job) for job in JOBS}
RACES = {f"race_{name}": partial(races.race, name) for name in races.PAIRS}
DISKS = {f"full_{job}": partial(disks.full, job) for job in JOBS}
SCENES: dict[str, Callable[[Stage], None]] = {**KILLS, **RACES, **DISKS}
