"""Command line of the package, see `tests.faults`."""

import argparse
import json
import sys
from pathlib import Path

from tests.faults import runner
from tests.faults.generators import KINDS
from tests.faults.scenes import DISKS, KILLS, RACES, SCENES
from tests.faults.trial import Outcome


def main() -> None:
    """Runs what was asked for; exits with 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("names", nargs="*", help="inputs to run again, such as media-700012")
    parser.add_argument("--inputs", type=int, default=0, help="how many, of all kinds in turn")
    parser.add_argument("--kills", type=int, default=0, help="how many, of each job in turn")
    parser.add_argument("--races", type=int, default=0, help="how many, of all pairs in turn")
    parser.add_argument("--disks", type=int, default=0, help="full ones, of each job in turn")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", action="append", choices=[*KINDS, *SCENES], default=[])
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--keep", type=Path, help="folder that keeps the files of each input")
    parser.add_argument("--json", type=Path, help="file for all outcomes, one a line")
    told = parser.parse_args()
    wanted = list(told.names)
    for count, kinds in (
        (told.inputs, told.kind or KINDS),
        (told.kills, KILLS),
        (told.races, RACES),
        (told.disks, DISKS),
    ):
        wanted += runner.names(count, told.seed, list(kinds))
    outcomes = runner.run(wanted, jobs=told.jobs, keep=told.keep, tell=_tell)
    if told.json:
        told.json.write_text("".join(json.dumps(one.as_json()) + "\n" for one in outcomes))
    if told.names:
        print("\n\n".join(map(runner.details, outcomes)))  # noqa: T201
    if outcomes:
        print(runner.table(outcomes))  # noqa: T201
    sys.exit(any(outcome.findings for outcome in outcomes))


def _tell(outcome: Outcome) -> None:
    """Says on stderr what was found, as it is found."""
    for column, words in outcome.findings:
        print(f"{outcome.name}: {column}: {words}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
