"""Hands inputs to workers and sums up what came of them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import local

from tests.faults.trial import COLUMNS, Outcome

ROOT = Path(__file__).parents[2]
PER_SEED = 100_000
"""Inputs of one kind that a seed can have before it meets the next one's."""


def names(count: int, seed: int, kinds: Sequence[str]) -> list[str]:
    """Names inputs, the kinds in turn.

    Args:
        count: How many.
        seed: Others have other inputs.
        kinds: Of `generators.KINDS` or `scenes.SCENES`.
    """
    chosen = list(kinds)
    turns = enumerate(islice(cycle(chosen), count))
    return [f"{kind}-{seed * PER_SEED + turn // len(chosen)}" for turn, kind in turns]


class Worker:
    """A process of `zygote`, started when it is first asked."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True)
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote", str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=clean_environment(),
            text=True,
        )

    def run(self, name: str, keep: Path | None = None) -> Outcome:
        """Runs one input; its files are removed unless they are to be kept somewhere."""
        assert self.process.stdin is not None, "it has a pipe"
        assert self.process.stdout is not None, "it has a pipe"
        folder = keep or self.home / name
        request = {"name": name, "folder": str(folder)}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the worker ended with {self.process.wait()} at {name}")
        if keep is None:
            subprocess.run(["rm", "-rf", str(folder)], check=False)  # names may be undecodable
        return Outcome.from_json(json.loads(answer))

    def close(self) -> None:
        """Ends the process."""
        assert self.process.stdin is not None, "it has a pipe"
        with suppress(BrokenPipeError):  # it has ended by itself, which was told before
            self.process.stdin.close()
        self.process.wait()
        assert self.process.stdout is not None, "it has a pipe"
        self.process.stdout.close()


def clean_environment() -> dict[str, str]:
    """Returns variables for processes that run this checkout on one thread."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("STREAMCHAR")}
    return {**kept, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def run(
    wanted: Iterable[str],
    *,
    jobs: int = 1,
    keep: Path | None = None,
    tell: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Runs inputs.

    Args:
        wanted: Their names.
        jobs: Processes.
        keep: Folder whose subfolders keep the files of each.
        tell: Told each outcome as it comes.

    Returns:
        What came of them, in order.
    """
    here = local()
    workers: list[Worker] = []
    with TemporaryDirectory(prefix="streamchar-faults-", ignore_cleanup_errors=True) as scratch:

        def one(name: str) -> Outcome:
            if not hasattr(here, "worker"):
                here.worker = Worker(Path(scratch, f"worker-{len(workers)}-{os.urandom(2).hex()}"))
                workers.append(here.worker)
            outcome: Outcome = here.worker.run(name, keep / name if keep else None)
            tell(outcome)
            return outcome

        try:
            with ThreadPoolExecutor(jobs) as pool:
                return list(pool.map(one, wanted))
        finally:
            for worker in workers:
                worker.close()


def table(outcomes: Sequence[Outcome]) -> str:
    """Returns counts by kind, and below it what failed, with the names that make it again."""
    kinds = list(dict.fromkeys(outcome.kind for outcome in outcomes))
    rows = [["kind", "inputs", *COLUMNS]]
    for kind in [*kinds, ""]:
        chosen = [outcome for outcome in outcomes if kind in ("", outcome.kind)]
        counts = [
            sum(any(c == column for c, _ in o.findings) for o in chosen) for column in COLUMNS
        ]
        rows.append([kind or "all", str(len(chosen)), *map(str, counts)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [" | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([*lines, *_failures(outcomes)])


def _failures(outcomes: Sequence[Outcome]) -> list[str]:
    alike: dict[tuple[str, str], list[str]] = {}
    for outcome in outcomes:
        for finding in dict.fromkeys(outcome.findings):
            alike.setdefault(finding, []).append(outcome.name)
    order = sorted(alike, key=lambda finding: (COLUMNS.index(finding[0]), -len(alike[finding])))
    return [f"{c}: {words}\n    {_some(alike[c, words])}" for c, words in order]


def _some(found: Sequence[str]) -> str:
    more = f" and {len(found) - 4} more" if len(found) > 4 else ""
    return " ".join(found[:4]) + more


def details(outcome: Outcome) -> str:
    """Returns all that is known of one input."""
    lines = [f"{outcome.name}: {outcome.note}", f"{outcome.seconds} s, {outcome.memory_mb} MB"]
    for one in outcome.ended:
        lines.append(f"$ streamchar {' '.join(map(repr, one.command))} -> {one.code}")
        lines += [f"  {line}" for line in (one.out + one.err).splitlines()]
    return "\n".join([*lines, *(f"{column}: {words}" for column, words in outcome.findings)])
