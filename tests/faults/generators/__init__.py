"""Kinds of inputs: each writes into a working folder and says what to run there."""

from tests.faults.generators.command_lines import command_line
from tests.faults.generators.manifests import manifest
from tests.faults.generators.media import media
from tests.faults.generators.run_folders import run_folder
from tests.faults.trial import Generator

KINDS: dict[str, Generator] = {
    "manifest": manifest,
    "media": media,
    "run_folder": run_folder,
    "command_line": command_line,
}
