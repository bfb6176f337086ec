"""Records the rows of a grid on common prompts and common noise."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from baselines.ablations.grid import GridFolder
from baselines.ablations.plan import piece_of, teacher_of
from baselines.ablations.row import Row
from baselines.ablations.trainer import Outcome
from evals.recording.make_system import make_system
from evals.recording.record import RecordPlan, failures, record
from evals.recording.system import Prompt
from evals.recording.workers import Maker, record_by_workers
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.executor import Executor
from streamchar_ref.core.progress import ProgressFn

MakeSystem = Callable[[str, Mapping[str, Any]], Any]


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What came of recording a row with the weights of one training.

    Attributes:
        has_streams: Whether there is something to score.
        reason: Why there is not, or how many streams failed; empty if all is well.
    """

    has_streams: bool
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class RowRecorder:
    """Streams rows with weights, one after the other.

    The seed of a stream is that of the row's training: with every seed all rows have the same
    noise, so that they can be compared in pairs.

    Attributes:
        folder: Of the grid.
        suite: Name of the suite.
        prompts: Of the suite.
        device: As torch names it.
        workers: Of other machines, a prompt each; streams run here one by one without them.
        make: Makes a system; replaced in tests.
        progress: Told what is done.
    """

    folder: GridFolder
    suite: str
    prompts: Sequence[Prompt]
    device: str = "cpu"
    workers: Executor | None = None
    make: MakeSystem = make_system
    progress: ProgressFn = lambda what, done, total: None

    def record(
        self, rows: Sequence[Row], outcomes: Mapping[tuple[str, int], Outcome]
    ) -> dict[tuple[str, int], Recorded]:
        """Records what is missing.

        Args:
            rows: Of the grid.
            outcomes: (row, seed) -> whether it has weights.

        Returns:
            (row, seed) -> what came of it.

        Raises:
            InputError: If a row was recorded with other settings before.
        """
        by_name = {row.name: row for row in rows}
        found = {}
        for (name, seed), outcome in sorted(outcomes.items(), key=lambda item: item[0][1]):
            found[name, seed] = (
                self._record(by_name[name], seed)
                if outcome.is_done
                else Recorded(has_streams=False, reason=f"not trained: {outcome.reason}")
            )
        return found

    def _record(self, row: Row, seed: int) -> Recorded:
        settings = dict(row.setup.streaming)
        own: dict[str, Any] = {}
        if row.setup.has_weights:
            settings["device"] = self.device
            own = {"checkpoint": str(self.folder.weights(row.setup, seed)), "label": row.name}
        try:
            settings_of_system = settings | own
            system = self.make(row.setup.system, settings_of_system)
        except InputError as error:
            return Recorded(has_streams=False, reason=f"not recorded: {error}")
        piece = piece_of(row.setup, seed)
        settings |= {
            "trained": (piece or teacher_of(row.setup)).name if row.setup.has_weights else "",
            "weights": str(getattr(system, "checkpoint", "")),
        }
        plan = RecordPlan(out=self.folder.out, suite=self.suite, seed=seed, settings=settings)
        if self.workers is None:
            record(system, self.prompts, plan, progress=self.progress)
        else:
            maker = Maker(name=row.setup.system, settings=settings_of_system)
            record_by_workers(maker, self.prompts, plan, self.workers, progress=self.progress)
        failed = failures(system.name, self.prompts, plan)
        return Recorded(has_streams=True, reason=_in_words(failed, len(self.prompts)))


def _in_words(failed: Mapping[str, Sequence[Any]], count: int) -> str:
    if not failed:
        return ""
    total = sum(len(folders) for folders in failed.values())
    return f"{total} of {count} streams failed: {next(iter(failed))}"
