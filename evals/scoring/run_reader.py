"""Reading the results in a run folder, those of one scoring together."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from evals.recording.run_folder import read_run
from evals.recording.transaction import consistently, place_of
from evals.scoring.results import ScoreRow, WindowRow, read_scores, read_windows
from evals.scoring.summary import SummaryRow, read_summary
from streamchar_ref.core.files import has_file

T = TypeVar("T")


class RunReader:
    """The result files of a run folder, each read when it is asked for; see `read_runs`.

    Args:
        run: Run folder, which need not hold results or be there.
    """

    def __init__(self, run: Path) -> None:
        self.run = run

    @property
    def is_scored(self) -> bool:
        """Whether there is a file of score rows."""
        return place_of(self.run, "scores.jsonl").is_file()

    def rows(self) -> list[ScoreRow]:
        """Score rows in the order of the file; none before the first scoring."""
        path = place_of(self.run, "scores.jsonl")
        return read_scores(path) if has_file(path) else []

    def windows(self) -> list[WindowRow]:
        """Curves in the order of the file; none if there is no file."""
        path = place_of(self.run, "windows.csv")
        return read_windows(path) if has_file(path) else []

    def summary(self) -> list[SummaryRow] | None:
        """Summary rows in the order of the file; ``None`` if there is no file."""
        path = place_of(self.run, "summary.json")
        return read_summary(path) if has_file(path) else None

    def entries(self) -> dict[str, Any]:
        """Entries of ``run.json``; none if there is no file."""
        return read_run(self.run)


def read_runs(runs: Sequence[Path], read: Callable[[Sequence[RunReader]], T]) -> T:
    """Reads results of one and the same scoring of each run, without a lock.

    Args:
        runs: Run folders, also on a read-only disk.
        read: Given a reader for each; called again if results were replaced meanwhile.

    Returns:
        What ``read`` returned.

    Raises:
        InputError: If results are damaged, or replaced again and again.
    """
    readers = [RunReader(run) for run in runs]
    return consistently(runs, lambda: read(readers))
