"""What a grid asks of whoever trains its pieces, and what it is told."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from baselines.ablations.plan import Piece, Teacher

WEIGHTS = "checkpoint"
"""Folder of the weights inside that of a piece or a teacher."""


class Status(StrEnum):
    """How far a piece is."""

    DONE = "done"
    UNFINISHED = "unfinished"
    DIVERGED = "diverged"
    FAILED = "failed"
    WAITING = "waiting"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a piece.

    Attributes:
        status: ``done`` and ``diverged`` are final; others are tried again by the next command.
        reason: For a reader of the table; empty if done.
        steps: Of training, planned or done; 0 if that is not known.
        is_stopped: Whether it was told to stop, so that nothing else should begin.
    """

    status: Status
    reason: str = ""
    steps: int = 0
    is_stopped: bool = False

    @property
    def is_done(self) -> bool:
        """Whether there are weights to stream."""
        return self.status is Status.DONE


@dataclass(frozen=True, kw_only=True)
class Placed:
    """What is known of a teacher.

    Attributes:
        problem: Why no row can use it; empty if rows can.
        is_guided: Whether it has guidance that can be turned off.
    """

    problem: str = ""
    is_guided: bool = True


@runtime_checkable
class Trainer(Protocol):
    """Trains what rows need; tests replace it."""

    def place_teacher(self, teacher: Teacher, folder: Path) -> Placed:
        """Writes the weights that rows begin with to ``folder / WEIGHTS``, once.

        Args:
            teacher: Which.
            folder: Of this teacher alone.

        Returns:
            What is known of it.

        Raises:
            InputError: If the folder was made from another checkpoint, or there is none.
        """
        ...

    def minutes_of(self, piece: Piece) -> float:
        """Returns the time limit of a piece."""
        ...

    def planned_steps(self, piece: Piece, folder: Path) -> int:
        """Returns for how many steps a piece was begun; 0 if it has not, or none are known."""
        ...

    def train(self, piece: Piece, folder: Path, *, start: Path, data: Path, steps: int) -> Outcome:
        """Trains a piece, or goes on with it, and writes ``folder / WEIGHTS`` when it is done.

        Args:
            piece: Which.
            folder: Of this piece alone.
            start: Checkpoint to begin with.
            data: Folder of corpus and latents, shared by the pieces of one seed.
            steps: As many as the same stage of other rows; 0 lets the time limit decide.

        Returns:
            What came of it.

        Raises:
            InputError: If it cannot be trained as things are.
        """
        ...
