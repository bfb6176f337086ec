"""Kinds of inputs: each writes into a working folder and says what to run there."""

from tests.faults.generators.caches import cache
from tests.faults.generators.command_lines import command_line
from tests.faults.generators.manifests import manifest
from tests.faults.generators.media import media
from tests.faults.generators.programs import program
from tests.faults.generators.run_folders import run_folder
from tests.faults.generators.suites import suite
from tests.faults.generators.systems import system
from tests.faults.generators.training import checkpoint, training
from tests.faults.trial import Generator

KINDS: dict[str, Generator] = {
    "manifest": manifest,
    "suite": suite,
    "media": media,
    "program": program,
    "system": system,
    "run_folder": run_folder,
    "command_line": command_line,
    "cache": cache,
    "checkpoint": checkpoint,
    "training": training,
}
NEED_TORCH = ("command_line", "checkpoint", "training", "killed_train", "full_train", "race_train")
NEED_TRAINED = ("checkpoint", "training")
"""Kinds that start from `base.TRAINED` rather than from `base.COMMANDS`."""
