"""A folder in which the rows of a table are trained, piece by piece, and recorded.

``ablate.json`` keeps what must not change from one command to the next. ``train/PIECE`` holds a
stage with ``piece.json``, which says how far it is. ``recordings`` is that of any run folder.

The first piece of a stage finds its number of steps by the time limit; those of other rows and
seeds take as many, so that rows do not differ in how busy the machine was.
"""

import json
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from baselines.ablations.plan import Piece, Teacher, piece_of, pieces_of, teacher_of
from baselines.ablations.row import Row, Setup
from baselines.ablations.trainer import WEIGHTS, Outcome, Placed, Status, Trainer
from evals.recording.system import in_one_line
from streamchar_ref.core.errors import InputError
from streamchar_ref.core.files import has_file, read_json, write_atomically

SETTINGS = "ablate.json"
PIECE = "piece.json"
ERROR = "error.txt"
_FINAL = (Status.DONE, Status.DIVERGED)


@dataclass(frozen=True, kw_only=True)
class GridFolder:
    """Where everything of a grid lies.

    Attributes:
        out: The run folder.
    """

    out: Path

    def of(self, piece: Piece | Teacher) -> Path:
        """Returns the folder of a piece or a teacher."""
        return self.out / "train" / piece.name

    def weights(self, setup: Setup, seed: int) -> Path:
        """Returns the checkpoint that a row streams, whether or not it is there."""
        return self.of(piece_of(setup, seed) or teacher_of(setup)) / WEIGHTS

    def data(self, seed: int) -> Path:
        """Returns the folder of corpus and latents; what is drawn depends on the seed."""
        return self.out / "data" / f"seed-{seed}"

    def settle(
        self,
        settings: Mapping[str, Any],
        *,
        suite: str,
        num_prompts: int,
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        """Keeps the settings of a grid, or refuses others than those kept.

        More prompts of a suite may be recorded later, fewer not: some rows would be scored on
        prompts that others lack.

        Args:
            settings: Option -> value, as JSON.
            suite: Name of the suite.
            num_prompts: How many of its prompts are recorded.
            defaults: Settings of training that rows do not change, as JSON: rows that were trained
                with others do not belong in one table.

        Raises:
            InputError: If one differs; says which, and what to do.
        """
        path = self.out / SETTINGS
        kept = read_json(path) if has_file(path) else {}
        for name, value in settings.items():
            if kept and kept.get(name) != value:
                raise InputError(
                    f"{self.out} was begun with --{name} {kept.get(name)!s:.100}, not "
                    f"{value!s:.100}: give --{name} {kept.get(name)!s:.100} to go on with it, or "
                    "another --out"
                )
        now = dict(defaults or {})
        was, is_now = _flat(kept.get("defaults", {})), _flat(now)
        other = [name for name in {*was, *is_now} if was.get(name) != is_now.get(name)]
        if kept and other:
            name = min(other)
            raise InputError(
                f"{self.out} was begun with {name}={was.get(name)}, and this version trains with "
                f"{is_now.get(name)} on this machine: give another --out, or go on with the "
                "version and the machine that began it"
            )
        prompts = kept.get("prompts", {})
        before = prompts.get(suite, 0) if isinstance(prompts, dict) else 0
        if num_prompts < before:
            raise InputError(
                f"{self.out} holds recordings of {before} prompts of {suite}, not {num_prompts}: "
                f"give --limit {before} or more, or another --out"
            )
        told = {**settings, "defaults": now, "prompts": {**prompts, suite: num_prompts}}
        text = json.dumps(told, indent=1, sort_keys=True) + "\n"
        write_atomically(path, text.encode(errors="replace"))

    def outcome(self, piece: Piece) -> Outcome | None:
        """Reads how far a piece is; ``None`` if it has not begun."""
        path = self.of(piece) / PIECE
        if not has_file(path):
            return None
        told = read_json(path)
        try:
            return Outcome(
                status=Status(told["status"]), reason=str(told["reason"]), steps=int(told["steps"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: damaged; delete it to try this stage again") from error

    def steps(self, piece: Piece) -> int:
        """Returns for how many steps a piece is trained; 0 if that is open.

        They are its own from before, or those of another row or seed with the same stage and
        preset. Networks that begin anew are compared whatever their preset: theirs are those of
        others that begin anew, before any other's.
        """
        own = self.outcome(piece)
        if own and own.steps:
            return own.steps
        is_bare, alike = piece.teacher.is_bare, []
        for path in sorted((self.out / "train").glob(f"*/{PIECE}")):
            told = read_json(path)
            teacher, steps = told.get("teacher", {}), told.get("steps", 0)
            has_steps = isinstance(steps, int) and steps > 0
            if not has_steps or told.get("stages", [None])[-1] != piece.stage:
                continue
            if is_bare or teacher.get("preset") == piece.teacher.preset:
                alike.append((is_bare and not teacher.get("is_bare"), steps))
        return min(alike, key=itemgetter(0), default=(False, 0))[1]

    def keep(self, piece: Piece, outcome: Outcome) -> None:
        """Writes how far a piece is, and what it is."""
        told = {
            "status": str(outcome.status),
            "reason": outcome.reason,
            "steps": outcome.steps,
            "stages": piece.stages,
            "settings": dict(piece.settings),
            "seed": piece.seed,
            "teacher": asdict(piece.teacher),
        }
        text = json.dumps(told, indent=1, sort_keys=True) + "\n"
        write_atomically(self.of(piece) / PIECE, text.encode(errors="replace"))


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the missing pieces of a grid are trained.

    Attributes:
        folder: Of the grid.
        trainer: Trains a piece.
        total_minutes: No stage begins whose time limit does not fit within it; one that is slower
            than it seemed ends later. 0 is no limit.
        clock: Seconds; replaced in tests.
        progress: Called with a line a piece.
    """

    folder: GridFolder
    trainer: Trainer
    total_minutes: float = 0
    clock: Callable[[], float] = time.monotonic
    progress: Callable[[str], None] = lambda line: None

    def run(self, rows: Sequence[Row], seeds: Sequence[int]) -> dict[tuple[str, int], Outcome]:
        """Trains what rows lack.

        A piece that fails does not hold up the others; those that begin with it do not begin.

        Args:
            rows: Of the grid.
            seeds: Of training.

        Returns:
            (row, seed) -> whether there are weights to stream, and why not.

        Raises:
            InputError: If a teacher cannot be found, or is another one than before.
        """
        ends = self.clock() + 60 * self.total_minutes if self.total_minutes else None
        teachers = self._place_teachers(rows)
        pieces: dict[Piece, Outcome] = {}
        is_stopped = False
        wanted = pieces_of(rows, seeds)
        for number, piece in enumerate(wanted, start=1):
            outcome = self.folder.outcome(piece)
            if outcome is None or outcome.status not in _FINAL:
                obstacle = _obstacle(piece, pieces, teachers)
                if obstacle is None and is_stopped:
                    obstacle = Outcome(status=Status.WAITING, reason="stopped before this stage")
                self.progress(f"stage {number} of {len(wanted)}: {piece.name}")
                outcome = obstacle or self._train(piece, ends)
                is_stopped |= outcome.is_stopped
            pieces[piece] = outcome
        return {
            (row.name, seed): _outcome_of(row, seed, pieces, teachers)
            for row in rows
            for seed in seeds
        }

    def _place_teachers(self, rows: Sequence[Row]) -> dict[Teacher, Placed]:
        teachers = dict.fromkeys(teacher_of(row.setup) for row in rows if row.setup.has_weights)
        return {
            teacher: self.trainer.place_teacher(teacher, self.folder.of(teacher))
            for teacher in teachers
        }

    def _train(self, piece: Piece, ends: float | None) -> Outcome:
        steps = self.folder.steps(piece)
        try:
            minutes = self.trainer.minutes_of(piece)
            if ends is not None and self.clock() + 60 * minutes > ends:
                return Outcome(
                    status=Status.WAITING,
                    reason=f"{piece.stage} may take {minutes:g} minutes, which are not left of "
                    "--total-minutes; the same command goes on",
                )
            outcome = self.trainer.train(
                piece,
                self.folder.of(piece),
                start=self.folder.of(piece.before or piece.teacher) / WEIGHTS,
                data=self.folder.data(piece.seed),
                steps=steps,
            )
        except OSError:  # the machine's, such as a full disk: nothing else could be trained either
            raise
        except InputError as error:
            outcome = self._failed(piece, f"{piece.stage}: {error}", steps)
        except Exception as error:  # of one stage, in one of many hours: the others go on
            path = self.folder.of(piece) / ERROR
            write_atomically(path, traceback.format_exc().encode(errors="replace"))
            reason = f"{piece.stage}: {in_one_line(error)}; traceback: {path}"
            outcome = self._failed(piece, reason, steps)
        self.folder.keep(piece, outcome)
        self.progress(f"{piece.name}: {outcome.status} {outcome.reason}".rstrip())
        return outcome

    def _failed(self, piece: Piece, reason: str, steps: int) -> Outcome:
        """Keeps the steps that a piece was begun with: it can go on, and others take as many."""
        steps = steps or self.trainer.planned_steps(piece, self.folder.of(piece))
        return Outcome(status=Status.FAILED, reason=reason, steps=steps)


def _flat(values: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """Returns the values of nested mappings by their path, such as ``dmd_chunk.optim.batch``."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        is_nested = isinstance(value, Mapping)
        flat |= _flat(value, f"{place}{name}.") if is_nested else {place + name: value}
    return flat


def _obstacle(
    piece: Piece, pieces: Mapping[Piece, Outcome], teachers: Mapping[Teacher, Placed]
) -> Outcome | None:
    """Why a piece cannot begin; ``None`` if it can."""
    if problem := teachers[piece.teacher].problem:
        return Outcome(status=Status.FAILED, reason=problem)
    before = pieces.get(piece.before) if piece.before else None
    if before is None or before.is_done:
        return None
    return Outcome(status=Status.WAITING, reason=before.reason)


def _outcome_of(
    row: Row, seed: int, pieces: Mapping[Piece, Outcome], teachers: Mapping[Teacher, Placed]
) -> Outcome:
    if not row.setup.has_weights:
        return Outcome(status=Status.DONE)
    placed = teachers[teacher_of(row.setup)]
    problem = placed.problem
    if row.setup.is_guided and not row.setup.is_student and not placed.is_guided:
        problem = "the teacher has no guidance"
    if problem:
        return Outcome(status=Status.FAILED, reason=problem)
    piece = piece_of(row.setup, seed)
    return pieces[piece] if piece else Outcome(status=Status.DONE)
